//! Rows that environments are stepped into, and random actions to step them by.

use crate::{Act, End, Episode, Rng, Rows, Spec, Stream};

/// Owned copy of one row of `N` seats in a [`Buffer`], for exact comparison.
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
    /// Episodes that finished since the last call of [`Buffer::cover`].
    pub episodes: Vec<Episode>,
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

/// Buffers of one row of `N` seats that an environment writes into, prefilled with a byte pattern.
#[derive(Clone, Debug)]
pub struct Buffer {
    frame: Vec<u8>,
    vector: Vec<f32>,
    symbols: Vec<u32>,
    legal: Vec<u8>,
    age: Vec<u32>,
    reward: Vec<f32>,
    end: Vec<End>,
    frames: Vec<u32>,
    /// Episodes that finished since the last call of [`cover`](Buffer::cover).
    pub episodes: Vec<Episode>,
    pattern: u8,
}

impl Buffer {
    /// Allocates a row of `seats` seats; [`cover`](Buffer::cover) fills it with the byte `pattern`.
    pub fn new(spec: &Spec, seats: usize, pattern: u8) -> Self {
        Self {
            frame: vec![0; seats * spec.frame_len()],
            vector: vec![0.0; seats * spec.vector],
            symbols: vec![0; seats * spec.symbols.len()],
            legal: vec![0; seats * spec.legal_len()],
            age: vec![0; seats],
            reward: vec![0.0; seats],
            end: vec![End::No; seats],
            frames: vec![0; seats],
            episodes: Vec::with_capacity(1024),
            pattern,
        }
    }

    /// Fills every lane with the pattern, so that elements that the environment does not write can be told, and clears
    /// [`episodes`](Self::episodes).
    pub fn cover(&mut self) {
        let word = u32::from_ne_bytes([self.pattern; 4]);
        self.frame.fill(self.pattern);
        self.vector.fill(f32::from_bits(word));
        self.symbols.fill(word);
        self.legal.fill(self.pattern);
        self.age.fill(word);
        self.reward.fill(f32::from_bits(word));
        self.end.fill(if self.pattern > 0x7f { End::LifeLost } else { End::Truncated });
        self.frames.fill(word);
        self.episodes.clear();
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

    /// Whether an episode begins with this row in any seat.
    pub fn has_reset(&self) -> bool {
        self.age.contains(&0)
    }

    /// Copies the content of the buffer.
    pub fn row(&self) -> Row {
        Row {
            frame: self.frame.clone(),
            vector: self.vector.iter().map(|value| value.to_bits()).collect(),
            symbols: self.symbols.clone(),
            legal: self.legal.clone(),
            age: self.age.clone(),
            reward: self.reward.clone(),
            end: self.end.clone(),
            frames: self.frames.clone(),
            episodes: self.episodes.clone(),
        }
    }
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
