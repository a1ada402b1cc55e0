//! Importance weighted actor-learner (IMPALA): A2C on steps of older weights, corrected by V-trace.
//!
//! Actors use the weights published last while the learner learns from their blocks; these weights are therefore some
//! rounds of updates old, `max_lag` at most. Without lag, and with clips of 1 or more, IMPALA is A2C: V-trace with the
//! newest weights is generalised advantage estimation.
//! Source: Espeholt et al. 2018. The paper's losses are sums over a batch, here they are means: ε and first square of
//! RMSProp and the largest norm of the gradient have to be chosen accordingly, as `presets/impala/atari.toml` does.

use rl_core::{LifeLoss, Result};
use rl_nn::Activation;
use rl_perception::Trunk;
use serde::{Deserialize, Serialize};

use crate::a2c::{Kind, unclipped};
use crate::gae::Gae;
use crate::on_policy::{self, Lagging, OnPolicy, Settings};
use crate::vtrace::Correction;
use crate::{AgentEntry, Context, Memory, RewardScale, Schedule, config};

/// Registry entry of IMPALA.
pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "impala",
    summary: "Actor-critic whose actors may act while it learns, corrected by V-trace",
    refuses: |spec| on_policy::refuses("impala", spec),
    presets: &[
        ("cartpole", include_str!("../../presets/impala/cartpole.toml")),
        ("cartpole-v0", include_str!("../../presets/impala/cartpole.toml")),
        ("frozenlake", include_str!("../../presets/impala/frozenlake.toml")),
        ("atari/", include_str!("../../presets/impala/atari.toml")),
    ],
    stochastic: true,
    allocation: |context| {
        let config = Config::read(context)?;
        let shape = [config.horizon, 1, config.max_lag];
        on_policy::allocation(context, shape, config.trunk, &config.hidden, Memory::None {})
    },
    build: |context| Ok(Box::new(OnPolicy::new("impala", context, Config::read(context)?.settings())?)),
};

/// The `[agent]` table of IMPALA. Agent steps are counted over all seats together, except in `horizon`.
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
    /// RMSProp's mean square before the first update; without effect on `adam`.
    pub rms_first: f64,
    /// ε of the optimiser: inside of RMSProp's root, of Adam outside.
    pub eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Discount per agent step, 0 to 1.
    pub gamma: f64,
    /// λ of V-trace, 0 to 1: how far later errors count.
    pub lambda: f64,
    /// ρ̄: clip of the importance weights in the TD errors and in the policy's gradient.
    pub rho_clip: f64,
    /// c̄: clip of the importance weights that carry later errors back (the trace); the paper's proof of convergence has
    /// it at most `rho_clip`.
    pub c_clip: f64,
    /// Largest age, in updates, of the weights that acted when their block is learned from; actors farther ahead wait.
    pub max_lag: usize,
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
    /// Convolutional network for frames: `nature`, `padded`, `small` or `impala`; unused without frames.
    pub trunk: Trunk,
    /// Widths of the dense layers.
    pub hidden: Vec<usize>,
    /// Activation of the dense layers: `relu` or `tanh`.
    pub activation: Activation,
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
            ("rms_first", self.rms_first),
            ("grad_clip", self.grad_clip),
            ("rho_clip", self.rho_clip),
            ("c_clip", self.c_clip),
            ("entropy_coef", self.entropy_coef),
            ("value_coef", self.value_coef),
        ])?;
        config::at_most(&[("max_lag", self.max_lag as u64, MOST_LAG)])?;
        config::fractions(&[("rms_decay", self.rms_decay), ("gamma", self.gamma), ("lambda", self.lambda)])
    }

    /// Settings of the on-policy learner: one update per rollout, corrected by V-trace.
    pub(crate) fn settings(self) -> Settings {
        let correction = Correction { rho: self.rho_clip as f32, c: self.c_clip as f32 };
        Settings {
            horizon: self.horizon,
            epochs: 1,
            minibatches: 1,
            lr: Schedule::annealed(self.lr, self.lr_end, self.lr_steps),
            optimiser: self.optimiser.config(self.rms_decay, self.rms_first, self.eps, self.grad_clip),
            gae: Gae { gamma: self.gamma as f32, lambda: self.lambda as f32, life_loss: self.life_loss },
            lagging: Some(Lagging { correction, most: self.max_lag }),
            normalise_observations: self.normalise_observations,
            reward_scale: self.reward_scale,
            normalise: self.normalise_advantage,
            weights: unclipped(self.entropy_coef, self.value_coef),
            clip: Schedule::annealed(f64::INFINITY, f64::INFINITY, 0),
            target_kl: 0.0,
            trunk: self.trunk,
            hidden: self.hidden,
            memory: Memory::None {},
            activation: self.activation,
        }
    }
}

/// Largest value of `max_lag`: blocks in memory grow with the lag, and V-trace learns little from older ones.
const MOST_LAG: u64 = 64;
