//! Accounting of the time of a run: every moment belongs to exactly one part, so that the parts add up to the whole.
//!
//! One reading of the clock closes a part and opens the next. On a GPU, whose work is queued, time counts where the host
//! waits for it.

use std::time::{Duration, Instant};

/// Parts of the work of a run, to which its time is accounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Stepping environments.
    Step,
    /// Choosing actions (inference).
    Infer,
    /// Appending to the replay, and gathering minibatches.
    Sample,
    /// Computing values, targets and losses (forward passes).
    Forward,
    /// Computing gradients (backward passes).
    Backward,
    /// Changing parameters (optimiser steps).
    Optimiser,
    /// Averaging over the processes of a distributed run (all-reduce).
    Reduce,
    /// Copying the state for checkpoints, and waiting for a disk that is too slow.
    Save,
    /// Everything else: evaluations, logs, bookkeeping.
    Other,
}

impl Part {
    /// All parts, in the order of a step.
    pub const ALL: [Part; 9] = [
        Part::Step,
        Part::Infer,
        Part::Sample,
        Part::Forward,
        Part::Backward,
        Part::Optimiser,
        Part::Reduce,
        Part::Save,
        Part::Other,
    ];

    /// Name of the part in tables and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Part::Step => "step",
            Part::Infer => "infer",
            Part::Sample => "sample",
            Part::Forward => "forward",
            Part::Backward => "backward",
            Part::Optimiser => "optimiser",
            Part::Reduce => "reduce",
            Part::Save => "save",
            Part::Other => "other",
        }
    }
}

/// Time by part, indexed by `Part as usize`.
pub type Spent = [Duration; Part::ALL.len()];

/// Stopwatch that accounts wall-clock time to parts.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Instant,
    spent: Spent,
}

impl Default for Clock {
    fn default() -> Self {
        Self { last: Instant::now(), spent: Spent::default() }
    }
}

impl Clock {
    /// Accounts the time since the last call of `lap` to `part`.
    pub fn lap(&mut self, part: Part) {
        let now = Instant::now();
        self.spent[part as usize] += now - self.last;
        self.last = now;
    }

    /// Returns the time accounted to each part since the last call of `take`, and sets all to 0.
    pub fn take(&mut self) -> Spent {
        std::mem::take(&mut self.spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole_and_stand_at_their_place() {
        assert!(Part::ALL.iter().enumerate().all(|(at, &part)| part as usize == at));
        let mut clock = Clock::default();
        let begin = clock.last;
        for part in [Part::Infer, Part::Step, Part::Infer, Part::Other] {
            std::thread::sleep(Duration::from_millis(1));
            clock.lap(part);
        }
        let (end, spent) = (clock.last, clock.take());
        assert_eq!(spent.iter().sum::<Duration>(), end - begin);
        let named: Vec<&str> =
            Part::ALL.iter().filter(|&&part| !spent[part as usize].is_zero()).map(|part| part.name()).collect();
        assert_eq!(named, ["step", "infer", "other"]);
        assert_eq!(clock.take(), Spent::default());
    }
}
