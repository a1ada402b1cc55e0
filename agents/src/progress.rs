//! Progress of a learner: agent steps, updates and its random stream.

use std::io::{Read, Write};

use rl_core::{Reduce, Result, Rng, Saved, Stream, read_postcard, write_postcard};
use rl_replays::{Rollout, played};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Counters and the random stream of a learner.
#[derive(Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Agent steps so far, the mean over all members of the run.
    #[serde(deserialize_with = "steps")]
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
        let mut parts = parted(played(blocks).count());
        reduce.mean(&mut parts)?;
        self.steps += joined(parts);
        Ok(())
    }
}

/// Steps that are counted together when members of a run exchange how many they made.
const PART: usize = 1 << 12;

/// A count in whole parts and a rest, which are exact where a single `f32` is up to 2^24 only.
fn parted(count: usize) -> [f32; 2] {
    [count / PART, count % PART].map(|part| part as f32)
}

/// The count of both, or the mean of counts of the means of both.
fn joined([parts, rest]: [f32; 2]) -> f64 {
    f64::from(parts) * PART as f64 + f64::from(rest)
}

/// Reads agent steps: a number that one more step still changes.
fn steps<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<f64, D::Error> {
    let steps = f64::deserialize(from)?;
    if (0.0..2f64.powi(52)).contains(&steps) { Ok(steps) } else { Err(D::Error::custom("no number of agent steps")) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_above_the_whole_numbers_of_single_precision_are_exact() {
        for count in [0, 1, 4095, 4096, (1 << 24) + 1, (1 << 36) - 1] {
            assert_eq!(joined(parted(count)), count as f64);
        }
    }

    #[test]
    fn steps_that_no_run_makes_are_refused() {
        let mut progress = Progress::new(1);
        for steps in [-1.0, f64::NAN, f64::INFINITY, 1e18] {
            let mut bytes = Vec::new();
            Progress { steps, ..Progress::new(1) }.save(&mut bytes).unwrap();
            let error = progress.load(&mut bytes.as_slice()).unwrap_err().to_string();
            assert!(error.contains("learner"), "{error}");
        }
        assert_eq!(progress.steps(), 0);
        let mut bytes = Vec::new();
        Progress { steps: 1234.5, ..Progress::new(1) }.save(&mut bytes).unwrap();
        progress.load(&mut bytes.as_slice()).unwrap();
        assert_eq!(progress.steps(), 1234);
    }
}
