//! One gradient step of any network: backward pass, mean over the members of the run, optimiser step.

use candle_core::Tensor;
use rl_core::{Reduce, Result};
use rl_nn::{Params, StepStats, tensor};

use crate::{Log, Part, guard};

/// A scalar tensor Σ x · `by`, whose gradient by `x` is `by`.
pub(crate) fn along(x: &Tensor, by: &[f32]) -> candle_core::Result<Tensor> {
    (x * Tensor::from_slice(by, x.dims(), x.device())?)?.sum_all()
}

/// Makes update `number` against the gradient of the scalar `handle`, and returns the norm of the gradient.
///
/// The gradient, averaged over all members of the run, is left in `grad`; `step` changes the parameters by it.
///
/// # Errors
/// If the gradient is not finite, in which case no parameter has changed; if a parameter is not finite after the step;
/// if a tensor operation fails or a member of the run is lost.
pub(crate) fn descend(
    (params, grad): (&Params, &mut Vec<f32>),
    number: u64,
    handle: &Tensor,
    step: impl FnOnce(&Params, &[f32]) -> candle_core::Result<StepStats>,
    reduce: &mut dyn Reduce,
    log: &mut Log,
) -> Result<f64> {
    params.backward(handle, grad).map_err(tensor)?;
    log.lap(Part::Backward);
    reduce.mean(grad)?;
    log.lap(Part::Reduce);
    let moved = step(params, grad).map_err(tensor)?;
    log.lap(Part::Optimiser);
    guard::finite_step(number, moved, grad, params)?;
    Ok(moved.norm)
}
