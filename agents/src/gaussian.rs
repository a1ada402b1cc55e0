//! Diagonal Gaussian policy: one independent Gaussian per continuous action, with standard deviations that do not
//! depend on the observation.
//!
//! Actions are in units of the action's interval: 0 is its middle, ±1 are its ends, so that a standard deviation of 1
//! is half the interval, whatever units the environment uses. A drawn action may lie outside of the interval: it is
//! learned from as drawn, and clipped only for the environment.
//!
//! Computed on the host and in double precision, like categorical distributions. For z = (a - μ) / σ and the entropy H:
//! ∂ ln p(a) / ∂μ = z / σ, ∂ ln p(a) / ∂ ln σ = z² - 1, and ∂H / ∂ ln σ = 1.
//! Source: Williams 1992, section 6; Huang et al. 2022 for what is clipped where.

use std::f64::consts::{E, TAU};

use rl_core::{Bound, Rng, Spec};

/// Gaussian distributions of the continuous actions of one row; the buffers are reused from row to row.
#[derive(Clone, Debug)]
pub(crate) struct Gaussian {
    /// Middle and half the length of each action's interval, in the environment's units, `[C]`.
    intervals: Box<[(f32, f32)]>,
    bounds: Box<[Bound]>,
    /// Means, `[C]`.
    means: Vec<f64>,
    /// Log standard deviations, `[C]`.
    log_stds: Vec<f64>,
}

impl Gaussian {
    /// Creates distributions for the continuous actions of `spec`.
    pub(crate) fn new(spec: &Spec) -> Self {
        let count = spec.continuous.len();
        Self {
            intervals: spec.continuous.iter().map(interval).collect(),
            bounds: spec.continuous.clone(),
            means: vec![0.0; count],
            log_stds: vec![0.0; count],
        }
    }

    /// Network outputs per row, `2 C`: a mean and a log standard deviation for each action.
    pub(crate) fn width(&self) -> usize {
        2 * self.means.len()
    }

    /// Sets the distributions from the network outputs of a row, `[2 C]`: all means, then all log standard deviations.
    pub(crate) fn set(&mut self, outputs: &[f32]) {
        let (means, log_stds) = outputs.split_at(self.means.len());
        self.means.iter_mut().zip(means).for_each(|(own, &mean)| *own = f64::from(mean));
        self.log_stds.iter_mut().zip(log_stds).for_each(|(own, &log_std)| *own = f64::from(log_std));
    }

    /// Samples every action, `[C]`, in units of its interval and not clipped.
    pub(crate) fn sample(&self, rng: &mut Rng, out: &mut [f32]) {
        for ((out, mean), log_std) in out.iter_mut().zip(&self.means).zip(&self.log_stds) {
            *out = (mean + libm::exp(*log_std) * rng.normal()) as f32;
        }
    }

    /// Draws every action uniformly from its interval, `[C]`; from -1 to 1, in the environment's units, where it has no
    /// end.
    pub(crate) fn uniform(&self, rng: &mut Rng, out: &mut [f32]) {
        out.iter_mut().for_each(|out| *out = rng.uniform(-1.0, 1.0) as f32);
    }

    /// Writes the most probable actions, the means, `[C]`.
    pub(crate) fn mode(&self, out: &mut [f32]) {
        out.iter_mut().zip(&self.means).for_each(|(out, &mean)| *out = mean as f32);
    }

    /// Converts actions to the environment's units, clipped to its intervals, `[C]`.
    pub(crate) fn give(&self, actions: &[f32], out: &mut [f32]) {
        for (((out, action), (middle, half)), bound) in
            out.iter_mut().zip(actions).zip(&self.intervals).zip(&self.bounds)
        {
            *out = (middle + half * action).clamp(bound.low, bound.high);
        }
    }

    /// Converts actions `given` to the environment to units of their intervals, `[C]`: the inverse of
    /// [`give`](Self::give), clipping apart.
    pub(crate) fn undo(&self, given: &[f32], out: &mut [f32]) {
        for ((out, given), (middle, half)) in out.iter_mut().zip(given).zip(&self.intervals) {
            *out = if *half > 0.0 { (given - middle) / half } else { 0.0 };
        }
    }

    /// Log-density of `actions`, summed over all.
    pub(crate) fn log_prob(&self, actions: &[f32]) -> f64 {
        let each = self.standardised(actions).map(|(z, log_std)| -0.5 * z * z - log_std - 0.5 * libm::log(TAU));
        each.sum()
    }

    /// Sum of the entropies of all actions, in nats.
    pub(crate) fn entropy(&self) -> f64 {
        self.log_stds.iter().map(|log_std| log_std + 0.5 * libm::log(TAU * E)).sum()
    }

    /// Writes the gradient of `by · ln p(actions) + entropy_by · H` by the network outputs, `[2 C]`.
    pub(crate) fn slopes(&self, actions: &[f32], by: f64, entropy_by: f64, out: &mut [f32]) {
        let (by_means, by_log_stds) = out.split_at_mut(self.means.len());
        let outs = by_means.iter_mut().zip(by_log_stds);
        for ((by_mean, by_log_std), (z, log_std)) in outs.zip(self.standardised(actions)) {
            *by_mean = (by * z * libm::exp(-log_std)) as f32;
            *by_log_std = (by * (z * z - 1.0) + entropy_by) as f32;
        }
    }

    /// (a - μ) / σ and ln σ of every action.
    fn standardised(&self, actions: &[f32]) -> impl Iterator<Item = (f64, f64)> {
        let each = actions.iter().zip(&self.means).zip(&self.log_stds);
        each.map(|((&action, mean), &log_std)| ((f64::from(action) - mean) * libm::exp(-log_std), log_std))
    }
}

/// Middle and half the length of an interval; (0, 1) if a bound is infinite, so that the action keeps its own units.
fn interval(&Bound { low, high }: &Bound) -> (f32, f32) {
    let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
    if middle.is_finite() && half.is_finite() { (middle, half) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use rl_core::Stream;

    use super::*;

    fn of(bounds: &[(f32, f32)]) -> Gaussian {
        let bounds = bounds.iter().map(|&(low, high)| Bound { low, high });
        Gaussian::new(&Spec { vector: 1, continuous: bounds.collect(), ..Spec::none() })
    }

    const OUTPUTS: [f32; 4] = [0.3, -1.2, -0.5, 0.25];

    #[test]
    fn draws_have_their_mean_and_deviation_and_are_told_by_their_density() {
        let mut dist = of(&[(-1.0, 1.0), (-2.0, 2.0)]);
        dist.set(&OUTPUTS);
        let mut rng = Rng::new(1, Stream::Tool(0));
        let count = 40_000;
        let (mut sums, mut squares, mut log_probs) = ([0.0; 2], [0.0; 2], 0.0);
        for _ in 0..count {
            let mut actions = [0.0; 2];
            dist.sample(&mut rng, &mut actions);
            for (i, &action) in actions.iter().enumerate() {
                sums[i] += f64::from(action);
                squares[i] += f64::from(action).powi(2);
            }
            log_probs += dist.log_prob(&actions);
        }
        for i in 0..2 {
            let mean = sums[i] / f64::from(count);
            let std = (squares[i] / f64::from(count) - mean * mean).sqrt();
            let expected = f64::from(OUTPUTS[2 + i]).exp();
            assert!((mean - f64::from(OUTPUTS[i])).abs() < 0.03 && (std / expected - 1.0).abs() < 0.02, "{mean} {std}");
        }
        // The entropy is the mean of -ln p.
        assert!((dist.entropy() + log_probs / f64::from(count)).abs() < 0.02);
    }

    #[test]
    fn slopes_are_differences() {
        let mut dist = of(&[(-1.0, 1.0), (-2.0, 2.0)]);
        let (by, entropy_by, actions) = (1.7, -0.4, [0.9, -2.5]);
        let mut slopes = [0.0; 4];
        dist.set(&OUTPUTS);
        dist.slopes(&actions, by, entropy_by, &mut slopes);
        let mut at = |i: usize, step: f32| {
            let mut outputs = OUTPUTS;
            outputs[i] += step;
            dist.set(&outputs);
            by * dist.log_prob(&actions) + entropy_by * dist.entropy()
        };
        for (i, &slope) in slopes.iter().enumerate() {
            let difference = (at(i, 0.005) - at(i, -0.005)) / 0.01;
            assert!((f64::from(slope) - difference).abs() < 1e-3, "output {i}: {slope} {difference}");
        }
    }

    #[test]
    fn the_environment_gets_its_own_units_clipped_and_the_middle_is_zero() {
        let dist = of(&[(-2.0, 2.0), (10.0, 30.0), (0.0, f32::INFINITY)]);
        let given = |actions: [f32; 3]| {
            let mut out = [f32::NAN; 3];
            dist.give(&actions, &mut out);
            out
        };
        assert_eq!(given([0.0, 0.0, 0.0]), [0.0, 20.0, 0.0]);
        assert_eq!(given([0.5, -0.5, 7.0]), [1.0, 15.0, 7.0]);
        assert_eq!(given([-1.5, 2.0, -1.0]), [-2.0, 30.0, 0.0]);
        let mut undone = [f32::NAN; 3];
        dist.undo(&given([0.5, -0.5, 7.0]), &mut undone);
        assert_eq!(undone, [0.5, -0.5, 7.0]);
        let mut rng = Rng::new(1, Stream::Tool(0));
        let mut actions = [0.0; 3];
        for _ in 0..100 {
            dist.uniform(&mut rng, &mut actions);
            assert!(actions.iter().all(|action| action.abs() <= 1.0));
        }
        dist.mode(&mut actions);
        assert_eq!(actions, [0.0; 3]);
    }
}
