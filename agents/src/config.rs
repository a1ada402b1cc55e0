//! Reading and checking of `[agent]` tables: functions shared by all agents.
//!
//! A key that several agents share is a field of each agent's table: a table that refuses unknown keys cannot embed
//! another one, since serde's `flatten` and `deny_unknown_fields` exclude each other, and a preset must not hold a key
//! without effect.

use rl_core::{Error, Result, Spec, read_table};
use rl_perception::Trunk;
use serde::de::DeserializeOwned;

use crate::Context;

/// Parses the `[agent]` table as the settings `T` of an agent.
///
/// # Errors
/// If a key is missing, unknown or of another type.
pub(crate) fn read<T: DeserializeOwned>(context: &Context<'_>) -> Result<T> {
    read_table("agent", context.config).map_err(|error| match error {
        Error::Config { key, message } if key != "agent" && is_of_a_kind(&key, &message) => Error::Config {
            key,
            message: format!("{message} (a table is given whole: docs/agents.md shows all kinds)"),
        },
        other => other,
    })
}

/// Whether the table `key` lacks a key of its kind, or has one of another kind.
fn is_of_a_kind(key: &str, message: &str) -> bool {
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
    message.starts_with("missing field") || unknown.is_some_and(|(field, _)| !key.ends_with(&format!(".{field}")))
}

/// Sums the bytes of all parts of a learner's memory, and names the setting of the largest part.
pub(crate) fn total_allocation<const N: usize>(parts: [(u64, &'static str); N]) -> (u64, &'static str) {
    let (_, key) = parts.into_iter().max_by_key(|&(bytes, _)| bytes).unwrap_or_default();
    (parts.iter().fold(0, |sum: u64, &(bytes, _)| sum.saturating_add(bytes)), key)
}

/// Bytes per row of a minibatch for the activations of dense layers: sums, outputs and their gradients.
pub(crate) fn bytes_of_layers(widths: &[usize]) -> usize {
    widths.iter().fold(0, |bytes: usize, width| bytes.saturating_add(width.saturating_mul(3 * size_of::<f32>())))
}

/// Numbers that are kept for each weight: itself, its target's, two moments and its gradient.
const KEPT: u64 = 5;

/// Values that dense layers see of an observation, about as many as the convolutions of `trunk` make of its frames.
pub(crate) fn inputs(spec: &Spec, trunk: Trunk) -> usize {
    let frames = if spec.frame_len() > 0 { trunk.features(spec.frame) } else { 0 };
    spec.symbols.iter().fold(frames + spec.vector, |sum: usize, &count| sum.saturating_add(count as usize))
}

/// Number of weights from `inputs` values to `outputs`.
pub(crate) fn weights(inputs: usize, outputs: usize) -> u64 {
    (inputs as u64).saturating_mul(outputs as u64)
}

/// Number of weights of dense layers of these `widths` on `inputs` values, of the last layer `last` times as many.
pub(crate) fn dense_weights(inputs: usize, widths: &[usize], last: u64) -> u64 {
    let froms = std::iter::once(&inputs).chain(widths);
    let all = froms.zip(widths).enumerate().map(|(layer, (&from, &to))| {
        let copies = if layer + 1 == widths.len() { last } else { 1 };
        weights(from, to).saturating_mul(copies)
    });
    all.fold(0, u64::saturating_add)
}

/// Bytes of `dense` weights and of those of a recurrent layer of `units` on `inputs` values, or 0, with all that is kept
/// for each, and the setting that lowers them.
pub(crate) fn bytes_of_weights(dense: u64, inputs: usize, units: usize) -> (u64, &'static str) {
    let recurrent = weights(units.saturating_mul(4), inputs.saturating_add(units)); // an LSTM's
    let key = if recurrent > dense { "agent.memory.units" } else { "agent.hidden" };
    (bytes_of(dense.saturating_add(recurrent)), key)
}

/// Bytes of so many weights, with all that is kept for each.
pub(crate) fn bytes_of(weights: u64) -> u64 {
    weights.saturating_mul(KEPT * size_of::<f32>() as u64)
}

/// Refuses more minibatches than a rollout has sequences of `length` steps, `horizon` steps of each of `seats` seats.
pub(crate) fn minibatches(minibatches: usize, seats: u32, horizon: usize, length: usize) -> Result<()> {
    let parts = (seats as usize).saturating_mul(horizon / length);
    if minibatches <= parts {
        return Ok(());
    }
    let what = if length > 1 { format!("sequences of {length} steps") } else { "steps".to_owned() };
    let whose = format!("{} of each of {seats} seats", horizon / length);
    Err(bad("minibatches", format!("a round has {parts} {what}, {whose}: expected at most as many")))
}

/// Refuses an environment that the agent cannot play, for this reason.
pub(crate) fn playable(refusal: Option<String>) -> Result<()> {
    refusal.map_or(Ok(()), |message| Err(Error::Config { key: "agent".to_owned(), message }))
}

/// Refuses counts, given with their keys, of which one is 0.
pub(crate) fn at_least_one(counts: &[(&str, u64)]) -> Result<()> {
    match counts.iter().find(|(_, count)| *count == 0) {
        Some((key, _)) => Err(bad(key, "must be at least 1".to_owned())),
        None => Ok(()),
    }
}

/// Largest number of units of a layer, and of atoms or quantiles: far beyond useful sizes, and small enough that their
/// memory can be computed without overflow and refused where it is too much.
pub(crate) const WIDEST: usize = 1 << 14;

/// Refuses dense layers with 0 units, or with more than [`WIDEST`].
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

/// Error message for a capacity that demonstrations exceed.
pub(crate) const FULL: &str =
    "is full before agent.demonstrations end: each step takes a place, and each game some more";

/// Refuses counts, given with their keys and limits, of which one is above its limit.
pub(crate) fn at_most(counts: &[(&str, u64, u64)]) -> Result<()> {
    match counts.iter().find(|(_, count, most)| count > most) {
        Some((key, count, most)) => Err(bad(key, format!("{count} is more than {most}"))),
        None => Ok(()),
    }
}

/// Refuses numbers, given with their keys, of which one is negative, infinite or NaN.
pub(crate) fn from_zero_on(numbers: &[(&str, f64)]) -> Result<()> {
    match numbers.iter().find(|(_, number)| !(*number >= 0.0 && number.is_finite())) {
        Some((key, number)) => Err(bad(key, format!("{number} is not a number from 0 on"))),
        None => Ok(()),
    }
}

/// Smallest ε of an optimiser: far below any that is used, and large enough not to vanish in single precision.
const LEAST_EPS: f64 = 1e-16;

/// Refuses an ε of an optimiser that is too small or not finite: a parameter without gradient would move by 0 / 0.
pub(crate) fn epsilon(key: &str, eps: f64) -> Result<()> {
    if eps >= LEAST_EPS && (eps as f32).is_finite() {
        return Ok(());
    }
    Err(bad(key, format!("{eps} is not a number from {LEAST_EPS:e} on")))
}

/// Refuses numbers, given with their keys, of which one is not within 0 to 1.
pub(crate) fn fractions(numbers: &[(&str, f64)]) -> Result<()> {
    match numbers.iter().find(|(_, number)| !(0.0..=1.0).contains(number)) {
        Some((key, number)) => Err(bad(key, format!("{number} is not between 0 and 1"))),
        None => Ok(()),
    }
}

pub(crate) fn bad(key: &str, message: String) -> Error {
    Error::Config { key: format!("agent.{key}"), message }
}
