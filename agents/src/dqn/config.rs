//! The `[agent]` table of the family. What an agent leaves out stands there as the plainest choice of its kind.

use rl_core::{Error, Result};
use rl_nn::{Precision, Start};
use rl_perception::Trunk;
use rl_replays::Targets;
use serde::{Deserialize, Serialize};

use super::augment::Augment;
use super::bootstrap::Bootstrap;
use super::distribution::{Distribution, Support};
use super::priorities::Priorities;
use super::recall::Recall;
use crate::q_net::{Mix, Shape};
use crate::{Context, LifeLoss, RewardScale, Schedule, config};

/// The `[agent]` table. Every count of steps is of agent steps, of all seats together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Learning rate of Adam at first.
    pub lr: f64,
    /// Learning rate after `lr_steps`.
    pub lr_end: f64,
    /// Agent steps over which the learning rate changes; 0 keeps it at `lr`.
    pub lr_steps: u64,
    /// ε of Adam.
    pub adam_eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Discount per agent step, 0 to 1.
    pub gamma: f64,
    /// Rewards summed before the bootstrap.
    pub n_step: usize,
    /// Whether the online network chooses the action that the target network values.
    pub double: bool,
    /// Whether the state's value and the actions' advantages have a stream each.
    pub dueling: bool,
    /// Initial standard deviation σ₀ of the noise on the weights of the head (NoisyNet); 0 for none.
    pub noisy: f64,
    /// Transitions per update; sequences, where anything is remembered.
    pub batch: usize,
    /// Agent steps that the replay remembers.
    pub replay_capacity: usize,
    /// Agent steps before the first update.
    pub learning_starts: u64,
    /// Agent steps per round of updates.
    pub update_period: u64,
    /// Updates of a round.
    pub updates: u64,
    /// Agent steps between copies of the online network to the target network.
    pub target_period: u64,
    /// Whether features get mean 0 and standard deviation 1 by what was seen so far, ±10 at most.
    pub normalise_observations: bool,
    /// What of a reward counts.
    pub reward_scale: RewardScale,
    /// Whether values are of returns made small by h(x) = sign(x) (√(|x| + 1) - 1) + x / 1000.
    pub rescale: bool,
    /// What a lost life means.
    pub life_loss: LifeLoss,
    /// What looks at frames, where there are any.
    pub trunk: Trunk,
    /// Widths of the dense layers.
    pub hidden: Vec<usize>,
    /// How the weights of linear and convolutional layers begin; noisy layers begin as published, a memory as PyTorch's.
    pub init: Start,
    /// Probability of a random action while training, over agent steps of all seats.
    pub epsilon: Schedule,
    /// What the network says of an action.
    pub values: Values,
    /// What a target looks ahead to.
    pub bootstrap: Bootstrap,
    /// Which transitions are drawn.
    pub priorities: Priorities,
    /// What is remembered of an episode.
    pub memory: Recall,
    /// What happens to the frames that are learned from.
    pub augment: Augment,
    /// A recording, or a directory of some, that whoever trains plays again to fill the replay with; empty for none.
    pub demonstrations: String,
}

/// What the network says of an action: in a preset a table whose key `kind` is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Values {
    /// Its expected return.
    Expected {}, // a struct, since only of those are unknown keys refused
    /// The probability of each of some returns. Source: Bellemare et al. 2017 (C51).
    Categorical {
        /// How many.
        atoms: usize,
        /// The lowest of them.
        low: f64,
        /// The highest.
        high: f64,
    },
    /// The quantiles of its return at the middles of equal shares. Source: Dabney et al. 2018 (QR-DQN).
    Quantiles {
        /// How many.
        count: usize,
    },
    /// Any quantile of its return that is asked for. Source: Dabney et al. 2018 (IQN).
    Implicit {
        /// Quantiles drawn per transition for the online network, N.
        online: usize,
        /// The same for the target network, N'.
        target: usize,
        /// The same to choose an action by, K.
        act: usize,
        /// Cosines that embed a quantile.
        cosines: usize,
        /// Where it is mixed into the network.
        mix: Mix,
    },
}

impl Values {
    /// What the network's numbers are.
    pub(crate) fn distribution(self) -> Distribution {
        match self {
            Self::Expected {} => Distribution::Expected,
            Self::Categorical { atoms, low, high } => Distribution::Categorical(Support { atoms, low, high }),
            Self::Quantiles { .. } | Self::Implicit { .. } => Distribution::Quantiles,
        }
    }

    /// Quantiles to draw per observation: for the online network, the target network, and to choose by.
    pub(crate) fn taus(self) -> Taus {
        match self {
            Self::Implicit { online, target, act, .. } => Taus { online, target, act },
            _ => Taus::default(),
        }
    }

    fn check(self) -> Result<()> {
        let bad = |key: &str, message: String| Err(Error::Config { key: format!("agent.values.{key}"), message });
        match self {
            Self::Expected {} => Ok(()),
            Self::Categorical { atoms, .. } if atoms < 2 => bad("atoms", "must be at least 2".to_owned()),
            Self::Categorical { low, high, .. } if !(low.is_finite() && high.is_finite() && low < high) => {
                bad("high", format!("{high} is not a number above `low`, {low}"))
            }
            Self::Categorical { atoms, low, high } if !((high - low) / (atoms - 1) as f64).is_normal() => {
                bad("high", format!("{atoms} returns from {low} to {high} lie too close together or too far apart"))
            }
            Self::Categorical { atoms, .. } => config::units(&[("values.atoms", atoms)]),
            Self::Quantiles { count } => config::units(&[("values.count", count)]),
            Self::Implicit { online, target, act, cosines, .. } => config::units(&[
                ("values.online", online),
                ("values.target", target),
                ("values.act", act),
                ("values.cosines", cosines),
            ]),
        }
    }
}

/// Numbers of quantiles; 0 where none are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taus {
    pub(crate) online: usize,
    pub(crate) target: usize,
    pub(crate) act: usize,
}

impl Config {
    pub(crate) fn read(context: &Context<'_>) -> Result<Self> {
        let config: Self = config::read(context)?;
        config.check()?;
        Ok(config)
    }

    pub(crate) fn returns(&self) -> Targets {
        Targets {
            n_step: self.n_step,
            gamma: self.gamma as f32,
            life_loss_terminal: self.life_loss == LifeLoss::Terminal,
        }
    }

    /// The network.
    pub(crate) fn shape(&self, precision: Precision) -> Shape {
        let (width, embedding) = match self.values {
            Values::Expected {} => (1, None),
            Values::Categorical { atoms, .. } => (atoms, None),
            Values::Quantiles { count } => (count, None),
            Values::Implicit { cosines, mix, .. } => (1, Some((cosines, mix))),
        };
        let (trunk, hidden, dueling, noisy) = (self.trunk, self.hidden.clone(), self.dueling, self.noisy);
        let (memory, standardise, start) = (self.memory.layer(), self.normalise_observations, self.init);
        Shape {
            trunk,
            hidden,
            memory,
            width,
            dueling,
            noisy,
            embedding,
            layer_norm: false,
            standardise,
            start,
            precision,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        config::at_least_one(&[
            ("n_step", self.n_step as u64),
            ("batch", self.batch as u64),
            ("replay_capacity", self.replay_capacity as u64),
            ("update_period", self.update_period),
            ("updates", self.updates),
            ("target_period", self.target_period),
        ])?;
        config::epsilon("adam_eps", self.adam_eps)?;
        config::from_zero_on(&[
            ("lr", self.lr),
            ("lr_end", self.lr_end),
            ("grad_clip", self.grad_clip),
            ("noisy", self.noisy),
        ])?;
        config::widths("hidden", &self.hidden)?;
        config::fractions(&[("gamma", self.gamma)])?;
        self.epsilon.check("agent.epsilon", 0.0, 1.0)?;
        self.values.check()?;
        self.bootstrap.check(self.double, self.rescale)?;
        self.priorities.check()?;
        self.memory.check()
    }
}
