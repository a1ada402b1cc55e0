//! A run that plays Doom is killed: its engines end with it, and the next one takes away what they could not.

#[path = "../../../envs/vizdoom/tests/support/engines.rs"]
mod engines;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::common::{output, rl_run};

/// Long enough to be killed.
const RUN: &str = "--env doom/basic --agent ppo --seed 1 --quiet --frames 1000000 --threads 1 --set train.envs=2 \
                   --set train.checkpoint_every=200 --set agent.trunk=small --set agent.hidden=[16] --set agent.horizon=16 \
                   --set agent.minibatches=2";

/// Kills the run `name` once it is `so` of its process. Returns that and the engines that it had.
fn killed(at: &Path, name: &str, so: impl Fn(&mut Child) -> bool) -> (u32, Vec<u32>) {
    let mut run = rl_run(at, &format!("{RUN} --run {name}")).stdout(Stdio::null()).spawn().unwrap();
    while !so(&mut run) {
        assert_eq!(run.try_wait().unwrap(), None, "the run ended before");
        std::thread::sleep(Duration::from_micros(200));
    }
    let engines = engines::of(run.id());
    run.kill().unwrap(); // SIGKILL
    assert_eq!(run.wait().unwrap().code(), None);
    (run.id(), engines)
}

/// Plays for a moment by an engine of its own, in which those of a killed run have time to end.
fn play(at: &Path) {
    let done = output(at, "rollout --env doom/basic --random --steps 20 --json");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn engines_end_with_a_killed_run_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (run, engines) = killed(at, "r", |_| at.join("r/digests.jsonl").exists());
    assert_eq!(engines.len(), 2, "one a seat");
    assert!(engines::left(run).is_empty(), "{:?}", engines::left(run));
    play(at);
    assert!(!engines.iter().any(|&engine| engines::lives(engine)), "an engine outlives its run");
}

#[test]
fn what_a_run_leaves_that_is_killed_while_an_engine_starts_the_next_takes_away() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    // An engine that answers between the look and the kill has left nothing.
    let mut kills = (0..20).map(|n| {
        let learned = at.join(format!("{n}/digests.jsonl"));
        killed(at, &n.to_string(), |run| engines::left(run.id()).len() > 2 || learned.exists())
    });
    let (run, engines) = kills.find(|(run, _)| !engines::left(*run).is_empty()).expect("one that was killed in time");
    play(at);
    assert!(engines::left(run).is_empty(), "{:?}", engines::left(run));
    assert!(!engines.iter().any(|&engine| engines::lives(engine)), "an engine outlives its run");
}
