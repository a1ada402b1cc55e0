//! From the gradient of a loss to weights, as every learner of networks goes: back through the graph, the mean over the
//! members of the run, one step of the optimiser.

use candle_core::Tensor;
use rl_core::{Reduce, Result};
use rl_nn::{Params, StepStats, tensor};

use crate::{Log, Part, guard};

/// A scalar whose gradient by `x` is `by`: Σ x · by.
pub(crate) fn along(x: &Tensor, by: &[f32]) -> candle_core::Result<Tensor> {
    (x * Tensor::from_slice(by, x.dims(), x.device())?)?.sum_all()
}

/// Update `number`, against the gradient of `handle`, which is left in `grad`; `step` moves the parameters by it, and the
/// norm of the gradient is returned.
///
/// # Errors
/// If the gradient is not finite: then nothing has moved. If a parameter no longer is.
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
