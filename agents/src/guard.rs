//! What is not a number ends a run before it reaches a checkpoint, and is named, with the batch that it came of.

use rl_core::{Column, Error, Result};
use rl_nn::{Params, StepStats, tensor};

/// Refuses a loss of update `number` that is not finite; `culprit` names what made it so, where that can be told.
pub(crate) fn finite_loss(number: u64, loss: f64, culprit: impl FnOnce() -> Option<String>) -> Result<()> {
    if loss.is_finite() {
        return Ok(());
    }
    let culprit = culprit().map_or(String::new(), |culprit| format!(" ({culprit})"));
    Err(not_finite(number, format!("the loss is {loss}{culprit}")))
}

/// Refuses a step against `grad` that is not one: of a gradient that is not finite, which has changed nothing, or to parameters
/// that are not.
///
/// # Errors
/// If there is such a value; the first parameter with one is named.
pub(crate) fn finite_step(number: u64, moved: StepStats, grad: &[f32], params: &Params) -> Result<()> {
    let first = |values: &[f32]| values.iter().position(|value| !value.is_finite());
    if !moved.norm.is_finite() {
        let name = first(grad).map_or("all parameters", |at| params.name_at(at));
        return Err(not_finite(number, format!("the gradient of {name} is not finite")));
    }
    if moved.finite {
        return Ok(());
    }
    let mut values = vec![0.0; params.len()];
    params.read(&mut values).map_err(tensor)?;
    let at = first(&values).expect("one of them is not finite");
    Err(not_finite(number, format!("its step makes the parameter {} {}", params.name_at(at), values[at])))
}

/// The first of `values` that is not finite, with the row of so many in which it stands.
pub(crate) fn first_not_finite(of: &str, values: &[f32], rows: usize) -> Option<String> {
    let at = values.iter().position(|value| !value.is_finite())?;
    Some(format!("{of}: row {} is {}", at / (values.len() / rows), values[at]))
}

/// Adds to what is not finite the batch that it came of, which is still where the update left it; to other errors nothing.
pub(crate) fn with_batch(error: Error, batch: impl FnOnce() -> Vec<Column>) -> Error {
    match error {
        Error::NotFinite { update, what, .. } => Error::NotFinite { update, what, batch: batch() },
        other => other,
    }
}

fn not_finite(update: u64, what: String) -> Error {
    Error::NotFinite { update, what, batch: Vec::new() }
}
