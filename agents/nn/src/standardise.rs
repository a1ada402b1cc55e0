//! Features moved and stretched to mean 0 and deviation 1 by statistics that somebody else takes.
//!
//! The statistics are buffers of the network: they are saved, hashed and copied with its weights, so that whoever loads a
//! network sees with the eyes that it was trained with, and nothing but their owner changes them.

use candle_core::{Result, Var};

use crate::Scope;
use crate::params::{set, with_values};

/// Farther from the mean, in deviations, no feature is let. Source: Baselines' `VecNormalize`, and everyone since.
const LIMIT: f32 = 10.0;

/// `clip((x - mean) · scale, ±10)`, feature by feature.
#[derive(Clone, Debug)]
pub struct Standardise {
    mean: Var,
    scale: Var,
}

impl Standardise {
    /// For rows of `width` features, which at first only the limit changes.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &mut Scope<'_>, width: usize) -> Result<Self> {
        Ok(Self { mean: scope.buffer("mean", &[width], 0.0)?, scale: scope.buffer("scale", &[width], 1.0)? })
    }

    /// Replaces the statistics: `mean` and what the deviation is divided by, one of each per feature.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If there are not as many as features.
    pub fn set(&self, mean: &[f32], scale: &[f32]) -> Result<()> {
        set(&self.mean, mean)?;
        set(&self.scale, scale)
    }

    /// Standardises `rows`, `[B, width]`, where they stand; no gradient passes. On the CPU nothing is allocated.
    ///
    /// # Errors
    /// If the device fails.
    pub fn apply(&self, rows: &mut [f32]) -> Result<()> {
        with_values(&self.mean, |mean| {
            with_values(&self.scale, |scale| {
                for row in rows.chunks_exact_mut(mean.len()) {
                    for ((x, mean), scale) in row.iter_mut().zip(mean).zip(scale) {
                        *x = ((*x - mean) * scale).clamp(-LIMIT, LIMIT);
                    }
                }
            })
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    #[test]
    fn features_are_shifted_scaled_and_kept_near_and_the_statistics_are_no_parameters() {
        let mut params = check::params();
        let standardise = Standardise::new(&mut params.layer("features"), 2).unwrap();
        let mut rows = [3.0, -40.0, 5.0, 7.0];
        standardise.apply(&mut rows).unwrap();
        assert_eq!(rows, [3.0, -10.0, 5.0, 7.0]);
        standardise.set(&[4.0, 6.0], &[0.5, 2.0]).unwrap();
        let mut rows = [3.0, -40.0, 5.0, 7.0];
        standardise.apply(&mut rows).unwrap();
        assert_eq!(rows, [-0.5, -10.0, 0.5, 2.0]);
        let names: Vec<&str> = params.buffers().map(|(name, _)| name).collect();
        assert_eq!((params.len(), names), (0, vec!["features.mean", "features.scale"]));
    }
}
