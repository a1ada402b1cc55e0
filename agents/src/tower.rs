//! Observations to features for the heads: an encoder, and optionally a recurrent layer after it.

use candle_core::{Device, Result, Tensor};
use rl_core::Spec;
use rl_nn::{HostForward, Recurrent, Scope};
use rl_perception::{Encoder, EncoderConfig, ObsBatch, encoder_for};

use crate::Memory;

/// Order in time of the rows of a batch of `B` sequences, for a recurrent layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct SequenceLayout {
    /// Steps per sequence, `T`; the batch has `[T, B]` rows.
    pub(crate) steps: usize,
    /// Not 0 where an episode starts and the state is reset, `[T, B]`.
    pub(crate) starts: Vec<f32>,
    /// Recurrent states before the first step, `[B, S]`.
    pub(crate) states: Vec<f32>,
    /// Numbers of the rows whose features are wanted, `[M]`.
    pub(crate) wanted: Vec<u32>,
}

/// Sequences as tensors on the network's device.
pub(crate) struct Unrolled {
    starts: Tensor,
    states: Tensor,
    /// Rows whose features are wanted; `None` for all rows.
    wanted: Option<Tensor>,
}

/// An encoder, with an optional recurrent layer after it.
pub(crate) struct Tower {
    encoder: Box<dyn Encoder>,
    memory: Option<Recurrent>,
}

impl SequenceLayout {
    /// Clears all sequences, and sets their number of steps.
    pub(crate) fn begin(&mut self, steps: usize) {
        self.steps = steps;
        self.starts.clear();
        self.states.clear();
        self.wanted.clear();
    }

    /// Copies the sequences to tensors on `device`, for networks with a recurrent state of width `width`.
    pub(crate) fn unroll(&self, width: usize, device: &Device) -> Result<Unrolled> {
        let (rows, batch) = (self.starts.len(), self.starts.len() / self.steps);
        let wanted = (self.wanted.len() < rows).then(|| Tensor::from_slice(&self.wanted, self.wanted.len(), device));
        Ok(Unrolled {
            starts: Tensor::from_slice(&self.starts, (self.steps, batch), device)?,
            states: Tensor::from_slice(&self.states, (batch, width), device)?,
            wanted: wanted.transpose()?,
        })
    }
}

impl Tower {
    /// Creates a tower for `spec`, with its parameters below `scope`.
    pub(crate) fn new(spec: &Spec, config: &EncoderConfig, memory: Memory, scope: &mut Scope<'_>) -> Result<Self> {
        let encoder = encoder_for(spec, config, scope)?;
        let memory = memory.layer(&mut scope.layer("memory"), encoder.width())?;
        Ok(Self { encoder, memory })
    }

    /// Number of features per row.
    pub(crate) fn width(&self) -> usize {
        self.memory.as_ref().map_or(self.encoder.width(), Recurrent::units)
    }

    /// Width of the recurrent state; 0 without a recurrent layer.
    pub(crate) fn state_width(&self) -> usize {
        self.memory.as_ref().map_or(0, Recurrent::state_width)
    }

    /// Features of all rows, `[B, width]`, with the graph for gradients.
    ///
    /// With a recurrent layer, features of the wanted rows, `[M, width]`, and the states after the last step. In each
    /// row of states the numbers from `at` on belong to this tower.
    pub(crate) fn forward(
        &self,
        obs: &ObsBatch<'_>,
        unrolled: Option<&Unrolled>,
        at: usize,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let features = self.encoder.forward(obs)?; // [T·B, F]
        let (Some(memory), Some(Unrolled { starts, states, wanted })) = (&self.memory, unrolled) else {
            return Ok((features, None));
        };
        let (steps, batch) = starts.dims2()?;
        let features = features.reshape((steps, batch, self.encoder.width()))?; // [T, B, F]
        let states = states.narrow(1, at, memory.state_width())?;
        let (y, states) = memory.forward(&features, Some(starts), &states)?; // [T, B, width]
        let y = y.flatten_to(1)?;
        Ok((wanted.as_ref().map_or(Ok(y.clone()), |wanted| y.index_select(wanted, 0))?, Some(states)))
    }

    /// Computes features of all rows for one step on the host, and leaves them in `flow`.
    ///
    /// In each row of `states [B, width]` the numbers from `at` on belong to this tower, and are advanced by the step.
    pub(crate) fn run(
        &self,
        obs: &ObsBatch<'_>,
        states: &mut [f32],
        width: usize,
        at: usize,
        flow: &mut HostForward,
    ) -> Result<()> {
        self.encoder.run(obs, flow)?;
        self.memory.as_ref().map_or(Ok(()), |memory| flow.recurrent(memory, states, width, at))
    }

    /// Computes features of all rows of sequences on the host, `[T·B, width]`, and leaves them in `flow`.
    ///
    /// The bits are those of [`forward`](Tower::forward). `states [B, S]`, which belong to this tower alone, are
    /// advanced by all steps; `starts [T, B]` are not 0 where an episode starts. The last parameter is scratch memory.
    pub(crate) fn unroll(
        &self,
        obs: &ObsBatch<'_>,
        starts: &[f32],
        states: &mut [f32],
        flow: &mut HostForward,
        [features, step]: [&mut HostForward; 2],
    ) -> Result<()> {
        let Some(memory) = &self.memory else { return self.encoder.run(obs, flow) };
        self.encoder.run(obs, features)?;
        let (width, inputs) = (memory.state_width(), self.encoder.width());
        let batch = states.len() / width;
        let out = flow.begin();
        for (x, starts) in features.values().chunks_exact(batch * inputs).zip(starts.chunks_exact(batch)) {
            let fresh = states.chunks_exact_mut(width).zip(starts).filter(|(_, start)| **start != 0.0);
            fresh.for_each(|(state, _)| state.fill(0.0));
            step.begin().extend_from_slice(x);
            step.recurrent(memory, states, width, 0)?;
            out.extend_from_slice(step.values());
        }
        Ok(())
    }
}
