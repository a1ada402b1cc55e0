//! What estimates of a return count beyond a step, by how the step ended and by what a lost life means to the learner.
//!
//! The one place that decides it: advantages, V-trace, n-step returns and the scale of rewards all ask here.
//! Source: Pardo et al. 2018, "Time Limits in Reinforcement Learning" (truncation bootstraps); Mnih et al. 2015 (lives).

use serde::{Deserialize, Serialize};

use crate::End;

/// How the learner treats a lost life (episodic life); logged returns are of whole games either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LifeLoss {
    /// Ignores lost lives: returns bootstrap across them.
    Ignore,
    /// Treats a lost life as a terminal step: no return reaches or bootstraps across it.
    Terminal,
}

/// What an estimate of a return counts beyond a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Future {
    /// The rewards and values of later steps: the return goes on.
    Continues,
    /// The value of the observation that the step led to, and nothing later.
    Bootstraps,
    /// Nothing: the value there is 0.
    Zero,
}

impl LifeLoss {
    /// Returns what counts beyond a step that ended as `end`.
    ///
    /// ```
    /// use rl_core::{End, Future, LifeLoss};
    ///
    /// assert_eq!(LifeLoss::Ignore.future(End::Truncated), Future::Bootstraps);
    /// assert_eq!(LifeLoss::Terminal.future(End::LifeLost), Future::Zero);
    /// ```
    pub fn future(self, end: End) -> Future {
        match (end, self) {
            (End::No, _) | (End::LifeLost, LifeLoss::Ignore) => Future::Continues,
            (End::Truncated, _) => Future::Bootstraps,
            (End::Terminated, _) | (End::LifeLost, LifeLoss::Terminal) => Future::Zero,
        }
    }
}
