//! Batches of observations, gathered from rollout blocks when they are needed.

use rl_core::{Column, Result, Spec};
use rl_nn::{Standardise, tensor};
use rl_perception::ObsBatch;
use rl_replays::Rollout;

/// A batch of observations that grows one by one; its buffers are reused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered {
    rows: usize,
    frames: Vec<u8>,
    vector: Vec<f32>,
    symbols: Vec<u32>,
}

impl Gathered {
    /// Removes all observations.
    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        self.frames.clear();
        self.vector.clear();
        self.symbols.clear();
    }

    /// Adds the observation of seat `e` of `block` at row `t`, with its frame stack.
    pub(crate) fn push(&mut self, block: &Rollout, t: usize, e: usize) {
        let from = self.frames.len();
        self.frames.resize(from + block.spec().frame_len() * block.spec().stack, 0);
        if block.spec().frame_len() > 0 {
            block.stack(t, e, &mut self.frames[from..]);
        }
        self.vector.extend_from_slice(block.vector.at(t, e));
        self.symbols.extend_from_slice(block.symbols.at(t, e));
        self.rows += 1;
    }

    /// Normalises the features of all observations; does nothing where `by` is `None`. To be called once per batch.
    pub(crate) fn standardise(&mut self, by: Option<&Standardise>) -> Result<()> {
        by.map_or(Ok(()), |by| by.apply(&mut self.vector)).map_err(tensor)
    }

    /// Whether the batch holds no observation.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Observations as named columns, for the report of an error; `spec` gives the shape of frames.
    pub(crate) fn columns(&self, spec: &Spec) -> Vec<Column> {
        let Self { rows, frames, vector, symbols } = self;
        observed(
            ["observation.frames", "observation.vector", "observation.symbols"],
            spec,
            *rows,
            (frames, vector, symbols),
        )
    }

    /// Views the batch as input of an encoder.
    pub(crate) fn seen(&self) -> ObsBatch<'_> {
        ObsBatch { rows: self.rows, frames: &self.frames, vector: &self.vector, symbols: &self.symbols }
    }
}

/// Observations as named columns: frames `u8 [B, H, W, stack·C]`, features `f32` and discrete observations `u32`; empty
/// ones are left out.
pub(crate) fn observed(
    names: [&'static str; 3],
    spec: &Spec,
    rows: usize,
    (frames, vector, symbols): (&[u8], &[f32], &[u32]),
) -> Vec<Column> {
    let [height, width, channels] = spec.frame;
    let shape = vec![rows, height, width, spec.stack * channels];
    let mut columns = vec![
        Column { name: names[0], shape, values: frames.to_vec().into() },
        Column::new(names[1], rows, vector.to_vec()),
        Column::new(names[2], rows, symbols.to_vec()),
    ];
    columns.retain(|column| !column.values.is_empty());
    columns
}
