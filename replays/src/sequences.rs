//! Sampling of sequences instead of single transitions, for recurrent networks.
//!
//! A sequence is a window of the rows of one seat, and begins at a row whose number is a multiple of the period: only
//! there the ring stores the recurrent state of the policy. A sequence may reach over the end of an episode: there the
//! recurrent state is reset, and no n-step return crosses it. The first rows are the burn-in, the steps of the next
//! ones are learned from, and the last ones hold the observations that their returns bootstrap from.
//! Source: Kapturowski et al. 2019, "Recurrent experience replay in distributed reinforcement learning", section 3.

use rl_core::{Result, Rng, Spec};

use crate::replay::Window;
use crate::sample::Observations;
use crate::{Lane, Replay, RewardTransform, stack};

/// Lengths of the sequences that a recurrent network learns from (R2D2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Rows before the first step that is learned from; they only warm up the recurrent state.
    pub burn_in: usize,
    /// Steps that are learned from, at least 1.
    pub steps: usize,
    /// Rows from one beginning of a sequence to the next, at least 1; sequences overlap if it is below `steps`.
    pub period: usize,
    /// Width of the recurrent state, which the policy stores in [`Rollout::extra`](crate::Rollout::extra).
    pub state: usize,
}

impl Sequence {
    /// Rows after the first that a sequence needs for returns of `n_step` rewards.
    pub(crate) fn reach(&self, n_step: usize) -> usize {
        (self.burn_in.saturating_add(self.steps) - 1).saturating_add(n_step)
    }

    /// Indices of the stored recurrent states that belong to `slots`; slots in which no sequence begins have none.
    pub(crate) fn places(self, slots: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
        slots.filter(move |slot| slot.is_multiple_of(self.period)).map(move |slot| slot / self.period)
    }

    /// Rows of a sequence, `T`: burn-in, steps to learn from, and the rows that n-step returns need after.
    pub fn rows(&self, n_step: usize) -> usize {
        self.reach(n_step).saturating_add(1)
    }
}

/// Stored recurrent states with which the sequences of a ring begin.
#[derive(Clone, Debug)]
pub(crate) struct Beginnings {
    /// Lengths of the sequences.
    pub(crate) sequence: Sequence,
    /// Recurrent state before each row in which a sequence may begin, `[rows / period, seats, state]`.
    pub(crate) states: Lane<f32>,
}

/// A minibatch of `B` sequences of `T` rows, with the `M` steps in them that are learned from.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequences {
    /// Observations of all rows, `[T·B]`: by time, then by sequence.
    pub obs: Observations,
    /// 1 where an episode starts (the recurrent state is reset before that row), else 0, `[T, B]`.
    pub starts: Vec<f32>,
    /// Recurrent state of the policy before the first row, `[B, state]`.
    pub states: Vec<f32>,
    /// Rows of `obs` in which the actions were taken, ascending, `[M]`.
    pub here: Vec<u32>,
    /// Rows of `obs` from which the returns bootstrap, `[M]`: `n` steps after `here`, or the last of the episode.
    pub next: Vec<u32>,
    /// Discrete actions, `[M, discrete]`.
    pub discrete: Vec<u32>,
    /// Continuous actions, `[M, continuous]`.
    pub continuous: Vec<f32>,
    /// Discounted sums of the transformed rewards from `here` to `next`, `[M]`.
    pub reward: Vec<f32>,
    /// Factors of the bootstrap value at `next`, `[M]`: γ^k after `k` steps, 0 after a terminal one.
    pub discount: Vec<f32>,
    /// Priorities with which the sequences were drawn, `[B]`: 1 where draws are uniform.
    pub priorities: Vec<f64>,
    /// Numbers of the sequences, `[B]`, for [`set_priorities`](Replay::set_priorities): a later sequence
    /// never has the number of an earlier one.
    pub places: Vec<u64>,
    /// First row and seat of each sequence, `[B]`.
    firsts: Vec<(u64, usize)>,
    rows: usize,
}

impl Sequences {
    /// Allocates a minibatch of `count` sequences of `rows` rows each, with recurrent states of width `state`.
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

    /// Number of sequences, `B`.
    pub fn count(&self) -> usize {
        self.priorities.len()
    }

    /// Rows per sequence, `T`.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

impl Replay {
    /// Whether a sequence that can be drawn begins in row `at`: a multiple of the period, all rows and the frame stack
    /// of the first one present, and at least one step to learn from.
    pub(crate) fn is_sequence(&self, sequence: Sequence, at: u64, seat: usize) -> bool {
        let Sequence { burn_in, steps, period, .. } = sequence;
        at.is_multiple_of(period as u64)
            && at + (sequence.reach(self.n_step()) as u64) < self.written
            && self.has_history(at, seat)
            && (burn_in..burn_in + steps).any(|row| self.window(at + row as u64, seat).is_some())
    }

    /// Draws a minibatch of sequences into `out`, with replacement: uniformly, or by priority where the ring is
    /// [prioritised](Replay::prioritised). `transform` transforms the rewards of the returns.
    ///
    /// # Errors
    /// If no sequence is complete yet.
    ///
    /// # Panics
    /// If the ring was not made by [`of_sequences`](Replay::of_sequences), or `out` is for sequences of other lengths.
    pub fn sample_sequences(&self, rng: &mut Rng, transform: RewardTransform, out: &mut Sequences) -> Result<()> {
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
                reward.push(self.earned((at, seat), last, transform));
                discount.push(counts);
            }
        }
        Ok(())
    }
}

/// Rows of a ring from which sequences are drawn, for `capacity` transitions of all seats.
///
/// The result is a multiple of the period, so that sequences begin in the same slots each time the ring wraps around.
pub(crate) fn rows_for(spec: &Spec, seats: usize, capacity: usize, n_step: usize, sequence: Sequence) -> usize {
    let own = capacity.div_ceil(seats).max(sequence.period);
    let rows = own.saturating_add(sequence.reach(n_step)).saturating_add(stack::most(spec));
    rows.checked_next_multiple_of(sequence.period).unwrap_or(usize::MAX)
}
