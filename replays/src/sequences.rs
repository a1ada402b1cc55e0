//! Sequences instead of single transitions: what a network with a memory learns from.
//!
//! A sequence is a window of the rows of one seat, and begins at a row whose number is a multiple of the period: there, and
//! nowhere else, the ring keeps what the policy remembered. It may reach over the end of an episode. The memory starts anew
//! behind it, and no return does: each step has its own, as single transitions do. The first rows warm the memory up, the
//! steps of the next ones are learned from, and the last ones are where their returns lead.
//! Source: Kapturowski et al. 2019, "Recurrent experience replay in distributed reinforcement learning", section 3.

use rl_core::{Result, Rng, Spec};

use crate::replay::Window;
use crate::sample::Observations;
use crate::{Lane, Replay, RewardTransform, stack};

/// The extent of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Rows before the first step that is learned from.
    pub burn_in: usize,
    /// Rows whose steps are learned from.
    pub steps: usize,
    /// Rows between the beginnings of sequences.
    pub period: usize,
    /// Numbers of a state: what the policy keeps of each step in [`Rollout::extra`](crate::Rollout::extra).
    pub state: usize,
}

impl Sequence {
    /// Rows behind the first that a sequence needs for returns of `n_step` rewards.
    pub(crate) fn reach(&self, n_step: usize) -> usize {
        self.burn_in + self.steps - 1 + n_step
    }

    /// Where the states stand of those of `slots` that sequences may begin in.
    pub(crate) fn places(self, slots: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
        slots.filter(move |slot| slot.is_multiple_of(self.period)).map(move |slot| slot / self.period)
    }

    /// All of its rows, `T`.
    pub fn rows(&self, n_step: usize) -> usize {
        self.reach(n_step) + 1
    }
}

/// What a ring of sequences keeps besides its rows.
#[derive(Clone, Debug)]
pub(crate) struct Beginnings {
    pub(crate) sequence: Sequence,
    /// `[rows / period, seats, state]`.
    pub(crate) states: Lane<f32>,
}

/// `B` sequences of `T` rows, and the `M` steps in them that are learned from.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequences {
    /// All rows, `[T·B]`: by time, then by sequence.
    pub obs: Observations,
    /// 1 where an episode starts, else 0, `[T, B]`.
    pub starts: Vec<f32>,
    /// What was remembered before the first row, `[B, state]`.
    pub states: Vec<f32>,
    /// The rows of `obs` where the actions were taken, ascending, `[M]`.
    pub here: Vec<u32>,
    /// Those where their returns end, `[M]`.
    pub next: Vec<u32>,
    /// `[M, discrete]`.
    pub discrete: Vec<u32>,
    /// `[M, continuous]`.
    pub continuous: Vec<f32>,
    /// Discounted sum of what counts of the rewards on the way, `[M]`.
    pub reward: Vec<f32>,
    /// What the value of `next` counts, `[M]`.
    pub discount: Vec<f32>,
    /// What each sequence was drawn in proportion to, `[B]`: 1 where draws are uniform.
    pub priorities: Vec<f64>,
    /// Numbers of the sequences, `[B]`, for [`set_priorities`](Replay::set_priorities): no other sequence ever has one of them.
    pub places: Vec<u64>,
    /// The same as rows and seats.
    firsts: Vec<(u64, usize)>,
    rows: usize,
}

impl Sequences {
    /// Room for `count` sequences of `rows` rows.
    pub fn new(spec: &Spec, count: usize, rows: usize, state: usize) -> Self {
        Self {
            obs: Observations::new(spec, count * rows),
            starts: vec![0.0; count * rows],
            states: vec![0.0; count * state],
            here: Vec::new(),
            next: Vec::new(),
            discrete: Vec::new(),
            continuous: Vec::new(),
            reward: Vec::new(),
            discount: Vec::new(),
            priorities: vec![1.0; count],
            places: vec![0; count],
            firsts: vec![(0, 0); count],
            rows,
        }
    }

    /// `B`.
    pub fn count(&self) -> usize {
        self.priorities.len()
    }

    /// `T`.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

impl Replay {
    /// Whether a sequence begins in that row, all of it and the stack of its first row are there, and one of its steps can be
    /// learned from.
    pub(crate) fn is_sequence(&self, sequence: Sequence, at: u64, seat: usize) -> bool {
        let Sequence { burn_in, steps, period, .. } = sequence;
        at.is_multiple_of(period as u64)
            && at + (sequence.reach(self.n_step()) as u64) < self.written
            && self.has_history(at, seat)
            && (burn_in..burn_in + steps).any(|row| self.window(at + row as u64, seat).is_some())
    }

    /// Draws as many sequences as `out` has room for, as [`sample`](Replay::sample) draws transitions.
    ///
    /// # Errors
    /// If no sequence is complete yet.
    ///
    /// # Panics
    /// If the ring is not one of sequences, or `out` was made for others.
    pub fn sample_sequences(&self, rng: &mut Rng, counted: RewardTransform, out: &mut Sequences) -> Result<()> {
        let Beginnings { sequence, states } = self.beginnings.as_ref().expect("a ring of sequences");
        let (count, rows, width) = (out.count(), sequence.rows(self.n_step()), sequence.state);
        assert_eq!((out.rows, out.states.len()), (rows, count * width), "room for these sequences");
        self.draws(count, rng, |b, (at, seat), priority| {
            let slot = self.slot(at);
            (out.firsts[b], out.priorities[b], out.places[b]) = ((at, seat), priority, self.place(at, seat));
            out.states[b * width..][..width].copy_from_slice(states.at(slot / sequence.period, seat));
        })?;
        for t in 0..rows {
            for b in 0..count {
                let (first, seat) = out.firsts[b];
                let (at, row) = (first + t as u64, t * count + b);
                self.observe(at, seat, &mut out.obs, row);
                out.starts[row] = if self.age[(self.slot(at), seat)] == 0 { 1.0 } else { 0.0 };
            }
        }
        let Sequences { here, next, discrete, continuous, reward, discount, .. } = out;
        [&mut *here, &mut *next, &mut *discrete].into_iter().for_each(Vec::clear);
        [&mut *continuous, &mut *reward, &mut *discount].into_iter().for_each(Vec::clear);
        for t in sequence.burn_in..sequence.burn_in + sequence.steps {
            for (b, &(first, seat)) in out.firsts.iter().enumerate() {
                let at = first + t as u64;
                let Some(Window { last, discount: counts }) = self.window(at, seat) else { continue };
                here.push((t * count + b) as u32);
                next.push(((last - first) as usize * count + b) as u32);
                discrete.extend_from_slice(self.discrete.at(self.slot(at), seat));
                continuous.extend_from_slice(self.continuous.at(self.slot(at), seat));
                reward.push(self.earned((at, seat), last, counted));
                discount.push(counts);
            }
        }
        Ok(())
    }
}

/// Rows for `capacity` transitions that sequences are drawn from: whole periods, so that a beginning stays one when the ring
/// goes round.
pub(crate) fn rows_for(spec: &Spec, seats: usize, capacity: usize, n_step: usize, sequence: Sequence) -> usize {
    let own = capacity.div_ceil(seats).max(sequence.period);
    (own + sequence.reach(n_step) + stack::most(spec)).next_multiple_of(sequence.period)
}
