//! Interpretation of a network's outputs `[B, W, A]`: expected returns, logits of atoms, or quantiles.
//!
//! Computed on the host and in double precision, so that the bits depend neither on the system nor on the batch around
//! a row.

use std::ops::Range;

/// Meaning of the W outputs of an action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ReturnDistribution {
    /// The expected return; W is 1.
    Expected,
    /// Logits of the atoms of a support; W is their number.
    Categorical(Support),
    /// Quantiles of the return, all equally probable.
    Quantiles,
}

/// Support of a categorical distribution: equally spaced returns. Source: Bellemare et al. 2017.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Support {
    /// Number of atoms, at least 2.
    pub(crate) atoms: usize,
    /// Return of the first atom, V_min.
    pub(crate) low: f64,
    /// Return of the last atom, V_max.
    pub(crate) high: f64,
}

impl ReturnDistribution {
    /// Expected returns `[B, A]` of `outputs [B, W, A]`, computed from the outputs in `range` of the W.
    pub(crate) fn means<'a>(
        &self,
        outputs: &'a [f32],
        [width, actions]: [usize; 2],
        range: Range<usize>,
        out: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        if *self == Self::Expected {
            return outputs;
        }
        out.clear();
        for row in outputs.chunks_exact(width * actions) {
            out.extend((0..actions).map(|action| self.mean(range.clone().map(|w| row[w * actions + action])) as f32));
        }
        out
    }

    /// Expected return of one action from its outputs, `[W]`.
    pub(crate) fn mean(&self, numbers: impl ExactSizeIterator<Item = f32> + Clone) -> f64 {
        let count = numbers.len();
        let Self::Categorical(support) = self else { return numbers.map(f64::from).sum::<f64>() / count as f64 };
        // Not `softmax`, which needs room for the probabilities: here their sum alone divides.
        let logits = numbers.map(f64::from);
        let most = logits.clone().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut moment) = (0.0, 0.0);
        for (atom, logit) in logits.enumerate() {
            let p = libm::exp(logit - most);
            sum += p;
            moment += p * support.at(atom);
        }
        moment / sum
    }
}

impl Support {
    /// Return of atom `atom`, counted from 0.
    pub(crate) fn at(&self, atom: usize) -> f64 {
        self.low + self.step() * atom as f64
    }

    fn step(&self) -> f64 {
        (self.high - self.low) / (self.atoms - 1) as f64
    }

    /// Projects probability `mass` at the return `at` onto the support, and adds it to `into`, `[atoms]`.
    ///
    /// The two neighbouring atoms share it by distance; a return outside of the support goes to the outermost atom. A
    /// NaN return makes all of `into` NaN.
    pub(crate) fn project(&self, at: f64, mass: f64, into: &mut [f64]) {
        let place = (at.clamp(self.low, self.high) - self.low) / self.step();
        // A return that is no number is no atom's: it makes all of them none, which the loss refuses.
        if place.is_nan() {
            return into.fill(f64::NAN);
        }
        let below = (place as usize).min(self.atoms - 1);
        let over = place - below as f64;
        into[below] += mass * (1.0 - over);
        if over > 0.0 && below + 1 < self.atoms {
            into[below + 1] += mass * over;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUPPORT: Support = Support { atoms: 5, low: -2.0, high: 2.0 };

    fn projected(at: f64) -> [f64; 5] {
        let mut out = [0.0; 5];
        SUPPORT.project(at, 1.0, &mut out);
        out
    }

    #[test]
    fn a_return_that_is_an_atom_gives_all_its_mass_to_it() {
        for (atom, at) in [-2.0, -1.0, 0.0, 1.0, 2.0].into_iter().enumerate() {
            assert!(projected(at).iter().enumerate().all(|(i, &mass)| mass == if i == atom { 1.0 } else { 0.0 }));
        }
        assert_eq!(projected(0.25), [0.0, 0.0, 0.75, 0.25, 0.0]);
        assert_eq!((projected(-9.0)[0], projected(f64::INFINITY)[4]), (1.0, 1.0));
    }

    proptest! {
        #[test]
        fn projection_keeps_mass_and_mean(at in -3.0f64..3.0, atoms in 2usize..60, low in -20.0f64..0.0, span in 0.1f64..40.0) {
            let support = Support { atoms, low, high: low + span };
            let mut out = vec![0.0; atoms];
            support.project(at, 0.5, &mut out);
            prop_assert!((out.iter().sum::<f64>() - 0.5).abs() < 1e-12);
            let mean: f64 = out.iter().enumerate().map(|(atom, mass)| mass * support.at(atom)).sum();
            prop_assert!((mean - 0.5 * at.clamp(support.low, support.high)).abs() < 1e-10, "{} {}", mean, at);
        }
    }

    #[test]
    fn means_are_those_of_each_kind_over_the_range_that_is_asked_for() {
        let outputs = [1.0f32, 5.0, 2.0, 7.0, 6.0, 0.0]; // [1, 3, 2]
        let mut room = Vec::new();
        assert_eq!(ReturnDistribution::Quantiles.means(&outputs, [3, 2], 0..3, &mut room), [3.0, 4.0]);
        assert_eq!(ReturnDistribution::Quantiles.means(&outputs, [3, 2], 1..3, &mut room), [4.0, 3.5]);
        assert_eq!(ReturnDistribution::Expected.means(&outputs, [1, 2], 0..1, &mut room), outputs);
        let support = Support { atoms: 3, low: -1.0, high: 1.0 };
        let outputs = [0.0, 9.0, 0.0, 0.0, 3f32.ln(), -1e30]; // probabilities .2 .2 .6, and 1 of the lowest
        let means = ReturnDistribution::Categorical(support).means(&outputs, [3, 2], 0..3, &mut room);
        assert!((means[0] - 0.4).abs() < 1e-6 && (means[1] + 0.999_877).abs() < 1e-5, "{means:?}");
    }
}
