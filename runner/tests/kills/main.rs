//! `kill -9` at any moment: a run that goes on ends as one that never stopped, and no checkpoint is ever unreadable.
//!
//! Every run is killed several times. After each kill all of its checkpoints are opened, and a copy of the run goes on to its end
//! and is compared with a run that nobody stopped. Then the run itself goes on, to its next kill or its end.
//!
//! Moments are drawn from a seed that `KILLS_SEED` sets and that a failure names. They are counted in checkpoints and shares
//! of the time between two, so that they are as good on a slow machine. Those that play Doom have `doom.rs`.
#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "doom")]
mod doom;
mod matrix;
mod moment;
mod sitting;
mod trace;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use common::json;
use matrix::{Case, EVERY, LONG, SHORT};
use moment::Moment;
use rl_core::{Rng, Stream};
use sitting::{Landed, Pace, Sitting};
use trace::Trace;

/// Processes of two tests at once would only slow each other down.
static ALONE: Mutex<()> = Mutex::new(());

/// What came of a row of the matrix.
#[derive(Default)]
struct Tally {
    kills: usize,
    /// By where they [landed](Landed).
    landed: [usize; 3],
    opened: usize,
    equal: usize,
    /// Sittings by the threads that they had.
    threads: [usize; 3],
}

/// Threads and workers of a sitting: `serial`, threads in the kernels alone, `workers`.
const THREADS: [&str; 3] = ["--threads 1 --workers 1", "--threads 2 --workers 1", "--threads 2 --workers 2"];

fn drawn(rng: &mut Rng, tally: &mut Tally) -> &'static str {
    let which = rng.below(THREADS.len() as u32) as usize;
    tally.threads[which] += 1;
    THREADS[which]
}

/// Opens every checkpoint of `run` as an evaluation does.
fn open_all(at: &Path, run: &str) -> usize {
    let mut which = sitting::numbers(&at.join(run).join("checkpoints"));
    which.extend(sitting::numbers(&at.join(run).join("best")).pop().map(|_| "best".to_owned()));
    for name in &which {
        let name = name.trim_start_matches('0');
        json(at, &format!("eval {run} --checkpoint {name} --episodes 1 --json --threads 1"));
    }
    which.len()
}

/// Goes on with a run to its end, or begins it again in the same directory where it was killed before it was one.
fn finish(at: &Path, case: &Case, run: &str, threads: &str) -> Trace {
    if at.join(run).join("run.json").exists() {
        json(at, &format!("resume {run} --quiet --json {threads}"));
    } else {
        json(at, &format!("{} --run {run} {threads}", case.line()));
    }
    Trace::of(&at.join(run))
}

/// Kills runs of `case` at each of its moments.
fn survive(case: &Case) -> Tally {
    let seed = std::env::var("KILLS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let pace = Pace::of(at, case, "whole");
    let whole = Trace::of(&at.join("whole"));
    whole.check();
    let least = if case.record == EVERY { 6 } else { 1 };
    assert!(case.env != "frozenlake" || whole.recordings() >= least, "{} recordings", whole.recordings());
    let (mut rng, mut tally, mut run) = (Rng::new(seed, Stream::Tool(0)), Tally::default(), 0);
    for kills in case.moments.chunks(case.kills) {
        run += 1;
        let name = format!("run{run}");
        let mut history = String::new();
        for kind in kills {
            let moment = Moment::draw(*kind, &mut rng, whole.states(), kills.len());
            let threads = drawn(&mut rng, &mut tally);
            let _ = write!(history, " {moment:?} {threads};");
            let what = format!("KILLS_SEED={seed}, {} of {}, {name}:{history}", case.agent, case.env);
            let landed = Sitting::start(at, case, &name, threads).kill(moment, &pace);
            let landed = landed.unwrap_or_else(|| panic!("{what} the run ended before"));
            tally.kills += 1;
            tally.landed[landed as usize] += 1;
            tally.opened += open_all(at, &name);
            if at.join(&name).exists() {
                sitting::copy(&at.join(&name), &at.join("copy"));
            }
            let threads = drawn(&mut rng, &mut tally);
            whole.compare(&finish(at, case, "copy", threads), &what);
            tally.equal += 1;
            std::fs::remove_dir_all(at.join("copy")).unwrap();
        }
        let threads = drawn(&mut rng, &mut tally);
        whole.compare(
            &finish(at, case, &name, threads),
            &format!("KILLS_SEED={seed}, {} of {}, {name}:{history} to its end", case.agent, case.env),
        );
        std::fs::remove_dir_all(at.join(&name)).unwrap();
    }
    tally
}

/// Says what came of a row, on the terminal too: a row takes minutes.
fn report(case: &Case, tally: &Tally) {
    let Tally { kills, landed: [before, between, write], opened, equal, threads: [serial, kernels, workers] } = tally;
    let (agent, env) = (case.agent, case.env);
    let line = format!(
        "{agent} of {env}: {kills} kills, {before} before the first checkpoint, {between} between two, {write} in the writing \
         of one; {opened} checkpoints opened, {equal} copies that went on equal; {serial} sittings on one thread, {kernels} on two, {workers} \
         with workers\n"
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn agent(rows: &[Case]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut kills, mut with_one_before) = (0, 0);
    for case in rows {
        let tally = survive(case);
        report(case, &tally);
        kills += tally.kills;
        with_one_before += tally.landed[Landed::Between as usize] + tally.landed[Landed::InAWrite as usize];
    }
    assert!(
        10 * with_one_before >= 8 * kills,
        "{with_one_before} of {kills} kills had a checkpoint before and one to come"
    );
}

#[test]
fn killed_runs_on_frozen_lake_end_as_if_nothing_had_happened() {
    for case in &SHORT {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = survive(case);
        assert!(tally.kills == 3 && tally.opened >= 4, "{}: {} opened", case.agent, tally.opened);
    }
}

#[test]
#[ignore = "slow"]
fn fifty_kills_of_dqn_with_priorities() {
    agent(&LONG[0]);
}

#[test]
#[ignore = "slow"]
fn fifty_kills_of_ppo() {
    agent(&LONG[1]);
}

#[test]
#[ignore = "slow"]
fn fifty_kills_of_a2c() {
    agent(&LONG[2]);
}

#[test]
#[ignore = "slow"]
fn fifty_kills_of_recurrent_ppo() {
    agent(&LONG[3]);
}
