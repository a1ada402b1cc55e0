//! Whether a learner treats a lost life as the end of an episode; logged returns are of whole games either way.

use serde::{Deserialize, Serialize};

/// How the learner treats a lost life (episodic life).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LifeLoss {
    /// Ignores lost lives: returns bootstrap across them.
    Ignore,
    /// Treats a lost life as a terminal step: no return reaches or bootstraps across it.
    Terminal,
}
