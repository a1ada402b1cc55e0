//! Recordings that agents learn from: cloned, put into a replay, resumed to the bit, and refused by name.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::Path;

use common::{json, names, of_another_version, output, refusal, with_manifest};

/// Games of a policy that can play, and their mean.
fn teach(at: &Path) -> f64 {
    json(at, "--env cartpole --agent ppo --frames 40000 --seed 2 --quiet --json --run teacher");
    let told = json(at, "record teacher --episodes 8 --seed 3 --out games.rec --json");
    told["mean"].as_f64().unwrap()
}

fn rows(run: &Path, key: &str) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    rows.filter_map(|row| row[key].as_f64()).collect()
}

#[test]
fn a_clone_plays_as_it_was_shown_and_resumes_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let teacher = teach(at);
    assert!(teacher > 200.0, "a teacher of {teacher}");
    let run = "--env cartpole --agent bc --frames 6000 --seed 4 --quiet --json --set agent.demonstrations=games.rec \
               --set agent.held_out=0.25 --set train.checkpoint_every=2000 --set train.keep_checkpoints=9";
    let whole = json(at, &format!("{run} --run whole"));
    let about: serde_json::Value = serde_json::from_slice(&fs::read(at.join("whole/run.json")).unwrap()).unwrap();
    assert_eq!(about["demonstrations"]["games"], 8);
    assert_eq!(about["demonstrations"]["mean_return"].as_f64(), Some(teacher));
    let foreseen = rows(&at.join("whole"), "held_out_accuracy");
    assert!(*foreseen.last().unwrap() > 0.75, "{foreseen:?}");
    let score = json(at, "eval whole --episodes 20 --seed 5 --greedy --json")["mean"].as_f64().unwrap();
    assert!(score > 150.0, "a clone of {score}");

    let shown = "--set agent.demonstrations=games.rec --json --quiet";
    let promises = json(at, &format!("check --env cartpole --agent bc {shown}"));
    assert_eq!(promises["ok"], true, "{promises}");

    let threads = json(at, &format!("{run} --run threads --threads 2 --workers 2"));
    assert_eq!(threads["parameters_sha256"], whole["parameters_sha256"]);
    assert_eq!(json(at, "verify whole --json --quiet")["equal"], true);
    // Others have another machine.
    let published = json(at, "publish whole --out model --episodes 1 --json");
    let text = |file: &str| fs::read_to_string(at.join(file)).unwrap();
    let here = at.canonicalize().unwrap().display().to_string();
    for (file, name) in [("run.toml", "demonstrations = \"games.rec\""), ("run.json", "\"games.rec\": ")] {
        assert!(text(&format!("whole/{file}")).contains(&here), "{file}");
        let shared = text(&format!("model/{file}"));
        assert!(shared.contains(name) && !shared.contains(&here), "{shared}");
    }
    let whole_path = format!("\"{here}/games.rec\"");
    assert_eq!(text("model/run.toml"), text("whole/run.toml").replace(&whole_path, "\"games.rec\""));
    let again = output(at, "eval model --episodes 1 --json");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&again.stdout).unwrap(), published);
    assert!(again.stderr.is_empty(), "{}", String::from_utf8_lossy(&again.stderr));
    // What was shown is in the checkpoint: the recording is not needed again.
    fs::rename(at.join("games.rec"), at.join("elsewhere.rec")).unwrap();
    let first: u64 = names(&at.join("threads/checkpoints"))[0].parse().unwrap();
    let resumed = json(at, &format!("resume threads --checkpoint {first} --quiet --json"));
    assert_eq!((&resumed["frames"], &resumed["updates"]), (&whole["frames"], &whole["updates"]));
    assert_eq!(resumed["parameters_sha256"], whole["parameters_sha256"]);
    let (code, said) = refusal(at, "verify whole --quiet");
    assert!(code == 2 && said.contains("games.rec"), "{said}");
}

#[test]
fn a_group_goes_on_without_what_it_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env cartpole --random --episodes 9 --seed 3 --out games.rec --json");
    let line =
        "--env cartpole --agent bc --frames 1000 --seeds 1..2 --run g --quiet --set agent.demonstrations=games.rec";
    assert!(output(at, line).status.success());
    fs::rename(at.join("games.rec"), at.join("elsewhere.rec")).unwrap();
    let done = output(at, "resume g --frames 1500 --quiet");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // A seed that has not begun needs it.
    fs::remove_dir_all(at.join("g/s2")).unwrap();
    let (code, said) = refusal(at, "resume g --frames 2000 --quiet");
    assert!(code == 2 && said.contains("games.rec"), "{said}");
}

#[test]
fn a_replay_begins_with_what_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env cartpole --random --episodes 9 --seed 3 --out a.rec --json");
    fs::create_dir(at.join("all")).unwrap();
    fs::copy(at.join("a.rec"), at.join("all/a.rec")).unwrap();
    let told = json(at, "record --env cartpole --random --episodes 4 --seed 8 --out all/b.rec --json");
    fs::write(at.join("all/notes.txt"), "none of them").unwrap();
    for (agent, more) in [
        ("dqn", "--set agent.n_step=3"),
        ("rainbow", ""),
        ("r2d2", "--set agent.memory.burn_in=2 --set agent.memory.steps=4 --set agent.memory.period=2"),
    ] {
        let run = format!(
            "--env cartpole --agent {agent} --frames 900 --seed 4 --quiet --json --set agent.hidden=[8] --set agent.batch=8 \
             --set agent.learning_starts=64 --set train.envs=4 --set train.checkpoint_every=300 {more}"
        );
        let none = json(at, &format!("{run} --run none --force"));
        let run = format!("{run} --set agent.demonstrations=all");
        let whole = json(at, &format!("{run} --run whole --force"));
        assert_ne!(none["parameters_sha256"], whole["parameters_sha256"], "{agent}: it is learned from");
        let about: serde_json::Value = serde_json::from_slice(&fs::read(at.join("whole/run.json")).unwrap()).unwrap();
        assert_eq!((&about["demonstrations"]["games"], told["episodes"].as_u64()), (&13.into(), Some(4)));
        assert_eq!(json(at, "verify whole --json --quiet")["equal"], true, "{agent}");
        let threads = json(at, &format!("{run} --run threads --force --threads 3 --workers 3"));
        assert_eq!(threads["parameters_sha256"], whole["parameters_sha256"], "{agent}: another grouping of seats");
        let resumed = json(at, "resume threads --checkpoint last --frames 1200 --quiet --json");
        let longer = json(at, "resume whole --frames 1200 --quiet --json");
        assert_eq!(resumed["parameters_sha256"], longer["parameters_sha256"], "{agent}");
    }
}

#[test]
fn what_cannot_be_shown_is_refused_by_name_and_leaves_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env cartpole --random --episodes 2 --seed 3 --out games.rec --json");
    json(at, "record --env frozenlake --random --set env.slippery=false --episodes 2 --seed 3 --out dry.rec --json");
    let bytes = fs::read(at.join("games.rec")).unwrap();
    json(at, "record --env cartpole --random --episodes 1 --seed 3 --out cut.rec --json");
    let one = fs::read(at.join("cut.rec")).unwrap();
    fs::write(at.join("cut.rec"), &one[..one.len() - 22]).unwrap(); // amid how the only game ended
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(at.join("damaged.rec"), damaged).unwrap();
    fs::write(at.join("version.rec"), of_another_version(&bytes)).unwrap();
    let three = |text: &str| text.replace("\"discrete\":[2]", "\"discrete\":[3]");
    fs::write(at.join("actions.rec"), with_manifest(&bytes, three)).unwrap();
    let slippery = |text: &str| text.replace("slippery = false", "slippery = true");
    fs::write(at.join("wet.rec"), with_manifest(&fs::read(at.join("dry.rec")).unwrap(), slippery)).unwrap();
    fs::create_dir(at.join("empty")).unwrap();
    let bc = |file: &str| format!("--env cartpole --agent bc --run r --quiet --set agent.demonstrations={file}");
    let dqn = |file: &str| format!("--env frozenlake --agent dqn --run r --quiet --set agent.demonstrations={file}");
    for (line, code, words) in [
        ("--env cartpole --agent bc --run r --quiet".to_owned(), 2, "--set agent.demonstrations=FILE"),
        ("check --env cartpole --agent bc".to_owned(), 2, "--set agent.demonstrations=FILE"),
        (bc("nothing.rec"), 2, "nothing.rec: there is no such file"),
        (bc("empty"), 2, "empty: holds no recording (*.rec)"),
        (bc("dry.rec"), 2, "dry.rec: was recorded of frozenlake, and this run is of cartpole"),
        (bc("damaged.rec"), 1, "damaged.rec is damaged at byte"),
        (bc("cut.rec"), 2, "cut.rec: holds no game that was played to its end"),
        (dqn("dry.rec"), 2, "env.slippery = false, and this run has true: --set env.slippery=false"),
        (dqn("wet.rec"), 1, "wet.rec, game 1: does not play again as it was recorded: `rl-run verify "),
        (bc("version.rec"), 1, "version.rec: was recorded with version 91 of cartpole, and this rl-run has version 1"),
        (bc("actions.rec"), 2, "actions.rec: holds other actions than cartpole has"),
        (format!("{} --set agent.capacity=10", bc("games.rec")), 2, "agent.capacity: is full before"),
        (
            "--env cartpole --agent ppo --run r --quiet --set agent.demonstrations=games.rec".to_owned(),
            2,
            "unknown key",
        ),
        (format!("{} --set agent.held_out=1.0", bc("games.rec")), 2, "agent.held_out: 1 leaves no game to learn from"),
    ] {
        let (exit, said) = refusal(at, &line);
        assert!(exit == code && said.contains(words), "{line}: {exit}, {said}");
        assert!(!at.join("r").exists(), "{line}");
    }
    // What is to be learned from is not cleared away.
    let line = "--env cartpole --agent ppo --frames 2000 --seeds 1,2 --record last:1 --quiet --run g";
    assert!(output(at, line).status.success());
    for (run, shown) in [("--run g/s1", "g/s1/recordings"), ("--seeds 1,2 --run g", "g/s2/recordings")] {
        let (exit, said) = refusal(at, &bc(shown).replace("--run r", &format!("--force {run}")));
        assert!(exit == 2 && said.contains("--force clears ") && said.contains(shown), "{run}: {exit}, {said}");
        assert_eq!(names(&at.join(shown)).iter().filter(|name| name.ends_with(".rec")).count(), 1, "{shown}");
    }
    let done = output(at, &format!("{} --frames 500", bc("games.rec").replace(" --quiet", "")));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("demonstrations: 2 games"), "{said}");
    // A run that was shown something is not begun again without it.
    let line = "--env cartpole --agent dqn --run d --frames 100 --quiet --set agent.demonstrations=games.rec";
    assert!(output(at, line).status.success());
    fs::remove_dir_all(at.join("d/checkpoints")).unwrap();
    fs::remove_file(at.join("d/digests.jsonl")).unwrap();
    let settings = fs::read_to_string(at.join("d/run.toml")).unwrap();
    let without = settings.replace(&at.join("games.rec").display().to_string(), "");
    assert!(without.contains("demonstrations = \"\""), "{settings}");
    fs::write(at.join("d/run.toml"), without).unwrap();
    let (exit, said) = refusal(at, "resume d --quiet");
    assert!(exit == 1 && said.contains("began with other recordings than there are now: none"), "{exit}, {said}");
}
