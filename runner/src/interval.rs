//! Mean of the scores of several seeds, and an interval that says how far it may be off. Source: Efron 1979, the
//! percentile bootstrap; Agarwal et al. 2021 on its use for runs of reinforcement learning.

use rl_core::{Rng, Stream};

/// Bootstrap samples: enough for two digits of an interval.
const SAMPLES: usize = 10_000;

/// Mean of `scores` and the ends of its 95 % bootstrap interval; deterministic. All three are the score if there is
/// only one; of two scores the ends are the scores themselves.
///
/// # Panics
/// If there are no scores.
pub(crate) fn mean(scores: &[f64]) -> [f64; 3] {
    assert!(!scores.is_empty(), "a mean of something");
    let mean = |sum: f64| sum / scores.len() as f64;
    let mut rng = Rng::new(0, Stream::Tool(0));
    let mut means: Vec<f64> = (0..SAMPLES)
        .map(|_| mean((0..scores.len()).map(|_| scores[rng.below(scores.len() as u32) as usize]).sum()))
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (SAMPLES - 1) as f64).round() as usize];
    [mean(scores.iter().sum()), at(0.025), at(0.975)]
}

/// What the ends that [`mean`] returns are called for this number of scores.
pub(crate) fn name(scores: usize) -> &'static str {
    if scores > 2 { "95 % bootstrap interval" } else { "lowest and highest" }
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

    #[test]
    fn scores_without_a_spread_have_an_interval_without_one() {
        assert_eq!(mean(&[500.0]), [500.0; 3]);
        assert_eq!(mean(&[2.0; 5]), [2.0; 3]);
        let [middle, low, high] = mean(&[0.0, 10.0]);
        assert_eq!([middle, low, high], [5.0, 0.0, 10.0], "a quarter of the samples is one seed twice");
    }
}
