//! A value that changes linearly over agent steps, then stays.

use rl_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Linear schedule from `start` to `end` over `steps` agent steps, constant at `end` afterwards, and at `start` for
/// `delay` agent steps before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Value at step 0.
    pub start: f64,
    /// Value from step `delay + steps` on.
    pub end: f64,
    /// Agent steps of all seats from `start` to `end`; 0 where the two are equal.
    pub steps: u64,
    /// Agent steps of all seats at `start` before the value changes; 0 where a table lacks it.
    #[serde(default)]
    pub delay: u64,
}

impl Schedule {
    /// Schedule from `start` to `end` over `steps` agent steps; constant at `start` if `steps` is 0 (`lr_steps = 0`).
    pub(crate) fn annealed(start: f64, end: f64, steps: u64) -> Self {
        Self { start, end: if steps == 0 { start } else { end }, steps, delay: 0 }
    }

    /// Value of the schedule after `step` agent steps.
    pub fn at(&self, step: u64) -> f64 {
        let step = step.saturating_sub(self.delay);
        if step >= self.steps {
            return self.end;
        }
        self.start + (self.end - self.start) * (step as f64 / self.steps as f64)
    }

    /// Checks the schedule of the setting `key`.
    ///
    /// # Errors
    /// If `start` or `end` is not within `low` to `high`, or they differ and `steps` is 0.
    pub(crate) fn check(&self, key: &str, low: f64, high: f64) -> Result<()> {
        for (name, value) in [("start", self.start), ("end", self.end)] {
            if !(low..=high).contains(&value) {
                let message = format!("{value} is not between {low} and {high}");
                return Err(Error::Config { key: format!("{key}.{name}"), message });
            }
        }
        if self.steps == 0 && self.start != self.end {
            let Self { start, end, .. } = self;
            let message = format!(
                "0 steps leave no time from {start} to {end}: give the agent steps that it takes, or one value for both"
            );
            return Err(Error::Config { key: format!("{key}.steps"), message });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_linearly_and_stays() {
        let epsilon = Schedule { start: 1.0, end: 0.1, steps: 1000, delay: 0 };
        assert_eq!([0, 500, 1000, 5000].map(|s| epsilon.at(s)), [1.0, 0.55, 0.1, 0.1]);
        assert_eq!(Schedule { steps: 0, ..epsilon }.at(0), 0.1);
        let late = Schedule { delay: 300, ..epsilon };
        assert_eq!([0, 300, 800, 1300, u64::MAX].map(|s| late.at(s)), [1.0, 1.0, 0.55, 0.1, 0.1]);
        assert_eq!(Schedule::annealed(1.0, 0.1, 0).at(7), 1.0);
        assert_eq!(Schedule::annealed(1.0, 0.1, 1000), epsilon);
        let checked = |schedule: Schedule| schedule.check("agent.epsilon", 0.0, 1.0).map_err(|error| error.to_string());
        assert_eq!(checked(Schedule { start: 0.1, steps: 0, ..epsilon }), Ok(()));
        let refused = checked(Schedule { steps: 0, ..epsilon }).unwrap_err();
        assert!(refused.contains("agent.epsilon.steps: 0 steps leave no time from 1 to 0.1"), "{refused}");
    }
}
