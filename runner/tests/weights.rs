//! `--weights`: a run that begins with the weights of another, and can be done again without it.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use common::{json, names, output, part, refusal};

#[test]
fn a_run_begins_with_the_weights_of_another_and_is_done_again_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let small = "--frames 1200 --quiet --json --set train.checkpoint_every=400 --set agent.learning_starts=200";
    let source = json(at, &format!("--env cartpole --agent dqn --run a {small}"));
    let line = format!("--env cartpole-v0 --agent dqn {small} --set agent.target_period=100000 --weights");
    let tuned = json(at, &format!("{line} a --run b"));
    let weights = part(&at.join("a"), "model.safetensors");
    assert_eq!(part(&at.join("b"), "learner.target"), weights, "a target network begins as a copy");
    assert_ne!(part(&at.join("b"), "model.safetensors"), weights);

    // Where they came from stands in run.json; a file is as good as its run, and says no frames.
    let about: serde_json::Value = serde_json::from_slice(&fs::read(at.join("b/run.json")).unwrap()).unwrap();
    let of = &about["weights"];
    assert_eq!((&of["sha256"], &of["frames"]), (&source["parameters_sha256"], &source["frames"]));
    assert_eq!(of["path"].as_str().map(Path::new), Some(&*at.join("a").canonicalize().unwrap()));
    fs::write(at.join("f.safetensors"), &weights).unwrap();
    let filed = json(at, &format!("{line} f.safetensors --run c"));
    assert_eq!(filed["parameters_sha256"], tuned["parameters_sha256"]);
    assert_ne!(
        json(at, &format!("--env cartpole-v0 --agent dqn {small} --run d"))["parameters_sha256"],
        tuned["parameters_sha256"]
    );

    // Nothing of the source is needed any more.
    fs::remove_dir_all(at.join("a")).unwrap();
    fs::remove_file(at.join("f.safetensors")).unwrap();
    assert_eq!(json(at, "verify b --json")["equal"], true);
    // Killed before its first checkpoint.
    fs::create_dir(at.join("e")).unwrap();
    for name in ["run.toml", "run.json"] {
        fs::copy(at.join("b").join(name), at.join("e").join(name)).unwrap();
    }
    let (code, said) = refusal(at, "resume e --quiet");
    assert!(code == 1 && said.contains("e/initial: gone, and this run began with what was in it"), "{said}");
    let copied = std::process::Command::new("cp").args(["-r", "b/initial", "e/"]).current_dir(at).status().unwrap();
    assert!(copied.success());
    assert_eq!(json(at, "resume e --quiet --json")["parameters_sha256"], tuned["parameters_sha256"]);
    assert_eq!(names(&at.join("c")), names(&at.join("b")));
}

#[test]
fn statistics_of_features_come_with_the_weights_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env mountaincar --agent ppo --frames 20000 --quiet --json";
    json(at, &format!("{line} --run a"));
    json(at, &format!("{line} --run b --weights a"));
    let begun = at.join("b/initial");
    let begun = begun.join(&names(&begun)[0]);
    assert_eq!(names(&begun), ["learner.features", "manifest.json", "model.safetensors"]);
    assert_eq!(fs::read(begun.join("learner.features")).unwrap(), part(&at.join("a"), "learner.features"));
    assert_eq!(json(at, "verify b --json")["equal"], true);
    fs::write(at.join("f.safetensors"), part(&at.join("a"), "model.safetensors")).unwrap();
    for junk in ["", "garbage that is longer than a header's length"] {
        fs::write(at.join("junk.safetensors"), junk).unwrap();
        let (code, said) = refusal(at, &format!("{line} --weights junk.safetensors"));
        assert!(code == 1 && said.contains("--weights junk.safetensors: damaged, or no file of safetensors"), "{said}");
    }
    let (code, said) = refusal(at, &format!("{line} --weights f.safetensors"));
    assert!(code == 2 && said.contains("needs the statistics of features too"), "{said}");
}

#[test]
fn a_group_begins_with_them_and_a_model_is_found_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --frames 2000 --quiet --json --set train.envs=8";
    let source = json(at, &format!("{line} --run a"));
    json(at, "publish a --out models/m --episodes 3 --json");
    assert!(output(at, &format!("{line} --seeds 1..2 --run g --weights m")).status.success());
    let tuned = json(at, &format!("{line} --seed 2 --run b --weights a"));
    let about: serde_json::Value = serde_json::from_slice(&fs::read(at.join("g/s2/run.json")).unwrap()).unwrap();
    assert_eq!(about["weights"]["sha256"], source["parameters_sha256"]);
    assert_eq!(part(&at.join("g/s2"), "model.safetensors"), part(&at.join("b"), "model.safetensors"));
    // A seed that is begun by `resume` begins with them too.
    fs::remove_dir_all(at.join("g/s2")).unwrap();
    fs::remove_dir_all(at.join("models")).unwrap();
    assert!(output(at, "resume g --quiet --json").status.success());
    assert_eq!(part(&at.join("g/s2"), "model.safetensors"), part(&at.join("b"), "model.safetensors"));
    assert_eq!(tuned["run"], "b");
    // One more seed with the same weights from another place: the copy that others may need stays as it is.
    let copy = at.join("g/initial");
    let place = || fs::metadata(copy.join(&names(&copy)[0]).join("model.safetensors")).unwrap().ino();
    let before = place();
    assert!(output(at, &format!("{line} --seeds 3 --run g --weights a")).status.success());
    assert_eq!(place(), before);
    // What began otherwise is no seed of the same.
    let (code, said) = refusal(at, &format!("{line} --seeds 4 --run g"));
    assert!(code == 2 && said.contains("holds seeds that begin with other weights"), "{said}");
    json(at, &format!("{line} --seed 7 --run g/s7"));
    let (code, said) = refusal(at, "eval g --episodes 1");
    assert!(code == 2 && said.contains("that began with other weights, g/s1 and g/s7"), "{said}");
    let curves = output(at, "plot g --json").stdout;
    let curves: serde_json::Value = serde_json::from_slice(&curves).unwrap();
    let seeds = curves.as_array().unwrap().iter().map(|curve| &curve["seeds"]).collect::<Vec<_>>();
    assert_eq!(seeds, [&serde_json::json!([1, 2, 3]), &serde_json::json!([7])], "{curves}");
    // What a run left that was killed while it was made is no part of the next.
    fs::create_dir_all(at.join("r/initial/000000000000")).unwrap();
    fs::write(at.join("r/.lock"), "").unwrap();
    json(at, &format!("{line} --run r"));
    assert!(!at.join("r/initial").exists());
}

#[test]
fn weights_of_another_network_are_refused_by_their_first_tensor_and_leave_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --frames 2000 --quiet --set train.envs=8";
    json(at, &format!("{line} --run a --json"));
    fs::create_dir(at.join("empty")).unwrap();
    for (ask, expected) in [
        ("--env acrobot --agent ppo --weights a", "--weights a: weights of another network: "),
        ("--env acrobot --agent ppo --weights a", "expected F32 ["),
        ("--env cartpole --agent dqn --weights a", "weights of another network: holds ["),
        ("--env cartpole --agent ppo --weights nobody", "no run, file or published model is called so"),
        ("--env cartpole --agent ppo --weights empty", "empty is not the directory of a run (no run.json in it)"),
    ] {
        let ask = format!("{ask} --frames 2000 --run b --quiet");
        let (code, said) = refusal(at, &ask);
        let whole = at.join("a").canonicalize().unwrap();
        let said = said.replace(&whole.display().to_string(), "a");
        assert!(code == 2 && said.contains(expected), "{ask}\n{said}");
    }
    assert_eq!(names(at), ["a", "empty"]);
}
