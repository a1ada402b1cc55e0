//! The table `memory` of the DQN family: the recurrent layer, and the sequences that it is trained on.
//! Source: Kapturowski et al. 2019 (R2D2), section 3 (stored states and burn-in) and 2.3 (the priority of a sequence).
//! Differences: a sequence may go on after the end of an episode, the recurrent layer does not see the previous action and
//! reward, all seats explore by one ε, the loss is a mean over steps, and what is new has the largest priority so far.

use rl_core::{Error, Result};
use rl_replays::Sequence;
use serde::{Deserialize, Serialize};

use crate::{Memory, config};

/// Recurrent layer between the encoder and the heads: in a preset a table whose key `kind` is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Recall {
    /// No recurrent layer; single transitions are learned from.
    None {}, // a struct, since only of those are unknown keys refused
    /// A gated recurrent unit.
    Gru(Unroll),
    /// A long short-term memory.
    Lstm(Unroll),
}

/// Size of a recurrent layer, and the sequences that it is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unroll {
    /// Outputs of the layer; the state of an LSTM has twice as many numbers.
    pub units: usize,
    /// Steps of a sequence that only warm up the recurrent state, beginning with the stored state of the policy.
    pub burn_in: usize,
    /// Steps of a sequence that are learned from, and that gradients are propagated through.
    pub steps: usize,
    /// Agent steps of a seat from one beginning of a sequence to the next; sequences overlap if it is below `steps`.
    pub period: usize,
    /// Weight η of the largest error of a sequence in its priority, 0 to 1; the mean error has weight 1 - η.
    pub eta: f64,
}

impl Recall {
    /// Checks the settings.
    ///
    /// # Errors
    /// If a length is 0 or too large, `period` is longer than `steps`, or `eta` is not within 0 to 1.
    pub(crate) fn check(self) -> Result<()> {
        let (Self::Gru(unroll) | Self::Lstm(unroll)) = self else { return Ok(()) };
        config::units(&[("memory.units", unroll.units)])?;
        config::at_least_one(&[("memory.steps", unroll.steps as u64), ("memory.period", unroll.period as u64)])?;
        // A sequence is a small part of a replay; more would overflow what is computed of it.
        let most = 1 << 16;
        let lengths = [("burn_in", unroll.burn_in), ("steps", unroll.steps), ("period", unroll.period)];
        if let Some((key, rows)) = lengths.into_iter().find(|(_, rows)| *rows > most) {
            let message = format!("{rows} is more than {most}");
            return Err(Error::Config { key: format!("agent.memory.{key}"), message });
        }
        let Unroll { period, steps, .. } = unroll;
        if period > steps {
            let message = format!("steps between sequences of {steps} steps would never be learned from");
            return Err(config::bad("memory.period", message));
        }
        config::fractions(&[("memory.eta", unroll.eta)])
    }

    /// Settings of the recurrent layer alone.
    pub(crate) fn layer(self) -> Memory {
        match self {
            Self::None {} => Memory::None {},
            Self::Gru(Unroll { units, steps, .. }) => Memory::Gru { units, steps },
            Self::Lstm(Unroll { units, steps, .. }) => Memory::Lstm { units, steps },
        }
    }

    /// Lengths of the sequences that the replay draws; `None` without a recurrent layer.
    pub(crate) fn sequence(self) -> Option<Sequence> {
        let Unroll { burn_in, steps, period, .. } = self.unroll()?;
        Some(Sequence { burn_in, steps, period, state: self.layer().state_width() })
    }

    /// Size of the recurrent layer and its sequences; `None` without a recurrent layer.
    pub(crate) fn unroll(self) -> Option<Unroll> {
        match self {
            Self::None {} => None,
            Self::Gru(unroll) | Self::Lstm(unroll) => Some(unroll),
        }
    }
}
