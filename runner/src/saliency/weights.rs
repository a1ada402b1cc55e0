//! Whose weights look at a recorded game: those that played it, where the run still has them, else those nearest in time.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use candle_core::Device;
use rl_core::Spec;
use rl_replays::recording::{Manifest, Player};

use super::Saliency;
use crate::checkpoint::{self, Checkpoint};
use crate::learner::build;
use crate::run_dir;
use crate::session::WEIGHTS;
use crate::start::owner;
use crate::tables::Tables;
use crate::trained::recorded;
use crate::usage::usage;

/// A policy that can be asked, and which it is.
pub(crate) struct Weights {
    pub(crate) saliency: Saliency,
    /// In words.
    pub(crate) about: String,
}

/// The run in whose directory a recording lies.
pub(crate) fn run_of(recording: &Path) -> Option<PathBuf> {
    let path = std::fs::canonicalize(recording).ok()?;
    path.ancestors().find(|dir| run_dir::is_run(dir)).map(Path::to_owned)
}

impl Weights {
    /// Those of a run that look at what an environment of `spec` shows in a recording.
    ///
    /// # Errors
    /// If it is no run of that environment, has no checkpoint, or its agent cannot be asked.
    pub(crate) fn load(run: &Path, manifest: &Manifest, spec: &Spec, tables: &Tables) -> anyhow::Result<Self> {
        let (about, resolved) = recorded(run, tables)?;
        if about.env != manifest.env {
            let (run, theirs, ours) = (run.display(), &about.env, &manifest.env);
            bail!(usage(format!("--run {run}: is a run of {theirs}, and the recording is of {ours}")));
        }
        let mut learner = build(&resolved, spec, about.seed, &Device::Cpu)?;
        let owner = owner(&resolved, &resolved.train()?);
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
        let found = Checkpoint::open(dir, &owner)?;
        found.load_part(WEIGHTS, learner.weights())?;
        let those = sha256.is_some_and(|sha256| found.digests().iter().any(|(_, digest)| digest == sha256));
        let learner_of = matches!(manifest.player, Player::Learner { .. });
        let which = match (those, learner_of) {
            (true, _) => "that played",
            (false, true) => "nearest in time",
            (false, false) => "not those that played",
        };
        let saliency = Saliency::new(learner.policy(0..1)?, spec, learner.plan().extra)?;
        Ok(Self { saliency, about: format!("weights after {} frames, {which}", found.frames()) })
    }
}
