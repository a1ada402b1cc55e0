//! Threads that step environments change how long a run takes, and nothing else.
#![forbid(unsafe_code)]

mod common;

use std::process::Stdio;

use common::{json, refusal, rl_run, signal, until_a_checkpoint};

const RUN: &str = "--env cartpole --agent dqn --frames 6000 --seed 4 --quiet --json --threads 4 --set train.envs=6 --set train.checkpoint_every=1000";

#[test]
fn a_run_ends_in_the_same_bits_for_any_number_of_workers() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let whole = json(at, &format!("{RUN} --run serial --workers 1"));
    let same = |done: &serde_json::Value, how: &str| {
        for key in ["frames", "agent_steps", "updates", "mean_return_100", "parameters_sha256"] {
            assert_eq!(done[key], whole[key], "{how}: {key}");
        }
    };
    same(&json(at, &format!("{RUN} --run two --workers 2")), "two workers");
    same(&json(at, &format!("{RUN} --run any")), "as many as pay");

    // Stopped with four, it goes on with three.
    let mut child = rl_run(at, &format!("{RUN} --run stopped --workers 4")).stdout(Stdio::null()).spawn().unwrap();
    until_a_checkpoint(&mut child, &at.join("stopped"));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(75), "it must be long enough to be stopped before its end");
    same(&json(at, "resume stopped --quiet --json --threads 3 --workers 3"), "four, then three");
    let eval = |workers| json(at, &format!("eval two --episodes 9 --json --threads 4 --workers {workers}"));
    assert_eq!(eval(1), eval(4));
}

#[test]
fn more_workers_than_threads_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["--env cartpole --agent dqn --threads 2 --workers 3", "--env cartpole --agent dqn --workers 0"] {
        let (code, said) = refusal(dir.path(), line);
        assert!(code == 2 && said.contains("--workers"), "{code} {said}");
    }
}
