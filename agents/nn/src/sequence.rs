//! What recurrent layers share: time-major shapes, and states that start anew where an episode does.

use candle_core::{Result, Tensor, bail};

use crate::kernel;
use crate::params::with_values;

/// Extents of a time-major sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// T
    pub steps: usize,
    /// B
    pub batch: usize,
    /// Values of a state's row.
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

    /// Values of the states of one step.
    pub(crate) fn state(&self) -> usize {
        self.batch * self.units
    }
}

/// Where an episode starts, row by row; nothing if none does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts(Vec<bool>);

impl Starts {
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

/// `state [B, units]`, zero where an episode starts at `step`, in candle's own operations.
pub(crate) fn cleared(state: &Tensor, starts: Option<&Tensor>, step: usize) -> Result<Tensor> {
    let Some(starts) = starts else { return Ok(state.clone()) };
    let start = starts.get(step)?.ne(0.0)?.unsqueeze(1)?.broadcast_as(state.dims())?; // [B, units]
    start.where_cond(&state.zeros_like()?, state)
}

/// `out [rows, n] = x · w + bias` on the host; `w [inputs, n]`.
pub(crate) fn product(x: &[f32], w: &Tensor, bias: &[f32], out: &mut [f32]) -> Result<()> {
    if !w.device().is_cpu() {
        bail!("a layer on another device has no values on the host");
    }
    let (width, n) = w.dims2()?;
    assert_eq!((x.len() % width, out.len()), (0, x.len() / width * n), "rows of {width} values to rows of {n}");
    with_values(w, |w| kernel::linear(kernel::Linear { x, width, w, n, bias, relu: false }, out))
}

/// The logistic function in candle's own operations, by a tangent: of 1 / (1 + e⁻ˣ) the gradient is 0 · ∞ far below 0.
pub(crate) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    ((x * 0.5)?.tanh()? * 0.5)? + 0.5
}
