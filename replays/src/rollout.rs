//! Rollout buffers: preallocated blocks of experience, shared by environments, policies and learners.

use rl_core::{Act, End, Episode, Rows, Spec};

use crate::{Lane, Outputs, stack};

/// A rollout buffer of `T` agent steps of `N` seats (the players of all environments), time-major.
///
/// Environments write row `t + 1`, policies write actions into row `t`, learners read: [`first`](Self::first),
/// [`step`](Self::step). Row 0 of a block is the last row of the block before it ([`carry`](Self::carry)), so that no
/// observation is copied twice and bootstrapping needs no extra storage.
#[derive(Clone, Debug)]
pub struct Rollout {
    spec: Spec,
    horizon: usize,
    envs: usize,
    /// Single frames, `[stack - 1 + T + 1, N, H·W·C]`: history rows stand in front of row 0.
    pub frame: Lane<u8>,
    /// Continuous features of observations, `[T + 1, N, vector]`.
    pub vector: Lane<f32>,
    /// Discrete features of observations, each below its cardinality in the spec, `[T + 1, N, symbols]`.
    pub symbols: Lane<u32>,
    /// Action mask, `[T + 1, N, legal]`: not 0 where a discrete action is legal; width 0 where all always are.
    pub legal: Lane<u8>,
    /// Agent steps since the reset, `[T + 1, N]`; 0 for the first observation of an episode. It may be 0, also in row 0,
    /// behind a row whose end is not over: an engine was lost, and nothing is known of how the episode would have ended.
    pub age: Lane<u32>,
    /// Raw rewards, never clipped or scaled, `[T + 1, N]`: row `t + 1` holds the reward of action `t`. The
    /// [shaping reward](rl_core::Env::shaping_reward) is included here, but not in the returns of `episodes`.
    pub reward: Lane<f32>,
    /// Ends of steps (terminated, truncated, a life lost or none), `[T + 1, N]`: row `t + 1` says how step `t` ended.
    pub end: Lane<End>,
    /// Emulator frames of the step that led to the row, `[T + 1, N]`.
    pub frames: Lane<u32>,
    /// Discrete actions, `[T, N, discrete]`.
    pub discrete: Lane<u32>,
    /// Continuous actions in the environment's units, `[T, N, continuous]`.
    pub continuous: Lane<f32>,
    /// Values that a policy stores for its learner (log-probabilities, values, recurrent state), `[T, N, extra]`.
    pub extra: Lane<f32>,
    /// State values and action values or probabilities for display, `[T, N, 1 + A]` after
    /// [`record_outputs`](Self::record_outputs), else of width 0: see [`Outputs`].
    pub outputs: Lane<f32>,
    /// Episodes that finished in this block.
    pub episodes: Vec<Episode>,
    /// Version of the weights that acted: the optimiser steps that led to them.
    pub weights_version: u64,
}

impl Rollout {
    /// Allocates a block of `horizon` steps of `envs` seats, with `extra` values of the policy per step.
    ///
    /// # Panics
    /// If `horizon`, `envs` or the stack is 0.
    pub fn new(spec: &Spec, horizon: usize, envs: usize, extra: usize) -> Self {
        assert!(horizon > 0 && envs > 0 && spec.stack > 0, "a block has at least one step, seat and frame");
        let rows = horizon + 1;
        Self {
            frame: Lane::new(spec.stack - 1 + rows, envs, spec.frame_len()),
            vector: Lane::new(rows, envs, spec.vector),
            symbols: Lane::new(rows, envs, spec.symbols.len()),
            legal: Lane::new(rows, envs, spec.legal_len()),
            age: Lane::new(rows, envs, 1),
            reward: Lane::new(rows, envs, 1),
            end: Lane::new(rows, envs, 1),
            frames: Lane::new(rows, envs, 1),
            discrete: Lane::new(horizon, envs, spec.discrete.len()),
            continuous: Lane::new(horizon, envs, spec.continuous.len()),
            extra: Lane::new(horizon, envs, extra),
            outputs: Lane::new(horizon, envs, 0),
            episodes: Vec::new(),
            weights_version: 0,
            spec: spec.clone(),
            horizon,
            envs,
        }
    }

    /// Allocates `outputs`, which makes the policies that act on this block write their values and probabilities there.
    pub fn record_outputs(&mut self) {
        self.outputs = Lane::new(self.horizon, self.envs, Outputs::width(&self.spec));
    }

    /// Whether policies shall write their `outputs` (see [`record_outputs`](Self::record_outputs)).
    pub fn records_outputs(&self) -> bool {
        self.outputs.width() > 0
    }

    /// Shapes of observations and actions.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Agent steps per seat, `T`.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// Number of seats, `N`.
    pub fn seats(&self) -> usize {
        self.envs
    }

    /// Whether step `t` of seat `e` was played: false where the environment reset instead.
    pub fn valid(&self, t: usize, e: usize) -> bool {
        self.age[(t + 1, e)] != 0
    }

    /// The frame of seat `e` at row `t`, `[H, W, C]`.
    pub fn frame_at(&self, t: usize, e: usize) -> &[u8] {
        self.frame.at(self.spec.stack - 1 + t, e)
    }

    /// The frames of all seats at row `t`, `[N, H, W, C]`.
    pub fn frame_row(&self, t: usize) -> &[u8] {
        self.frame.row(self.spec.stack - 1 + t)
    }

    /// Writes the stack of seat `e` at row `t` as `[H, W, stack·C]`, oldest frame first.
    ///
    /// Rows before the reset are padded with the first frame of the episode.
    ///
    /// # Panics
    /// If `out` is not as long as a stack.
    pub fn stack(&self, t: usize, e: usize, out: &mut [u8]) {
        assert_eq!(out.len(), self.spec.stack * self.spec.frame_len(), "bytes of a stack");
        if out.is_empty() {
            return; // there are no frames
        }
        let newest = self.spec.stack - 1 + t;
        let frame = |back| self.frame.at(newest - back, e);
        stack::gather(self.spec.stack, self.spec.frame[2], self.age[(t, e)], frame, out);
    }

    /// Row 0, to which an environment writes its first observations.
    pub fn first(&mut self) -> Rows<'_> {
        self.split(0).1
    }

    /// The actions of row `t`, and row `t + 1`, to which the environment writes their results.
    pub fn step(&mut self, t: usize) -> (Act<'_>, Rows<'_>) {
        let (act, rows) = self.split(t + 1);
        (act.expect("row t + 1 follows the actions of row t"), rows)
    }

    fn split(&mut self, row: usize) -> (Option<Act<'_>>, Rows<'_>) {
        let act =
            row.checked_sub(1).map(|t| Act { discrete: self.discrete.row(t), continuous: self.continuous.row(t) });
        let rows = Rows {
            frame: self.frame.row_mut(self.spec.stack - 1 + row),
            vector: self.vector.row_mut(row),
            symbols: self.symbols.row_mut(row),
            legal: self.legal.row_mut(row),
            age: self.age.row_mut(row),
            reward: self.reward.row_mut(row),
            end: self.end.row_mut(row),
            frames: self.frames.row_mut(row),
            episodes: &mut self.episodes,
        };
        (act, rows)
    }

    /// Copies row `t` of `other`, with the frames of its stack, to row 0 of this block, and clears `episodes`.
    ///
    /// # Panics
    /// If `other` has another number of seats or other shapes, or no row `t`.
    pub fn begin_with(&mut self, other: &Rollout, t: usize) {
        self.frame.begin_with(&other.frame, t, self.spec.stack);
        self.vector.begin_with(&other.vector, t, 1);
        self.symbols.begin_with(&other.symbols, t, 1);
        self.legal.begin_with(&other.legal, t, 1);
        self.age.begin_with(&other.age, t, 1);
        self.reward.begin_with(&other.reward, t, 1);
        self.end.begin_with(&other.end, t, 1);
        self.frames.begin_with(&other.frames, t, 1);
        self.episodes.clear();
    }

    /// Copies observation, age, reward, end and frame count of one row and seat of `from` to row `t` of seat `e`.
    ///
    /// Only the newest frame is copied, not the earlier ones of the stack; actions are not copied.
    ///
    /// # Panics
    /// If the shapes differ, or there is no such row or seat.
    pub fn copy_row(&mut self, (t, e): (usize, usize), from: &Rollout, (from_t, from_e): (usize, usize)) {
        let frame = self.spec.stack - 1 + t;
        self.frame.at_mut(frame, e).copy_from_slice(from.frame_at(from_t, from_e));
        self.vector.at_mut(t, e).copy_from_slice(from.vector.at(from_t, from_e));
        self.symbols.at_mut(t, e).copy_from_slice(from.symbols.at(from_t, from_e));
        self.legal.at_mut(t, e).copy_from_slice(from.legal.at(from_t, from_e));
        self.age[(t, e)] = from.age[(from_t, from_e)];
        self.reward[(t, e)] = from.reward[(from_t, from_e)];
        self.end[(t, e)] = from.end[(from_t, from_e)];
        self.frames[(t, e)] = from.frames[(from_t, from_e)];
    }

    /// Moves the last row, with the frames of its stack, to row 0, so that the next rollout goes on; clears `episodes`.
    pub fn carry(&mut self) {
        self.frame.carry(self.spec.stack);
        self.vector.carry(1);
        self.symbols.carry(1);
        self.legal.carry(1);
        self.age.carry(1);
        self.reward.carry(1);
        self.end.carry(1);
        self.frames.carry(1);
        self.episodes.clear();
    }
}

/// Iterates over all played steps (resets excluded) as (block, t, e): by time, then by seat.
///
/// The order does not depend on how seats are divided between blocks.
///
/// # Panics
/// If the blocks differ in horizon.
pub fn played(blocks: &[Rollout]) -> impl Iterator<Item = (&Rollout, usize, usize)> {
    let horizon = blocks.first().map_or(0, Rollout::horizon);
    assert!(blocks.iter().all(|block| block.horizon == horizon), "groups of seats advance together");
    let row = move |t| blocks.iter().flat_map(move |block| (0..block.envs).map(move |e| (block, t, e)));
    (0..horizon).flat_map(row).filter(|&(block, t, e)| block.valid(t, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_go_on_over_the_edges_of_blocks_and_never_over_a_reset() {
        let spec = Spec { frame: [1, 1, 1], stack: 4, discrete: [2].into(), ..Spec::none() };
        let (horizon, lengths) = (3, [5, 2]);
        let mut block = Rollout::new(&spec, horizon, 2, 0);
        // The frames that each seat has shown since its reset; a number stands for each.
        let (mut shown, mut next) = ([vec![1u8], vec![2u8]], 3u8);
        let first = block.first();
        first.frame.copy_from_slice(&[1, 2]);
        first.age.fill(0);
        let mut out = [0; 4];
        for t in (0..horizon).cycle().take(horizon * 8) {
            if t == 0 && next > 3 {
                block.carry();
            }
            for (seat, seen) in shown.iter().enumerate() {
                block.stack(t, seat, &mut out);
                let expected = std::array::from_fn(|i| seen[(seen.len() + i).saturating_sub(4)]);
                assert_eq!(out, expected, "seat {seat}, row {t}, of an episode that showed {seen:?}");
            }
            let (_, rows) = block.step(t);
            for (seat, shown) in shown.iter_mut().enumerate() {
                if shown.len() > lengths[seat] {
                    shown.clear();
                }
                shown.push(next);
                (rows.frame[seat], rows.age[seat]) = (next, shown.len() as u32 - 1);
                next += 1;
            }
        }
        assert!(next > 40, "several blocks and episodes were shown");
    }

    /// A block in which every number stands once.
    fn numbered(spec: &Spec, horizon: usize, envs: usize) -> Rollout {
        let mut block = Rollout::new(spec, horizon, envs, 0);
        for t in 0..=horizon {
            for e in 0..envs {
                let number = (10 * t + e + 1) as u32;
                block.frame.at_mut(spec.stack - 1 + t, e).fill(number as u8);
                block.vector.at_mut(t, e).fill(number as f32);
                block.symbols.at_mut(t, e).fill(number);
                block.legal.at_mut(t, e).fill(number as u8);
                (block.age[(t, e)], block.reward[(t, e)], block.frames[(t, e)]) = (number, number as f32, number);
                block.end[(t, e)] = End::of_number(number % 4).expect("an end");
            }
        }
        block.episodes.push(Episode { seat: 0, ret: 0.0, steps: 1, frames: 1, end: End::Terminated, seed: 0 });
        block
    }

    /// Everything that a row holds of a seat.
    fn row(block: &Rollout, t: usize, e: usize) -> impl PartialEq + std::fmt::Debug + use<> {
        let shown = (block.frame_at(t, e).to_vec(), block.vector.at(t, e).to_vec(), block.symbols.at(t, e).to_vec());
        let legal = block.legal.at(t, e).to_vec();
        (shown, legal, block.age[(t, e)], block.reward[(t, e)], block.end[(t, e)], block.frames[(t, e)])
    }

    fn rich() -> Spec {
        Spec {
            frame: [1, 2, 1],
            stack: 2,
            vector: 1,
            symbols: [99].into(),
            mask: true,
            discrete: [3].into(),
            ..Spec::none()
        }
    }

    #[test]
    fn a_row_is_carried_begun_with_and_copied_whole() {
        let (spec, whole) = (rich(), numbered(&rich(), 3, 2));
        let mut carried = whole.clone();
        carried.carry();
        let mut begun = Rollout::new(&spec, 3, 2, 0);
        begun.episodes = whole.episodes.clone();
        begun.begin_with(&whole, 2);
        let mut copied = Rollout::new(&spec, 3, 2, 0);
        copied.copy_row((1, 0), &whole, (3, 1));
        for e in 0..2 {
            assert_eq!(row(&carried, 0, e), row(&whole, 3, e));
            assert_eq!(row(&begun, 0, e), row(&whole, 2, e));
            // The frame before, for the stack.
            assert_eq!([carried.frame.at(0, e)[0], begun.frame.at(0, e)[0]], [21 + e as u8, 11 + e as u8]);
        }
        assert_eq!(row(&copied, 1, 0), row(&whole, 3, 1));
        assert!(carried.episodes.is_empty() && begun.episodes.is_empty());
    }

    #[test]
    fn steps_are_played_by_time_then_by_seat_and_a_reset_is_none() {
        let mut blocks = [2, 1].map(|envs| numbered(&rich(), 2, envs));
        blocks[0].age[(1, 1)] = 0; // the first call resets that seat
        blocks[1].age[(0, 0)] = 0; // an episode begins here, and its first step is one
        let places = |(block, t, e): (&Rollout, usize, usize)| (t, usize::from(block.seats() == 1), e);
        let all: Vec<_> = played(&blocks).map(places).collect();
        assert_eq!(all, [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0)]);
    }
}
