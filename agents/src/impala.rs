//! Importance weighted actor-learner: A2C on what older weights did, corrected by V-trace.
//!
//! Actors act by the weights that were published last while the learner learns from their blocks; what it learns from is
//! therefore some rounds old, `max_lag` at most. Stepped in turns with the learner it is A2C: V-trace of the newest weights is
//! generalised advantage estimation.
//! Source: Espeholt et al. 2018. Its losses are sums over a batch, ours are means: ε and first square of RMSProp and the
//! largest norm of the gradient have to be chosen accordingly, as `presets/impala/atari.toml` does.

use rl_core::Result;
use rl_nn::Activation;
use rl_perception::Trunk;
use serde::{Deserialize, Serialize};

use crate::a2c::{Kind, unclipped};
use crate::gae::Gae;
use crate::on_policy::{self, Lagging, OnPolicy, Settings};
use crate::vtrace::Correction;
use crate::{AgentEntry, Context, LifeLoss, Memory, RewardScale, Schedule, config};

/// The entry of the table.
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
    memory: |context| {
        let config = Config::read(context)?;
        let (bytes, key) =
            on_policy::memory(context, config.horizon, 1, config.trunk, &config.hidden, Memory::None {})?;
        Ok((bytes.saturating_mul(config.max_lag as u64 + 1), key))
    },
    build: |context| Ok(Box::new(OnPolicy::new("impala", context, Config::read(context)?.settings())?)),
};

/// The `[agent]` table. Every count of steps but `horizon` is of agent steps, of all seats together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Learning rate at first.
    pub lr: f64,
    /// Learning rate after `lr_steps`.
    pub lr_end: f64,
    /// Agent steps over which the learning rate changes; 0 keeps `lr`.
    pub lr_steps: u64,
    /// Which optimiser.
    pub optimiser: Kind,
    /// Decay of RMSProp's mean square.
    pub rms_decay: f64,
    /// RMSProp's mean square before the first update.
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
    /// c̄: clip of the importance weights that carry later errors back (the trace).
    pub c_clip: f64,
    /// How many updates old the weights may be that acted. Actors that are farther ahead wait.
    pub max_lag: usize,
    /// Agent steps per seat and update.
    pub horizon: usize,
    /// Whether advantages get mean 0 and standard deviation 1 in every update.
    pub normalise_advantage: bool,
    /// Weight of the entropy.
    pub entropy_coef: f64,
    /// Weight of half the squared error of the value.
    pub value_coef: f64,
    /// Whether features get mean 0 and standard deviation 1 by what was seen so far, ±10 at most.
    pub normalise_observations: bool,
    /// What of a reward counts.
    pub reward_scale: RewardScale,
    /// What a lost life means.
    pub life_loss: LifeLoss,
    /// What looks at frames, where there are any: `nature`, `padded`, `small` or `impala`.
    pub trunk: Trunk,
    /// Widths of the dense layers.
    pub hidden: Vec<usize>,
    /// What follows each of them: `relu` or `tanh`.
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

/// Blocks in memory grow with the lag, and V-trace learns little from what is older.
const MOST_LAG: u64 = 64;
