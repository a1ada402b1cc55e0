//! Proximal policy optimisation with a clipped probability ratio.
//! Source: Schulman et al. 2017; details after Huang et al. 2022, "The 37 implementation details of PPO", of which these
//! differ: a truncated episode bootstraps from the value of its true last observation, no step is left out of an epoch, and
//! statistics of observations and returns move between rounds, so that one holds for all of a round. Continuous actions are in
//! units of half their interval.

use rl_core::{LifeLoss, Result};
use rl_nn::{Activation, AdamConfig, OptimiserConfig};
use rl_perception::Trunk;
use serde::{Deserialize, Serialize};

use crate::gae::Gae;
use crate::loss::Weights;
use crate::on_policy::{self, OnPolicy, Settings};
use crate::{AgentEntry, Context, Memory, RewardScale, Schedule, config};

/// Registry entry of PPO.
pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "ppo",
    summary: "Proximal policy optimisation: epochs of clipped updates on the newest steps of all seats",
    refuses: |spec| on_policy::refuses("ppo", spec),
    presets: &[
        ("cartpole", include_str!("../../presets/ppo/cartpole.toml")),
        ("cartpole-v0", include_str!("../../presets/ppo/cartpole.toml")),
        ("cartpole-positions", include_str!("../../presets/ppo/cartpole-positions.toml")),
        ("frozenlake", include_str!("../../presets/ppo/frozenlake.toml")),
        ("frozenlake8x8", include_str!("../../presets/ppo/frozenlake8x8.toml")),
        ("acrobot", include_str!("../../presets/ppo/acrobot.toml")),
        ("blackjack", include_str!("../../presets/ppo/blackjack.toml")),
        ("cliffwalking", include_str!("../../presets/ppo/cliffwalking.toml")),
        ("mountaincar", include_str!("../../presets/ppo/mountaincar.toml")),
        ("mountaincar-continuous", include_str!("../../presets/ppo/mountaincar-continuous.toml")),
        ("pendulum", include_str!("../../presets/ppo/pendulum.toml")),
        ("taxi", include_str!("../../presets/ppo/taxi.toml")),
        ("atari/kung_fu_master", include_str!("../../presets/ppo/kung_fu_master.toml")),
        ("atari/", include_str!("../../presets/ppo/atari.toml")),
        ("doom/basic", include_str!("../../presets/ppo/doom-basic.toml")),
        ("doom/deadly_corridor", include_str!("../../presets/ppo/doom-deadly_corridor.toml")),
        ("doom/defend_the_center", include_str!("../../presets/ppo/doom-defend_the_center.toml")),
        ("doom/defend_the_line", include_str!("../../presets/ppo/doom-defend_the_line.toml")),
        ("doom/health_gathering", include_str!("../../presets/ppo/doom-health_gathering.toml")),
        ("doom/my_way_home", include_str!("../../presets/ppo/doom-my_way_home.toml")),
        ("doom/predict_position", include_str!("../../presets/ppo/doom-predict_position.toml")),
        ("doom/take_cover", include_str!("../../presets/ppo/doom-take_cover.toml")),
        ("doom/cig", include_str!("../../presets/ppo/doom-match.toml")),
        ("doom/multi", include_str!("../../presets/ppo/doom-match.toml")),
        ("doom/multi_duel", include_str!("../../presets/ppo/doom-multi_duel.toml")),
        ("doom/", include_str!("../../presets/ppo/doom.toml")),
    ],
    stochastic: true,
    allocation: |context| {
        let config = Config::read(context)?;
        let shape = [config.horizon, config.minibatches, 0];
        on_policy::allocation(context, shape, config.trunk, &config.hidden, config.memory)
    },
    build: |context| Ok(Box::new(OnPolicy::new("ppo", context, Config::read(context)?.settings())?)),
};

/// The `[agent]` table of PPO. Agent steps are counted over all seats together, except in `horizon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Initial learning rate of Adam.
    pub lr: f64,
    /// Learning rate after `lr_steps` agent steps.
    pub lr_end: f64,
    /// Agent steps over which the learning rate and the clip range change; 0 keeps `lr` and `clip`.
    pub lr_steps: u64,
    /// ε of Adam.
    pub adam_eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Discount per agent step, 0 to 1.
    pub gamma: f64,
    /// λ of generalised advantage estimation (GAE), 0 to 1.
    pub lambda: f64,
    /// Agent steps per seat between rounds of updates.
    pub horizon: usize,
    /// Passes over the steps of a rollout per round of updates.
    pub epochs: usize,
    /// Minibatches per epoch, each for one optimiser step; their sizes differ by at most one step or sequence.
    pub minibatches: usize,
    /// Initial clip range ε of the probability ratio: 1 - ε to 1 + ε.
    pub clip: f64,
    /// Clip range after `lr_steps` agent steps.
    pub clip_end: f64,
    /// Whether changes of the value are clipped too, by the same range.
    pub value_clip: bool,
    /// Whether advantages are normalised to mean 0 and standard deviation 1 in every minibatch.
    pub normalise_advantage: bool,
    /// Weight of the entropy bonus.
    pub entropy_coef: f64,
    /// Weight of the value loss, half the squared error.
    pub value_coef: f64,
    /// Approximate KL divergence from the policy that acted, above which a round of updates ends; 0 for no limit.
    pub target_kl: f64,
    /// Whether features are normalised by their running mean and standard deviation, and clipped to ±10.
    pub normalise_observations: bool,
    /// How rewards are clipped or normalised.
    pub reward_scale: RewardScale,
    /// Whether a lost life ends a return.
    pub life_loss: LifeLoss,
    /// Convolutional network for frames; unused without frames.
    pub trunk: Trunk,
    /// Widths of the dense layers.
    pub hidden: Vec<usize>,
    /// Activation of the dense layers: `relu` or `tanh`.
    pub activation: Activation,
    /// Recurrent layer between the dense layers and the heads.
    pub memory: Memory,
}

impl Config {
    fn read(context: &Context<'_>) -> Result<Self> {
        let config: Self = config::read(context)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        config::at_least_one(&[
            ("horizon", self.horizon as u64),
            ("epochs", self.epochs as u64),
            ("minibatches", self.minibatches as u64),
        ])?;
        config::epsilon("adam_eps", self.adam_eps)?;
        config::from_zero_on(&[
            ("lr", self.lr),
            ("lr_end", self.lr_end),
            ("grad_clip", self.grad_clip),
            ("clip", self.clip),
            ("clip_end", self.clip_end),
            ("entropy_coef", self.entropy_coef),
            ("value_coef", self.value_coef),
            ("target_kl", self.target_kl),
        ])?;
        config::fractions(&[("gamma", self.gamma), ("lambda", self.lambda)])?;
        self.memory.check(self.horizon)
    }

    /// Settings of the on-policy learner: epochs of clipped updates, without V-trace.
    pub(crate) fn settings(self) -> Settings {
        let adam = AdamConfig::new(self.adam_eps, self.grad_clip);
        Settings {
            horizon: self.horizon,
            epochs: self.epochs,
            minibatches: self.minibatches,
            lr: Schedule::annealed(self.lr, self.lr_end, self.lr_steps),
            optimiser: OptimiserConfig::Adam(adam),
            gae: Gae { gamma: self.gamma as f32, lambda: self.lambda as f32, life_loss: self.life_loss },
            lagging: None,
            normalise_observations: self.normalise_observations,
            reward_scale: self.reward_scale,
            normalise: self.normalise_advantage,
            weights: Weights {
                surrogate: clipped,
                value_clip: self.value_clip,
                entropy: self.entropy_coef,
                value: self.value_coef,
            },
            clip: Schedule::annealed(self.clip, self.clip_end, self.lr_steps),
            target_kl: self.target_kl,
            trunk: self.trunk,
            hidden: self.hidden,
            activation: self.activation,
            memory: self.memory,
        }
    }
}

/// Clipped surrogate loss -min(r A, clip(r) A) for the probability ratio r, and its derivative by ln π, which is 0
/// where the clipped term is the smaller one.
fn clipped(_log_prob: f64, ratio: f64, advantage: f64, clip: f64) -> (f64, f64) {
    let (free, bound) = (ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage);
    if bound < free { (-bound, 0.0) } else { (-free, -free) } // ∂r / ∂ ln π = r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_beyond_its_range_has_no_slope_where_that_would_gain() {
        let of = |ratio: f64, advantage| clipped(-1.0, ratio, advantage, 0.2);
        let close = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-12 && (b - d).abs() < 1e-12;
        assert!(close(of(1.1, 2.0), (-2.2, -2.2)), "within");
        assert!(close(of(1.5, 2.0), (-2.4, 0.0)), "gained enough");
        assert!(close(of(0.5, 2.0), (-1.0, -1.0)), "lost: comes back");
        assert!(close(of(0.5, -2.0), (1.6, 0.0)), "gained enough");
        assert!(close(of(1.5, -2.0), (3.0, 3.0)), "lost: comes back");
    }
}
