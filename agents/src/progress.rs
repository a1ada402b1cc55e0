//! Progress of a learner: agent steps, updates and its random stream.

use std::io::{Read, Write};

use rl_core::{Reduce, Result, Rng, Saved, Stream, read_postcard, write_postcard};
use rl_replays::{Rollout, played};
use serde::{Deserialize, Serialize};

/// Counters and the random stream of a learner.
#[derive(Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Agent steps so far, the mean over all members of the run.
    steps: f64,
    /// Optimiser steps so far.
    #[serde(deserialize_with = "rl_core::counter")]
    pub(crate) updates: u64,
    /// Random stream for sampling and for shuffling minibatches.
    pub(crate) rng: Rng,
}

impl Progress {
    /// Progress at the beginning of a run with this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { steps: 0.0, updates: 0, rng: Rng::new(seed, Stream::Learn) }
    }

    /// Agent steps so far, the mean over all members of the run, rounded down.
    pub(crate) fn steps(&self) -> u64 {
        self.steps as u64
    }

    /// Counts the played steps of `blocks`, averaged over all members of the run, so that all make the same updates.
    ///
    /// # Errors
    /// If a member of the run is lost.
    pub(crate) fn count(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce) -> Result<()> {
        let mut seen = [played(blocks).count() as f32]; // exact: fewer than 2^24 steps
        reduce.mean(&mut seen)?;
        self.steps += f64::from(seen[0]);
        Ok(())
    }
}

impl Saved for Progress {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(self, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        *self = read_postcard("learner", from)?;
        Ok(())
    }
}
