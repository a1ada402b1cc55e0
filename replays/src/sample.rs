//! A minibatch of transitions, allocated once and filled again and again.

use rl_core::Spec;

/// `[B, width]` values in one allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<T> {
    data: Vec<T>,
    width: usize,
}

impl<T: Copy + Default> Table<T> {
    pub(crate) fn new(rows: usize, width: usize) -> Self {
        Self { data: vec![T::default(); rows * width], width }
    }

    /// Row `b`, `[width]`.
    pub fn row(&self, b: usize) -> &[T] {
        &self.data[b * self.width..(b + 1) * self.width]
    }

    /// Row `b`, `[width]`.
    pub fn row_mut(&mut self, b: usize) -> &mut [T] {
        &mut self.data[b * self.width..(b + 1) * self.width]
    }

    pub(crate) fn copy_row(&mut self, b: usize, from: &[T]) {
        self.row_mut(b).copy_from_slice(from);
    }

    /// All rows, `[B, width]`.
    pub fn all(&self) -> &[T] {
        &self.data
    }

    /// All rows, `[B, width]`.
    pub fn all_mut(&mut self) -> &mut [T] {
        &mut self.data
    }
}

/// Observations of a minibatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Observations {
    /// `[B, H, W, stack·C]`.
    pub frames: Table<u8>,
    /// `[B, vector]`.
    pub vector: Table<f32>,
    /// `[B, symbols]`.
    pub symbols: Table<u32>,
    /// `[B, legal]`.
    pub legal: Table<u8>,
}

impl Observations {
    pub(crate) fn new(spec: &Spec, rows: usize) -> Self {
        Self {
            frames: Table::new(rows, spec.frame_len() * spec.stack),
            vector: Table::new(rows, spec.vector),
            symbols: Table::new(rows, spec.symbols.len()),
            legal: Table::new(rows, spec.legal_len()),
        }
    }
}

/// `B` transitions with their n-step returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Where the action was taken.
    pub obs: Observations,
    /// Where the return ends: `n` steps later, or the last observation of the episode.
    pub next: Observations,
    /// `[B, discrete]`.
    pub discrete: Table<u32>,
    /// `[B, continuous]`.
    pub continuous: Table<f32>,
    /// Discounted sum of what counts of the rewards on the way, `[B]`.
    pub reward: Vec<f32>,
    /// What the value of `next` counts, `[B]`: γ^k after `k` steps, 0 after a terminal one.
    pub discount: Vec<f32>,
    /// What each was drawn in proportion to, `[B]`: 1 where draws are uniform. An importance weight is a power of its inverse.
    pub priorities: Vec<f64>,
    /// Numbers of the transitions, `[B]`, for [`set_priorities`](crate::Replay::set_priorities): no other transition ever has one of them.
    pub places: Vec<u64>,
}

impl Sample {
    /// Room for `rows` transitions.
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

    /// `B`.
    pub fn rows(&self) -> usize {
        self.reward.len()
    }
}
