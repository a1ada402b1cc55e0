//! Settings that several environments share, and checks of their values.

use rl_core::{Error, Result};
use serde::Deserialize;

/// Which part of the physical state is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observe {
    /// Positions and velocities: the environment is fully observed.
    All,
    /// Positions alone: the environment is partially observed, and velocities follow from earlier observations.
    Positions,
}

/// Makes the configuration error of the key `env.<key>`.
pub(crate) fn bad(key: &str, message: String) -> Error {
    Error::Config { key: format!("env.{key}"), message }
}

/// Refuses a step limit of 0.
pub(crate) fn check_limit(max_steps: u32) -> Result<()> {
    if max_steps > 0 { Ok(()) } else { Err(bad("max_steps", "must be at least 1".to_owned())) }
}

/// Largest frame stack: far more than any agent uses, and small enough to fit into memory.
#[cfg(any(feature = "atari", feature = "doom"))]
const MOST_STACK: usize = 256;

/// Refuses a frame stack of more than [`MOST_STACK`] frames.
#[cfg(any(feature = "atari", feature = "doom"))]
pub(crate) fn check_stack(stack: usize) -> Result<()> {
    if stack <= MOST_STACK { Ok(()) } else { Err(bad("stack", format!("{stack} is more than {MOST_STACK}"))) }
}

/// Refuses a value of the key `env.<key>` that is not in `[0, 1]`.
pub(crate) fn check_probability(key: &str, value: f64) -> Result<()> {
    let message = || format!("{value} is not a probability from 0 to 1");
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(bad(key, message())) }
}

/// Refuses a value of the key `env.<key>` that is not finite as an `f32`, which is the precision of learners.
pub(crate) fn check_finite(key: &str, value: f64) -> Result<()> {
    if (value as f32).is_finite() {
        Ok(())
    } else {
        Err(bad(key, format!("{value} is not finite, or too large for single precision")))
    }
}
