//! What is not a number ends a run before it reaches a weight, and is named.

use rl_core::{Error, Result};
use rl_nn::Params;

/// Refuses a loss of update `number` that is not finite; `culprit` names what made it so, where that can be told.
pub(crate) fn finite_loss(number: u64, loss: f64, culprit: impl FnOnce() -> Option<String>) -> Result<()> {
    if loss.is_finite() {
        return Ok(());
    }
    let culprit = culprit().map_or(String::new(), |culprit| format!(" ({culprit})"));
    Err(Error::Tensor(format!("update {number}: the loss is {loss}{culprit}")))
}

/// Refuses a global norm that is not finite, as an optimiser returned it: it has changed nothing.
pub(crate) fn finite_norm(number: u64, norm: f64, grad: &[f32], params: &Params) -> Result<()> {
    if norm.is_finite() {
        return Ok(());
    }
    let at = grad.iter().position(|g| !g.is_finite());
    let name = at.map_or("all parameters", |at| params.name_at(at));
    Err(Error::Tensor(format!("update {number}: the gradient of {name} is not finite")))
}

/// The first of `values` that is not finite, with its row.
pub(crate) fn first_not_finite(of: &str, values: &[f32]) -> Option<String> {
    let row = values.iter().position(|value| !value.is_finite())?;
    Some(format!("{of}: row {row} is {}", values[row]))
}
