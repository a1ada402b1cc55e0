//! Rounds of updates on the newest rollout: the played steps with advantages and targets, and the parts of an epoch.
//!
//! Shared by PPO, A2C, IMPALA and PQN. Every played step is in exactly one minibatch of each epoch; where the
//! number of steps does not divide, the first minibatches have one step more.

use std::ops::Range;

use rl_replays::{RewardTransform, Rollout};

use crate::gae::Gae;

/// A played step: its place in the blocks, its advantage and its value target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdvantageStep {
    /// Index of the block.
    pub(crate) block: u32,
    /// Row of the block in which the action was taken.
    pub(crate) t: u32,
    /// Seat within the block.
    pub(crate) e: u32,
    /// Advantage of the action, not normalised.
    pub(crate) advantage: f32,
    /// Target of the value.
    pub(crate) target: f32,
}

impl AdvantageStep {
    /// Place of the step as (t, block, e), by which steps are sorted.
    pub(crate) fn place(&self) -> (u32, u32, u32) {
        (self.t, self.block, self.e)
    }
}

/// Scratch memory for the advantages of all blocks, one after the other, each `[T, N]`.
#[derive(Default)]
pub(crate) struct Scratch {
    advantages: Vec<f32>,
    carry: Vec<f32>,
}

/// Replaces `steps` by the played steps of all blocks, with advantages by `gae`; the target is advantage plus value.
///
/// `value(block, t, e)` are the values of the rows before steps, `last` those of the last row of all seats.
pub(crate) fn estimate(
    gae: &Gae,
    blocks: &[Rollout],
    transform: RewardTransform,
    last: &[f32],
    value: impl Fn(&Rollout, usize, usize) -> f32,
    Scratch { advantages, carry }: &mut Scratch,
    steps: &mut Vec<AdvantageStep>,
) {
    advantages.clear();
    let mut first = 0;
    for block in blocks {
        let last = &last[first..first + block.seats()];
        let value = |t, e| if t == block.horizon() { last[e] } else { value(block, t, e) };
        gae.append(block, transform, value, carry, advantages);
        first += block.seats();
    }
    list(blocks, |at, block, t, e| (advantages[at], advantages[at] + value(block, t, e)), steps);
}

/// Replaces `steps` by the played steps of all blocks, by time, then by seat.
///
/// `of(at, block, t, e)` returns advantage and target of a step; `at` is its index in an array of all blocks, one after
/// the other, each `[T, N]`.
pub(crate) fn list(
    blocks: &[Rollout],
    of: impl Fn(usize, &Rollout, usize, usize) -> (f32, f32),
    steps: &mut Vec<AdvantageStep>,
) {
    steps.clear();
    for t in 0..blocks.first().map_or(0, Rollout::horizon) {
        let mut from = 0;
        for (b, block) in blocks.iter().enumerate() {
            for e in (0..block.seats()).filter(|&e| block.valid(t, e)) {
                let (advantage, target) = of(from + t * block.seats() + e, block, t, e);
                steps.push(AdvantageStep { block: b as u32, t: t as u32, e: e as u32, advantage, target });
            }
            from += block.horizon() * block.seats();
        }
    }
}

/// Cuts `len` steps into `count` ranges whose lengths differ by at most 1, the longer ones first.
pub(crate) fn parts(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let (each, more) = (len / count.max(1), len % count.max(1));
    let edge = move |part: usize| part * each + part.min(more);
    (0..count).map(move |part| edge(part)..edge(part + 1))
}
