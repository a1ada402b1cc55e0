//! Agents that learn while actors act, as a person runs them.
#![forbid(unsafe_code)]

mod common;

use std::process::Stdio;

use common::{json, names, output, refusal, rl_run, signal, until_a_checkpoint};
use serde_json::Value;

const RUN: &str = "--env cartpole --agent impala --seed 4 --json --set train.envs=4 --set train.checkpoint_every=1000";

#[test]
fn a_run_of_actors_can_be_stopped_goes_on_and_says_that_it_is_not_exact() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let mut child =
        rl_run(at, &format!("{RUN} --quiet --frames 1000000000 --run r")).stdout(Stdio::null()).spawn().unwrap();
    until_a_checkpoint(&mut child, &at.join("r"));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(75));
    // By its directories, of which the segments are none.
    let had = names(&at.join("r/checkpoints")).iter().filter_map(|name| name.parse::<u64>().ok()).max().unwrap();
    let done = output(at, &format!("resume r --frames {} --json", had + 10_000));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("not bit for bit as an uninterrupted run"), "{said}");
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(done["frames"].as_u64() >= Some(had + 10_000), "{done}");
    let rows = std::fs::read_to_string(at.join("r/metrics.jsonl")).unwrap();
    for row in rows.lines().map(|row| serde_json::from_str::<Value>(row).unwrap()) {
        assert!((0.0..=1.0).contains(&row["lag"].as_f64().unwrap()) && row["restarts"] == 0.0, "{row}");
    }
    assert!(json(at, "eval r --episodes 5 --json")["mean"].as_f64() > Some(0.0));
}

#[test]
fn in_turns_and_without_a_lag_runs_end_in_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("{RUN} --quiet --frames 6000");
    let turns = json(dir.path(), &format!("{line} --actors 0 --run turns"));
    for (run, more) in [("again", "--actors 0"), ("waiting", "--actors 2 --set agent.max_lag=0")] {
        let done = json(dir.path(), &format!("{line} {more} --run {run}"));
        for key in ["frames", "agent_steps", "updates", "mean_return_100", "parameters_sha256"] {
            assert_eq!(done[key], turns[key], "{more}: {key}");
        }
    }
}

#[test]
fn without_a_lag_a_run_of_actors_goes_on_in_another_process_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = format!("{RUN} --quiet --actors 2 --set agent.max_lag=0 --eval-every 2500 --eval-episodes 2");
    let whole = json(at, &format!("{line} --frames 6000 --run whole"));
    for frames in [1500, 3200] {
        let run = format!("r{frames}");
        json(at, &format!("{line} --frames {frames} --run {run}"));
        let resumed = output(at, &format!("resume {run} --frames 6000 --json"));
        let said = String::from_utf8_lossy(&resumed.stderr);
        assert!(resumed.status.success() && !said.contains("not bit for bit"), "{said}");
        let resumed: Value = serde_json::from_slice(&resumed.stdout).unwrap();
        for key in ["frames", "updates", "mean_return_100", "eval_return", "parameters_sha256"] {
            assert_eq!(resumed[key], whole[key], "{frames}: {key}");
        }
        assert_eq!(json(at, &format!("verify {run} --quiet --json"))["equal"], true, "{frames}");
    }
}

#[test]
fn agents_that_learn_from_the_newest_weights_take_no_actors() {
    let dir = tempfile::tempdir().unwrap();
    for (line, expected) in [
        (
            "--env cartpole --agent ppo --actors 2",
            "--actors 2: agent `ppo` can learn only from data of its newest weights",
        ),
        ("--env cartpole --agent impala --actors 9", "train.actors: 9 of them cannot share 8 seats"),
        ("--env cartpole --agent impala --set agent.max_lag=1000", "agent.max_lag: 1000 is more than 64"),
    ] {
        let (code, said) = refusal(dir.path(), line);
        assert!(code == 2 && said.contains(expected), "{code} {said}");
    }
    json(dir.path(), "--env cartpole --agent ppo --actors 0 --frames 1 --run r --quiet --json");
}
