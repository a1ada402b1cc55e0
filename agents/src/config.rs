//! Reading and checking the `[agent]` table: what the agents' settings have in common.
//!
//! A key that several agents share stands in the table of each: a table that refuses unknown keys cannot take in another one,
//! since serde's `flatten` and `deny_unknown_fields` exclude each other, and a preset must not hold a key that does nothing.

use rl_core::{Error, Result};
use serde::de::DeserializeOwned;

use crate::Context;

/// The `[agent]` table as the settings of one agent.
pub(crate) fn read<T: DeserializeOwned>(context: &Context<'_>) -> Result<T> {
    context.config.clone().try_into().map_err(|e: toml::de::Error| {
        let whole =
            if e.message().starts_with("missing field") { " (a table of another `kind` is given whole)" } else { "" };
        Error::Config { key: "agent".to_owned(), message: format!("{}{whole}", e.message()) }
    })
}

/// Refuses a count of 0.
pub(crate) fn at_least_one(counts: &[(&str, u64)]) -> Result<()> {
    match counts.iter().find(|(_, count)| *count == 0) {
        Some((key, _)) => Err(bad(key, "must be at least 1".to_owned())),
        None => Ok(()),
    }
}

/// Refuses a dense layer without units.
pub(crate) fn widths(key: &str, widths: &[usize]) -> Result<()> {
    match widths.iter().position(|&width| width == 0) {
        Some(layer) => Err(bad(key, format!("layer {}: must be at least 1 wide", layer + 1))),
        None => Ok(()),
    }
}

/// Refuses a count above a limit.
pub(crate) fn at_most(counts: &[(&str, u64, u64)]) -> Result<()> {
    match counts.iter().find(|(_, count, most)| count > most) {
        Some((key, count, most)) => Err(bad(key, format!("{count} is more than {most}"))),
        None => Ok(()),
    }
}

/// Refuses what is negative, infinite or no number.
pub(crate) fn from_zero_on(numbers: &[(&str, f64)]) -> Result<()> {
    match numbers.iter().find(|(_, number)| !(*number >= 0.0 && number.is_finite())) {
        Some((key, number)) => Err(bad(key, format!("{number} is not a number from 0 on"))),
        None => Ok(()),
    }
}

/// Refuses what is not between 0 and 1.
pub(crate) fn fractions(numbers: &[(&str, f64)]) -> Result<()> {
    match numbers.iter().find(|(_, number)| !(0.0..=1.0).contains(number)) {
        Some((key, number)) => Err(bad(key, format!("{number} is not between 0 and 1"))),
        None => Ok(()),
    }
}

fn bad(key: &str, message: String) -> Error {
    Error::Config { key: format!("agent.{key}"), message }
}
