//! Clipping and normalisation of rewards for learning; logged rewards stay raw.

use std::io::{Read, Write};

use rl_core::{Error, Future, LifeLoss, Reduce, Result, Saved, read_postcard, write_postcard};
use rl_replays::{RewardTransform, Rollout};
use serde::{Deserialize, Serialize};

use crate::Log;
use crate::running_mean_std::RunningMeanStd;

/// How rewards are clipped or normalised for learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewardScale {
    /// Uses raw rewards.
    None,
    /// Clips rewards to their sign: -1, 0 or 1.
    Sign,
    /// Divides rewards by the running standard deviation of the discounted return and clips them to ±10.
    Std,
}

/// Transforms rewards for a learner, and keeps the running statistics that this needs.
pub(crate) struct RewardScaler {
    scale: RewardScale,
    gamma: f64,
    life_loss: LifeLoss,
    stats: RewardStats,
    /// Discounted returns after each step of one rollout, by time, then by seat.
    seen: Vec<f32>,
}

/// Saved statistics, from which the next scale is computed.
#[derive(Serialize, Deserialize)]
struct RewardStats {
    returns: RunningMeanStd,
    /// Discounted sum of the rewards of each seat's current episode so far, `[N]`.
    open: Vec<f64>,
}

impl RewardScaler {
    /// Creates empty statistics for `seats` seats.
    pub(crate) fn new(scale: RewardScale, gamma: f64, life_loss: LifeLoss, seats: u32) -> Self {
        let stats = RewardStats { returns: RunningMeanStd::new(1), open: vec![0.0; seats as usize] };
        Self { scale, gamma, life_loss, stats, seen: Vec::new() }
    }

    /// Adds the returns of `blocks` to the statistics, and returns the transform of rewards that is now in force.
    ///
    /// Logs the scale as `reward_scale` where rewards are normalised.
    ///
    /// # Errors
    /// If a member of the run is lost.
    pub(crate) fn transform(
        &mut self,
        blocks: &[Rollout],
        reduce: &mut dyn Reduce,
        log: &mut Log,
    ) -> Result<RewardTransform> {
        match self.scale {
            RewardScale::None => Ok(RewardTransform::Raw),
            RewardScale::Sign => Ok(RewardTransform::Sign),
            RewardScale::Std => {
                self.look(blocks);
                self.stats.returns.add(|| self.seen.chunks_exact(1), reduce)?;
                let scale = self.stats.returns.scale().next().expect("returns have a width of 1") as f32;
                log.add("reward_scale", f64::from(scale));
                Ok(RewardTransform::Times(scale))
            }
        }
    }

    fn look(&mut self, blocks: &[Rollout]) {
        self.seen.clear();
        for t in 0..blocks.first().map_or(0, Rollout::horizon) {
            let seats = blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
            for ((block, e), open) in seats.zip(&mut self.stats.open) {
                if block.age[(t, e)] == 0 || !block.valid(t, e) {
                    *open = 0.0; // environments that were built again begin without a step that says so
                }
                if !block.valid(t, e) {
                    continue;
                }
                *open = self.gamma * *open + f64::from(block.reward[(t + 1, e)]);
                self.seen.push(*open as f32);
                if self.life_loss.future(block.end[(t + 1, e)]) != Future::Continues {
                    *open = 0.0;
                }
            }
        }
    }

    /// The statistics, to be saved with the learner; `None` where rewards are not normalised.
    pub(crate) fn saved(&mut self) -> Option<&mut dyn Saved> {
        (self.scale == RewardScale::Std).then_some(&mut self.stats as &mut dyn Saved)
    }
}

impl Saved for RewardStats {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(self, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let read: Self = read_postcard("rewards", from)?;
        let (found, expected) = (read.open.len(), self.open.len());
        if found != expected || !read.returns.fits(1) {
            let message = format!("holds the returns of {found} seats and their statistics, expected {expected}");
            return Err(Error::State { part: "rewards".to_owned(), message });
        }
        *self = read;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{End, Solo, Spec};

    use super::*;

    /// A block of one seat per row of `seats`: reward and end of each step, `None` for a reset.
    fn block(seats: &[Vec<Option<(f32, End)>>]) -> Rollout {
        let spec = Spec { vector: 1, discrete: [2].into(), ..Spec::none() };
        let mut block = Rollout::new(&spec, seats[0].len(), seats.len(), 0);
        for (e, steps) in seats.iter().enumerate() {
            block.age[(0, e)] = 1; // the episode goes on
            for (t, step) in steps.iter().enumerate() {
                let (reward, end) = step.unwrap_or((9.0, End::No));
                block.age[(t + 1, e)] = u32::from(step.is_some());
                (block.reward[(t + 1, e)], block.end[(t + 1, e)]) = (reward, end);
            }
        }
        block
    }

    fn steps() -> Vec<Option<(f32, End)>> {
        let (go, lost) = (End::No, End::LifeLost);
        vec![Some((2.0, go)), Some((4.0, lost)), Some((-1.0, End::Truncated)), None, Some((8.0, go))]
    }

    #[test]
    fn returns_are_discounted_within_an_episode_and_go_on_in_the_next_block() {
        for (life_loss, third) in [(LifeLoss::Ignore, -1.0 + 0.5 * 5.0), (LifeLoss::Terminal, -1.0)] {
            let mut rewards = RewardScaler::new(RewardScale::Std, 0.5, life_loss, 1);
            rewards.transform(&[block(&[steps()])], &mut Solo, &mut Log::default()).unwrap();
            assert_eq!(rewards.seen, [2.0, 5.0, third, 8.0]);
            rewards.transform(&[block(&[vec![Some((1.0, End::Terminated))]])], &mut Solo, &mut Log::default()).unwrap();
            assert_eq!(rewards.seen, [5.0]);
            assert_eq!(rewards.stats.open, [0.0]);
            rewards.transform(&[block(&[steps()])], &mut Solo, &mut Log::default()).unwrap();
            let mut anew = block(&[vec![Some((1.0, End::No))]]);
            anew.age[(0, 0)] = 0; // environments were built again, and no step said so
            rewards.transform(&[anew], &mut Solo, &mut Log::default()).unwrap();
            assert_eq!(rewards.seen, [1.0]);
        }
    }

    #[test]
    fn a_reward_is_counted_in_deviations_of_the_return_and_never_beyond_the_limit() {
        let mut rewards = RewardScaler::new(RewardScale::Std, 0.0, LifeLoss::Ignore, 1);
        let seen = [3.0, -1.0, 3.0, -1.0f32];
        let steps = seen.map(|reward| Some((reward, End::No))).to_vec();
        let transform = rewards.transform(&[block(&[steps])], &mut Solo, &mut Log::default()).unwrap();
        let close =
            |reward: f32, expected: f32| assert!((transform.of(reward) - expected).abs() < 1e-6, "{transform:?}");
        close(3.0, 1.5); // the deviation of the four is 2, and their mean is not subtracted
        close(-1.0, -0.5);
        close(1000.0, 10.0);
        close(-1000.0, -10.0);
        for (scale, transform) in
            [(RewardScale::None, RewardTransform::Raw), (RewardScale::Sign, RewardTransform::Sign)]
        {
            let mut rewards = RewardScaler::new(scale, 0.9, LifeLoss::Ignore, 1);
            assert_eq!(
                rewards.transform(&[block(&[self::steps()])], &mut Solo, &mut Log::default()).unwrap(),
                transform
            );
            assert!(rewards.saved().is_none());
        }
    }

    #[test]
    fn seats_have_the_same_returns_in_one_block_or_two_and_a_loaded_one_goes_on() {
        let (a, b) = (steps(), steps().into_iter().rev().collect::<Vec<_>>());
        let new = || RewardScaler::new(RewardScale::Std, 0.9, LifeLoss::Ignore, 2);
        let (mut one, mut two) = (new(), new());
        let whole = one.transform(&[block(&[a.clone(), b.clone()])], &mut Solo, &mut Log::default()).unwrap();
        assert_eq!(
            two.transform(&[&a, &b].map(|steps| block(std::slice::from_ref(steps))), &mut Solo, &mut Log::default())
                .unwrap(),
            whole
        );
        let mut bytes = Vec::new();
        one.saved().unwrap().save(&mut bytes).unwrap();
        let mut loaded = new();
        loaded.saved().unwrap().load(&mut bytes.as_slice()).unwrap();
        let next = |rewards: &mut RewardScaler| {
            rewards.transform(&[block(&[b.clone(), a.clone()])], &mut Solo, &mut Log::default()).unwrap()
        };
        assert_eq!(next(&mut loaded), next(&mut one));
        let mut fewer = RewardScaler::new(RewardScale::Std, 0.9, LifeLoss::Ignore, 1);
        let error = fewer.saved().unwrap().load(&mut bytes.as_slice()).unwrap_err().to_string();
        assert!(error.ends_with("holds the returns of 2 seats and their statistics, expected 1"), "{error}");
    }

    /// A mean without squares would be read beyond its end with the next round.
    #[test]
    fn statistics_that_are_not_of_one_number_are_refused() {
        let mut rewards = RewardScaler::new(RewardScale::Std, 0.9, LifeLoss::Ignore, 2);
        let part = rewards.saved().unwrap();
        for (mean, squares, fits) in [(1, 1, true), (1, 0, false), (0, 1, false), (2, 2, false)] {
            let (mut bytes, open) = (Vec::new(), vec![0.0f64; 2]);
            write_postcard(&((1.0f64, vec![0.0f64; mean], vec![0.0f64; squares]), open), &mut bytes).unwrap();
            assert_eq!(part.load(&mut bytes.as_slice()).is_ok(), fits, "{mean} and {squares}");
        }
    }
}
