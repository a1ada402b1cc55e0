//! The table `memory` of `[agent]`: what a policy remembers of an episode besides what it sees.

use candle_core::Result;
use rl_nn::{Gru, Lstm, Recurrent, Scope};
use serde::{Deserialize, Serialize};

use crate::config;

/// What stands between an encoder and the heads: in a preset a table whose key `kind` is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Memory {
    /// Nothing: each observation stands for itself.
    None {}, // a struct, since only of those are unknown keys refused
    /// A gated recurrent unit. Source: Cho et al. 2014.
    Gru {
        /// Numbers that are remembered.
        units: usize,
        /// Steps that gradients go back through; a divisor of the horizon.
        steps: usize,
    },
    /// A long short-term memory. Source: Hochreiter and Schmidhuber 1997.
    Lstm {
        /// Outputs; twice as many numbers are remembered.
        units: usize,
        /// Steps that gradients go back through; a divisor of the horizon.
        steps: usize,
    },
}

impl Memory {
    /// Refuses what has no units, or whose sequences do not make up a block.
    pub(crate) fn check(self, horizon: usize) -> rl_core::Result<()> {
        let (Self::Gru { units, steps } | Self::Lstm { units, steps }) = self else { return Ok(()) };
        let bad = |key: &str, message: String| Err(config::bad(&format!("memory.{key}"), message));
        config::units(&[("memory.units", units)])?;
        if steps == 0 || !horizon.is_multiple_of(steps) {
            return bad("steps", format!("sequences of {steps} steps do not divide a horizon of {horizon}"));
        }
        Ok(())
    }

    /// Steps of a sequence, where anything is remembered.
    pub(crate) fn steps(self) -> Option<usize> {
        match self {
            Self::None {} => None,
            Self::Gru { steps, .. } | Self::Lstm { steps, .. } => Some(steps),
        }
    }

    /// Numbers of a state.
    pub(crate) fn state_width(self) -> usize {
        match self {
            Self::None {} => 0,
            Self::Gru { units, .. } => units,
            Self::Lstm { units, .. } => 2 * units,
        }
    }

    /// The layer behind features of `inputs` numbers. It comes with the initialisation of whoever trains on targets.
    pub(crate) fn layer(self, scope: &mut Scope<'_>, inputs: usize) -> Result<Option<Recurrent>> {
        Ok(match self {
            Self::None {} => None,
            Self::Gru { units, .. } => Some(Recurrent::Gru(Gru::new(scope, inputs, units)?)),
            Self::Lstm { units, .. } => Some(Recurrent::Lstm(Lstm::new(scope, inputs, units)?)),
        })
    }
}
