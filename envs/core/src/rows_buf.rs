//! The buffers that belong to a view of a row.

use crate::{End, Episode, Rows, Spec};

/// Owned buffers of one row of `N` seats: what a program that steps a [`VecEnv`](crate::VecEnv) itself lends out as
/// [`Rows`], which says what each of them holds. Two are equal where their features are to the bit, and all else is.
///
/// ```
/// use rl_core::{End, RowsBuf, Spec};
///
/// let spec = Spec { vector: 4, discrete: [2].into(), ..Spec::none() };
/// let mut row = RowsBuf::new(&spec, 8);
/// row.rows().reward[3] = 1.0; // as an environment does
/// assert_eq!((row.vector.len(), row.reward[3], row.end[3]), (32, 1.0, End::No));
/// ```
#[derive(Clone, Debug)]
pub struct RowsBuf {
    /// Newest frames, `[N, H, W, C]`.
    pub frame: Vec<u8>,
    /// Features, `[N, vector]`.
    pub vector: Vec<f32>,
    /// Discrete observations, `[N, symbols]`.
    pub symbols: Vec<u32>,
    /// Action masks, `[N, legal]`.
    pub legal: Vec<u8>,
    /// Agent steps since the reset, `[N]`.
    pub age: Vec<u32>,
    /// Rewards of the step, `[N]`.
    pub reward: Vec<f32>,
    /// How the step ended in each seat, `[N]`.
    pub end: Vec<End>,
    /// Emulator frames that the step took, `[N]`.
    pub frames: Vec<u32>,
    /// Episodes that finished since the list was last cleared, which is the caller's to do.
    pub episodes: Vec<Episode>,
}

impl PartialEq for RowsBuf {
    fn eq(&self, other: &Self) -> bool {
        let Self { frame, vector, symbols, legal, age, reward, end, frames, episodes } = self;
        vector.iter().map(|value| value.to_bits()).eq(other.vector.iter().map(|value| value.to_bits()))
            && (frame, symbols, legal, age) == (&other.frame, &other.symbols, &other.legal, &other.age)
            && (reward, end, frames, episodes) == (&other.reward, &other.end, &other.frames, &other.episodes)
    }
}

impl RowsBuf {
    /// Makes the buffers of `seats` seats of an environment with the spec `spec`; all are 0.
    pub fn new(spec: &Spec, seats: usize) -> Self {
        Self {
            frame: vec![0; seats * spec.frame_len()],
            vector: vec![0.0; seats * spec.vector],
            symbols: vec![0; seats * spec.symbols.len()],
            legal: vec![0; seats * spec.legal_len()],
            age: vec![0; seats],
            reward: vec![0.0; seats],
            end: vec![End::No; seats],
            frames: vec![0; seats],
            episodes: Vec::new(),
        }
    }

    /// Borrows the row for a call of [`VecEnv::reset`](crate::VecEnv::reset) or [`VecEnv::step`](crate::VecEnv::step).
    pub fn rows(&mut self) -> Rows<'_> {
        Rows {
            frame: &mut self.frame,
            vector: &mut self.vector,
            symbols: &mut self.symbols,
            legal: &mut self.legal,
            age: &mut self.age,
            reward: &mut self.reward,
            end: &mut self.end,
            frames: &mut self.frames,
            episodes: &mut self.episodes,
        }
    }
}
