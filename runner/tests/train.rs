//! The default command: what it writes, counts and prints.
#![forbid(unsafe_code)]

mod common;

use common::{json, names, output};

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
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    for key in ["version", "revision", "features", "isa", "cpu", "threads", "seed"] {
        assert!(!about[key].is_null(), "{about}");
    }
    let preset: toml::Table = std::fs::read_to_string(run.join("run.toml")).unwrap().parse().unwrap();
    assert_eq!(preset["train"]["frames"].as_integer(), Some(3000));
    // What was resolved is a preset again.
    let again =
        json(dir.path(), "--env frozenlake --agent dqn --preset r/run.toml --seed 5 --run again --quiet --json");
    assert_eq!(again["parameters_sha256"], done["parameters_sha256"]);
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
    assert!(output(dir.path(), &format!("{line} --force")).status.success());
    // Force removes runs, not whatever else is there.
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    std::fs::write(dir.path().join("mine/thesis.tex"), "").unwrap();
    let refused = output(dir.path(), "--env frozenlake --agent dqn --frames 1 --run mine --force --quiet");
    assert_eq!(refused.status.code(), Some(2));
    assert!(dir.path().join("mine/thesis.tex").exists());
}
