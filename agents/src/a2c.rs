//! Advantage actor-critic, the synchronous A3C: one step of the policy gradient on a few steps of every seat.
//! Source: Mnih et al. 2016; Baselines' A2C for the constants, whose value loss is twice ours: its 0.5 is our 1.
//! A2C is PPO with one epoch, a full batch, no clipping and no normalisation (Huang et al. 2022); a test shows it.

use rl_core::{LifeLoss, Result};
use rl_nn::{Activation, AdamConfig, EpsPlace, OptimiserConfig, RmsPropConfig};
use rl_perception::Trunk;
use serde::{Deserialize, Serialize};

use crate::gae::Gae;
use crate::loss::Weights;
use crate::on_policy::{self, OnPolicy, Settings};
use crate::{AgentEntry, Context, Memory, RewardScale, Schedule, config};

/// Registry entry of A2C.
pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "a2c",
    summary: "Advantage actor-critic: one policy-gradient step on a few steps of all seats",
    refuses: |spec| on_policy::refuses("a2c", spec),
    presets: &[
        ("cartpole", include_str!("../../presets/a2c/cartpole.toml")),
        ("cartpole-v0", include_str!("../../presets/a2c/cartpole.toml")),
        ("frozenlake", include_str!("../../presets/a2c/frozenlake.toml")),
        ("frozenlake8x8", include_str!("../../presets/a2c/frozenlake8x8.toml")),
        ("acrobot", include_str!("../../presets/a2c/acrobot.toml")),
        ("blackjack", include_str!("../../presets/a2c/blackjack.toml")),
        ("cliffwalking", include_str!("../../presets/a2c/cliffwalking.toml")),
        ("mountaincar", include_str!("../../presets/a2c/mountaincar.toml")),
        ("mountaincar-continuous", include_str!("../../presets/a2c/mountaincar-continuous.toml")),
        ("pendulum", include_str!("../../presets/a2c/pendulum.toml")),
        ("taxi", include_str!("../../presets/a2c/taxi.toml")),
        ("atari/kung_fu_master", include_str!("../../presets/a2c/kung_fu_master.toml")),
        ("atari/", include_str!("../../presets/a2c/atari.toml")),
    ],
    stochastic: true,
    allocation: |context| {
        let config = Config::read(context)?;
        on_policy::allocation(context, [config.horizon, 1, 0], config.trunk, &config.hidden, config.memory)
    },
    build: |context| Ok(Box::new(OnPolicy::new("a2c", context, Config::read(context)?.settings())?)),
};

/// Optimiser of A2C and IMPALA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// RMSProp as in TensorFlow: not centred, with ε inside of the root.
    RmsProp,
    /// Adam with the decay rates of its paper.
    Adam,
}

impl Kind {
    /// Optimiser with its constants; `decay` of the mean square, and `first_square` before the first update, concern
    /// RMSProp only. `clip` is the largest global norm of the gradient.
    pub(crate) fn config(self, decay: f64, first_square: f64, eps: f64, clip: f64) -> OptimiserConfig {
        match self {
            Self::Adam => OptimiserConfig::Adam(AdamConfig::new(eps, clip)),
            Self::RmsProp => {
                let (eps_place, centred) = (EpsPlace::InsideRoot, false);
                OptimiserConfig::RmsProp(RmsPropConfig { decay, eps, eps_place, first_square, centred, clip })
            }
        }
    }
}

/// The `[agent]` table of A2C. Agent steps are counted over all seats together, except in `horizon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Initial learning rate.
    pub lr: f64,
    /// Learning rate after `lr_steps` agent steps.
    pub lr_end: f64,
    /// Agent steps over which the learning rate changes; 0 keeps `lr`.
    pub lr_steps: u64,
    /// Optimiser: `rms_prop` or `adam`.
    pub optimiser: Kind,
    /// Decay of RMSProp's mean square, 0 to 1; without effect on `adam`.
    pub rms_decay: f64,
    /// ε of the optimiser.
    pub eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Discount per agent step, 0 to 1.
    pub gamma: f64,
    /// λ of generalised advantage estimation (GAE), 0 to 1; 1 for n-step returns.
    pub lambda: f64,
    /// Agent steps per seat and update.
    pub horizon: usize,
    /// Whether advantages are normalised to mean 0 and standard deviation 1 in every update.
    pub normalise_advantage: bool,
    /// Weight of the entropy bonus.
    pub entropy_coef: f64,
    /// Weight of the value loss, half the squared error.
    pub value_coef: f64,
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
        config::at_least_one(&[("horizon", self.horizon as u64)])?;
        config::epsilon("eps", self.eps)?;
        config::from_zero_on(&[
            ("lr", self.lr),
            ("lr_end", self.lr_end),
            ("grad_clip", self.grad_clip),
            ("entropy_coef", self.entropy_coef),
            ("value_coef", self.value_coef),
        ])?;
        config::fractions(&[("rms_decay", self.rms_decay), ("gamma", self.gamma), ("lambda", self.lambda)])?;
        self.memory.check(self.horizon)
    }

    /// Settings of the on-policy learner: one update per rollout, without clipping or V-trace.
    pub(crate) fn settings(self) -> Settings {
        Settings {
            horizon: self.horizon,
            epochs: 1,
            minibatches: 1,
            lr: Schedule::annealed(self.lr, self.lr_end, self.lr_steps),
            optimiser: self.optimiser.config(self.rms_decay, 1.0, self.eps, self.grad_clip),
            gae: Gae { gamma: self.gamma as f32, lambda: self.lambda as f32, life_loss: self.life_loss },
            lagging: None,
            normalise_observations: self.normalise_observations,
            reward_scale: self.reward_scale,
            normalise: self.normalise_advantage,
            weights: unclipped(self.entropy_coef, self.value_coef),
            clip: Schedule::annealed(f64::INFINITY, f64::INFINITY, 0),
            target_kl: 0.0,
            trunk: self.trunk,
            hidden: self.hidden,
            activation: self.activation,
            memory: self.memory,
        }
    }
}

/// Loss of the plain policy gradient, with these weights of the entropy bonus and of the value loss.
pub(crate) fn unclipped(entropy: f64, value: f64) -> Weights {
    Weights { surrogate: policy_gradient, value_clip: false, entropy, value }
}

/// Policy-gradient loss -A ln π, and its derivative by ln π.
fn policy_gradient(log_prob: f64, _ratio: f64, advantage: f64, _clip: f64) -> (f64, f64) {
    (-advantage * log_prob, -advantage)
}
