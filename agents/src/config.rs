//! Reading and checking the `[agent]` table: what the agents' settings have in common.
//!
//! A key that several agents share stands in the table of each: a table that refuses unknown keys cannot take in another one,
//! since serde's `flatten` and `deny_unknown_fields` exclude each other, and a preset must not hold a key that does nothing.

use rl_core::{Error, Result, read_table};
use serde::de::DeserializeOwned;

use crate::Context;

/// The `[agent]` table as the settings of one agent.
pub(crate) fn read<T: DeserializeOwned>(context: &Context<'_>) -> Result<T> {
    read_table("agent", context.config).map_err(|error| match error {
        Error::Config { key, message } if key != "agent" && message.starts_with("missing field") => Error::Config {
            key,
            message: format!("{message} (a table is given whole: docs/agents.md shows all kinds)"),
        },
        other => other,
    })
}

/// Bytes of all parts of a learner's memory, and the key that the largest hangs on.
pub(crate) fn total_memory<const N: usize>(parts: [(u64, &'static str); N]) -> (u64, &'static str) {
    let (_, key) = parts.into_iter().max_by_key(|&(bytes, _)| bytes).unwrap_or_default();
    (parts.iter().fold(0, |sum: u64, &(bytes, _)| sum.saturating_add(bytes)), key)
}

/// Bytes of what dense layers of these widths make of a row while a minibatch is learned from: sums, outputs and their gradients.
pub(crate) fn bytes_of_layers(widths: &[usize]) -> usize {
    widths.iter().fold(0, |bytes: usize, width| bytes.saturating_add(width.saturating_mul(3 * size_of::<f32>())))
}

/// Refuses more minibatches than a block has steps, `horizon` of each of `seats`.
pub(crate) fn minibatches(minibatches: usize, seats: u32, horizon: usize) -> Result<()> {
    let steps = (seats as usize).saturating_mul(horizon);
    if minibatches <= steps {
        return Ok(());
    }
    Err(bad(
        "minibatches",
        format!("a round has {steps} steps, {horizon} of each of {seats} seats: expected at most as many"),
    ))
}

/// Refuses an environment that the agent cannot play, for this reason.
pub(crate) fn playable(refusal: Option<String>) -> Result<()> {
    refusal.map_or(Ok(()), |message| Err(Error::Config { key: "agent".to_owned(), message }))
}

/// Refuses a count of 0.
pub(crate) fn at_least_one(counts: &[(&str, u64)]) -> Result<()> {
    match counts.iter().find(|(_, count)| *count == 0) {
        Some((key, _)) => Err(bad(key, "must be at least 1".to_owned())),
        None => Ok(()),
    }
}

/// The most units of a layer, and the most atoms or quantiles: far beyond what is learned with, and few enough that what they
/// take can be counted, and refused where it is more than there is.
pub(crate) const WIDEST: usize = 1 << 14;

/// Refuses dense layers without units, or with more than a layer may have.
pub(crate) fn widths(key: &str, widths: &[usize]) -> Result<()> {
    match widths.iter().position(|width| !(1..=WIDEST).contains(width)) {
        Some(layer) if widths[layer] == 0 => Err(bad(key, format!("layer {}: must be at least 1 wide", layer + 1))),
        Some(layer) => Err(bad(key, format!("layer {}: {} is more than {WIDEST}", layer + 1, widths[layer]))),
        None => Ok(()),
    }
}

/// Refuses a number of units, atoms or quantiles that is 0 or above [`WIDEST`].
pub(crate) fn units(counts: &[(&str, usize)]) -> Result<()> {
    counts.iter().try_for_each(|&(key, count)| {
        at_least_one(&[(key, count as u64)])?;
        at_most(&[(key, count as u64, WIDEST as u64)])
    })
}

/// What is wrong with a capacity that steps which are shown fill.
pub(crate) const FULL: &str =
    "is full before agent.demonstrations end: each step takes a place, and each game some more";

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

/// The least ε of an optimiser: far below any that is used, and far enough above what single precision holds for 0 that it
/// is more than that in every update.
const LEAST_EPS: f64 = 1e-16;

/// Refuses an ε of an optimiser that is none: a parameter that has had no gradient would move by 0 / 0.
pub(crate) fn epsilon(key: &str, eps: f64) -> Result<()> {
    if eps >= LEAST_EPS && (eps as f32).is_finite() {
        return Ok(());
    }
    Err(bad(key, format!("{eps} is not a number from {LEAST_EPS:e} on")))
}

/// Refuses what is not between 0 and 1.
pub(crate) fn fractions(numbers: &[(&str, f64)]) -> Result<()> {
    match numbers.iter().find(|(_, number)| !(0.0..=1.0).contains(number)) {
        Some((key, number)) => Err(bad(key, format!("{number} is not between 0 and 1"))),
        None => Ok(()),
    }
}

pub(crate) fn bad(key: &str, message: String) -> Error {
    Error::Config { key: format!("agent.{key}"), message }
}
