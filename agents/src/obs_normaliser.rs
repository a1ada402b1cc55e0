//! Running statistics for the normalisation of features, updated by the learner after each round of updates.
//!
//! They are not updated while acting: so the policy that acted and the one that learns see equally normalised features
//! (but for actors, which lag), and no bit depends on how seats are grouped. Before anything was seen features are only
//! clipped.

use std::io::{Read, Write};

use rl_core::{Error, Reduce, Result, Saved, Spec, read_postcard, write_postcard};
use rl_nn::{Standardise, tensor};
use rl_replays::{Rollout, played};

use crate::running_mean_std::RunningMeanStd;

/// Running mean and variance of features, and the normalisation layer that uses them.
pub(crate) struct ObsNormaliser {
    running: RunningMeanStd,
    standardise: Standardise,
}

/// Refuses to normalise features where an environment shows none.
pub(crate) fn check(normalise: bool, spec: &Spec) -> Result<()> {
    if normalise && spec.vector == 0 {
        let message = "this environment shows no features to normalise: set it to false".to_owned();
        return Err(Error::Config { key: "agent.normalise_observations".to_owned(), message });
    }
    Ok(())
}

impl ObsNormaliser {
    /// Creates empty statistics of `width` features, which `standardise` will be set to.
    pub(crate) fn new(width: usize, standardise: Standardise) -> Self {
        Self { running: RunningMeanStd::new(width), standardise }
    }

    /// Adds the features before each played step of `blocks`, and updates the normalisation.
    ///
    /// # Errors
    /// If a member of the run is lost or the device fails.
    pub(crate) fn add(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce) -> Result<()> {
        self.running.add(|| played(blocks).map(|(block, t, e)| block.vector.at(t, e)), reduce)?;
        let mean: Vec<f32> = self.running.mean().iter().map(|&mean| mean as f32).collect();
        let scale: Vec<f32> = self.running.scale().map(|scale| scale as f32).collect();
        self.standardise.set(&mean, &scale).map_err(tensor)
    }
}

impl Saved for ObsNormaliser {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(&self.running, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let running: RunningMeanStd = read_postcard("features", from)?;
        let (found, expected) = (running.width(), self.running.width());
        if !running.fits(expected) {
            let message = format!("holds statistics of {found} features, expected {expected}");
            return Err(Error::State { part: "features".to_owned(), message });
        }
        self.running = running;
        Ok(())
    }
}
