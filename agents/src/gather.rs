//! Observations of some seats, gathered from blocks into one batch at the moment of use.

use rl_core::{Column, Result, Spec};
use rl_nn::{Standardise, tensor};
use rl_perception::ObsBatch;
use rl_replays::Rollout;

/// A batch that grows by one observation at a time and keeps its memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered {
    rows: usize,
    frames: Vec<u8>,
    vector: Vec<f32>,
    symbols: Vec<u32>,
}

impl Gathered {
    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        self.frames.clear();
        self.vector.clear();
        self.symbols.clear();
    }

    /// Adds what seat `e` of `block` sees at row `t`.
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

    /// Standardises the features of the batch, once it is whole, where anything does.
    pub(crate) fn standardise(&mut self, by: Option<&Standardise>) -> Result<()> {
        by.map_or(Ok(()), |by| by.apply(&mut self.vector)).map_err(tensor)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What is in it, for a batch that is told; `spec` has the shape of a frame.
    pub(crate) fn columns(&self, spec: &Spec) -> Vec<Column> {
        let Self { rows, frames, vector, symbols } = self;
        observed(
            ["observation.frames", "observation.vector", "observation.symbols"],
            spec,
            *rows,
            (frames, vector, symbols),
        )
    }

    pub(crate) fn seen(&self) -> ObsBatch<'_> {
        ObsBatch { rows: self.rows, frames: &self.frames, vector: &self.vector, symbols: &self.symbols }
    }
}

/// The kinds of values that observations have, each under its name: `u8 [B, H, W, stack·C]`, `f32` and `u32`.
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
