//! Borrowed views of the lanes that an environment reads and writes, for one seat or for a whole row of seats.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{End, Spec, WorldRows};

/// Buffers into which one seat writes its observation. Every element is written at every step and reset.
#[derive(Debug)]
pub struct Obs<'a> {
    /// Newest frame, `[H, W, C]`; empty without pixels.
    pub frame: &'a mut [u8],
    /// Features, `[vector]`.
    pub vector: &'a mut [f32],
    /// Discrete observations, `[symbols]`, each below its cardinality in [`Spec::symbols`].
    pub symbols: &'a mut [u32],
    /// Action mask, 1 where a value of a discrete action is legal and 0 elsewhere, `[sum of discrete]`; empty without a
    /// mask.
    pub legal: &'a mut [u8],
}

impl Obs<'_> {
    /// Reborrows the same buffers for a shorter time, to pass them on more than once.
    pub fn again(&mut self) -> Obs<'_> {
        Obs { frame: self.frame, vector: self.vector, symbols: self.symbols, legal: self.legal }
    }
}

/// Actions of `N` seats, one after the other; `N` is 1 in [`Env::step`](crate::Env::step), and the number of seats of the
/// world in [`World::step`](crate::World::step).
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Discrete actions, `[N, discrete]`.
    pub discrete: &'a [u32],
    /// Continuous actions, `[N, continuous]`.
    pub continuous: &'a [f32],
}

impl<'a> Act<'a> {
    /// Returns the actions of seat `n`.
    #[inline]
    pub fn seat(&self, spec: &Spec, n: usize) -> Act<'a> {
        self.seats(spec, n..n + 1)
    }

    /// Returns the actions of the range of seats `seats`.
    #[inline]
    pub fn seats(&self, spec: &Spec, seats: Range<usize>) -> Act<'a> {
        let of = |width: usize| seats.start * width..seats.end * width;
        Act {
            discrete: &self.discrete[of(spec.discrete.len())],
            continuous: &self.continuous[of(spec.continuous.len())],
        }
    }
}

/// Return, length and end of a finished episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Global number of the seat that played the episode.
    pub seat: u32,
    /// Undiscounted return: sum of raw rewards, neither clipped nor shaped.
    pub ret: f64,
    /// Number of agent steps.
    #[serde(deserialize_with = "crate::counter")]
    pub steps: u64,
    /// Number of emulator frames.
    #[serde(deserialize_with = "crate::counter")]
    pub frames: u64,
    /// How the episode ended: `Truncated` or `Terminated`.
    pub end: End,
    /// Episode seed; it is set when the episode has ended and is not serialised.
    #[serde(skip)]
    pub seed: u64,
}

/// Buffers of one row of `N` seats, into which a [`VecEnv`](crate::VecEnv) writes the results of a step or reset.
#[derive(Debug)]
pub struct Rows<'a> {
    /// Newest frames, `[N, H, W, C]`.
    pub frame: &'a mut [u8],
    /// Features, `[N, vector]`.
    pub vector: &'a mut [f32],
    /// Discrete observations, `[N, symbols]`.
    pub symbols: &'a mut [u32],
    /// Action masks, `[N, legal]` with the width of [`Spec::legal_len`].
    pub legal: &'a mut [u8],
    /// Agent steps since the reset, `[N]`; 0 marks the first observation of an episode.
    pub age: &'a mut [u32],
    /// Rewards of the steps that led to these observations, `[N]`: the raw reward plus the shaping reward of
    /// [`Env::shaping_reward`](crate::Env::shaping_reward); 0 on a reset row. [`Episode::ret`] sums raw rewards alone.
    pub reward: &'a mut [f32],
    /// How the steps that led to these observations ended, `[N]`; `No` on a reset row.
    pub end: &'a mut [End],
    /// Emulator frames that the steps took, `[N]`; 0 on a reset row.
    pub frames: &'a mut [u32],
    /// List to which episodes that finish in this row are pushed.
    pub episodes: &'a mut Vec<Episode>,
}

/// Widths of the lanes of what one seat observes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Widths {
    frame: usize,
    vector: usize,
    symbols: usize,
    legal: usize,
}

impl Widths {
    /// Returns the widths of an observation of `spec`.
    pub(crate) fn of(spec: &Spec) -> Self {
        let (vector, symbols) = (spec.vector, spec.symbols.len());
        Self { frame: spec.frame_len(), vector, symbols, legal: spec.legal_len() }
    }
}

impl Rows<'_> {
    /// Marks the row as a reset row in the range of seats `seats`: age, reward and frames are 0 and the end is `No`.
    pub(crate) fn begin(&mut self, seats: Range<usize>) {
        self.age[seats.clone()].fill(0);
        self.reward[seats.clone()].fill(0.0);
        self.end[seats.clone()].fill(End::No);
        self.frames[seats].fill(0);
    }

    /// Returns the buffers into which the world of the range of seats `seats` writes.
    // Lanes that a call hands back through memory are waited for, a tenth of a step of CartPole.
    #[inline(always)]
    pub(crate) fn world(&mut self, widths: &Widths, seats: Range<usize>) -> WorldRows<'_> {
        let obs = Obs {
            frame: &mut self.frame[seats.start * widths.frame..seats.end * widths.frame],
            vector: &mut self.vector[seats.start * widths.vector..seats.end * widths.vector],
            symbols: &mut self.symbols[seats.start * widths.symbols..seats.end * widths.symbols],
            legal: &mut self.legal[seats.start * widths.legal..seats.end * widths.legal],
        };
        WorldRows { obs, reward: &mut self.reward[seats] }
    }

    /// Returns the buffers into which seat `n` writes its observation.
    pub fn obs(&mut self, spec: &Spec, n: usize) -> Obs<'_> {
        self.world(&Widths::of(spec), n..n + 1).obs
    }
}
