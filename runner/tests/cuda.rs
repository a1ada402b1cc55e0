//! Training on an NVIDIA GPU, for `make test-cuda` on a machine that has one. Without the feature there is nothing here.
#![cfg(feature = "cuda")]
#![forbid(unsafe_code)]

mod common;

use std::path::Path;

use common::json;
use rl_agents::{AGENTS, AgentEntry};

/// Settings with which every agent updates within a few hundred steps.
fn short(agent: &str) -> &'static str {
    match agent {
        "ppo" | "a2c" | "pqn" | "tabular" => "--frames 3000",
        "impala" => "--frames 3000 --actors 2",
        "bc" => "--frames 3000 --set agent.demonstrations=shown.rec",
        "drq" => "--frames 3000 --set agent.learning_starts=500 --set agent.replay_capacity=2000",
        _ => "--frames 3000 --set agent.learning_starts=500",
    }
}

/// Those of two small environments that it has presets for; a game of Atari where it has none, for it wants pixels.
fn envs(agent: &AgentEntry) -> Vec<&'static str> {
    let has = |env: &&str| agent.presets.iter().any(|(name, _)| name == env);
    let small: Vec<_> = ["cartpole", "frozenlake"].into_iter().filter(has).collect();
    if small.is_empty() { vec!["kungfu"] } else { small }
}

fn train(at: &Path, line: &str) -> serde_json::Value {
    json(at, &format!("{line} --quiet --json --device cuda"))
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn every_agent_trains_resumes_and_plays() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "record --env cartpole --random --episodes 9 --seed 3 --out shown.rec --json");
    for entry in AGENTS {
        let agent = entry.id;
        for env in envs(entry) {
            let run = format!("{agent}-{env}");
            let done = train(at, &format!("--env {env} --agent {agent} --seed 1 --run {run} {}", short(agent)));
            assert!(done["updates"].as_u64().unwrap() > 0, "{run}: {done}");
            let more = train(at, &format!("resume {run} --frames 6000"));
            assert!(more["updates"].as_u64() > done["updates"].as_u64(), "{run}: {more}");
            assert_ne!(more["parameters_sha256"], done["parameters_sha256"], "{run}");
            for device in ["cuda", "cpu"] {
                let played = json(at, &format!("eval {run} --episodes 3 --json --device {device}"));
                assert_eq!(played["episodes"], 3, "{run} on {device}: {played}");
            }
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn continuous_actions_and_normalised_observations_work() {
    let dir = tempfile::tempdir().unwrap();
    let done = train(dir.path(), "--env pendulum --agent ppo --seed 1 --run r --frames 20000");
    assert!(done["updates"].as_u64().unwrap() > 0, "{done}");
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn memories_work() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["gru", "lstm"] {
        let memory = format!("--set agent.memory={{kind=\"{kind}\",units=16,steps=16}} --set agent.horizon=32");
        let run = format!("--env cartpole-positions --agent ppo --seed 1 --run {kind} --frames 6000");
        let done = train(dir.path(), &format!("{run} {memory}"));
        assert!(done["updates"].as_u64().unwrap() > 0, "{kind}: {done}");
        let memory = format!("--set agent.memory={{kind=\"{kind}\",units=16,burn_in=4,steps=8,period=4,eta=0.9}}");
        let run = format!("--env cartpole-positions --agent r2d2 --seed 1 --run r2d2-{kind} --frames 6000");
        let done = train(dir.path(), &format!("{run} {memory}"));
        assert!(done["updates"].as_u64().unwrap() > 0, "r2d2, {kind}: {done}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn planning_works() {
    let dir = tempfile::tempdir().unwrap();
    let small = "--set agent.simulations=8 --set agent.learning_starts=500 --set agent.replay_capacity=4000";
    let done =
        train(dir.path(), &format!("--env connectfour --agent alphazero --seed 1 --run r --frames 3000 {small}"));
    assert!(done["updates"].as_u64().unwrap() > 0, "{done}");
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cartpole_is_learned_and_plays_alike_on_the_cpu() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "--env cartpole --agent ppo --seed 1 --run r");
    for device in ["cuda", "cpu"] {
        let played = json(dir.path(), &format!("eval r --episodes 20 --greedy --json --device {device}"));
        assert!(played["mean"].as_f64().unwrap() >= 475.0, "{device}: {played}");
    }
}

#[cfg(feature = "atari")]
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn pixels_are_learned_from() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let replay = "--frames 8000 --set agent.learning_starts=400 --set agent.replay_capacity=2000";
    let residual = "--frames 40000 --set agent.trunk=impala";
    let small = "--frames 8000 --set agent.trunk=small";
    let all = [("dqn", replay), ("rainbow", replay), ("ppo", residual), ("a2c", small), ("pqn", "--frames 40000")];
    for (agent, more) in all {
        let done = train(at, &format!("--env kungfu --agent {agent} --seed 1 --run {agent} {more}"));
        assert!(done["updates"].as_u64().unwrap() > 0, "{agent}: {done}");
    }
}
