//! The table `memory` of the family: what the network remembers of an episode, and the sequences that it then learns from.
//! Source: Kapturowski et al. 2019 (R2D2), section 3 (stored states and burn-in) and 2.3 (the priority of a sequence). Theirs end
//! where an episode does, and their memory sees the action and the reward before; ours do neither.

use rl_core::{Error, Result};
use rl_replays::Sequence;
use serde::{Deserialize, Serialize};

use crate::{Memory, config};

/// What stands between the encoder and the heads: in a preset a table whose key `kind` is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Recall {
    /// Nothing: each observation stands for itself, and single transitions are learned from.
    None {}, // a struct, since only of those are unknown keys refused
    /// A gated recurrent unit.
    Gru(Unroll),
    /// A long short-term memory.
    Lstm(Unroll),
}

/// A memory's size, and its sequences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unroll {
    /// Outputs; an LSTM remembers twice as many numbers.
    pub units: usize,
    /// Rows of a sequence that only warm the memory up, from what the policy remembered when it saw the first.
    pub burn_in: usize,
    /// Steps of a sequence that are learned from, and that gradients go back through.
    pub steps: usize,
    /// Steps of a seat between the beginnings of sequences: below `steps` they overlap.
    pub period: usize,
    /// What the largest error of a sequence counts in its priority; their mean counts the rest.
    pub eta: f64,
}

impl Recall {
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
        config::fractions(&[("memory.eta", unroll.eta)])
    }

    /// The layer.
    pub(crate) fn layer(self) -> Memory {
        match self {
            Self::None {} => Memory::None {},
            Self::Gru(Unroll { units, steps, .. }) => Memory::Gru { units, steps },
            Self::Lstm(Unroll { units, steps, .. }) => Memory::Lstm { units, steps },
        }
    }

    /// The sequences, where anything is remembered.
    pub(crate) fn sequence(self) -> Option<Sequence> {
        let Unroll { burn_in, steps, period, .. } = self.unroll()?;
        Some(Sequence { burn_in, steps, period, state: self.layer().state_width() })
    }

    pub(crate) fn unroll(self) -> Option<Unroll> {
        match self {
            Self::None {} => None,
            Self::Gru(unroll) | Self::Lstm(unroll) => Some(unroll),
        }
    }
}
