//! Values and action probabilities of a policy, recorded for display only: nothing is learned from them.

use rl_core::Spec;
use serde::{Deserialize, Serialize};

/// Kind of the numbers that a policy outputs per action, beside a state value, for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outputs {
    /// Probabilities of the actions.
    Probabilities,
    /// Action values Q, in the units of the learner's targets: of clipped or scaled rewards, discounted.
    Q,
}

impl Outputs {
    /// Numbers per step, `1 + A`: the state value, then a number per value of each discrete action, one after another.
    ///
    /// A number that the policy did not compute is NaN. Illegal actions have probability 0, or a Q of NaN.
    pub fn width(spec: &Spec) -> usize {
        1 + spec.discrete.iter().map(|&count| count as usize).sum::<usize>()
    }
}
