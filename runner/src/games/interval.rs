//! Mean and interquartile mean (IQM) of the scores of several seeds or games, and intervals that say how far they may be
//! off. Source: Efron 1979, the percentile bootstrap; Agarwal et al. 2021 on its use for runs of reinforcement learning,
//! and on the IQM. Their strata are environments: of one environment, as here, there is one.

use std::fmt;

use rl_core::{Rng, Stream};
use serde::{Deserialize, Serialize};

use crate::console::number;

/// Bootstrap samples: enough for two digits of an interval.
const SAMPLES: usize = 10_000;

/// Draws of an interquartile mean's interval, of which many games would take more: their interval is so narrow that a
/// tenth of the samples tells its ends.
const DRAWS: usize = 100_000_000;

/// Fewest scores that quartiles are cut off from.
pub(crate) const QUARTILES: usize = 4;

/// Interquartile mean: that of the middle half of the scores, so that one lucky or unlucky run moves it little.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Iqm {
    pub(crate) mean: f64,
    /// Ends, `low` and `high`, of its 95 % bootstrap interval.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl fmt::Display for Iqm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, low, high } = self;
        let [mean, low, high] = number::interval([*mean, *low, *high]);
        write!(f, "interquartile mean {mean}, 95 % bootstrap interval {low} to {high}")
    }
}

/// Mean of `scores` and the ends of its 95 % bootstrap interval; deterministic. All three are the score if there is
/// only one; of two scores the ends are the scores themselves.
///
/// # Panics
/// If there are no scores.
pub(crate) fn mean(scores: &[f64]) -> [f64; 3] {
    assert!(!scores.is_empty(), "a mean of something");
    let mean = |sum: f64| sum / scores.len() as f64;
    let mut rng = Rng::new(0, Stream::Tool(0));
    let means = (0..SAMPLES)
        .map(|_| mean((0..scores.len()).map(|_| scores[rng.below(scores.len() as u32) as usize]).sum()))
        .collect();
    let [low, high] = ends(means);
    [mean(scores.iter().sum()), low, high]
}

/// Ends of the 95 % interval of what bootstrap samples came to.
fn ends(mut samples: Vec<f64>) -> [f64; 2] {
    samples.sort_by(f64::total_cmp);
    [0.025, 0.975].map(|share: f64| samples[(share * (samples.len() - 1) as f64).round() as usize])
}

/// Interquartile mean of `scores`, of which there are [`QUARTILES`] at least, else `None`; deterministic. A quarter of
/// them, rounded down, is left out at either end.
pub(crate) fn iqm(scores: &[f64]) -> Option<Iqm> {
    if scores.len() < QUARTILES {
        return None;
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut rng = Rng::new(0, Stream::Tool(0));
    let mut drawn = vec![0; scores.len()];
    let count = (DRAWS / scores.len()).clamp(SAMPLES / 10, SAMPLES);
    let samples = (0..count).map(|_| {
        drawn.fill(0);
        (0..scores.len()).for_each(|_| drawn[rng.below(scores.len() as u32) as usize] += 1);
        middle(&sorted, &drawn)
    });
    let [low, high] = ends(samples.collect());
    Some(Iqm { mean: middle(&sorted, &vec![1; scores.len()]), low, high })
}

/// Mean of the middle half of as many scores, each `times` there. Source: `trim_mean` of SciPy with 0.25, as in rliable.
fn middle(sorted: &[f64], times: &[usize]) -> f64 {
    let cut = sorted.len() / 4;
    let (mut below, kept) = (cut, sorted.len() - 2 * cut);
    let (mut left, mut sum) = (kept, 0.0);
    for (score, &times) in sorted.iter().zip(times) {
        let skipped = times.min(below);
        let taken = (times - skipped).min(left);
        (below, left) = (below - skipped, left - taken);
        sum += taken as f64 * score;
    }
    sum / kept as f64
}

/// What the ends that [`mean`] returns are called for this number of scores. Of three all draws are the lowest one time in
/// 27, more than 2.5 %: the ends are the lowest and the highest, as of two.
pub(crate) fn name(scores: usize) -> &'static str {
    if scores > 3 { "95 % bootstrap interval" } else { "lowest and highest" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_many_scores_is_that_of_a_normal_mean() {
        let mut rng = Rng::new(3, Stream::Tool(1));
        let scores: Vec<f64> = (0..400).map(|_| 50.0 + 10.0 * rng.normal()).collect();
        let [mean, low, high] = mean(&scores);
        // 1.96 deviations of the mean, which is 10 / √400, to either side.
        assert!((low - (mean - 0.98)).abs() < 0.1 && (high - (mean + 0.98)).abs() < 0.1, "{mean} {low} {high}");
    }

    /// What SciPy and rliable come to: `scipy.stats.trim_mean(scores, 0.25)`.
    #[test]
    fn an_interquartile_mean_leaves_out_a_quarter_at_either_end() {
        let of = |scores: &[f64]| iqm(scores).unwrap().mean;
        assert_eq!(of(&[900.0, 2.0, 1.0, 3.0]), 2.5);
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0, 900.0]), 3.0);
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, -900.0]), 3.5);
        assert_eq!(iqm(&[1.0, 2.0, 3.0]), None);
        assert_eq!(iqm(&[7.0; 4]), Some(Iqm { mean: 7.0, low: 7.0, high: 7.0 }));
        assert_eq!(middle(&[1.0, 2.0, 3.0, 4.0], &[0, 3, 0, 1]), 2.0, "2 2 2 4 without the first and the last");
    }

    #[test]
    fn the_interval_of_an_interquartile_mean_is_that_of_a_normal_one() {
        let mut rng = Rng::new(3, Stream::Tool(1));
        let scores: Vec<f64> = (0..400).map(|_| 50.0 + 10.0 * rng.normal()).collect();
        let Iqm { mean, low, high } = iqm(&scores).unwrap();
        // The deviation of the mean of the middle half of normal numbers is 1.093 times that of their mean.
        let half = 1.96 * 1.093 * 10.0 / 20.0;
        assert!((low - (mean - half)).abs() < 0.2 && (high - (mean + half)).abs() < 0.2, "{mean} {low} {high}");
    }

    #[test]
    fn scores_without_a_spread_have_an_interval_without_one() {
        assert_eq!(mean(&[500.0]), [500.0; 3]);
        assert_eq!(mean(&[2.0; 5]), [2.0; 3]);
        let [middle, low, high] = mean(&[0.0, 10.0]);
        assert_eq!([middle, low, high], [5.0, 0.0, 10.0], "a quarter of the samples is one seed twice");
    }
}
