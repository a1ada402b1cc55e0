//! `rl-run resume` of a group: resumes every run of it and begins those that were not begun.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use super::ResumeArgs;
use crate::console::stop::Stop;
use crate::console::usage::usage;
use crate::console::{number, output};
use crate::machine::device;
use crate::needs::Runs;
use crate::preset::Resolved;
use crate::preset::same_experiment::but_for_length;
use crate::run_dir::many;
use crate::run_dir::origin;
use crate::tables::Tables;
use crate::trained::initial::Initial;
use crate::trained::recorded::Recorded;
use crate::training::fresh::fresh;
use crate::training::go_on::{Going, Shown, go_on, set_frames};
use crate::training::group::{Crew, Roster, at_once, below, has_begun};
use crate::training::order::{Order, Place};
use crate::training::seeds::Seeds;
use crate::{checkpoint, run_dir};

/// Resumes all runs of a group and begins those that were not begun. A run that fails is reported, and the others go
/// on.
///
/// # Errors
/// If a flag is for one run alone, or no run can be started.
pub(crate) fn resume(args: &ResumeArgs, roster: &Roster, tables: &Tables, stop: Stop) -> anyhow::Result<ExitCode> {
    let dir = args.run.as_path();
    let seeds = &roster.all(dir)[..];
    let one = |flag: &str| {
        let first = output::word(&below(dir, seeds.first().copied().unwrap_or(1)));
        usage(format!("{flag} is of one run, and {} holds a group: rl-run resume {first} …", dir.display()))
    };
    if args.tui {
        return Err(one("--tui"));
    }
    if args.checkpoint != "last" {
        return Err(one("--checkpoint"));
    }
    let mut resolved = roster.settings(dir, tables)?;
    set_frames(&mut resolved, args.frames)?;
    if let Some(frames) = args.frames
        && let Some(&seed) = seeds.iter().find(|&&seed| frames < had(dir, seed).min(planned(dir, seed, tables)))
    {
        let (run, had) = (below(dir, seed), had(dir, seed));
        return Err(usage(format!("--frames {frames}: {} has had {had} already", run.display())));
    }
    let (train, eval) = (resolved.train()?, resolved.eval()?);
    let (on, threads) = (args.machine.device_of(&roster.device).to_owned(), args.machine.threads());
    let (device, workers) = (device(&on)?, args.machine.workers()?);
    let (record, outputs) = (roster.record, roster.record_outputs);
    let idle = seeds.iter().filter(|&&seed| !has_begun(dir, seed)).count();
    let initial = if idle > 0 { Initial::of_run(dir, roster.weights.as_ref())? } else { None };
    let order = Order { resolved, train, eval, device, on, threads, workers, record, outputs, initial, stop };
    let at_once = at_once(&order, seeds.len());
    let share = order.share(at_once);
    let place = Place { run: Some(dir), many: true, force: false };
    match seeds.iter().find(|&&seed| !has_begun(dir, seed)) {
        Some(&seed) => share.check(seed, Runs { all: idle, at_once }, &place)?,
        // What was shown is in their checkpoints.
        None => seeds.first().map_or(Ok(()), |&seed| share.fits(seed, Runs { all: 0, at_once }, &place))?,
    }
    if idle > 0 && !args.verbosity.quiet {
        order.told().iter().for_each(output::note);
    }
    // Where a run has had more already, that is refused, and seeds that are not begun keep the length they had.
    if args.frames.is_some_and(|frames| seeds.iter().all(|&seed| had(dir, seed) <= frames)) {
        Roster::lengthen(dir, &order, seeds)?;
    }
    let asked = |&seed: &u64| args.frames.or_else(|| lengthened(dir, seed, roster, &order, tables));
    let asked: Vec<Option<u64>> = seeds.iter().map(asked).collect();
    let frames: Vec<(u64, u64)> =
        seeds.iter().zip(&asked).map(|(&seed, &asked)| frames(dir, seed, &order, asked, tables)).collect();
    if args.frames.is_none() && !args.verbosity.quiet {
        let mut longer = BTreeMap::<u64, Vec<u64>>::new();
        for (&seed, frames) in seeds.iter().zip(&asked) {
            frames.iter().for_each(|&frames| longer.entry(frames).or_default().push(seed));
        }
        for (frames, all) in longer {
            let (all, frames) = (Seeds::from_iter(all), number::count(frames));
            output::note(format!("to {frames} frames, as resume was last asked for: seeds {all}"));
        }
    }
    let equally_long = frames.iter().all(|(_, total)| *total == frames[0].1);
    let crew = Crew {
        seeds,
        frames: &frames,
        at_once,
        threads: share.threads,
        alike: equally_long && seeds.iter().all(|&seed| is_alike(&below(dir, seed), roster, &order, tables)),
        dir: Some(dir),
        stop: &share.stop,
        verbosity: args.verbosity,
    };
    let going = |number: usize| Going {
        checkpoint: &args.checkpoint,
        frames: asked[number],
        machine: &args.machine,
        workers: share.workers_of(workers),
        stop: &share.stop,
        tables,
    };
    crew.go(crew.pools()?, &|number, progress| match has_begun(dir, seeds[number]) {
        true => go_on(&going(number), &below(dir, seeds[number]), Shown::With(progress)),
        false => match below(dir, seeds[number]) {
            run if run_dir::may_be(&run, false).is_err() && !run_dir::is_run(&run) => Err(many::lost(&run)),
            _ => fresh(&share, seeds[number], &place, progress),
        },
    })
}

/// Total of frames that an earlier `resume --frames` of the group has asked of a run, where the run was stopped before
/// it heard of it.
fn lengthened(dir: &Path, seed: u64, roster: &Roster, order: &Order, tables: &Tables) -> Option<u64> {
    let frames = *roster.lengthened.get(&seed)?;
    // Somebody may have put a run of other settings in its place.
    let asked = frames > planned(dir, seed, tables) && is_alike(&below(dir, seed), roster, order, tables);
    asked.then_some(frames)
}

/// Whether a run is one of the group's experiment, whatever its length. One that has not begun or cannot be read is: it
/// is in no mean, or becomes one.
fn is_alike(run: &Path, roster: &Roster, order: &Order, tables: &Tables) -> bool {
    Recorded::read(run, tables).map_or(true, |Recorded { about, resolved: of, .. }| {
        let id = |of: &Resolved| (of.env_name.clone(), of.agent.map(|agent| agent.id), but_for_length(&of.tables));
        id(&of) == id(&order.resolved) && origin::alike(about.weights.as_ref(), roster.weights.as_ref())
    })
}

/// Emulator frames that a run was to have in all; 0 if that cannot be read.
fn planned(dir: &Path, seed: u64, tables: &Tables) -> u64 {
    let train = Recorded::read(&below(dir, seed), tables).and_then(|run| run.resolved.train());
    train.map_or(0, |train| train.frames)
}

/// Emulator frames that a run has already, and that it is to have in all. Errors are left for when the run goes on.
fn frames(dir: &Path, seed: u64, order: &Order, asked: Option<u64>, tables: &Tables) -> (u64, u64) {
    let planned = || Some(planned(dir, seed, tables)).filter(|&planned| planned > 0);
    let total = asked.or_else(planned).unwrap_or(order.train.frames);
    (had(dir, seed).min(total), total)
}

/// Emulator frames of the newest checkpoint of a run; 0 if there is none.
fn had(dir: &Path, seed: u64) -> u64 {
    let all = checkpoint::list(&below(dir, seed).join("checkpoints")).unwrap_or_default();
    all.last().map_or(0, |(frames, _)| *frames)
}
