//! Metrics of a learner: named scalars, averaged until they are read, and the time spent on each part of the work.

use crate::{Clock, Part};

/// Collects named scalars, whose means [`drain`](Log::drain) returns, and accounts time.
#[derive(Clone, Debug, Default)]
pub struct Log {
    sums: Vec<(&'static str, f64, u64)>,
    /// Time spent on each part of the work.
    pub clock: Clock,
}

impl Log {
    /// Adds a value to the mean of the scalar `name`. Some names are the runner's, and end the run in an error, or are
    /// taken for what it means by them: `frames`, `agent_steps`, `updates`, `seconds`, `episodes`, `frames_per_s`,
    /// `return_100`, `length_100`, `eval_return`, `eval_stderr`, `restarts`, and `seconds_` with a part of the work.
    pub fn add(&mut self, name: &'static str, value: f64) {
        match self.sums.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + value, *count + 1),
            None => self.sums.push((name, value, 1)),
        }
    }

    /// Accounts the time since the last call of `lap` to `part`.
    pub fn lap(&mut self, part: Part) {
        self.clock.lap(part);
    }

    /// Returns the mean of every scalar, in the order in which the names were first added, and clears all scalars.
    pub fn drain(&mut self) -> Vec<(&'static str, f64)> {
        self.sums.drain(..).map(|(name, sum, count)| (name, sum / count as f64)).collect()
    }
}
