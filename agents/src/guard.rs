//! Checks for NaN and infinite numbers, which end a run before they reach a checkpoint; errors carry the minibatch.

use rl_core::{Column, Error, Result};
use rl_nn::{Params, StepOutcome, StepStats, tensor};

/// Checks the loss of update `number`; `culprit` finds the first value that is not finite, for the error message.
///
/// # Errors
/// If the loss is not finite.
pub(crate) fn finite_loss(number: u64, loss: f64, culprit: impl FnOnce() -> Option<String>) -> Result<()> {
    if loss.is_finite() {
        return Ok(());
    }
    let culprit = culprit().map_or(String::new(), |culprit| format!(" ({culprit})"));
    Err(not_finite(number, format!("the loss is {loss}{culprit}")))
}

/// Checks gradient and parameters after the optimiser step of update `number`.
///
/// # Errors
/// If the gradient is not finite or too large, in which case no parameter has changed, or a parameter is not finite
/// after the step; the error names the first such parameter.
pub(crate) fn finite_step(number: u64, moved: StepStats, grad: &[f32], params: &Params) -> Result<()> {
    let first = |values: &[f32]| values.iter().position(|value| !value.is_finite());
    let what = match moved.outcome {
        StepOutcome::Made => return Ok(()),
        StepOutcome::Refused => match first(grad) {
            Some(at) => format!("the gradient of {} is not finite", params.name_at(at)),
            None => format!("the gradient is {:.1e} long: its squares are not finite", moved.norm),
        },
        StepOutcome::NotFinite => {
            let mut values = vec![0.0; params.len()];
            params.read(&mut values).map_err(tensor)?;
            let at = first(&values).expect("one of them is not finite");
            format!("its step makes the parameter {} {}", params.name_at(at), values[at])
        }
    };
    Err(not_finite(number, what))
}

/// Message on the first of `values` that is not finite and its row, of `rows` rows; `None` if all are finite.
pub(crate) fn first_not_finite(of: &str, values: &[f32], rows: usize) -> Option<String> {
    let at = values.iter().position(|value| !value.is_finite())?;
    Some(format!("{of}: row {} is {}", at / (values.len() / rows), values[at]))
}

/// Adds the current minibatch to an error of numbers that are not finite; leaves other errors as they are.
pub(crate) fn with_batch(error: Error, batch: impl FnOnce() -> Vec<Column>) -> Error {
    match error {
        Error::NotFinite { update, what, .. } => Error::NotFinite { update, what, batch: batch() },
        other => other,
    }
}

fn not_finite(update: u64, what: String) -> Error {
    Error::NotFinite { update, what, batch: Vec::new() }
}
