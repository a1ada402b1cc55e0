//! Agents learn: the program trains with its presets, and the last weights reach what `[claim]` says.
//!
//! One seed each of what takes seconds, which ends in the same bits every time; all seeds of claims of an hour or less are a
//! slow test, of longer ones too if `RL_CLAIM_MINUTES` says so.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The JSON object that `rl-run` prints for the words of `line` and the directory of a run.
fn json(line: &str, run: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rl-run-for-tests"));
    let words = line.split_whitespace().map(|word| if word == "RUN" { run.as_os_str() } else { word.as_ref() });
    let output = command.args(words).output().expect("rl-run starts");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("--json prints JSON")
}

/// Longest training in minutes that `make test` waits for, by what its claim says.
const FAST: f64 = 0.15;

/// Longest training in minutes that the slow test waits for, unless `RL_CLAIM_MINUTES` is set.
const SLOW: f64 = 60.0;

/// What the sums of an exact score may be off by.
const ROUNDING: f64 = 1e-9;

/// Presets that claim something.
fn claimed() -> Vec<Value> {
    let dir = tempfile::tempdir().expect("there is room");
    let presets = json("list presets --json", dir.path());
    let rows = presets.as_array().expect("a list").iter();
    rows.filter(|row| !row["claim"].is_null()).cloned().collect()
}

/// Score of the last weights of one seed, trained for the frames and judged as the claim says.
fn score(preset: &Value, seed: u64) -> f64 {
    score_with(preset, seed, "")
}

/// The same, trained with more arguments.
fn score_with(preset: &Value, seed: u64, train: &str) -> f64 {
    let (env, agent, claim) = (text(&preset["env"]), text(&preset["agent"]), &preset["claim"]);
    let named = preset["preset"].as_str().map(|name| format!("--preset {name}")).unwrap_or_default();
    let dir = tempfile::tempdir().expect("there is room");
    let run = dir.path().join("run");
    let line =
        format!("--env {env} --agent {agent} {named} --seed {seed} --threads 1 --run RUN --quiet --json {train}");
    let done = json(&line, &run);
    let (frames, asked) = (done["frames"].as_u64().unwrap(), claim["frames"].as_u64().unwrap());
    assert!((asked..asked + asked / 10 + 10_000).contains(&frames), "{agent} on {env}: {frames} frames");
    let how = match text(&claim["protocol"]) {
        "exact" => "--exact".to_owned(),
        "greedy" => format!("--greedy --seed 0 --episodes {}", claim["episodes"]),
        _ => format!("--seed 0 --episodes {}", claim["episodes"]),
    };
    let rules = claim["rules"].as_str().map(|rules| format!("--protocol {rules}")).unwrap_or_default();
    json(&format!("eval RUN {how} {rules} --threads 1 --json"), &run)["mean"].as_f64().expect("a mean is a number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a word")
}

/// In f32 where the CPU has no instructions for bf16.
#[test]
fn dqn_reaches_its_claim_on_cartpole_in_bf16() {
    let presets = claimed();
    let preset = presets.iter().find(|preset| preset["env"] == "cartpole" && preset["agent"] == "dqn");
    let preset = preset.expect("DQN claims CartPole");
    let (score, goal) = (score_with(preset, 1, "--precision bf16"), preset["claim"]["score"].as_f64().unwrap());
    assert!(score >= goal, "{score}");
}

#[test]
fn the_first_seed_of_each_fast_preset_reaches_its_claim() {
    let mut tried = 0;
    for preset in claimed().iter().filter(|preset| preset["claim"]["minutes"].as_f64() <= Some(FAST)) {
        let (score, goal) = (score(preset, 1), preset["claim"]["score"].as_f64().unwrap());
        assert!(score >= goal - ROUNDING, "{preset}: {score}");
        tried += 1;
    }
    assert!(tried >= 6, "{tried} presets are fast");
}

#[test]
#[ignore = "slow"]
#[expect(clippy::print_stderr, reason = "who runs it is to know what was left out")]
fn the_median_of_the_seeds_of_each_preset_reaches_its_claim() {
    let longest = std::env::var("RL_CLAIM_MINUTES").map_or(SLOW, |minutes| minutes.parse().expect("minutes"));
    let mut wrong = Vec::new();
    for preset in claimed() {
        let claim = &preset["claim"];
        if claim["minutes"].as_f64() > Some(longest) {
            eprintln!("left out, RL_CLAIM_MINUTES={} trains it: {preset}", claim["minutes"]);
            continue;
        }
        let mut scores: Vec<f64> = (1..=claim["seeds"].as_u64().unwrap()).map(|seed| score(&preset, seed)).collect();
        scores.sort_by(f64::total_cmp);
        // Of an even number the lower of the middle two: no claim rests on half a seed.
        if scores[(scores.len() - 1) / 2] < claim["score"].as_f64().unwrap() - ROUNDING {
            wrong.push(format!("{preset}: {scores:?}"));
        }
    }
    assert!(wrong.is_empty(), "claims that do not hold:\n{}", wrong.join("\n"));
}

/// Too short to learn the game: it runs to its end on the real ROM, changes the weights, and its checkpoint is a player.
#[test]
#[ignore = "slow"]
#[cfg(feature = "atari")]
fn dqn_trains_on_kung_fu_master() {
    let dir = tempfile::tempdir().expect("there is room");
    let (run, still) = (dir.path().join("run"), dir.path().join("still"));
    let line = "--env kungfu --agent dqn --seed 1 --run RUN --quiet --json --set agent.replay_capacity=20000";
    let done = json(&format!("{line} --frames 40000"), &run);
    assert!(done["frames"].as_u64() >= Some(40_000) && done["updates"].as_u64() >= Some(1000), "{done}");
    // With a learning rate of 0 the weights stay as they were initialised.
    let zero = "--frames 1 --set agent.learning_starts=64 --set agent.lr=0 --set agent.lr_end=0";
    let initial = json(&format!("{line} {zero}"), &still);
    assert_ne!(done["parameters_sha256"], initial["parameters_sha256"]);
    let eval = || json("eval RUN --episodes 3 --seed 7 --json", &run);
    let first = eval();
    assert_eq!((first["episodes"].as_u64(), first["frames"].as_u64() > Some(0)), (Some(3), true), "{first}");
    assert_eq!(eval(), first);
}
