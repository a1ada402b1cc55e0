//! Parts that the recurrent layers share: time-major shapes, and states that are zeroed where an episode starts.

use candle_core::{Result, Tensor, bail};

use crate::kernel;
use crate::params::with_values;

/// Sizes of a batch of time-major sequences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Time steps, `T`.
    pub steps: usize,
    /// Sequences, `B`.
    pub batch: usize,
    /// Values of one state.
    pub units: usize,
}

impl Extent {
    /// Checks `x [T, B, inputs]`, `starts [T, B]` and every state `[B, units]` of the layer called `name`.
    pub(crate) fn of(
        name: &str,
        [inputs, units]: [usize; 2],
        x: &Tensor,
        starts: Option<&Tensor>,
        states: &[&Tensor],
    ) -> Result<Self> {
        let &[steps, batch, width] = x.dims() else {
            bail!("{name} of {inputs} inputs expects [T, B, {inputs}], got {:?}", x.dims())
        };
        if width != inputs {
            bail!("{name} of {inputs} inputs expects [T, B, {inputs}], got {:?}", x.dims());
        }
        if let Some(starts) = starts.filter(|starts| starts.dims() != [steps, batch]) {
            bail!("{name} expects starts [{steps}, {batch}] beside inputs {:?}, got {:?}", x.dims(), starts.dims());
        }
        if let Some(state) = states.iter().find(|state| state.dims() != [batch, units]) {
            bail!("{name} expects a state [{batch}, {units}] beside inputs {:?}, got {:?}", x.dims(), state.dims());
        }
        Ok(Self { steps, batch, units })
    }

    /// Number of values in the states of one step, `B · units`.
    pub(crate) fn state(&self) -> usize {
        self.batch * self.units
    }
}

/// Episode starts, `[T, B]` flattened; empty if no episode starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts(Vec<bool>);

impl Starts {
    /// Reads the starts `f32 [T, B]`: an episode starts where the value is not 0.
    pub(crate) fn new(starts: Option<&Tensor>) -> Result<Self> {
        let Some(starts) = starts else { return Ok(Self::default()) };
        let rows = with_values(&starts.contiguous()?, |values| values.iter().map(|v| *v != 0.0).collect::<Vec<_>>())?;
        Ok(if rows.contains(&true) { Self(rows) } else { Self::default() })
    }

    /// Zeroes the rows of `state` whose episode starts at `step`.
    pub(crate) fn clear(&self, extent: Extent, step: usize, state: &mut [f32]) {
        if let Some(starts) = self.0.get(step * extent.batch..) {
            let rows = state.chunks_exact_mut(extent.units).zip(starts);
            rows.filter(|(_, start)| **start).for_each(|(row, _)| row.fill(0.0));
        }
    }
}

/// Returns `state [B, units]` with zeros in the rows whose episode starts at `step`, in candle's own operations.
pub(crate) fn cleared(state: &Tensor, starts: Option<&Tensor>, step: usize) -> Result<Tensor> {
    let Some(starts) = starts else { return Ok(state.clone()) };
    let start = starts.get(step)?.ne(0.0)?.unsqueeze(1)?.broadcast_as(state.dims())?; // [B, units]
    start.where_cond(&state.zeros_like()?, state)
}

/// Linear product on the CPU: `out [rows, n] = x [rows, inputs] · w [inputs, n] + bias [n]`.
///
/// # Errors
/// If `w` is not a matrix on the CPU.
pub(crate) fn product(x: &[f32], w: &Tensor, bias: &[f32], out: &mut [f32]) -> Result<()> {
    if !w.device().is_cpu() {
        bail!("a layer on another device has no values on the host");
    }
    let (width, n) = w.dims2()?;
    assert_eq!((x.len() % width, out.len()), (0, x.len() / width * n), "rows of {width} values to rows of {n}");
    with_values(w, |w| kernel::linear(kernel::Linear { x, width, w, n, bias, relu: false }, out))
}

/// Logistic function in candle's own operations, as `0.5 · tanh(x / 2) + 0.5`: the gradient of `1 / (1 + e⁻ˣ)` is 0 · ∞
/// far below 0.
pub(crate) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    ((x * 0.5)?.tanh()? * 0.5)? + 0.5
}
