//! Trains a run from its beginning, in a directory of its own.

use std::path::Path;

use crate::checkpoint::manifest::Owner;
use crate::checkpoint::state_sink::Archive;
use crate::needs::Runs;
use crate::run_dir::episode_log::EpisodeLog;
use crate::run_dir::metrics::Metrics;
use crate::run_dir::{About, RunDir};
use crate::session::demonstrations;
use crate::training::order::{Begun, Order, Place, about};
use crate::training::progress::Progress;
use crate::training::train_loop::{Outcome, Run};

/// Trains `seed` from its beginning in a directory of its own.
///
/// # Errors
/// If anything that the run needs is missing or refused, or the run fails.
pub(crate) fn fresh(order: &Order, seed: u64, place: &Place<'_>, progress: Progress) -> anyhow::Result<Outcome> {
    let session = order.session(seed, Runs { all: 1, at_once: 1 }, place)?;
    if !place.many {
        order.told().iter().for_each(|told| progress.note(told));
    }
    let Begun { mut session, kept, shown } = order.begin(session)?;
    let Order { resolved, train, eval, workers, stop, .. } = order.clone();
    if let Some(shown) = &shown {
        progress.note(&shown.to_string());
    }
    let about = About { demonstrations: shown, assets: session.assets(), ..about(order, seed) };
    let name = format!("{}-{}-s{seed}", resolved.env_name.replace('/', "-"), about.agent);
    let (owner, initial) = (Owner::of(&resolved, &train), order.initial.as_ref());
    if let Some(dir) = place.of(seed).filter(|_| place.force) {
        demonstrations::spare(&resolved, &dir)?;
    }
    let first = |dir: &Path| initial.map_or(Ok(()), |initial| initial.write(dir, &owner));
    let dir = RunDir::create((place.of(seed).as_deref(), &name), place.force, &about, &resolved.text(), &first)?;
    if let Some(which) = order.record {
        session.record(which, kept, dir.path(), &resolved, seed)?;
    }
    session.episode_log = Some(EpisodeLog::open(dir.path(), 0)?);
    let (path, metrics) = (dir.path().to_owned(), Metrics::create(dir.path())?);
    let archive = Archive::create(dir, owner, train.keep_checkpoints)?;
    let workers = order.workers_of(workers);
    let run = Run { resolved, train, eval, seed, workers, path, stop };
    run.train(session, metrics, progress, archive)
}
