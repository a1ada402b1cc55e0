//! What an environment shows and accepts: a few flat lanes, any of which may have width zero.

use serde::{Deserialize, Serialize};

/// The closed interval of one continuous action.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Smallest value that the environment accepts.
    pub low: f32,
    /// Largest value that the environment accepts.
    pub high: f32,
}

/// The shape of observations and actions. There are no dictionary spaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Height, width and channels of one `u8` frame; `[0, 0, 0]` without pixels.
    pub frame: [usize; 3],
    /// How many consecutive frames a policy sees; the environment writes single frames. 1 without pixels.
    pub stack: usize,
    /// Number of `f32` features.
    pub vector: usize,
    /// Cardinality of each discrete observation (a cell, a token): embedded or one-hot, never normalised.
    pub symbols: Box<[u32]>,
    /// Whether the environment reports which discrete actions are legal.
    pub mask: bool,
    /// Cardinality of each discrete action.
    pub discrete: Box<[u32]>,
    /// Interval of each continuous action.
    pub continuous: Box<[Bound]>,
}

impl Spec {
    /// Shows nothing and accepts nothing: `Spec { vector: 4, discrete: [2].into(), ..Spec::none() }` says what differs.
    pub fn none() -> Self {
        let (symbols, discrete, continuous) = ([].into(), [].into(), [].into());
        Self { frame: [0; 3], stack: 1, vector: 0, symbols, mask: false, discrete, continuous }
    }

    /// Bytes of one frame.
    pub fn frame_len(&self) -> usize {
        self.frame.iter().product()
    }

    /// Width of the legality lane: one flag per value of each discrete action, or none.
    pub fn legal_len(&self) -> usize {
        if self.mask { self.discrete.iter().map(|&n| n as usize).sum() } else { 0 }
    }
}
