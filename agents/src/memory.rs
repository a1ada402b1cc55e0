//! The table `memory` of `[agent]`: the recurrent layer of a network.

use candle_core::Result;
use rl_nn::{Gru, Lstm, Recurrent, Scope};
use serde::{Deserialize, Serialize};

use crate::config;

/// Recurrent layer between the encoder and the heads: in a preset a table whose key `kind` is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Memory {
    /// No recurrent layer.
    None {}, // a struct, since only of those are unknown keys refused
    /// A gated recurrent unit (GRU). Source: Cho et al. 2014.
    Gru {
        /// Outputs of the layer, and width of its state.
        units: usize,
        /// Length of a sequence in steps, through which gradients are propagated; a divisor of the horizon.
        steps: usize,
    },
    /// A long short-term memory (LSTM). Source: Hochreiter and Schmidhuber 1997.
    Lstm {
        /// Outputs of the layer; its state is twice as wide.
        units: usize,
        /// Length of a sequence in steps, through which gradients are propagated; a divisor of the horizon.
        steps: usize,
    },
}

impl Memory {
    /// Checks the settings for rollouts of `horizon` steps.
    ///
    /// # Errors
    /// If there are no or too many units, or `steps` does not divide `horizon`.
    pub(crate) fn check(self, horizon: usize) -> rl_core::Result<()> {
        let (Self::Gru { units, steps } | Self::Lstm { units, steps }) = self else { return Ok(()) };
        let bad = |key: &str, message: String| Err(config::bad(&format!("memory.{key}"), message));
        config::units(&[("memory.units", units)])?;
        if steps == 0 || !horizon.is_multiple_of(steps) {
            let mend = format!("take a divisor of it, such as {horizon}, or change agent.horizon");
            return bad("steps", format!("sequences of {steps} steps do not divide a horizon of {horizon}: {mend}"));
        }
        Ok(())
    }

    /// Length of a sequence in steps; `None` without a recurrent layer.
    pub(crate) fn steps(self) -> Option<usize> {
        match self {
            Self::None {} => None,
            Self::Gru { steps, .. } | Self::Lstm { steps, .. } => Some(steps),
        }
    }

    /// Outputs of the layer; 0 without one.
    pub(crate) fn units(self) -> usize {
        match self {
            Self::None {} => 0,
            Self::Gru { units, .. } | Self::Lstm { units, .. } => units,
        }
    }

    /// Width of the recurrent state, `S`; 0 without a recurrent layer.
    pub(crate) fn state_width(self) -> usize {
        match self {
            Self::None {} => 0,
            Self::Gru { units, .. } => units,
            Self::Lstm { units, .. } => 2 * units,
        }
    }

    /// Creates the layer for `inputs` features, initialised as `scope` says; `None` without one.
    pub(crate) fn layer(self, scope: &mut Scope<'_>, inputs: usize) -> Result<Option<Recurrent>> {
        Ok(match self {
            Self::None {} => None,
            Self::Gru { units, .. } => Some(Recurrent::Gru(Gru::new(scope, inputs, units)?)),
            Self::Lstm { units, .. } => Some(Recurrent::Lstm(Lstm::new(scope, inputs, units)?)),
        })
    }
}
