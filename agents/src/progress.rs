//! How far a learner is, and what it draws next.

use std::io::{Read, Write};

use rl_core::{Reduce, Result, Rng, Saved, Stream, read_postcard, write_postcard};
use rl_replays::{Rollout, played};
use serde::{Deserialize, Serialize};

/// Counters and the random stream of a learner.
#[derive(Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Agent steps seen, the mean over all members of the run.
    steps: f64,
    /// Updates made.
    #[serde(deserialize_with = "rl_core::counter")]
    pub(crate) updates: u64,
    /// Samples, and orders minibatches.
    pub(crate) rng: Rng,
}

impl Progress {
    /// Nothing seen, nothing drawn.
    pub(crate) fn new(seed: u64) -> Self {
        Self { steps: 0.0, updates: 0, rng: Rng::new(seed, Stream::Learn) }
    }

    /// Whole agent steps.
    pub(crate) fn steps(&self) -> u64 {
        self.steps as u64
    }

    /// Counts the steps that were played in `blocks`: those of all members are averaged, so that all owe the same updates.
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
