//! Loads the weights for saliency maps of a recorded game: those of the checkpoint nearest to when it was played.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use candle_core::Device;
use rl_core::Spec;
use rl_replays::recording::{Manifest, Player};

use super::Saliency;
use crate::checkpoint::manifest::Owner;
use crate::checkpoint::{self, Checkpoint};
use crate::console::number::count;
use crate::console::usage::usage;
use crate::run_dir;
use crate::session::WEIGHTS;
use crate::session::learner::build;
use crate::tables::Tables;
use crate::trained::recorded::Recorded;

/// A policy for saliency maps, and which weights it has.
pub(crate) struct Weights {
    pub(crate) saliency: Saliency,
    /// Which weights they are, in words.
    pub(crate) about: String,
}

/// Directory of the run that a recording lies in, if it lies in one.
pub(crate) fn run_of(recording: &Path) -> Option<PathBuf> {
    let path = std::fs::canonicalize(recording).ok()?;
    path.ancestors().find(|dir| run_dir::is_run(dir)).map(Path::to_owned)
}

impl Weights {
    /// Loads the weights of `run` nearest to those that played the recording of `manifest`, for an environment of
    /// `spec`.
    ///
    /// # Errors
    /// If the run is of another environment, has no checkpoint, or its agent has no outputs.
    pub(crate) fn load(run: &Path, manifest: &Manifest, spec: &Spec, tables: &Tables) -> anyhow::Result<Self> {
        Ok(Self::find(run, manifest, spec, tables)?.0)
    }

    /// Loads weights as [`load`](Self::load) does, and returns whether they are those that played.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(crate) fn find(run: &Path, manifest: &Manifest, spec: &Spec, tables: &Tables) -> anyhow::Result<(Self, bool)> {
        let Recorded { about, resolved, .. } = Recorded::read(run, tables)?;
        if about.env != manifest.env {
            let (run, theirs, ours) = (run.display(), &about.env, &manifest.env);
            bail!(usage(format!("{run} is a run of {theirs}, and the recording is of {ours}")));
        }
        let mut learner = build(&resolved, spec, about.seed, &Device::Cpu)?;
        let owner = Owner::of(&resolved, &resolved.train()?);
        let mut all = checkpoint::list(&run.join("checkpoints"))?;
        all.extend(checkpoint::list(&run.join("best"))?);
        let (sha256, frames) = match &manifest.player {
            Player::Agent { weights_sha256, frames, .. } => (Some(weights_sha256), Some(*frames)),
            Player::Learner { frames, .. } => (None, Some(*frames)),
            Player::Random { .. } | Player::Human {} => (None, None),
        };
        // Without frames the last checkpoint is meant.
        all.sort_by_key(|(at, _)| frames.map_or(u64::MAX - at, |frames| frames.abs_diff(*at)));
        let (_, dir) = all.first().with_context(|| format!("{}: has no checkpoint", run.display()))?;
        let found = Checkpoint::open_only(dir, &owner, &[WEIGHTS])?;
        found.load_part(WEIGHTS, learner.weights())?;
        let those = sha256.is_some_and(|sha256| found.digests().iter().any(|(_, digest)| digest == sha256));
        let learner_of = matches!(manifest.player, Player::Learner { .. });
        let which = match (those, learner_of) {
            (true, _) => "that played",
            (false, true) => "nearest in time",
            (false, false) => "not those that played",
        };
        let saliency = Saliency::new(learner.policy(0..1)?, spec, learner.plan().extra)?;
        Ok((Self { saliency, about: format!("weights after {} frames, {which}", count(found.frames())) }, those))
    }
}
