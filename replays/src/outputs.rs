//! What a policy says of its choices beside the actions: numbers for people to look at, from which nothing is learned.

use rl_core::Spec;
use serde::{Deserialize, Serialize};

/// What a policy's numbers of actions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outputs {
    /// Their probabilities.
    Probabilities,
    /// What they are worth, Q, as the learner counts rewards: clipped, scaled or discounted like its targets.
    Q,
}

impl Outputs {
    /// Numbers per step, `1 + A`: the value of what is seen, then one of each value of each discrete action, all actions one
    /// after the other. One that the policy did not make, or of what is illegal, is not a number.
    pub fn width(spec: &Spec) -> usize {
        1 + spec.discrete.iter().map(|&count| count as usize).sum::<usize>()
    }
}
