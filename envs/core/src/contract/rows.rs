//! Rows to compare, and random actions to step environments by.

use crate::{Act, End, Episode, Rng, RowsBuf, Spec, Stream};

/// Copy of one row of `N` seats, for exact comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Frames, `[N, H, W, C]`.
    pub frame: Vec<u8>,
    /// Bits of the `f32` features, `[N, vector]`, so that rows compare exactly.
    pub vector: Vec<u32>,
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
    /// Episodes that [`RowsBuf::episodes`] held.
    pub episodes: Vec<Episode>,
}

impl From<&RowsBuf> for Row {
    fn from(rows: &RowsBuf) -> Self {
        Self {
            frame: rows.frame.clone(),
            vector: rows.vector.iter().map(|value| value.to_bits()).collect(),
            symbols: rows.symbols.clone(),
            legal: rows.legal.clone(),
            age: rows.age.clone(),
            reward: rows.reward.clone(),
            end: rows.end.clone(),
            frames: rows.frames.clone(),
            episodes: rows.episodes.clone(),
        }
    }
}

impl Row {
    /// Returns the part of the row that belongs to the range `seats` of `all` seats, without episodes.
    pub(super) fn of(&self, seats: std::ops::Range<usize>, all: usize) -> Self {
        fn part<T: Clone>(lane: &[T], seats: &std::ops::Range<usize>, all: usize) -> Vec<T> {
            let width = lane.len() / all;
            lane[seats.start * width..seats.end * width].to_vec()
        }
        Self {
            frame: part(&self.frame, &seats, all),
            vector: part(&self.vector, &seats, all),
            symbols: part(&self.symbols, &seats, all),
            legal: part(&self.legal, &seats, all),
            age: part(&self.age, &seats, all),
            reward: part(&self.reward, &seats, all),
            end: part(&self.end, &seats, all),
            frames: part(&self.frames, &seats, all),
            episodes: Vec::new(),
        }
    }

    /// Describes the first difference between this row and `other`; `None` if they are equal.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        fn first<T: PartialEq + std::fmt::Debug>(name: &str, one: &[T], other: &[T]) -> Option<String> {
            let at = (0..one.len().max(other.len())).find(|&at| one.get(at) != other.get(at))?;
            let told = |lane: &[T]| lane.get(at).map_or("nothing".to_owned(), |value| format!("{value:?}"));
            Some(format!("{name}[{at}] is {} here and {} there", told(one), told(other)))
        }
        let features = |row: &Self| row.vector.iter().map(|&bits| f32::from_bits(bits)).collect::<Vec<_>>();
        first("frame", &self.frame, &other.frame)
            .or_else(|| (self.vector != other.vector).then(|| first("vector", &features(self), &features(other)))?)
            .or_else(|| first("symbols", &self.symbols, &other.symbols))
            .or_else(|| first("legal", &self.legal, &other.legal))
            .or_else(|| first("age", &self.age, &other.age))
            .or_else(|| first("reward", &self.reward, &other.reward))
            .or_else(|| first("end", &self.end, &other.end))
            .or_else(|| first("frames", &self.frames, &other.frames))
            .or_else(|| first("episodes", &self.episodes, &other.episodes))
    }
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
