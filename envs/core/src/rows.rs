//! Borrowed views of the lanes that an environment reads and writes, for one seat or for a whole row of seats.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{End, Spec};

/// Where one seat writes its observation. Every element is written at every step and reset.
#[derive(Debug)]
pub struct Obs<'a> {
    /// One frame, `[H, W, C]`.
    pub frame: &'a mut [u8],
    /// Features, `[vector]`.
    pub vector: &'a mut [f32],
    /// Discrete observations, `[symbols]`.
    pub symbols: &'a mut [u32],
    /// 1 where a discrete action is legal, `[sum of discrete]`, empty without a mask.
    pub legal: &'a mut [u8],
}

impl Obs<'_> {
    /// The same places, lent again.
    pub fn again(&mut self) -> Obs<'_> {
        Obs { frame: self.frame, vector: self.vector, symbols: self.symbols, legal: self.legal }
    }
}

/// Actions of one seat, or of a row of seats one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// `[seats, discrete]`.
    pub discrete: &'a [u32],
    /// `[seats, continuous]`.
    pub continuous: &'a [f32],
}

impl<'a> Act<'a> {
    /// The actions of seat `n` of a row.
    pub fn seat(&self, spec: &Spec, n: usize) -> Act<'a> {
        self.seats(spec, n..n + 1)
    }

    /// The actions of some seats of a row.
    pub fn seats(&self, spec: &Spec, seats: Range<usize>) -> Act<'a> {
        let of = |width: usize| seats.start * width..seats.end * width;
        Act {
            discrete: &self.discrete[of(spec.discrete.len())],
            continuous: &self.continuous[of(spec.continuous.len())],
        }
    }
}

/// A finished episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Global number of the seat that played it.
    pub seat: u32,
    /// Sum of raw rewards.
    pub ret: f64,
    /// Agent steps.
    #[serde(deserialize_with = "crate::counter")]
    pub steps: u64,
    /// Emulator frames.
    #[serde(deserialize_with = "crate::counter")]
    pub frames: u64,
    /// `Truncated` or `Terminated`.
    pub end: End,
    /// The seed that it began with; known when it has ended.
    #[serde(skip)]
    pub seed: u64,
}

/// One row of `N` seats, written by a [`VecEnv`](crate::VecEnv).
#[derive(Debug)]
pub struct Rows<'a> {
    /// `[N, H, W, C]`.
    pub frame: &'a mut [u8],
    /// `[N, vector]`.
    pub vector: &'a mut [f32],
    /// `[N, symbols]`.
    pub symbols: &'a mut [u32],
    /// `[N, legal]`.
    pub legal: &'a mut [u8],
    /// Steps since the reset, `[N]`; 0 marks the first observation of an episode.
    pub age: &'a mut [u32],
    /// What the step that led here earned, `[N]`: its raw reward and, where the configuration names a shaping, its
    /// [bonus](crate::Env::bonus); 0 on a reset row. [`Episode::ret`] is raw.
    pub reward: &'a mut [f32],
    /// How that step ended, `[N]`; `No` on a reset row.
    pub end: &'a mut [End],
    /// Emulator frames that the step took, `[N]`; 0 on a reset row.
    pub frames: &'a mut [u32],
    /// Episodes that finished in this row are pushed here.
    pub episodes: &'a mut Vec<Episode>,
}

impl Rows<'_> {
    /// Says of every seat that an episode begins here.
    pub(crate) fn begin(&mut self) {
        self.age.fill(0);
        self.reward.fill(0.0);
        self.end.fill(End::No);
        self.frames.fill(0);
    }

    /// Where seat `n` writes its observation.
    pub fn obs(&mut self, spec: &Spec, n: usize) -> Obs<'_> {
        let (f, v, s, l) = (spec.frame_len(), spec.vector, spec.symbols.len(), spec.legal_len());
        Obs {
            frame: &mut self.frame[n * f..(n + 1) * f],
            vector: &mut self.vector[n * v..(n + 1) * v],
            symbols: &mut self.symbols[n * s..(n + 1) * s],
            legal: &mut self.legal[n * l..(n + 1) * l],
        }
    }
}
