//! `rl-run profile`, `bench nn` and `bench train`: what they print adds up, and they leave nothing behind.
#![forbid(unsafe_code)]

mod common;

use common::{json, names, output, refusal};
use serde_json::Value;

fn sum(profile: &Value) -> f64 {
    profile.as_object().unwrap().values().map(|seconds| seconds.as_f64().unwrap()).sum()
}

fn parts(profile: &Value) -> Vec<&String> {
    profile.as_object().unwrap().keys().collect()
}

const PARTS: [&str; 9] = ["backward", "forward", "infer", "optimiser", "other", "reduce", "sample", "save", "step"];

#[test]
fn the_profile_of_a_run_is_the_sum_of_its_rows_also_after_a_resume() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let done = json(at, "--env cartpole --agent dqn --frames 3000 --run r --quiet --json");
    let first = json(at, "profile r --json");
    for key in ["frames", "agent_steps", "updates"] {
        assert_eq!(first[key], done[key], "{key}");
    }
    assert_eq!((first["env"].as_str(), first["agent"].as_str()), (Some("cartpole"), Some("dqn")));
    let about: Value = serde_json::from_slice(&std::fs::read(at.join("r/run.json")).unwrap()).unwrap();
    assert_eq!(first["isa"], about["isa"]);
    assert_eq!(parts(&first["profile"]), PARTS);
    let (seconds, parts) = (first["seconds"].as_f64().unwrap(), sum(&first["profile"]));
    assert!((seconds - parts).abs() < 1e-6, "{first}");
    for part in ["step", "infer", "sample", "forward", "backward", "optimiser"] {
        assert!(first["profile"][part].as_f64().unwrap() > 0.0, "{part}: {first}");
    }
    // Every moment is of one part: they add up to what the run took, but for its beginning and end.
    assert!(parts <= done["seconds"].as_f64().unwrap(), "{first} {done}");

    json(at, "resume r --frames 5000 --quiet --json");
    let second = json(at, "profile r --json");
    assert!(second["frames"].as_u64().unwrap() >= 5000, "{second}");
    assert!(PARTS.iter().all(|part| second["profile"][part].as_f64() >= first["profile"][part].as_f64()), "{second}");

    let table = String::from_utf8(output(at, "profile r").stdout).unwrap();
    assert!(table.contains("dqn on cartpole") && table.contains("backward") && table.contains("100.0 %"), "{table}");
}

#[test]
fn training_is_measured_from_the_first_update_and_leaves_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let bench = json(at, "bench train --env cartpole --agent dqn --seconds 0.3 --json --set agent.learning_starts=400");
    let (steps, updates) = (bench["agent_steps"].as_u64().unwrap(), bench["updates"].as_u64().unwrap());
    assert!(updates >= 1 && steps.abs_diff(4 * updates) <= 4, "one update per four steps, none before: {bench}");
    let rate = |key: &str| bench[key].as_f64().unwrap() * bench["seconds"].as_f64().unwrap();
    assert!((rate("agent_steps_per_s") - steps as f64).abs() < 1e-3 * steps as f64, "{bench}");
    assert!((rate("updates_per_s") - updates as f64).abs() < 1e-3 * updates as f64, "{bench}");
    assert!((sum(&bench["profile"]) - bench["seconds"].as_f64().unwrap()).abs() < 1e-6, "{bench}");

    let profile = json(at, "profile --env frozenlake --agent dqn --frames 400 --json --set agent.learning_starts=400");
    assert!((400..450).contains(&profile["frames"].as_u64().unwrap()), "{profile}");
    // Whoever reads a speed reads what multiplied: the same instructions, and in bf16 what this CPU has for it.
    let of = |precision: &str| {
        let line = "bench train --env cartpole --agent ppo --seconds 0.05 --json --precision";
        json(at, &format!("{line} {precision}"))["isa"].as_str().unwrap().to_owned()
    };
    let (f32, bf16) = (of("f32"), of("bf16"));
    assert!(
        bf16 == f32 || bf16.strip_prefix(&format!("{f32}, ")).is_some_and(|unit| unit.ends_with("-bf16")),
        "{bf16}"
    );
    assert_eq!((bench["isa"].as_str(), profile["isa"].as_str()), (Some(f32.as_str()), Some(f32.as_str())));
    // Rounds that a limit ends early have no pace to keep.
    let early = json(at, "bench train --env cartpole --agent ppo --seconds 0.05 --set agent.target_kl=1e-9 --json");
    let of = |key: &str| early[key].as_u64().unwrap();
    assert!(of("updates") > 0 && of("updates") * 512 < of("agent_steps") * 12, "24 per 512 without it: {early}");
    let table = output(at, "profile --env cartpole --agent ppo --frames 1 --precision f32").stdout;
    let head = String::from_utf8(table).unwrap().lines().next().unwrap().to_owned();
    assert!(head.starts_with("ppo on cartpole, ") && head.ends_with(&format!(", {f32}")), "{head}");
    assert!(names(at).is_empty(), "{:?}", names(at));
}

#[test]
fn networks_are_measured_in_both_passes() {
    let dir = tempfile::tempdir().unwrap();
    for (line, flop) in [
        ("--model mlp --batch 1 --pass forward", 2 * (4 * 128 + 128 * 128 + 128 * 2)),
        ("--model mlp --batch 16 --pass train", 16 * (6 * (4 * 128 + 128 * 128 + 128 * 2) - 2 * 4 * 128)),
        ("--model linear --batch 3 --pass train", 6 * 3 * 512 * 512),
        ("--model lstm --batch 1 --pass train", 6 * 20 * 1024 * 2048),
        ("--model encoder --batch 1 --pass forward", 2 * 64 * (4 * 256 * 256 + 2 * 64 * 256 + 2 * 256 * 1024)),
        ("--model conv3x3 --batch 1 --pass train", 6 * 1024 * 9 * 64 * 64),
        ("--model batchnorm --batch 1 --pass train", 0),
        ("--model nature --batch 1 --pass train --threads 1", 2 * (2 * 3_276_800 + 3 * 6_073_440)),
    ] {
        let report = json(dir.path(), &format!("bench nn {line} --seconds 0.05 --json"));
        let of = |key: &str| report[key].as_f64().unwrap();
        assert!(of("min_ms") > 0.0 && of("min_ms") <= of("median_ms") && of("median_ms") <= of("max_ms"), "{report}");
        let measured = of("gflops") * of("median_ms") * 1e6;
        assert!((measured - f64::from(flop)).abs() <= 1e-3 * f64::from(flop), "{line}: {measured} of {flop}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    std::fs::create_dir(at.join("old")).unwrap();
    std::fs::create_dir(at.join("model")).unwrap();
    std::fs::write(at.join("model/score.json"), "{}").unwrap();
    let cases = [
        ("profile nowhere", "nowhere is not the directory of a run"),
        ("profile old", "old is not the directory of a run"),
        ("profile model", "model is a published model"),
        ("profile", "--env"),
        ("profile --env cartpole", "--agent"),
        ("bench nn --model natur", "did you mean `nature`?"),
        ("bench nn --model nature --batch 0", "--batch"),
        (
            "bench train --env cartpole --agent dqn --seconds 0",
            "'0' for '--seconds <SECONDS>': expected a number above 0",
        ),
        ("bench nn --model nature --seconds -1", "'-1' for '--seconds <SECONDS>': expected a number above 0"),
        ("bench env --env cartpole --seconds 1e300", "and a billion at most"),
        ("bench train --env cartpole --agent ppo --preset 60min", "60min is not a file, and this pair"),
        ("profile runs/some --precision f32", "cannot be used with"),
        ("bench train --env cartpole --agent dqm", "did you mean `dqn`?"),
    ];
    for (line, expected) in cases {
        let (code, said) = refusal(at, line);
        assert!(code == 2 && said.contains(expected), "{line}\n{code} {said}");
    }
}
