//! What turns observations into the features of a head: an encoder and, where that is asked for, a memory behind it.

use candle_core::{Device, Result, Tensor};
use rl_core::Spec;
use rl_nn::{HostForward, Recurrent, Scope};
use rl_perception::{Encoder, EncoderConfig, ObsBatch, encoder_for};

use crate::Memory;

/// How the rows of a batch follow each other in time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequences {
    /// `T`; the batch is `[T, B]` rows.
    pub(crate) steps: usize,
    /// Not 0 where an episode starts, `[T, B]`.
    pub(crate) starts: Vec<f32>,
    /// What is remembered before the first step, `[B, S]`.
    pub(crate) states: Vec<f32>,
    /// The rows whose features are wanted.
    pub(crate) wanted: Vec<u32>,
}

/// The same as tensors, where the network is.
pub(crate) struct Unrolled {
    starts: Tensor,
    states: Tensor,
    /// Nothing where all rows are wanted.
    wanted: Option<Tensor>,
}

/// An encoder and, where there is one, its memory.
pub(crate) struct Tower {
    encoder: Box<dyn Encoder>,
    memory: Option<Recurrent>,
}

impl Sequences {
    /// Sequences that are empty yet.
    pub(crate) fn begin(&mut self, steps: usize) {
        self.steps = steps;
        self.starts.clear();
        self.states.clear();
        self.wanted.clear();
    }

    /// For networks on `device` that remember `width` numbers.
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
    /// For `spec`, with its parameters below `scope`.
    pub(crate) fn new(spec: &Spec, config: &EncoderConfig, memory: Memory, scope: &mut Scope<'_>) -> Result<Self> {
        let encoder = encoder_for(spec, config, scope)?;
        let memory = memory.layer(&mut scope.layer("memory"), encoder.width())?;
        Ok(Self { encoder, memory })
    }

    /// Number of features.
    pub(crate) fn width(&self) -> usize {
        self.memory.as_ref().map_or(self.encoder.width(), Recurrent::units)
    }

    /// Numbers that it remembers of a seat.
    pub(crate) fn state_width(&self) -> usize {
        self.memory.as_ref().map_or(0, Recurrent::state_width)
    }

    /// Features of all rows, `[B, width]`; with a memory those of the rows that are wanted, and what is remembered after the
    /// last step. Of each row of states the numbers from `at` on are this tower's.
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

    /// One step on the host: features of all rows, left in `flow`. Of each row of `states [B, width]` the numbers from `at`
    /// on are this tower's, and change from before the step to after it.
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

    /// All steps of sequences on the host: features of all rows, `[T·B, width]`, left in `flow`, with the bits of
    /// [`forward`](Tower::forward). `states [B, S]` are only this tower's, and go from before the first step to after the
    /// last; `starts [T, B]` are not 0 where an episode starts. The rest is scratch memory.
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
