//! Agents learn: the program trains with its presets, and the last weights reach the score that README states.
//!
//! One seed each here, which ends in the same bits every time; the other seeds are slow tests.

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

/// Score of the last weights, trained on `env` as its preset says and evaluated as `eval` says.
fn score(agent: &str, env: &str, seed: u64, eval: &str) -> f64 {
    score_with(agent, env, seed, "", eval)
}

/// The same, trained with more arguments.
fn score_with(agent: &str, env: &str, seed: u64, train: &str, eval: &str) -> f64 {
    let dir = tempfile::tempdir().expect("there is room");
    let run = dir.path().join("run");
    json(&format!("--env {env} --agent {agent} --seed {seed} --threads 1 --run RUN --quiet --json {train}"), &run);
    json(&format!("eval RUN {eval} --json"), &run)["mean"].as_f64().expect("a mean is a number")
}

/// Mean of 100 games.
fn cartpole(agent: &str, seed: u64) -> f64 {
    score(agent, "cartpole", seed, "--episodes 100 --seed 0 --threads 1")
}

/// Expected success, computed from the transition table.
fn frozenlake(agent: &str, seed: u64) -> f64 {
    score(agent, "frozenlake", seed, "--exact --threads 1")
}

/// Most of five seeds reach `goal`.
fn four_of_five(of: fn(&str, u64) -> f64, agent: &str, goal: f64) {
    let scores: Vec<f64> = (1..=5).map(|seed| of(agent, seed)).collect();
    let reached = scores.iter().filter(|&&score| score >= goal).count();
    assert!(reached >= 4, "{agent}: {goal} is reached by {reached} of 5 seeds: {scores:?}");
}

#[test]
fn agents_balance_the_pole() {
    for agent in ["dqn", "ppo", "a2c"] {
        let score = cartpole(agent, 1);
        assert!(score >= 475.0, "{agent}: {score}");
    }
}

/// In f32 where the CPU has no instructions for bf16.
#[test]
fn dqn_balances_the_pole_in_bf16() {
    let score = score_with("dqn", "cartpole", 1, "--precision bf16", "--episodes 100 --seed 0 --threads 1");
    assert!(score >= 475.0, "{score}");
}

#[test]
fn agents_cross_the_lake() {
    for (agent, goal) in [("dqn", 0.70), ("ppo", 0.735), ("a2c", 0.70)] {
        let score = frozenlake(agent, 1);
        assert!(score >= goal, "{agent}: {score}; 0.7402 is the best");
    }
}

#[test]
#[ignore = "slow"]
fn agents_balance_the_pole_from_most_seeds() {
    ["dqn", "ppo", "a2c"].into_iter().for_each(|agent| four_of_five(cartpole, agent, 475.0));
}

#[test]
#[ignore = "slow"]
fn agents_cross_the_lake_from_most_seeds() {
    ["dqn", "ppo", "a2c"].into_iter().for_each(|agent| four_of_five(frozenlake, agent, 0.70));
}

#[test]
#[ignore = "slow"]
fn the_family_of_dqn_balances_the_pole() {
    ["rainbow", "c51", "qrdqn", "iqn"].into_iter().for_each(|agent| four_of_five(cartpole, agent, 475.0));
}

#[test]
#[ignore = "slow"]
fn the_family_of_dqn_crosses_the_lake() {
    ["rainbow", "c51", "qrdqn", "iqn"].into_iter().for_each(|agent| four_of_five(frozenlake, agent, 0.70));
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
