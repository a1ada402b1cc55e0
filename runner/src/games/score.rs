//! Scores of games, their mean, median and standard error; and the files of a published model that hold one.

/// Name of the file of a published model's score, the report of `rl-run eval --json`: what has it is a model.
pub(crate) const FILE: &str = "score.json";
/// Name of the recording of the games that a model's score is of.
pub(crate) const GAMES: &str = "games.rec";

/// Returns of finished games.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Score {
    /// Raw returns, seat by seat.
    pub(crate) returns: Vec<f64>,
    /// Emulator frames of the games in `returns`.
    pub(crate) frames: u64,
    /// Messages of games that were lost with their engines, and are not in `returns`.
    pub(crate) crashes: Vec<String>,
}

impl Score {
    /// Mean return.
    pub(crate) fn mean(&self) -> f64 {
        self.returns.iter().sum::<f64>() / self.returns.len() as f64
    }

    /// Median return.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.returns.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { 0.5 * (sorted[middle - 1] + sorted[middle]) }
    }

    /// Standard error of the mean; `None` for a single game.
    pub(crate) fn stderr(&self) -> Option<f64> {
        let (n, mean) = (self.returns.len() as f64, self.mean());
        let squares: f64 = self.returns.iter().map(|r| (r - mean) * (r - mean)).sum();
        (n > 1.0).then(|| (squares / (n - 1.0) / n).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_median_and_error_of_four_games() {
        let score = Score { returns: vec![4.0, 1.0, 3.0, 2.0], frames: 0, ..Score::default() };
        assert_eq!((score.mean(), score.median()), (2.5, 2.5));
        assert!((score.stderr().unwrap() - (5.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(Score { returns: vec![7.0], frames: 0, ..Score::default() }.stderr(), None);
    }
}
