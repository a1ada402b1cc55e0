//! Policy head: features to the parameters that an `ActionDistribution` takes.

use candle_core::{Result, Tensor};
use rl_core::Spec;
use rl_nn::{Activation, HostForward, Init, Linear, Params, Tail};

/// Head that computes the parameters of π(· | s) for all actions from features of s.
pub(crate) struct PolicyHead {
    /// Layer that yields logits, then means.
    linear: Linear,
    /// Number of logits and means.
    width: usize,
    /// Log standard deviations, appended to the outputs; `None` without continuous actions.
    log_std: Option<Tail>,
}

impl PolicyHead {
    /// Creates a head for the actions of `spec` and `inputs` features, without log standard deviations yet.
    pub(crate) fn new(spec: &Spec, inputs: usize, params: &mut Params) -> Result<Self> {
        let width = spec.discrete.iter().map(|&count| count as usize).sum::<usize>() + spec.continuous.len();
        let (scope, init) = (&mut params.layer("policy_head"), Init::Orthogonal { gain: 0.01 });
        let linear = Linear::with_init(scope, inputs, width, Activation::None, init, Init::Zeros)?;
        Ok(Self { linear, width, log_std: None })
    }

    /// Adds log standard deviations, where actions are continuous.
    ///
    /// This is a step of its own, since parameters have a fixed order, in which a critic's head comes before these.
    pub(crate) fn with_deviations(self, spec: &Spec, params: &mut Params) -> Result<Self> {
        let log_std = match spec.continuous.len() {
            0 => None,
            count => Some(Tail::new(&mut params.root(), "log_std", count, Init::Zeros)?),
        };
        Ok(Self { log_std, ..self })
    }

    /// Maps features `[B, F]` to outputs `[B, W]`, with the graph for gradients.
    pub(crate) fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let outputs = self.linear.forward(features)?;
        self.log_std.as_ref().map_or(Ok(outputs.clone()), |log_std| log_std.forward(&outputs)) // [B, W]
    }

    /// Maps the features in `flow` to outputs on the host, bit for bit those of [`forward`](Self::forward).
    pub(crate) fn run(&self, flow: &mut HostForward) -> Result<()> {
        flow.linear(&self.linear)?;
        self.log_std.as_ref().map_or(Ok(()), |log_std| flow.tail(self.width, log_std))
    }
}
