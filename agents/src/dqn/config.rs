//! The `[agent]` table of the DQN family. An agent without some extension sets it to its plainest choice.

use rl_core::{LifeLoss, Result};
use rl_nn::{InitScheme, Precision};
use rl_perception::Trunk;
use rl_replays::NStepReturns;
use serde::{Deserialize, Serialize};

use super::augment::Augment;
use super::bootstrap::Bootstrap;
use super::distribution::{ReturnDistribution, Support};
use super::loss::ErrorLoss;
use super::priorities::Prioritisation;
use super::recall::Recall;
use crate::q_net::{Mix, Shape};
use crate::{Context, RewardScale, Schedule, config};

/// The `[agent]` table of the DQN family. Agent steps are counted over all seats together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Initial learning rate of Adam.
    pub lr: f64,
    /// Learning rate after `lr_steps` agent steps.
    pub lr_end: f64,
    /// Agent steps over which the learning rate changes; 0 keeps it at `lr`.
    pub lr_steps: u64,
    /// ε of Adam.
    pub adam_eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Discount per agent step, 0 to 1.
    pub gamma: f64,
    /// Steps of the n-step returns, at least 1.
    pub n_step: usize,
    /// Whether targets are of double DQN: the online network chooses the action that the target network evaluates.
    pub double: bool,
    /// Whether the head has separate streams for state value and advantages (dueling network).
    pub dueling: bool,
    /// Initial standard deviation σ₀ of the noise on the weights of the head (NoisyNet); 0 for none.
    pub noisy: f64,
    /// Batch size: transitions per update, or sequences where the network has a memory.
    pub batch: usize,
    /// Capacity of the replay in transitions of all seats.
    pub replay_capacity: usize,
    /// Agent steps before the first update.
    pub learning_starts: u64,
    /// Agent steps per round of updates.
    pub update_period: u64,
    /// Optimiser steps per round of updates.
    pub updates: u64,
    /// Agent steps between copies of the online network to the target network.
    pub target_period: u64,
    /// Whether features are normalised by their running mean and standard deviation, and clipped to ±10.
    pub normalise_observations: bool,
    /// How rewards are clipped or normalised.
    pub reward_scale: RewardScale,
    /// Whether values are of rescaled returns: h(x) = sign(x) (√(|x| + 1) - 1) + x / 1000.
    pub rescale: bool,
    /// Whether a lost life ends a return.
    pub life_loss: LifeLoss,
    /// Convolutional network for frames; unused without frames.
    pub trunk: Trunk,
    /// Widths of the dense layers.
    pub hidden: Vec<usize>,
    /// Initialisation of linear and convolutional layers; noisy layers begin as published, a memory as in PyTorch.
    pub init: InitScheme,
    /// Probability of a random action while training (ε-greedy), by agent steps.
    pub epsilon: Schedule,
    /// Representation of action values: expected returns or a distribution of returns.
    pub values: Values,
    /// Bootstrap of the targets: greedy or Munchausen.
    pub bootstrap: Bootstrap,
    /// Sampling of the replay: uniform or by priority.
    pub priorities: Prioritisation,
    /// Recurrent layer, and the sequences that it is trained on.
    pub memory: Recall,
    /// Augmentation of the frames of minibatches.
    pub augment: Augment,
    /// Path of a recording, or of a directory of recordings, whose steps are added to the replay first; empty for none.
    pub demonstrations: String,
}

/// Representation of the return of an action: in a preset a table whose key `kind` is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Values {
    /// The expected return (DQN).
    Expected {
        /// Loss of its error; Huber's where a table lacks it.
        #[serde(default)]
        loss: ErrorLoss,
    },
    /// A categorical distribution on a fixed support of returns. Source: Bellemare et al. 2017 (C51).
    Categorical {
        /// Number of atoms of the support, at least 2.
        atoms: usize,
        /// Lowest return of the support, V_min.
        low: f64,
        /// Highest return of the support, V_max.
        high: f64,
    },
    /// Quantiles of the return at the midpoints of equal probabilities. Source: Dabney et al. 2018 (QR-DQN).
    Quantiles {
        /// Number of quantiles.
        count: usize,
    },
    /// Quantiles of the return at drawn probabilities τ. Source: Dabney et al. 2018 (IQN).
    Implicit {
        /// Quantiles drawn per transition for the online network, N.
        online: usize,
        /// Quantiles drawn per transition for the target network, N'.
        target: usize,
        /// Quantiles drawn per observation to choose an action by, K.
        act: usize,
        /// Cosines of which τ is embedded.
        cosines: usize,
        /// Layer at which the embedding of τ is multiplied into the network.
        mix: Mix,
    },
}

impl Values {
    /// Interpretation of the network's outputs.
    pub(crate) fn distribution(self) -> ReturnDistribution {
        match self {
            Self::Expected { .. } => ReturnDistribution::Expected,
            Self::Categorical { atoms, low, high } => ReturnDistribution::Categorical(Support { atoms, low, high }),
            Self::Quantiles { .. } | Self::Implicit { .. } => ReturnDistribution::Quantiles,
        }
    }

    /// Loss of the error of a value; other kinds have their own.
    pub(crate) fn loss(self) -> ErrorLoss {
        if let Self::Expected { loss } = self { loss } else { ErrorLoss::default() }
    }

    /// Outputs of the network per action and τ.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Expected { .. } | Self::Implicit { .. } => 1,
            Self::Categorical { atoms, .. } => atoms,
            Self::Quantiles { count } => count,
        }
    }

    /// Quantiles to draw per observation for each use; all 0 where none are drawn.
    pub(crate) fn taus(self) -> Taus {
        match self {
            Self::Implicit { online, target, act, .. } => Taus { online, target, act },
            _ => Taus::default(),
        }
    }

    fn check(self) -> Result<()> {
        let bad = |key: &str, message: String| Err(config::bad(&format!("values.{key}"), message));
        match self {
            Self::Expected { .. } => Ok(()),
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

/// Numbers of quantiles τ drawn per observation; 0 where none are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taus {
    /// Quantiles for the online network, N.
    pub(crate) online: usize,
    /// Quantiles for the target network, N'.
    pub(crate) target: usize,
    /// Quantiles to choose an action by, K.
    pub(crate) act: usize,
}

impl Config {
    /// Reads and checks the `[agent]` table.
    ///
    /// # Errors
    /// If a key is missing, unknown or out of range.
    pub(crate) fn read(context: &Context<'_>) -> Result<Self> {
        let config: Self = config::read(context)?;
        config.check()?;
        Ok(config)
    }

    /// How the replay computes n-step returns.
    pub(crate) fn returns(&self) -> NStepReturns {
        NStepReturns { n_step: self.n_step, gamma: self.gamma as f32, life_loss: self.life_loss }
    }

    /// Architecture of the network.
    pub(crate) fn shape(&self, precision: Precision) -> Shape {
        let width = self.values.width();
        let embedding = match self.values {
            Values::Implicit { cosines, mix, .. } => Some((cosines, mix)),
            _ => None,
        };
        let (trunk, hidden, dueling, noisy) = (self.trunk, self.hidden.clone(), self.dueling, self.noisy);
        let (memory, standardise, init) = (self.memory.layer(), self.normalise_observations, self.init);
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
            init,
            precision,
        }
    }

    /// Checks all settings that need no environment.
    ///
    /// # Errors
    /// If a value is out of range, or two settings exclude each other.
    pub(crate) fn check(&self) -> Result<()> {
        config::at_least_one(&[
            ("n_step", self.n_step as u64),
            ("batch", self.batch as u64),
            ("replay_capacity", self.replay_capacity as u64),
            ("update_period", self.update_period),
            ("updates", self.updates),
            ("target_period", self.target_period),
        ])?;
        if self.update_period > self.replay_capacity as u64 {
            let (steps, room) = (self.update_period, self.replay_capacity);
            let message = format!(
                "{steps} agent steps from one update to the next do not fit into agent.replay_capacity, {room}"
            );
            return Err(config::bad("update_period", message));
        }
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
