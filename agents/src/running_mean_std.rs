//! Running mean and variance, updated batch by batch.
//!
//! Sums are in double precision, in the order of the rows, of differences from a mean that is known before: bits depend
//! on the rows alone, and a large mean costs no digit of a small variance.
//! Source: Chan, Golub and LeVeque 1983, eq. 1.5.

use rl_core::{Reduce, Result};
use serde::{Deserialize, Serialize};

/// Running mean and variance of each number of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunningMeanStd {
    /// Rows so far, the mean over all members of the run.
    count: f64,
    /// Means, `[width]`.
    mean: Vec<f64>,
    /// Sums of squared differences from the means, `[width]`.
    squares: Vec<f64>,
}

impl RunningMeanStd {
    /// Empty statistics of rows of `width` numbers.
    pub(crate) fn new(width: usize) -> Self {
        Self { count: 0.0, mean: vec![0.0; width], squares: vec![0.0; width] }
    }

    /// Whether statistics that were read from a file are consistent and of rows of `width` numbers.
    pub(crate) fn fits(&self, width: usize) -> bool {
        self.mean.len() == width && self.squares.len() == width && self.count >= 0.0 && self.count.is_finite()
    }

    /// Numbers per row.
    pub(crate) fn width(&self) -> usize {
        self.mean.len()
    }

    /// Adds rows `[width]` of all members of the run; `rows` is called several times and must yield the same rows.
    ///
    /// # Errors
    /// If a member of the run is lost.
    pub(crate) fn add<'a, I>(&mut self, rows: impl Fn() -> I, reduce: &mut dyn Reduce) -> Result<()>
    where
        I: Iterator<Item = &'a [f32]>,
    {
        let width = self.width();
        let mut seen = vec![0.0; width + 1];
        seen[width] = rows().count() as f64;
        seen[..width].copy_from_slice(&sums(rows(), &self.mean, |difference| difference));
        all_reduce(&mut seen, reduce)?;
        let count = seen[width];
        if count == 0.0 {
            return Ok(());
        }
        let moved: Vec<f64> = seen[..width].iter().map(|sum| sum / count).collect();
        let mean: Vec<f64> = self.mean.iter().zip(&moved).map(|(mean, moved)| mean + moved).collect();
        let mut squares = sums(rows(), &mean, |difference| difference * difference);
        all_reduce(&mut squares, reduce)?;
        let all = self.count + count;
        for i in 0..width {
            self.squares[i] += squares[i] + moved[i] * moved[i] * (self.count * count / all);
            self.mean[i] += moved[i] * (count / all);
        }
        self.count = all;
        Ok(())
    }

    /// Mean of each number, `[width]`; 0 before the first row.
    pub(crate) fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Inverse standard deviation of each number, `[width]`; 1 before the first row.
    ///
    /// Source: Gymnasium, Baselines and Stable-Baselines3, for the 1e-8 that is added to the variance.
    pub(crate) fn scale(&self) -> impl Iterator<Item = f64> {
        self.squares.iter().map(|squares| match self.count {
            0.0 => 1.0,
            count => 1.0 / (squares / count + 1e-8).sqrt(),
        })
    }
}

/// Sums `of` applied to the differences from `mean` over all rows, `[width]`.
fn sums<'a>(rows: impl Iterator<Item = &'a [f32]>, mean: &[f64], of: fn(f64) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; mean.len()];
    for row in rows {
        for ((sum, &x), mean) in sums.iter_mut().zip(row).zip(mean) {
            *sum += of(f64::from(x) - mean);
        }
    }
    sums
}

/// Replaces `values` by their means over all members of the run.
///
/// Each value is sent as two `f32` that sum up to it except for some 4 of its 53 bits, in a run of one member too; the
/// rounding is far below the deviation, as sums are of differences from a mean. Numbers outside of the range of `f32`
/// are clamped; what is not finite becomes NaN, which whoever uses the statistics finds.
fn all_reduce(values: &mut [f64], reduce: &mut dyn Reduce) -> Result<()> {
    let most = f64::from(f32::MAX);
    let split = |value: &f64| {
        let value = if value.is_finite() { value.clamp(-most, most) } else { f64::NAN };
        [value as f32, (value - f64::from(value as f32)) as f32]
    };
    let mut singles: Vec<f32> = values.iter().flat_map(split).collect();
    reduce.mean(&mut singles)?;
    for (value, pair) in values.iter_mut().zip(singles.chunks_exact(2)) {
        *value = f64::from(pair[0]) + f64::from(pair[1]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rl_core::Solo;

    use super::*;
    use crate::testing::Pair;

    fn of(batches: &[Vec<[f32; 2]>]) -> RunningMeanStd {
        let mut running = RunningMeanStd::new(2);
        for batch in batches {
            running.add(|| batch.iter().map(<[f32; 2]>::as_slice), &mut Solo).unwrap();
        }
        running
    }

    /// Mean and variance by their definition.
    fn naive(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64)
    }

    #[test]
    fn what_is_not_finite_is_not_taken_for_a_large_number() {
        for odd in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let running = of(&[vec![[0.5, 1.0], [1.5, odd]]]);
            let scales: Vec<f64> = running.scale().collect();
            assert!(running.mean()[0] == 1.0 && running.mean()[1].is_nan() && scales[1].is_nan(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn batches_in_any_division_are_the_whole(
            values in prop::collection::vec((-3.0f32..3.0, 1e4f32..1.001e4), 1..60), cuts in prop::collection::vec(1usize..9, 1..9),
        ) {
            let rows: Vec<[f32; 2]> = values.iter().map(|&(a, b)| [a, b]).collect();
            let mut batches = vec![vec![]]; // a batch of nothing changes nothing
            let (mut rest, mut cuts) = (&rows[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (batch, more) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                batches.push(batch.to_vec());
                rest = more;
            }
            let running = of(&batches);
            let scales: Vec<f64> = running.scale().collect();
            for i in 0..2 {
                let (mean, variance) = naive(&rows.iter().map(|row| f64::from(row[i])).collect::<Vec<_>>());
                prop_assert!((running.mean()[i] - mean).abs() <= 1e-9 * mean.abs().max(1.0), "{} {}", running.mean()[i], mean);
                let got = 1.0 / scales[i].powi(2) - 1e-8;
                prop_assert!((got - variance).abs() <= 1e-6 * variance + 1e-9, "variance {} of {}", got, variance);
            }
        }
    }

    #[test]
    fn before_the_first_row_nothing_is_changed_and_a_constant_has_no_deviation() {
        let running = of(&[]);
        assert_eq!((running.mean(), running.scale().collect::<Vec<_>>()), (&[0.0; 2][..], vec![1.0; 2]));
        let running = of(&[vec![[7.0, -1.0]; 5], vec![[7.0, -1.0]; 3]]);
        assert_eq!(running.mean(), [7.0, -1.0]);
        assert!(running.scale().all(|scale| (scale - 1e4).abs() < 1e-6));
    }

    #[test]
    fn a_number_whose_square_is_beyond_singles_leaves_numbers() {
        let running = of(&[vec![[0.0, 1e30], [0.0, -1e30]], vec![[0.0, 2e19]]]);
        assert!(running.mean().iter().all(|mean| mean.is_finite()), "{running:?}");
        assert!(running.scale().all(|scale| scale.is_finite() && scale > 0.0), "{running:?}");
    }

    #[test]
    fn members_have_equal_bits_and_the_statistics_of_all() {
        let member = |rows: Vec<[f32; 2]>, mut pair: Pair| {
            let mut running = RunningMeanStd::new(2);
            for _ in 0..2 {
                running.add(|| rows.iter().map(<[f32; 2]>::as_slice), &mut pair).unwrap();
            }
            running
        };
        let (left, right) = (vec![[1.0, 2.0], [3.0, 6.0], [8.0, 1.0]], vec![[4.0, 7.0]]);
        let (a, b) = Pair::run(|pair| member(left.clone(), pair), |pair| member(right.clone(), pair));
        assert_eq!(a, b);
        let whole = of(&[[left, right].concat()]);
        assert!(a.mean().iter().zip(whole.mean()).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!(a.scale().zip(whole.scale()).all(|(a, b)| (a / b - 1.0).abs() < 1e-6));
    }
}
