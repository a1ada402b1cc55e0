//! Reward clipping and scaling, applied when returns are computed: rollouts and the replay store raw rewards.
//!
//! A scale that changes over a run is therefore the one in force when a return is computed, however old the reward is.

/// Largest absolute value of a scaled reward. Source: Baselines' `VecNormalize`.
const LIMIT: f32 = 10.0;

/// Transform of a raw reward before it enters a return.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RewardTransform {
    /// Leaves the reward as it is.
    Raw,
    /// Replaces the reward by its sign: -1, 0 or 1 (the clipping of DQN).
    Sign,
    /// Multiplies the reward by this factor and clips the product to ±10.
    Times(f32),
}

impl RewardTransform {
    /// Applies the transform to a raw reward.
    pub fn of(self, reward: f32) -> f32 {
        match self {
            RewardTransform::Raw => reward,
            RewardTransform::Sign if reward == 0.0 => 0.0,
            RewardTransform::Sign => reward.signum(),
            RewardTransform::Times(scale) if reward.is_finite() => (reward * scale).clamp(-LIMIT, LIMIT),
            RewardTransform::Times(_) => f32::NAN, // which is found, as a clipped infinity would not be
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reward_counts_whole_by_its_sign_or_scaled_and_never_beyond_the_limit() {
        let of = |transform: RewardTransform| [-3.0, -0.0, 0.5, 80.0].map(|reward| transform.of(reward));
        assert_eq!(of(RewardTransform::Raw), [-3.0, 0.0, 0.5, 80.0]);
        assert_eq!(of(RewardTransform::Sign), [-1.0, 0.0, 1.0, 1.0]);
        assert_eq!(of(RewardTransform::Times(0.25)), [-0.75, 0.0, 0.125, 10.0]);
        assert_eq!(RewardTransform::Times(0.25).of(-80.0), -10.0);
        assert_eq!(RewardTransform::Times(4.0).of(f32::MAX), 10.0);
        assert!(
            [f32::INFINITY, f32::NEG_INFINITY, f32::NAN]
                .map(|r| RewardTransform::Times(0.5).of(r))
                .iter()
                .all(|r| r.is_nan())
        );
    }
}
