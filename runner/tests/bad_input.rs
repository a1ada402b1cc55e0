//! Whatever is asked wrongly: one line, the right exit code, nothing lost.
#![forbid(unsafe_code)]

mod common;

use common::{json, names, refusal, rl_run, with_manifest};

#[test]
fn usage_errors_name_what_is_wrong_and_what_was_meant() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.toml"), "[train]\nframse = 1\n").unwrap();
    std::fs::write(dir.path().join("q.toml"), "[train]\nframes = = 1\n").unwrap();
    std::fs::write(dir.path().join("c.toml"), "# all of it in comments\n#[train]\n").unwrap();
    let cases = [
        ("--env cartpol --agent dqn", "no environment is called `cartpol`; did you mean `cartpole`?"),
        ("--env cartpole --agent dqm", "no agent is called `dqm`; did you mean `dqn`?"),
        ("--env cartpole", "--agent"),
        ("--env cartpole --agent dqn --fraems 3", "--fraems"),
        (
            "--env cartpole --agent dqn --set env.max_step=3",
            "unknown key `env.max_step`; did you mean `env.max_steps`?",
        ),
        (
            "--env cartpole --agent dqn --set env.max_steps=many",
            "env.max_steps: expected integer like 500, got string \"many\"",
        ),
        ("--env cartpole --agent dqn --set env.max_steps", "expected key=value"),
        ("--env cartpole --agent dqn --set agent.batch=99999999999999999999", "99999999999999999999 is too large"),
        ("--env cartpole --agent dqn --set env.max_steps=-4", "--set env.max_steps=-4"),
        (
            "--env cartpole --agent dqn --frames 900 --set train.frames=5000",
            "--frames and --set train.frames both set train.frames: give one",
        ),
        (
            "--env cartpole --agent dqn --precision f32 --set train.precision=bf16",
            "--precision and --set train.precision both set",
        ),
        ("--env cartpole --agent dqn --set train.envs=0", "train.envs: must be at least 1"),
        ("--env cartpole --agent dqn --set eval.epsilon=1.5", "eval.epsilon: 1.5 is not a probability"),
        ("--env cartpole --agent dqn --set env.protocol=nature15", "env.protocol"),
        ("--env cartpole --agent dqn --preset p.toml", "p.toml: unknown key `train.framse`; did you mean `frames`?"),
        ("--env cartpole --agent dqn --preset q.toml", "q.toml, line 2"),
        ("--env cartpole --agent dqn --preset c.toml", "c.toml: this preset is empty"),
        ("--env cartpole --agent dqn --preset none.toml", "none.toml: there is no such file"),
        ("--env cartpole --agent dqn --device tpu", "--device tpu: expected `cpu` or `cuda`"),
        ("--env cartpole --agent dqn --frames -3", "--frames"),
        ("--env cartpole --agent ppo --seeds 4..1", "4..1 counts down: write 1..4"),
        ("--env cartpole --agent ppo --seeds 1,x", "`x` is no seed: write 1..64 (both included) or 1,2,5"),
        ("--env cartpole --agent ppo --seeds 1..2 --seed 3", "--seed"),
        ("--env cartpole --agent ppo --seeds 1..2 --run p.toml", "p.toml/s1: p.toml is a file, not a directory"),
        // Its schedules, which do not fit either, are not spoken of.
        ("--env cartpole --agent ppo --frames 0 --run p.toml", "error: p.toml is a file, not a directory"),
        ("--env cartpole --agent ppo --seeds 1..2 --set agent.lr=fast", "agent.lr: expected float"),
        (r#"--env frozenlake --agent dqn --set env.map=["SFF","FG"]"#, "env.map: row 2 has 2 cells, row 1 has 3"),
        (r#"--env frozenlake --agent dqn --set env.map=["FF","FG"]"#, "env.map: has no start S"),
        (r#"--env frozenlake --agent dqn --set env.map=["SF","FF"]"#, "to a goal G"),
        (r#"--env frozenlake --agent dqn --set env.map=["SX","FG"]"#, "env.map: 'X' in row 1, column 2"),
        (r#"--env frozenlake --agent dqn --set env.map=["",""]"#, "env.map: has no cells"),
        ("--env frozenlake --agent dqn --set env.map=[]", "env.map: has no cells"),
        ("--env frozenlake --agent dqn --set env.map=[1,2]", "map must be \"4x4\", \"8x8\" or a list of rows"),
        (r#"--env frozenlake --agent dqn --set env.map=["SF","FG""#, "is neither \"4x4\" nor \"8x8\" nor rows"),
        ("--env frozenlake --agent dqn --set env.map=5", "env.map: expected string like \"4x4\", got integer 5"),
        ("--env pendulum --agent dqn", "agent `dqn` cannot play `pendulum`: dqn needs exactly one discrete action"),
        ("--env pendulum --agent dqn", "1 continuous; `rl-run list presets --env pendulum` shows who learns it"),
        ("--env cliffwalking-slippery --agent dqn", "agent `dqn` has no preset for `cliffwalking-slippery` (it has "),
        ("--env cartpole --agent DQN", "did you mean `dqn`?"),
        ("--env cartpole --agent dqn --frames 1.5", "expected a whole number from 0 on"),
        ("--env cartpole --agent dqn --frames 99999999999999999999", "'--frames <FRAMES>': the number is too large"),
        (
            "--env connectfour --agent alphazero --set env.protocol=alphab",
            "no protocol `alphab`; did you mean `alphabeta4`?",
        ),
        ("--env cartpole --agent ppo --set agent.hidden=[0]", "agent.hidden: layer 1: must be at least 1 wide"),
        (
            "--env cartpole --agent ppo --set agent.hidden=[64,1000000000000]",
            "agent.hidden: layer 2: 1000000000000 is more",
        ),
        (
            "--env cartpole --agent qrdqn --set agent.values.count=1000000000000",
            "agent.values.count: 1000000000000 is more",
        ),
        ("--env cartpole-positions --agent ppo --set agent.memory.units=9223372036854775807", "agent.memory.units: 92"),
        ("--env connectfour --agent alphazero --set agent.blocks=1000000000000", "agent.blocks: 1000000000000 is more"),
        ("--env frozenlake --agent tabular --set agent.initial=1e39", "agent.initial: "),
        ("--env cartpole --agent dqn --set train.envs=4294967295", "train.envs: 4294967295 is more than 65536"),
        ("--env cartpole --agent dqn --frames 1 --force", "--run"),
        ("solve --env cartpole", "not tabular"),
        ("--env cartpole --agent dqn --set agent.update_period=60000", "do not fit into agent.replay_capacity, 50000"),
        ("record --env cartpole --random --out a.rec --device banana", "--device: one game after the other, of random"),
        ("--env cartpole --agent ppo --set agent.gam=1", "did you mean `agent.gamma`?"),
        ("solve --env cartpole --preset 10min", "10min is not a file, and named presets are of an agent"),
        ("--env cartpole", "`rl-run list presets --env NAME` shows which agents learn an environment"),
        ("solve --env frozenlake --gamma 0", "--gamma 0: above 0 and at most 1"),
        (
            "solve --env cliffwalking --set env.max_steps=0 --gamma 0.01",
            "never ends by the best policy: try a larger --gamma",
        ),
        ("solve --env frozenlake --picture lake.gif", "lake.gif: pictures are PNG files"),
        ("solve --env taxi --picture taxi.png", "the states of `taxi` are not places on one map"),
        ("eval nowhere", "nowhere is not the directory of a run"),
        ("eval nowhere --picture a.png --episodes 5", "--picture: what it draws is computed by --exact"),
        ("resume nowhere", "nowhere is not the directory of a run"),
        ("resume .", ". is not the directory of a run (no run.json in it)"),
        (
            "--env cartpole --agent dqn --set agent.capacity=10",
            "`agent.capacity`; did you mean `agent.replay_capacity`?",
        ),
        ("--env cartpole --agent dqn --set agent.temperature=1", "`agent.temperature`; [agent] has adam_eps, "),
        (
            "--env cartpole --agent dqn --set agent.learning_rate=1e-3",
            "`agent.learning_rate`; here that is `agent.lr` (",
        ),
        ("--env cartpole --agent dqn --set agent.n_envs=4", "`agent.n_envs`; here that is `train.envs`"),
        ("--env cartpole --agent ppo --set agent.n_steps=4", "`agent.n_steps`; here that is `agent.horizon`"),
        ("--env cartpole --agent ppo --set agent.horizon=-5", "integer `-5`: expected a whole number from 0 on"),
        ("--env cartpole --agent dqn --set agent.adam_eps=0", "agent.adam_eps: 0 is not a number from 1e-16 on"),
        ("--env cartpole --agent dqn --seed -1", "'-1' for '--seed <SEED>': expected a whole number from 0 on"),
        ("--env cartpole --agent dqn --seed 1.5", "'1.5' for '--seed <SEED>': expected a whole number from 0 on"),
        ("rollout --env cartpole", "name --actions FILE, or --random"),
        ("record --out f.rec", "name --out FILE and a RUN, or --model NAME"),
        ("watch", "name a recording or a directory, or --model NAME"),
        ("list", "name envs, agents, presets, settings or models"),
        // What a flag requires is named, and nothing in its place.
        ("list settings --env cartpole --preset 10min", "were not provided: --agent <AGENT> (see --help)"),
        (
            "list presets --preset 10min",
            "were not provided: --env <ENV>, --agent <AGENT>: `rl-run list envs` shows all",
        ),
        (
            "record --random --out f.rec",
            "were not provided: --env <ENV>: `rl-run list envs` shows all environments (see",
        ),
        ("--agent ppo", "were not provided: --env <ENV>: `rl-run list envs` shows all environments (see --help)"),
        ("bench env", "were not provided: --env <ENV>: `rl-run list envs` shows all environments (see --help)"),
        ("record --env cartpole --out f.rec", "were not provided: --random, <RUN>: name --out FILE and a RUN, or"),
        ("record r", "were not provided: --out <FILE> (see --help)"),
        ("rollout --env cartpole --random", "were not provided: --steps <N> (see --help)"),
        ("train --env cartpole --agent dqn", "training has no command word: rl-run --env … --agent …"),
        ("train", "training has no command word: rl-run --env … --agent …"),
        ("--threads 1 eval f", "'--threads <THREADS>': flags go behind the command (see --help)"),
        (
            "--env cartpole --agent ppo --set agent.lr 0.1",
            "unexpected argument '0.1': did you mean `--set agent.lr=0.1`?",
        ),
        (
            "--env cartpole --agent ppo runs/x",
            "unexpected argument 'runs/x': training takes flags, such as `--run DIR`",
        ),
        (
            "--env cartpole --agent ppo --seed 1 --set agent.epochs 1",
            "unexpected argument '1': did you mean `--set agent.epochs=1`?",
        ),
        (
            "--env cartpole --agent ppo --set agent.lr=0.1 agent.gamma=0.9",
            "unexpected argument 'agent.gamma=0.9': did you mean `--set agent.lr=0.1 --set agent.gamma=0.9`?",
        ),
        (
            "--env cartpole --agent ppo --set agent.batch_size=64",
            "here that is `agent.minibatches` (how many a round is cut into)",
        ),
        ("--env cartpole --agent ppo --save x", "here that is `--run`"),
        ("--env cartpole --agent ppo --steps 10", "here that is `--frames`"),
        ("--env cartpole --agent ppo --seeds 1..", "`1..` is no seed: write 1..64"),
        ("profile --env cartpole --agent ppo --frames 0", "expected a whole number from 1 on"),
        ("bench nn --model mlp --batch 20000000", "20000000 is not in 1..=65536"),
        ("eval --model .", "--model .: a path is given without --model: ."),
        ("resume r --eval-every 100", "'--eval-every' found: a run keeps its settings, only --frames changes (see"),
        ("resume r --steps 100", "unexpected argument '--steps' found: here that is `--frames` (see --help)"),
        ("--env cartpole --algo dqn", "'--algo' found: here that is `--agent` (see --help)"),
        ("--env cartpole --agent ppo --n-timesteps 100", "'--n-timesteps' found: here that is `--frames`"),
        ("--env cartpole --agent ppo --learning-rate 1e-3", "found: a setting is given by `--set agent.lr=…`"),
        ("bench train --env cartpole --agent ppo --gamma 0.9", "a setting is given by `--set agent.gamma=…`"),
        ("rollout --env cartpole --random --steps 1 --gamma 0.9", "unexpected argument '--gamma' found (see --help)"),
        ("eval r --deterministic", "'--deterministic' found: here that is `--greedy`"),
        ("plot r --out a.svg --smooth 0.6", "a weight of 0.6, as TensorBoard has it, is about --smooth 4"),
        ("plot r --out a.svg --x timesteps", "'timesteps' for '--x <X>'"),
        ("eval r --force", "unexpected argument '--force' found (see --help)"),
        ("export a.rec --out a.gif --from -3", "invalid value '-3' for '--from"),
        ("export a.rec --out a.gif --steps -3", "invalid value '-3' for '--steps"),
        ("export a.rec --out a.gif --every -3", "invalid value '-3' for '--every"),
        ("export a.rec --out a.gif --saliency --run r --model m", "'--model <NAME>'"),
        ("plot r --out a.svg --smooth -3", "-3 is not in 1..=100"),
        ("match r --games -2", "-2 is not in 2..="),
        ("solve --env frozenlake --gamma -1", "--gamma -1: above 0 and at most 1"),
    ];
    for (line, expected) in cases {
        let (code, said) = refusal(dir.path(), line);
        assert!(code == 2 && said.starts_with("error: ") && said.contains(expected), "{line}\n{code} {said}");
    }
    assert_eq!(names(dir.path()), ["c.toml", "p.toml", "q.toml"], "a refused run leaves nothing behind");
}

#[test]
#[cfg_attr(feature = "cuda", ignore = "this binary was built with CUDA")]
fn a_device_that_the_binary_was_built_without_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "--env cartpole --agent dqn --frames 1 --run r --quiet --json");
    for line in ["--env cartpole --agent dqn", "eval r", "resume r"] {
        let (code, said) = refusal(dir.path(), &format!("{line} --device cuda"));
        assert!(
            code == 2 && said.contains("--device cuda: this binary was built without the feature `cuda`"),
            "{said}"
        );
    }
    assert_eq!(names(dir.path()), ["r"]);
}

#[cfg(feature = "atari")]
#[test]
fn a_directory_that_cannot_be_used_is_told_and_not_what_a_protocol_changes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let (_, said) = refusal(dir.path(), "--env kungfu --agent ppo --set env.protocol=ppo17 --run file");
    assert!(said.ends_with("error: file is a file, not a directory"), "{said}");
}

#[test]
fn damaged_checkpoints_are_refused_by_file_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent dqn --frames 1 --run r --quiet --json");
    json(at, "--env frozenlake --agent dqn --frames 1 --run f --quiet --json");
    let last = |run: &str| {
        let dir = at.join(run).join("checkpoints");
        dir.join(names(&dir).last().unwrap())
    };
    let model = last("r").join("model.safetensors");
    let whole = std::fs::read(&model).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 64;
    for (bytes, why) in [(&flipped[..], "damaged"), (&whole[..whole.len() / 2], "truncated"), (&[], "truncated")] {
        std::fs::write(&model, bytes).unwrap();
        for command in ["eval r", "resume r"] {
            let (code, said) = refusal(at, command);
            assert!(code == 1 && said.contains("model.safetensors") && said.contains(why), "{command}: {said}");
            let mend = "; no other of r can be read: a run in another --run begins anew";
            assert!(said.ends_with(mend), "it is the only one: {command}: {said}");
        }
    }
    let best = at.join("r/best").join(last("r").file_name().unwrap());
    std::fs::create_dir_all(&best).unwrap();
    for file in names(&last("r")) {
        std::fs::copy(last("r").join(&file), best.join(&file)).unwrap();
    }
    std::fs::write(best.join("model.safetensors"), &whole).unwrap();
    let (code, said) = refusal(at, "eval r");
    assert!(code == 1 && said.ends_with("; the best are intact: --checkpoint best"), "{said}");
    let (code, said) = refusal(at, "resume r");
    assert!(code == 1 && said.ends_with("; no other of r can be read: a run in another --run begins anew"), "{said}");
    std::fs::remove_dir_all(at.join("r/best")).unwrap();
    std::fs::remove_dir_all(last("r")).unwrap();
    std::fs::rename(last("f"), at.join("r/checkpoints/000000000001")).unwrap();
    let (code, said) = refusal(at, "eval r");
    assert!(code == 1 && said.contains("belongs to dqn on frozenlake, not to dqn on cartpole"), "{said}");
    assert!(at.join("r/checkpoints/000000000001").exists());
}

#[test]
fn what_no_memory_can_hold_is_refused_by_the_key_to_lower() {
    let dir = tempfile::tempdir().unwrap();
    for (pair, key) in [
        ("--env cartpole --agent dqn", "agent.batch"),
        ("--env cartpole --agent dqn", "agent.replay_capacity"),
        ("--env cartpole --agent dqn", "agent.n_step"),
        ("--env frozenlake --agent tabular", "agent.horizon"),
    ] {
        let (code, said) = refusal(dir.path(), &format!("{pair} --run r --set {key}=1000000000000"));
        assert!(code == 1 && said.contains(&format!("lower {key}")), "{key}: {said}");
    }
    let wide = format!("--env cartpole --agent ppo --run r --set agent.hidden=[{}]", vec!["16384"; 2000].join(","));
    let (code, said) = refusal(dir.path(), &wide); // ten terabytes
    assert!(code == 1 && said.contains("lower agent.hidden"), "{said}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_disk_that_cannot_hold_the_checkpoints_is_refused_before_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let line = "--env cartpole --agent dqn --frames 1 --run r --set train.keep_checkpoints=9000000000000";
    let (code, said) = refusal(dir.path(), line);
    assert!(code == 1 && said.contains("GB") && said.contains("train.keep_checkpoints"), "{said}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_place_that_takes_no_files_is_told_from_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = refusal(dir.path(), "--env cartpole --agent dqn --frames 1 --run /proc/x");
    assert!(code == 1 && said.starts_with("error: /proc/x: no file can be made in /proc: "), "{said}");
}

#[test]
fn a_number_of_threads_in_the_environment_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let line = "--env cartpole --agent ppo --frames 1 --run r --quiet";
    let with = |threads: &str| rl_run(dir.path(), line).env("RAYON_NUM_THREADS", threads).output().unwrap();
    let refused = with("two");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert_eq!(said, "error: RAYON_NUM_THREADS=two: expected a number of threads, 0 for one per core\n");
    assert!(with("0").status.success());
}

#[cfg(feature = "atari")]
#[test]
fn a_cap_of_evaluations_that_leaves_no_step_is_called_by_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = refusal(dir.path(), "record --env kungfu --random --set eval.max_frames=0 --out a.rec");
    let expected = "atari/kung_fu_master with --set eval.max_frames=0: eval.max_frames: must exceed the ";
    assert!(code == 2 && said.contains(expected), "{said}");
}

#[test]
fn control_characters_in_the_settings_of_a_recording_reach_no_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env cartpole --random --episodes 1 --out a.rec --json");
    let bytes = std::fs::read(at.join("a.rec")).unwrap();
    for escaped in [r#"\"\\u001b[31mred\" = 1\n"#, r#"red = [\"\\u001b[31m\"]\n"#, r#"red = \u001b[31m\n"#] {
        let forged = with_manifest(&bytes, |text| text.replace(r#""config":""#, &format!(r#""config":"{escaped}"#)));
        std::fs::write(at.join("forged.rec"), forged).unwrap();
        for line in ["verify forged.rec", "export forged.rec --out a.gif"] {
            let (code, said) = refusal(at, line);
            assert!(code == 1 && said.contains("its configuration: "), "{line}: {code}: {said:?}");
            assert!(!said.contains(char::is_control), "{line}: {said:?}");
        }
    }
}

/// A recording names a `.cfg`, and both may be anybody's.
#[cfg(feature = "doom")]
#[test]
fn a_scenario_runs_no_program_writes_no_file_and_has_a_button_to_press() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (engine, kept) = (at.join("engine.sh"), at.join("kept"));
    std::fs::write(&engine, format!("#!/bin/sh\necho run > {}\n", at.join("log").display())).unwrap();
    std::fs::set_permissions(&engine, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&kept, "mine").unwrap();
    let logfile = format!("game_args = +logfile {}", at.join("log").display());
    for (line, message) in [
        ("vizdoom_path = engine.sh", "vizdoom_path: names a program to run"),
        ("doom_config_path = kept", "doom_config_path: names a file that the engine would write"),
        (&logfile, "game_args: \"+logfile\" is no switch"),
    ] {
        std::fs::write(at.join("evil.cfg"), format!("available_buttons = {{ ATTACK }}\n{line}\n")).unwrap();
        let (code, said) = refusal(at, "rollout --env doom/basic --random --steps 1 --set env.config=evil.cfg");
        assert!(code == 2 && said.contains(&format!("env.config: evil.cfg: {message}")), "{line}: {said}");
    }
    std::fs::write(at.join("evil.cfg"), "available_buttons = { TURN_LEFT_RIGHT_DELTA }\n").unwrap();
    let (code, said) = refusal(at, "rollout --env doom/basic --random --steps 1 --set env.config=evil.cfg");
    assert!(code == 2 && said.contains("env.buttons: the .cfg has delta buttons alone"), "{said}");
    assert_eq!(names(at), ["engine.sh", "evil.cfg", "kept"]);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "mine");
}

/// A map is named to the engine's console, where a semicolon begins another command.
#[cfg(feature = "doom")]
#[test]
fn a_map_is_no_command_of_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/doom-basic.rec");
    let map = format!(r#"map = \"map01;logfile {}\""#, at.join("log").display());
    let evil = with_manifest(&std::fs::read(corpus).unwrap(), |text| text.replace(r#"map = \"\""#, &map));
    std::fs::write(at.join("evil.rec"), evil).unwrap();
    for line in [
        "verify evil.rec",
        "export evil.rec --out evil.gif",
        "rollout --env doom/basic --random --steps 1 --set env.map=map01;quit",
    ] {
        let (code, said) = refusal(at, line);
        assert!(code == 2 && said.contains("env.map: `map01;") && said.contains("is no map's name"), "{line}: {said}");
    }
    assert_eq!(names(at), ["evil.rec"]);
}
