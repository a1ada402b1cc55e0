//! The default command: what it writes, counts and prints.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use common::{json, names, output, refusal, rl_run};
use sha2::{Digest, Sha256};

fn config_sha256(run: &Path) -> String {
    let digest = Sha256::digest(std::fs::read(run.join("run.toml")).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn about(run: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap()
}

#[test]
fn training_stops_at_an_update_and_leaves_a_whole_run_behind() {
    let dir = tempfile::tempdir().unwrap();
    let done = json(
        dir.path(),
        "--env frozenlake --agent dqn --frames 3000 --seed 5 --run r --quiet --json --set train.keep_checkpoints=2 --set train.checkpoint_every=1000",
    );
    let frames = done["frames"].as_u64().unwrap();
    assert!((3000..3100).contains(&frames), "{done}");
    assert!(done["updates"].as_u64().unwrap() >= 1 && done["agent_steps"].as_u64().unwrap() == frames, "{done}");
    assert!(done["mean_return_100"].is_number() && done["seconds"].is_number(), "{done}");
    assert_eq!((done["run"].as_str(), done["parameters_sha256"].as_str().unwrap().len()), (Some("r"), 64));

    let run = dir.path().join("r");
    let kept = names(&run.join("checkpoints"));
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(kept[1], format!("{frames:012}"));
    let about = about(&run);
    for key in ["version", "revision", "features", "isa", "cpu", "threads", "seed"] {
        assert!(!about[key].is_null(), "{about}");
    }
    let text = std::fs::read_to_string(run.join("run.toml")).unwrap();
    let preset: toml::Table = text.parse().unwrap();
    assert_eq!(preset["train"]["frames"].as_integer(), Some(3000));
    assert_eq!(about["config_sha256"], config_sha256(&run));
    // What was resolved is a preset again.
    let again =
        json(dir.path(), "--env frozenlake --agent dqn --preset r/run.toml --seed 5 --run again --quiet --json");
    assert_eq!(again["parameters_sha256"], done["parameters_sha256"]);
}

#[test]
fn a_configuration_has_one_hash_however_it_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let hash = |run: &str, more: &str| {
        json(dir.path(), &format!("--env frozenlake --agent dqn --run {run} --quiet --json {more}"));
        let run = dir.path().join(run);
        assert_eq!(about(&run)["config_sha256"], config_sha256(&run));
        config_sha256(&run)
    };
    let first = hash("a", "--frames 1");
    assert_eq!(hash("b", "--set train.frames=1 --seed 9"), first);
    assert_eq!(hash("c", "--preset a/run.toml"), first);
    assert_ne!(hash("d", "--frames 2"), first);
    // A run that is made longer is another configuration, and says so.
    json(dir.path(), "resume a --frames 2 --quiet --json");
    assert_eq!(about(&dir.path().join("a"))["config_sha256"], config_sha256(&dir.path().join("d")));
}

#[test]
fn a_map_of_ones_own_is_trained_on_and_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let ways = [r#"["SF","FG"]"#, "SF/FG", r#"'SF/FG'"#];
    for (run, map) in ways.iter().enumerate() {
        // A small discount sets the values of good and bad moves far apart: they are told apart soon.
        let dry = "--set env.slippery=false --set env.max_steps=2 --set agent.gamma=0.5";
        json(
            at,
            &format!("--env frozenlake --agent dqn --frames 4000 --run {run} --quiet --json {dry} --set env.map={map}"),
        );
        json(at, &format!("resume {run} --frames 4100 --quiet --json"));
        assert_eq!(json(at, &format!("eval {run} --exact --json"))["mean"], 1.0, "{map}: two steps lead to the goal");
    }
}

#[test]
fn one_frame_still_makes_one_update() {
    let dir = tempfile::tempdir().unwrap();
    let done = json(dir.path(), "--env cartpole --agent dqn --frames 1 --quiet --json");
    assert!(done["updates"].as_u64().unwrap() >= 1 && done["frames"].as_u64().unwrap() >= 1, "{done}");
    assert_eq!(done["run"], "runs/cartpole-dqn-s1");
    let second = json(dir.path(), "--env cartpole --agent dqn --frames 1 --quiet --json");
    assert_eq!(second["run"], "runs/cartpole-dqn-s1-2");
    assert_eq!(second["parameters_sha256"], done["parameters_sha256"]);
}

#[test]
fn bits_depend_on_the_seed_and_neither_on_threads_nor_on_evaluation() {
    let dir = tempfile::tempdir().unwrap();
    let base = "--env frozenlake --agent dqn --frames 2000 --quiet --json";
    let hash = |more: &str| json(dir.path(), &format!("{base} {more}"))["parameters_sha256"].clone();
    let first = hash("--seed 2 --threads 1");
    assert_eq!(hash("--seed 2 --threads 2"), first);
    assert_eq!(hash("--seed 2 --eval-every 500 --eval-episodes 20"), first);
    assert_ne!(hash("--seed 3"), first);
}

#[test]
fn quiet_is_quiet_and_an_existing_run_is_replaced_only_by_force() {
    let dir = tempfile::tempdir().unwrap();
    let line = "--env frozenlake --agent dqn --frames 1 --run r --quiet";
    let first = output(dir.path(), line);
    assert!(first.status.success() && first.stdout.is_empty() && first.stderr.is_empty(), "{first:?}");
    assert_eq!(output(dir.path(), line).status.code(), Some(2));
    std::fs::write(dir.path().join("r/mine.rec"), "").unwrap();
    std::fs::write(dir.path().join("r/metrics.jsonl"), "{}\n").unwrap();
    assert!(output(dir.path(), &format!("{line} --force")).status.success());
    assert!(dir.path().join("r/mine.rec").exists(), "what somebody put beside a run stays");
    assert_ne!(std::fs::read_to_string(dir.path().join("r/metrics.jsonl")).unwrap(), "{}\n");
    // Force removes runs, not whatever else is there.
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    std::fs::write(dir.path().join("mine/thesis.tex"), "").unwrap();
    let refused = output(dir.path(), "--env frozenlake --agent dqn --frames 1 --run mine --force --quiet");
    assert_eq!(refused.status.code(), Some(2));
    assert!(dir.path().join("mine/thesis.tex").exists());
}

/// A process that is killed between its first two files leaves a directory that is no run yet.
#[test]
fn what_was_killed_before_it_was_a_run_stands_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("r");
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join(".lock"), "").unwrap();
    std::fs::write(run.join("run.toml"), "half").unwrap();
    std::fs::write(run.join(".tmpAb12"), "").unwrap();
    let done = output(dir.path(), "--env frozenlake --agent tabular --frames 200 --quiet --run r");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // A file of somebody's is, settings without a lock too.
    for name in ["letter.txt", "run.toml"] {
        let mine = dir.path().join("s").join(name);
        std::fs::create_dir(mine.parent().unwrap()).unwrap();
        std::fs::write(&mine, "dear").unwrap();
        for force in ["", " --force"] {
            let refused =
                output(dir.path(), &format!("--env frozenlake --agent tabular --frames 200 --quiet --run s{force}"));
            assert_eq!(
                (refused.status.code(), &std::fs::read(&mine).unwrap()[..]),
                (Some(2), &b"dear"[..]),
                "{refused:?}"
            );
        }
        std::fs::remove_dir_all(mine.parent().unwrap()).unwrap();
    }
}

/// Each process writes what its run is before it trains: who comes second is to refuse before that.
#[test]
fn of_two_processes_that_begin_one_run_at_once_one_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for turn in 0..8 {
        let asked = [(1, "0.001"), (2, "0.009")];
        let line = |(seed, lr): (u64, &str)| {
            format!("--env frozenlake --agent dqn --frames 700 --run r{turn} --seed {seed} --set agent.lr={lr} --quiet")
        };
        let started = asked.map(|asked| rl_run(at, &line(asked)).stderr(Stdio::piped()).spawn().unwrap());
        let ended = started.map(|child| child.wait_with_output().unwrap());
        let won: Vec<usize> = (0..2).filter(|&i| ended[i].status.success()).collect();
        let said = |i: usize| String::from_utf8_lossy(&ended[i].stderr).into_owned();
        assert_eq!(won.len(), 1, "{} and {}", said(0), said(1));
        let lost = said(1 - won[0]);
        assert!(lost.contains("another rl-run is writing") || lost.contains("exists: name another"), "{lost}");
        let (run, (seed, lr)) = (at.join(format!("r{turn}")), asked[won[0]]);
        let preset: toml::Table = fs::read_to_string(run.join("run.toml")).unwrap().parse().unwrap();
        let about = about(&run);
        assert_eq!((about["seed"].as_u64(), preset["agent"]["lr"].as_float()), (Some(seed), lr.parse().ok()));
        assert_eq!(about["config_sha256"], config_sha256(&run));
    }
}

#[test]
fn a_run_can_be_read_by_whom_the_umask_lets_and_replaced_by_force() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env frozenlake --agent dqn --frames 700 --run r --quiet";
    assert!(output(at, line).status.success());
    let mode = |run: &str, name: &str| fs::metadata(at.join(run).join(name)).unwrap().permissions().mode() & 0o777;
    // Whatever the umask of who tests is.
    let open = format!("umask 022; exec '{}' {}", env!("CARGO_BIN_EXE_rl-run"), line.replace("--run r", "--run open"));
    assert!(std::process::Command::new("sh").current_dir(at).args(["-c", &open]).status().unwrap().success());
    assert_eq!(["run.json", "run.toml", "metrics.jsonl"].map(|name| mode("open", name)), [0o644; 3]);
    fs::write(at.join("r/stray"), "of somebody").unwrap();
    assert!(output(at, &format!("{line} --force --seed 2")).status.success());
    assert_eq!((about(&at.join("r"))["seed"].as_u64(), at.join("r/stray").exists()), (Some(2), true));
}

#[test]
fn one_game_has_no_error_and_games_of_training_judge_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line =
        "--env cartpole --agent ppo --frames 2000 --seed 3 --eval-every 1000 --eval-episodes 1 --run r --quiet --json";
    let trained = json(at, line)["eval_return"].as_f64().unwrap();
    let of = |episodes: u32| json(at, &format!("eval r --seed 3 --episodes {episodes} --json"));
    assert!(of(1)["stderr"].is_null() && of(2)["stderr"].is_number());
    // By the same weights and the same seed, the first game of `eval` is another than that of the last evaluation.
    assert_ne!(of(1)["mean"].as_f64(), Some(trained));
}

#[test]
#[cfg(feature = "atari")]
fn a_protocol_that_changes_the_agent_says_so_and_a_changed_protocol_is_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let small = "--env kungfu --agent ppo --frames 64 --set train.envs=1 --set agent.horizon=8 --set agent.minibatches=1 \
                 --set agent.epochs=1 --set agent.hidden=[8] --set agent.trunk=small";
    let done = output(
        at,
        &format!("{small} --run k --set env.protocol=ppo17 --set env.sticky=0.25 --set env.max_frames=9000"),
    );
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains("protocol ppo17 sets agent."), "{said}");
    let score = json(at, "eval k --episodes 1 --json");
    assert_eq!(score["protocol"], "ppo17, but env.sticky = 0.25", "the cap is that of [eval]");
}

#[test]
fn settings_that_lost_a_table_are_refused_and_changed_ones_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    assert!(output(at, "--env frozenlake --agent dqn --frames 700 --run r --quiet").status.success());
    let file = at.join("r/run.toml");
    let whole = fs::read_to_string(&file).unwrap();
    for lost in ["", whole.split("[train]").next().unwrap()] {
        fs::write(&file, lost).unwrap();
        for line in ["resume r --frames 900", "eval r --episodes 1", "verify r"] {
            let (code, said) = refusal(at, line);
            assert!(code == 1 && said.contains("damaged, the table ["), "{line}: {said}");
        }
    }
    fs::write(&file, format!("{whole}# by hand\n")).unwrap();
    let said = |line: &str| String::from_utf8(output(at, line).stderr).unwrap();
    assert!(said("eval r --episodes 1").contains("r/run.toml: was changed since run.json was written"));
    assert_eq!(said("verify r --quiet"), "");
    fs::write(&file, &whole).unwrap();
    assert_eq!(said("eval r --episodes 1"), "");
    // As a `resume --frames` leaves it that was killed before and after it wrote run.toml: nobody edited anything.
    let about = at.join("r/run.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&about).unwrap()).unwrap();
    json["config_sha256"] = "".into();
    for text in [whole.clone(), whole.replace("frames = 700", "frames = 900")] {
        fs::write(&about, json.to_string()).unwrap();
        fs::write(&file, text).unwrap();
        assert!(!said("resume r --frames 900").contains("was changed"));
        let now: serde_json::Value = serde_json::from_slice(&fs::read(&about).unwrap()).unwrap();
        assert!(now["edited"].is_null() && now["config_sha256"] != "", "{now}");
    }
}
