//! `rl-run resume`: goes on with a run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::checkpoint::{self, Checkpoint, Flag};
use crate::cli::Machine;
use crate::drive::{Run, drive};
use crate::keep::Archive;
use crate::learner::device;
use crate::manifest::Owner;
use crate::metrics::Metrics;
use crate::run_dir::{self, RunDir};
use crate::start::{owner, start};
use crate::suspect::keep_batch;
use crate::tables::Tables;
use crate::tape::Tape;
use crate::trained::recorded;
use crate::usage::{self, usage};
use crate::verbosity::{Verbosity, finish, listen, progress};
use crate::{demonstrations, metrics, output, publish, record, schedules};

/// Resumes a run from its last checkpoint, bit for bit as if it had not been interrupted; a run without a checkpoint
/// starts over.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run resume runs/cartpole-dqn-s1
          rl-run resume runs/cartpole-dqn-s1 --frames 200000   # longer than planned")]
pub(crate) struct ResumeArgs {
    /// Directory of the run
    run: PathBuf,
    /// `last`, or the frames of a checkpoint; later ones are removed
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Train for this many frames in all, instead of the run's; schedules stay as they are
    #[arg(long, allow_negative_numbers = true, value_parser = usage::count)]
    frames: Option<u64>,
    /// Shows a dashboard on the terminal: curves, where the time goes, the game of the first seat (? names its keys)
    #[arg(long, conflicts_with_all = ["quiet", "json"])]
    tui: bool,
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// `rl-run resume RUN`.
pub(crate) fn run(args: &ResumeArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let stop = listen(args.tui, args.verbosity)?;
    publish::refuse(&args.run)?;
    let dir = RunDir::open(&args.run)?; // before anything is read: another process could replace it
    let (mut about, mut resolved) = recorded(&args.run, tables)?;
    let planned = resolved.train()?.frames;
    if let Some(frames) = args.frames {
        resolved.set("train.frames", i64::try_from(frames).map_err(|_| usage("--frames: too large"))?)?;
    }
    let (train, eval) = (resolved.train()?, resolved.eval()?);
    let owner = owner(&resolved, &train);
    let checkpoint = from(&args.run, &args.checkpoint, &owner)?;
    let had = checkpoint.as_ref().map_or(0, Checkpoint::frames);
    if let Some(fewer) = args.frames.filter(|&asked| asked < had.min(planned)) {
        let back = "--checkpoint goes back to an earlier state";
        return Err(usage(format!("--frames {fewer}: this run has had {had} already ({back})")));
    }
    let (workers, used) = (args.machine.workers()?, args.machine.device_of(&about.device).to_owned());
    let mut session = start(&resolved, &train, about.seed, &device(&used)?, workers)?;
    let note = |text: String| {
        if !args.verbosity.quiet {
            output::note(text);
        }
    };
    resolved.told.iter().cloned().for_each(note);
    match &checkpoint {
        Some(checkpoint) => checkpoint.load(&mut session)?,
        None => {
            demonstrations::begin_again(&about, &resolved, &mut session, &train)?;
            note("this run has no checkpoint yet: it begins again".to_owned());
        }
    }
    let frames = session.counts.frames;
    let (theirs, ours) = (checkpoint.as_ref().map_or(about.isa.as_str(), Checkpoint::isa), owner.isa.as_str());
    if !run_dir::alike(theirs, ours) {
        note(format!(
            "this run used {theirs}, this machine has {ours}: resuming, but the results will not be bit-identical"
        ));
    }
    if about.device != used {
        note(format!("this run used the device {}: resuming, but the results will not be bit-identical", about.device));
    }
    if !session.is_exact() {
        note("the lag of actors is not reproducible: resuming, but not bit for bit as an uninterrupted run".to_owned());
    }
    if train.frames > planned {
        schedules::early(&resolved, &session.counts, train.frames).into_iter().for_each(note);
    }
    // Of a run that was stopped in an evaluation the state waits for it to be played again, and is recorded after that.
    let settled = train.eval_every == 0 || frames < session.counts.next_eval;
    if settled && frames >= train.frames && session.learner.updates() > 0 {
        note("this run has ended already: --frames F goes on to F frames in all".to_owned());
    }
    metrics::check(&args.run)?;
    let progress = progress(&resolved, about.seed, (frames, train.frames), (args.tui, args.verbosity), &stop)?;
    // Nothing of the run is changed before this, whatever was refused.
    checkpoint::forget_after(&dir.checkpoints(), frames)?;
    checkpoint::forget_after(&dir.best(), frames)?;
    if session.counts.best.is_some() && checkpoint::list(&dir.best())?.is_empty() {
        progress.note("the best weights up to here are gone: the next evaluation that is better saves its own");
    }
    (about.config_sha256, about.device) = (resolved.sha256(), used);
    dir.describe(&about, &resolved.text())?;
    if let Some(which) = about.record {
        let kept = record::kept_of(about.record_outputs, &session, &resolved)?;
        session.tape = Some(Tape::open(which, kept, &args.run, &resolved, about.seed, &mut session)?);
    }
    let metrics = Metrics::reopen(dir.path(), frames, settled)?;
    let mut archive = Archive::reopen(dir, owner, train.keep_checkpoints, frames, checkpoint.as_ref(), settled)?;
    let run = Run { resolved, train, eval, seed: about.seed, workers, path: args.run.clone(), stop };
    let done = drive(&run, &mut session, Some(metrics), progress, &mut archive);
    finish(&done.map_err(|error| keep_batch(error, &run.path))?, args.verbosity)
}

/// The checkpoint to go on from; none where the last of a run that has none is asked for.
fn from(run: &Path, which: &str, owner: &Owner) -> anyhow::Result<Option<Checkpoint>> {
    if which == "last" && checkpoint::list(&run.join("checkpoints"))?.is_empty() {
        return Ok(None);
    }
    let path = checkpoint::whole(run, which, Flag { name: "--checkpoint", words: "`last`" })?;
    checkpoint::open(run, &path, owner, &format!("rl-run resume {} ", run.display())).map(Some)
}
