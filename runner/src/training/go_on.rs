//! Goes on with a run from a checkpoint, alone or as one of a group.

use std::path::Path;

use crate::checkpoint::manifest::Owner;
use crate::checkpoint::state_sink::Archive;
use crate::checkpoint::{self, Checkpoint, Flag};
use crate::collect::Workers;
use crate::console::output;
use crate::console::stop::Stop;
use crate::console::usage::usage;
use crate::machine::{Machine, device};
use crate::preset::{Resolved, schedules};
use crate::run_dir::episode_log::EpisodeLog;
use crate::run_dir::metrics::Metrics;
use crate::run_dir::{RunDir, digests, episode_log, metrics};
use crate::tables::Tables;
use crate::trained::recorded::Recorded;
use crate::training::progress::Progress;
use crate::training::train_loop::{Outcome, Run};
use crate::training::verbosity::{Verbosity, progress};

/// How a run is resumed, alone or as one of a group.
#[derive(Clone, Copy)]
pub(crate) struct Going<'a> {
    pub(crate) checkpoint: &'a str,
    pub(crate) frames: Option<u64>,
    pub(crate) machine: &'a Machine,
    pub(crate) workers: Workers,
    pub(crate) stop: &'a Stop,
    pub(crate) tables: &'a Tables,
}

/// Where the progress of a resumed run is shown.
pub(crate) enum Shown {
    /// By itself, on a dashboard if `tui`.
    Alone { tui: bool, verbosity: Verbosity },
    /// Through the progress of its group.
    With(Progress),
}

impl Shown {
    /// Prints a message before the run goes on.
    fn note(&self, text: &str) {
        match self {
            Self::Alone { verbosity, .. } if verbosity.quiet => {}
            Self::Alone { .. } => output::note(text),
            Self::With(progress) => progress.note(text),
        }
    }

    /// Begins to show the progress of the run.
    fn begin(self, resolved: &Resolved, seed: u64, frames: (u64, u64), stop: &Stop) -> anyhow::Result<Progress> {
        match self {
            Self::Alone { tui, verbosity } => progress(resolved, seed, frames, (tui, verbosity), stop),
            Self::With(progress) => Ok(progress),
        }
    }
}

/// Sets the total of frames to train for, if `frames` is given.
///
/// # Errors
/// If the number is too large for TOML.
pub(crate) fn set_frames(resolved: &mut Resolved, frames: Option<u64>) -> anyhow::Result<()> {
    let Some(frames) = frames else { return Ok(()) };
    resolved.set("train.frames", i64::try_from(frames).map_err(|_| usage("--frames: too large"))?)
}

/// Resumes the run in `path` and trains until it ends or is stopped.
///
/// # Errors
/// If it cannot be resumed as asked, or fails.
pub(crate) fn go_on(going: &Going<'_>, path: &Path, shown: Shown) -> anyhow::Result<Outcome> {
    let Going { machine, workers, stop, tables, .. } = *going;
    let dir = RunDir::open(path)?; // before anything is read: another process could replace it
    let mut recorded = Recorded::read(path, tables)?;
    metrics::check(path)?;
    episode_log::check(path)?;
    digests::all(path)?;
    let planned = recorded.resolved.train()?.frames;
    set_frames(&mut recorded.resolved, going.frames)?;
    let Recorded { about, resolved, .. } = &recorded;
    let (train, eval) = (resolved.train()?, resolved.eval()?);
    let owner = Owner::of(resolved, &train);
    let checkpoint = from(path, going.checkpoint, &owner)?;
    if checkpoint.is_none()
        && let Some(gone) = checkpoint::gone(path)?
    {
        return Err(gone);
    }
    let had = checkpoint.as_ref().map_or(0, Checkpoint::frames);
    if let Some(fewer) = going.frames.filter(|&asked| asked < had.min(planned)) {
        let back = "--checkpoint goes back to an earlier state";
        return Err(usage(format!("--frames {fewer}: this run has had {had} already ({back})")));
    }
    let used = machine.device_of(&about.device).to_owned();
    let mut session = recorded.session(&device(&used)?, workers)?;
    resolved.told.iter().for_each(|told| shown.note(told));
    match &checkpoint {
        Some(checkpoint) => {
            let done = checkpoint.load(&mut session);
            done.map_err(|error| checkpoint::refused(path, had, &command(path), error))?;
        }
        None => {
            recorded.begin_again(&mut session, stop)?;
            shown.note("this run has no checkpoint yet: it begins again");
        }
    }
    let frames = session.counts.frames;
    let isa = checkpoint.as_ref().map_or(about.isa.as_str(), Checkpoint::isa);
    recorded.inexact(isa, (&owner, &used), &mut session).iter().for_each(|told| shown.note(told));
    if train.frames > planned {
        schedules::early(resolved, (frames, session.counts.agent_steps), train.frames)
            .iter()
            .for_each(|told| shown.note(told));
    }
    // Of a run that was stopped in an evaluation the state waits for it to be played again, and is recorded after that.
    let settled = train.eval_every == 0 || frames < session.counts.next_eval;
    let ended = settled && frames >= train.frames && session.learner.updates() > 0;
    if ended {
        shown.note(&match going.frames {
            Some(_) => format!("this run has ended already, and has had {frames} frames"),
            None => "this run has ended already: --frames F goes on to F frames in all".to_owned(),
        });
    }
    let progress = shown.begin(resolved, about.seed, (frames, train.frames), stop)?;
    // Nothing of the run is changed before this, whatever was refused.
    let cut = checkpoint::list(&dir.checkpoints())?.last().is_some_and(|(newest, _)| *newest > frames);
    checkpoint::forget_after(&dir.checkpoints(), frames)?;
    checkpoint::forget_after(&dir.best(), frames)?;
    if session.counts.best.is_some() && checkpoint::list(&dir.best())?.is_empty() {
        progress.note("the best weights up to here are gone: the next evaluation that is better saves its own");
    }
    let Recorded { mut about, resolved, edited, .. } = recorded;
    if about.assets.is_empty() {
        about.assets = session.assets(); // of a run that is older than this key
    }
    // By what somebody has changed since it ended nothing was trained. One that is cut has other frames to train for.
    if !(ended && edited) || cut {
        if ended && !edited {
            about.config_sha256 = resolved.sha256(); // it may be of fewer frames now
        } else {
            about.goes_on(checkpoint.as_ref().map(|_| frames), (&used, &owner.isa), resolved.sha256(), edited);
        }
        dir.describe(&about, &resolved.text())?;
    }
    if let Some(which) = about.record {
        let kept = session.outputs(about.record_outputs, &resolved)?;
        session.record(which, kept, path, &resolved, about.seed)?;
    }
    session.episode_log = Some(EpisodeLog::open(path, frames)?);
    let metrics = Metrics::reopen(dir.path(), frames, settled)?;
    let archive = Archive::reopen(dir, owner, train.keep_checkpoints, frames, checkpoint.as_ref(), settled)?;
    let run = Run { resolved, train, eval, seed: about.seed, workers, path: path.to_owned(), stop: stop.clone() };
    run.train(session, metrics, progress, archive)
}

/// Opens the checkpoint to go on from; `None` if `last` is asked for and the run has no checkpoint.
fn from(run: &Path, which: &str, owner: &Owner) -> anyhow::Result<Option<Checkpoint>> {
    if which == "last" && checkpoint::list(&run.join("checkpoints"))?.is_empty() {
        return Ok(None);
    }
    let path = checkpoint::whole(run, which, Flag { name: "--checkpoint", words: "`last`" })?;
    checkpoint::open(run, &path, &command(run), |path| Checkpoint::open(path, owner)).map(Some)
}

/// The command that resumes `run`, to which a flag can be added.
fn command(run: &Path) -> String {
    format!("rl-run resume {} ", output::word(run))
}
