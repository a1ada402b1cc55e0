//! Rounds of updates on what all seats just did: every step with what it is compared with, and the parts of an epoch.
//!
//! What learners without a replay share. Every step that was played is in exactly one minibatch of each epoch; where their
//! number does not divide, the first minibatches have one step more.

use std::ops::Range;

use rl_replays::{RewardTransform, Rollout};

use crate::gae::Gae;

/// A step to learn from: its place in the blocks, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Played {
    pub(crate) block: u32,
    pub(crate) t: u32,
    pub(crate) e: u32,
    pub(crate) advantage: f32,
    pub(crate) target: f32,
}

impl Played {
    /// Block and place of the seat, after the time: the order in which steps are kept.
    pub(crate) fn place(&self) -> (u32, u32, u32) {
        (self.t, self.block, self.e)
    }
}

/// Memory of estimates, for all blocks one after the other, each `[T, N]`.
#[derive(Default)]
pub(crate) struct Scratch {
    advantages: Vec<f32>,
    carry: Vec<f32>,
}

/// Replaces `steps` by those that were played, estimated by `gae`: `value(block, t, e)` of what was seen before each, and
/// `last` of what was seen after the last ones, seat by seat. The target is the advantage and the value.
pub(crate) fn estimate(
    gae: &Gae,
    blocks: &[Rollout],
    counted: RewardTransform,
    last: &[f32],
    value: impl Fn(&Rollout, usize, usize) -> f32,
    Scratch { advantages, carry }: &mut Scratch,
    steps: &mut Vec<Played>,
) {
    advantages.clear();
    let mut first = 0;
    for block in blocks {
        let last = &last[first..first + block.envs()];
        let value = |t, e| if t == block.horizon() { last[e] } else { value(block, t, e) };
        gae.append(block, counted, value, carry, advantages);
        first += block.envs();
    }
    list(blocks, |at, block, t, e| (advantages[at], advantages[at] + value(block, t, e)), steps);
}

/// Replaces `steps` by those that were played, by time, then by seat: `of(at, block, t, e)` is the advantage and the target
/// of one, `at` its place in an array of all blocks, one after the other, each `[T, N]`.
pub(crate) fn list(
    blocks: &[Rollout],
    of: impl Fn(usize, &Rollout, usize, usize) -> (f32, f32),
    steps: &mut Vec<Played>,
) {
    steps.clear();
    for t in 0..blocks.first().map_or(0, Rollout::horizon) {
        let mut from = 0;
        for (b, block) in blocks.iter().enumerate() {
            for e in (0..block.envs()).filter(|&e| block.valid(t, e)) {
                let (advantage, target) = of(from + t * block.envs() + e, block, t, e);
                steps.push(Played { block: b as u32, t: t as u32, e: e as u32, advantage, target });
            }
            from += block.horizon() * block.envs();
        }
    }
}

/// Cuts `len` steps into `count` parts, the first of which are longer by one where it does not divide.
pub(crate) fn parts(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let (each, more) = (len / count.max(1), len % count.max(1));
    let edge = move |part: usize| part * each + part.min(more);
    (0..count).map(move |part| edge(part)..edge(part + 1))
}
