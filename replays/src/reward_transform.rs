//! How much of a reward counts where it is learned from; blocks and the ring hold it raw.
//!
//! So a scale that changes over a run is that of the moment in which a return is made, however long ago it was earned.

/// Farther from 0 no scaled reward is let. Source: Baselines' `VecNormalize`.
const LIMIT: f32 = 10.0;

/// What of a reward counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RewardTransform {
    /// All of it.
    Raw,
    /// Its sign; 0 stays 0.
    Sign,
    /// So many times as much, ±10 at most.
    Times(f32),
}

impl RewardTransform {
    /// What counts of `reward`.
    pub fn of(self, reward: f32) -> f32 {
        match self {
            RewardTransform::Raw => reward,
            RewardTransform::Sign if reward == 0.0 => 0.0,
            RewardTransform::Sign => reward.signum(),
            RewardTransform::Times(scale) => (reward * scale).clamp(-LIMIT, LIMIT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reward_counts_whole_by_its_sign_or_scaled_and_never_beyond_the_limit() {
        let of = |counted: RewardTransform| [-3.0, -0.0, 0.5, 80.0].map(|reward| counted.of(reward));
        assert_eq!(of(RewardTransform::Raw), [-3.0, 0.0, 0.5, 80.0]);
        assert_eq!(of(RewardTransform::Sign), [-1.0, 0.0, 1.0, 1.0]);
        assert_eq!(of(RewardTransform::Times(0.25)), [-0.75, 0.0, 0.125, 10.0]);
        assert_eq!(RewardTransform::Times(0.25).of(-80.0), -10.0);
    }
}
