//! What a lost life means to a learner; what is logged are returns of whole games either way.

use serde::{Deserialize, Serialize};

/// What a lost life means to the learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LifeLoss {
    /// Nothing: the value of what follows counts.
    Ignore,
    /// The end of the episode: nothing is bootstrapped across it.
    Terminal,
}
