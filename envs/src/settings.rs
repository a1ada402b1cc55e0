//! What the settings of several environments are held to.

use rl_core::{Error, Result};
use serde::Deserialize;

/// What a world of physics shows of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observe {
    /// Positions and velocities.
    All,
    /// Positions alone: where things go is told by what was seen before.
    Positions,
}

/// The error of a key of `[env]`.
pub(crate) fn bad(key: &str, message: String) -> Error {
    Error::Config { key: format!("env.{key}"), message }
}

/// Refuses episodes without a step.
pub(crate) fn check_limit(max_steps: u32) -> Result<()> {
    if max_steps > 0 { Ok(()) } else { Err(bad("max_steps", "must be at least 1".to_owned())) }
}

/// Observations that a policy sees at most: far more than any is shown, and few enough that there is room for them.
#[cfg(any(feature = "atari", feature = "doom"))]
const MOST_STACK: usize = 256;

/// Refuses stacks that there is no room for.
#[cfg(any(feature = "atari", feature = "doom"))]
pub(crate) fn check_stack(stack: usize) -> Result<()> {
    if stack <= MOST_STACK { Ok(()) } else { Err(bad("stack", format!("{stack} is more than {MOST_STACK}"))) }
}

/// Refuses what is no probability.
pub(crate) fn check_probability(key: &str, value: f64) -> Result<()> {
    let message = || format!("{value} is not a probability from 0 to 1");
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(bad(key, message())) }
}

/// Refuses what is no number, and what a learner's single precision holds for infinity.
pub(crate) fn check_finite(key: &str, value: f64) -> Result<()> {
    if (value as f32).is_finite() {
        Ok(())
    } else {
        Err(bad(key, format!("{value} is not finite, or too large for single precision")))
    }
}
