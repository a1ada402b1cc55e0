//! Standardisation of features to mean 0 and deviation 1, by statistics that the caller estimates.
//!
//! The statistics are buffers of the network: they are saved, hashed and copied with its weights, so that a loaded
//! network gets its inputs on the scale that it was trained with, and nothing but the caller's
//! [`set`](Standardise::set) changes them.

use candle_core::{Result, Var};

use crate::Scope;
use crate::params::{set, with_values};

/// Bound on the magnitude of a standardised feature. Source: Baselines' `VecNormalize`, and everyone since.
const LIMIT: f32 = 10.0;

/// Standardises every feature: `clip((x - mean) * scale, -10, 10)`.
#[derive(Clone, Debug)]
pub struct Standardise {
    mean: Var,
    scale: Var,
}

impl Standardise {
    /// Standardisation of rows of `width` features, with mean 0 and scale 1, so that at first it only clips.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &mut Scope<'_>, width: usize) -> Result<Self> {
        Ok(Self { mean: scope.buffer("mean", &[width], 0.0)?, scale: scope.buffer("scale", &[width], 1.0)? })
    }

    /// Replaces the statistics of every feature, `[width]` each: its mean, and its scale, the reciprocal of a standard
    /// deviation.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If `mean` or `scale` has not one value per feature.
    pub fn set(&self, mean: &[f32], scale: &[f32]) -> Result<()> {
        set(&self.mean, mean)?;
        set(&self.scale, scale)
    }

    /// Standardises `rows`, `[B, width]`, in place and without a graph: infinities become NaN. On the CPU nothing is
    /// allocated.
    ///
    /// # Errors
    /// If the device fails.
    pub fn apply(&self, rows: &mut [f32]) -> Result<()> {
        with_values(&self.mean, |mean| {
            with_values(&self.scale, |scale| {
                for row in rows.chunks_exact_mut(mean.len()) {
                    for ((x, mean), scale) in row.iter_mut().zip(mean).zip(scale) {
                        let near = ((*x - mean) * scale).clamp(-LIMIT, LIMIT);
                        *x = if x.is_finite() { near } else { f32::NAN }; // which is found, as ±10 would not be
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
        let mut rows = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX];
        standardise.apply(&mut rows).unwrap();
        assert!(rows[..3].iter().all(|x| x.is_nan()) && rows[3] == 10.0, "{rows:?}");
        standardise.set(&[4.0, 6.0], &[0.5, 2.0]).unwrap();
        let mut rows = [3.0, -40.0, 5.0, 7.0];
        standardise.apply(&mut rows).unwrap();
        assert_eq!(rows, [-0.5, -10.0, 0.5, 2.0]);
        let names: Vec<&str> = params.buffers().map(|(name, _)| name).collect();
        assert_eq!((params.len(), names), (0, vec!["features.mean", "features.scale"]));
    }
}
