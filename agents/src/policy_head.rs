//! The head of a policy: features to the outputs that a `Distribution` takes.

use candle_core::{Result, Tensor};
use rl_core::Spec;
use rl_nn::{Activation, HostForward, Init, Linear, Params, Tail};

/// π(· | s) of all actions, from features of s.
pub(crate) struct PolicyHead {
    /// Logits, then means.
    linear: Linear,
    /// Outputs of it.
    width: usize,
    /// Logarithms of deviations behind them, where actions are continuous.
    log_std: Option<Tail>,
}

impl PolicyHead {
    /// For the actions of `spec` and features of `inputs` numbers, without deviations yet.
    pub(crate) fn new(spec: &Spec, inputs: usize, params: &mut Params) -> Result<Self> {
        let width = spec.discrete.iter().map(|&count| count as usize).sum::<usize>() + spec.continuous.len();
        let linear = Linear::new(&mut params.layer("policy_head"), inputs, width, Activation::None)?;
        Ok(Self { linear, width, log_std: None })
    }

    /// The same with deviations. Apart, since parameters have an order, in which a critic's head stands before them.
    pub(crate) fn with_deviations(self, spec: &Spec, params: &mut Params) -> Result<Self> {
        let log_std = match spec.continuous.len() {
            0 => None,
            count => Some(Tail::new(&mut params.root(), "log_std", count, Init::Zeros)?),
        };
        Ok(Self { log_std, ..self })
    }

    /// Features `[B, F]` to outputs `[B, W]`.
    pub(crate) fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let outputs = self.linear.forward(features)?;
        self.log_std.as_ref().map_or(Ok(outputs.clone()), |log_std| log_std.forward(&outputs)) // [B, W]
    }

    /// The same in `flow`, bit for bit.
    pub(crate) fn run(&self, flow: &mut HostForward) -> Result<()> {
        flow.linear(&self.linear)?;
        self.log_std.as_ref().map_or(Ok(()), |log_std| flow.tail(self.width, log_std))
    }
}
