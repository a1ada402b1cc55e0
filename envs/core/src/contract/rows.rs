//! Rows to compare, and random actions to step environments by.

use std::fmt;
use std::ops::Range;

use crate::{Act, End, Episode, Rng, RowsBuf, Spec, Stream};

/// Returns the part of a row of `all` seats that belongs to the range `seats`, without episodes.
pub(super) fn part(rows: &RowsBuf, seats: Range<usize>, all: usize) -> RowsBuf {
    fn of<T: Clone>(lane: &[T], seats: &Range<usize>, all: usize) -> Vec<T> {
        let width = lane.len() / all;
        lane[seats.start * width..seats.end * width].to_vec()
    }
    RowsBuf {
        frame: of(&rows.frame, &seats, all),
        vector: of(&rows.vector, &seats, all),
        symbols: of(&rows.symbols, &seats, all),
        legal: of(&rows.legal, &seats, all),
        age: of(&rows.age, &seats, all),
        reward: of(&rows.reward, &seats, all),
        end: of(&rows.end, &seats, all),
        frames: of(&rows.frames, &seats, all),
        episodes: Vec::new(),
    }
}

/// Describes the first difference between two rows; `None` if they are equal.
pub(super) fn difference(here: &RowsBuf, there: &RowsBuf) -> Option<String> {
    fn first<T: fmt::Debug>(name: &str, one: &[T], other: &[T], same: fn(&T, &T) -> bool) -> Option<String> {
        let equal = |at: usize| match (one.get(at), other.get(at)) {
            (Some(one), Some(other)) => same(one, other),
            _ => false,
        };
        let at = (0..one.len().max(other.len())).find(|&at| !equal(at))?;
        let told = |lane: &[T]| lane.get(at).map_or("nothing".to_owned(), |value| format!("{value:?}"));
        Some(format!("{name}[{at}] is {} here and {} there", told(one), told(other)))
    }
    first("frame", &here.frame, &there.frame, u8::eq)
        .or_else(|| first("vector", &here.vector, &there.vector, |one, other| one.to_bits() == other.to_bits()))
        .or_else(|| first("symbols", &here.symbols, &there.symbols, u32::eq))
        .or_else(|| first("legal", &here.legal, &there.legal, u8::eq))
        .or_else(|| first("age", &here.age, &there.age, u32::eq))
        .or_else(|| first("reward", &here.reward, &there.reward, f32::eq))
        .or_else(|| first("end", &here.end, &there.end, End::eq))
        .or_else(|| first("frames", &here.frames, &there.frames, u32::eq))
        .or_else(|| first("episodes", &here.episodes, &there.episodes, Episode::eq))
}

/// Fills all lanes of `rows` with the byte `pattern`, so that elements that an environment does not write can be told,
/// and forgets the episodes.
pub fn cover(rows: &mut RowsBuf, pattern: u8) {
    let word = u32::from_ne_bytes([pattern; 4]);
    rows.frame.fill(pattern);
    rows.vector.fill(f32::from_bits(word));
    rows.symbols.fill(word);
    rows.legal.fill(pattern);
    rows.age.fill(word);
    rows.reward.fill(f32::from_bits(word));
    rows.end.fill(if pattern > 0x7f { End::LifeLost } else { End::Truncated });
    rows.frames.fill(word);
    rows.episodes.clear();
}

/// Uniformly random actions of `N` seats, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Actions {
    rng: Rng,
    /// Discrete actions that were drawn last, `[N, discrete]`.
    pub discrete: Vec<u32>,
    /// Continuous actions that were drawn last, `[N, continuous]`.
    pub continuous: Vec<f32>,
}

impl Actions {
    /// Makes the actions of `seats` seats of an environment with the spec `spec`; all are 0 before the first draw.
    pub fn new(spec: &Spec, seats: usize, seed: u64) -> Self {
        let rng = Rng::new(seed, Stream::Tool(0));
        let (discrete, continuous) = (vec![0; seats * spec.discrete.len()], vec![0.0; seats * spec.continuous.len()]);
        Self { rng, discrete, continuous }
    }

    /// Draws and returns the next actions of all seats, uniformly, whether legal or not.
    pub fn draw(&mut self, spec: &Spec) -> Act<'_> {
        spec.draw(&mut self.rng, &mut self.discrete, &mut self.continuous);
        self.act()
    }

    /// Returns the actions that were drawn last.
    pub fn act(&self) -> Act<'_> {
        Act { discrete: &self.discrete, continuous: &self.continuous }
    }
}
