//! `--seeds`: many runs in one process, side by side, each whole on threads of its own.
//!
//! A run of a group is the run that its seed alone would be, to every bit, file and checkpoint: the runs share nothing
//! but the signal to stop. Networks of different seeds share no weights, so that no product is shared either; one
//! process for several runs saves only their starts, and keeps each core busy.

mod roster;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::anyhow;
use crossbeam_channel::{Receiver, Sender, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rl_core::caught;
use serde::Serialize;

use crate::console::stop::Stop;
use crate::console::waiting::Stopped;
use crate::console::{output, usage};
use crate::needs::Runs;
use crate::run_dir;
use crate::session::demonstrations;
use crate::training::fresh::fresh;
use crate::training::order::{Order, Place};
use crate::training::progress::{Glance, Progress, Told};
use crate::training::seeds::Seeds;
use crate::training::train_loop::Outcome;
use crate::training::verbosity::Verbosity;
pub(crate) use roster::{Absent, Roster, has_begun};

/// The runs of a group, and how they share the machine.
#[derive(Clone, Copy)]
pub(crate) struct Crew<'a> {
    /// Seed of each run.
    pub(crate) seeds: &'a [u64],
    /// Emulator frames that each run has at the start, and that it is to have in all.
    pub(crate) frames: &'a [(u64, u64)],
    /// Most runs that train at the same time.
    pub(crate) at_once: usize,
    /// Threads of each run.
    pub(crate) threads: usize,
    /// Whether the runs are alike but for their seeds, so that a mean over them means something.
    pub(crate) alike: bool,
    /// Directory that holds all runs, if `--run` names one.
    pub(crate) dir: Option<&'a Path>,
    pub(crate) stop: &'a Stop,
    pub(crate) verbosity: Verbosity,
}

/// Trains the run with this index in [`Crew::seeds`] and returns how it ended.
pub(crate) type Play<'a> = &'a (dyn Fn(usize, Progress) -> anyhow::Result<Outcome> + Sync);

/// What a run of the group reports to the thread that shows all of them.
enum Said {
    Told(Told),
    Ended(anyhow::Result<Outcome>),
}

/// What `--json` prints of a run that failed, in place of its outcome.
#[derive(Debug, Serialize)]
struct Failure<'a> {
    seed: u64,
    error: &'a str,
}

/// Trains a run for each seed and shows what they reached. A run that fails is reported, and the others go on.
///
/// # Errors
/// If no run can be started.
pub(crate) fn run(order: &Order, seeds: &Seeds, place: &Place<'_>, verbosity: Verbosity) -> anyhow::Result<ExitCode> {
    let seeds = seeds.all();
    let at_once = at_once(order, seeds.len());
    let share = order.share(at_once);
    place.check(seeds)?;
    if let Some(dir) = place.run.filter(|_| place.force) {
        seeds.iter().try_for_each(|&seed| demonstrations::spare(&order.resolved, &below(dir, seed)))?;
    }
    share.check(seeds[0], Runs { all: seeds.len(), at_once }, place)?;
    let frames = &vec![(0, order.train.frames); seeds.len()];
    let (threads, dir, stop) = (share.threads, place.run, &order.stop);
    let crew = Crew { seeds, frames, at_once, threads, alike: true, dir, stop, verbosity };
    let pools = crew.pools()?;
    if let Some(dir) = place.run {
        Roster::write(dir, order, seeds)?;
        if place.force {
            // All at once: what is stopped before the last begins is not to go on with a run of older settings.
            seeds.iter().try_for_each(|&seed| run_dir::remove(&below(dir, seed)))?;
        }
    }
    if !verbosity.quiet {
        order.resolved.told.iter().for_each(output::note);
        order.told().iter().for_each(output::note);
    }
    crew.go(pools, &|number, progress| fresh(&share, seeds[number], place, progress))
}

/// How many of `runs` train at the same time, at least one: as many as there are threads, or one on a GPU.
pub(crate) fn at_once(order: &Order, runs: usize) -> usize {
    if order.device.is_cpu() { order.threads.min(runs).max(1) } else { 1 }
}

impl Crew<'_> {
    /// Makes a pool of threads for each of the runs that train at the same time, before any of them begins. Kernels use
    /// the pool that they are called in, so that a run has its own threads alone.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn pools(&self) -> anyhow::Result<Vec<ThreadPool>> {
        let Self { at_once, threads, .. } = *self;
        let pool = |_| ThreadPoolBuilder::new().num_threads(threads).build();
        let pools = (0..at_once).map(pool).collect::<Result<Vec<_>, _>>();
        pools.map_err(|e| anyhow!("starting threads for {at_once} runs at once: {e}"))
    }

    /// Trains all runs in these pools, one run at a time in each, and shows what they reached.
    ///
    /// # Errors
    /// If no run can be started.
    pub(crate) fn go(&self, pools: Vec<ThreadPool>, play: Play<'_>) -> anyhow::Result<ExitCode> {
        let at_once = pools.len();
        let (next, (tell, hear)) = (AtomicUsize::new(0), unbounded());
        let outcomes = thread::scope(|scope| {
            for (number, pool) in pools.into_iter().enumerate() {
                let (tell, next) = (tell.clone(), &next);
                let work = move || pool.install(|| self.work(play, next, &tell));
                match thread::Builder::new().name(format!("runs-{number}")).spawn_scoped(scope, work) {
                    Ok(_) => {}
                    Err(e) if number == 0 => return Err(anyhow!("starting a run: {e}")),
                    // Those that started take every seed, and somebody has to hear of them.
                    Err(e) => {
                        output::note(format!("{number} runs at once, and not {at_once}: starting another: {e}"));
                        break;
                    }
                }
            }
            drop(tell);
            Ok(self.listen(&hear))
        })?;
        Ok(summary::conclude(&outcomes, self.seeds, self.alike, self.dir, self.verbosity))
    }

    /// Trains one run after the other until none is left or someone asks to stop.
    fn work(&self, play: Play<'_>, next: &AtomicUsize, tell: &Sender<(usize, Said)>) {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.seeds.len() || self.stop.asked() {
                return;
            }
            let said = tell.clone();
            let progress = Progress::told(move |told| {
                let _ = said.send((number, Said::Told(told))); // the listener outlives all runs
            });
            let outcome = caught(|| play(number, progress));
            let outcome = outcome.unwrap_or_else(|panic| Err(anyhow!("the run panicked: {panic}")));
            if outcome.as_ref().is_err_and(|why| why.is::<Stopped>()) {
                return; // before there was anything of it: it is not begun
            }
            let _ = tell.send((number, Said::Ended(outcome)));
        }
    }

    /// Shows one bar for all runs until the last has ended, and returns how each ended; `None` for one that was not
    /// begun.
    fn listen(&self, hear: &Receiver<(usize, Said)>) -> Vec<Option<anyhow::Result<Outcome>>> {
        let Self { seeds, verbosity, .. } = *self;
        let mut outcomes: Vec<Option<anyhow::Result<Outcome>>> = seeds.iter().map(|_| None).collect();
        let (mut frames, totals): (Vec<u64>, Vec<u64>) = self.frames.iter().copied().unzip();
        let mut returns = vec![None; seeds.len()];
        let sum = |frames: &[u64]| frames.iter().fold(0, |sum: u64, &frames| sum.saturating_add(frames));
        let mut progress = Progress::new(sum(&frames), sum(&totals), verbosity.quiet, verbosity.json);
        for (number, said) in hear {
            match said {
                Said::Told(Told::Frames { frames: so_far, mean_return }) => {
                    (frames[number], returns[number]) = (so_far, mean_return.or(returns[number]));
                }
                Said::Told(Told::Note(note)) => progress.note(&format!("seed {}: {note}", seeds[number])),
                Said::Ended(outcome) => {
                    match &outcome {
                        Ok(outcome) => {
                            frames[number] = if outcome.stopped { outcome.frames } else { totals[number] };
                            returns[number] = outcome.mean_return_100;
                            if verbosity.json {
                                output::line(serde_json::to_string(outcome).expect("an outcome is plain JSON"));
                            }
                        }
                        Err(error) => {
                            let (seed, error) = (seeds[number], &usage::line(error));
                            progress.fail(&format!("error: seed {seed}: {error}"));
                            if verbosity.json {
                                output::line(serde_json::to_string(&Failure { seed, error }).expect("plain JSON"));
                            }
                        }
                    }
                    outcomes[number] = Some(outcome);
                }
            }
            let known: Vec<f64> = returns.iter().flatten().copied().collect();
            let mean_return = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
            let stopped = |outcome: &anyhow::Result<Outcome>| outcome.as_ref().is_ok_and(|outcome| outcome.stopped);
            let ended = outcomes.iter().flatten().filter(|outcome| !stopped(outcome)).count();
            let glance = Glance { mean_return, seeds: Some((ended, seeds.len())), ..Glance::default() };
            progress.show(sum(&frames), &glance);
        }
        progress.finish();
        outcomes
    }
}

/// Directory of the run with this seed in the directory of a group.
pub(crate) fn below(dir: &Path, seed: u64) -> PathBuf {
    dir.join(format!("s{seed}"))
}
