//! Minibatches of transitions, allocated once and reused.

use rl_core::Spec;

/// A row-major array `[B, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<T> {
    data: Vec<T>,
    width: usize,
}

impl<T: Copy + Default> Table<T> {
    /// Allocates `rows` rows of default values.
    pub(crate) fn new(rows: usize, width: usize) -> Self {
        Self { data: vec![T::default(); rows * width], width }
    }

    /// Row `b`, `[width]`.
    pub fn row(&self, b: usize) -> &[T] {
        &self.data[b * self.width..(b + 1) * self.width]
    }

    /// Row `b` for writing, `[width]`.
    pub fn row_mut(&mut self, b: usize) -> &mut [T] {
        &mut self.data[b * self.width..(b + 1) * self.width]
    }

    /// Copies `from`, `[width]`, to row `b`.
    pub(crate) fn copy_row(&mut self, b: usize, from: &[T]) {
        self.row_mut(b).copy_from_slice(from);
    }

    /// All rows, `[B, width]`.
    pub fn all(&self) -> &[T] {
        &self.data
    }

    /// All rows for writing, `[B, width]`.
    pub fn all_mut(&mut self) -> &mut [T] {
        &mut self.data
    }
}

/// Observations of a minibatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Observations {
    /// Frame stacks, oldest frame first, `[B, H, W, stack·C]`.
    pub frames: Table<u8>,
    /// Features, `[B, vector]`.
    pub vector: Table<f32>,
    /// Discrete observations, `[B, symbols]`.
    pub symbols: Table<u32>,
    /// Action masks: not 0 where an action is legal, `[B, legal]`; width 0 without a mask.
    pub legal: Table<u8>,
}

impl Observations {
    /// Allocates observations of `rows` rows.
    pub(crate) fn new(spec: &Spec, rows: usize) -> Self {
        Self {
            frames: Table::new(rows, spec.frame_len() * spec.stack),
            vector: Table::new(rows, spec.vector),
            symbols: Table::new(rows, spec.symbols.len()),
            legal: Table::new(rows, spec.legal_len()),
        }
    }
}

/// A minibatch of `B` n-step transitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Observations in which the actions were taken.
    pub obs: Observations,
    /// Observations from which the returns bootstrap: `n` steps later, or the last one of the episode.
    pub next: Observations,
    /// Discrete actions, `[B, discrete]`.
    pub discrete: Table<u32>,
    /// Continuous actions, `[B, continuous]`.
    pub continuous: Table<f32>,
    /// Discounted sums of the transformed rewards from `obs` to `next`, `[B]`.
    pub reward: Vec<f32>,
    /// Factors of the bootstrap value at `next`, `[B]`: γ^k after `k` steps, 0 after a terminal one.
    pub discount: Vec<f32>,
    /// Priorities with which the transitions were drawn, `[B]`: 1 where draws are uniform. An importance-sampling
    /// weight is a power of the inverse.
    pub priorities: Vec<f64>,
    /// Numbers of the transitions, `[B]`, for [`set_priorities`](crate::Replay::set_priorities); a later transition never has
    /// the number of an earlier one.
    pub places: Vec<u64>,
}

impl Sample {
    /// Allocates a minibatch of `rows` transitions.
    pub fn new(spec: &Spec, rows: usize) -> Self {
        Self {
            obs: Observations::new(spec, rows),
            next: Observations::new(spec, rows),
            discrete: Table::new(rows, spec.discrete.len()),
            continuous: Table::new(rows, spec.continuous.len()),
            reward: vec![0.0; rows],
            discount: vec![0.0; rows],
            priorities: vec![1.0; rows],
            places: vec![0; rows],
        }
    }

    /// Number of transitions, `B`.
    pub fn rows(&self) -> usize {
        self.reward.len()
    }
}
