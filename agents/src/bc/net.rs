//! A network of what a policy's distributions are made of, and of nothing else.
//!
//! Weights are drawn as those of `ActorCritic` are: orthogonal with gain √2, the head's with 0.01.

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{HostForward, Params, Standardise};
use rl_perception::{Encoder, EncoderConfig, ObsBatch, encoder_for};

use crate::actor_critic::initialise;
use crate::policy_head::PolicyHead;

/// π(· | s) of all actions as the outputs that a `Distribution` takes.
pub(crate) struct PolicyNet {
    /// Standardises features, where that is asked for.
    standardise: Option<Standardise>,
    trunk: Box<dyn Encoder>,
    head: PolicyHead,
    device: Device,
}

impl PolicyNet {
    /// A network for `spec` and its parameters, drawn from `rng`; with `standardise`, features are seen as the statistics in its
    /// buffers say.
    pub(crate) fn new(
        spec: &Spec,
        config: &EncoderConfig,
        standardise: bool,
        device: &Device,
        rng: &Rng,
    ) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng.clone());
        let trunk = encoder_for(spec, config, &mut params.layer("trunk"))?;
        let head = PolicyHead::new(spec, trunk.width(), &mut params)?.with_deviations(spec, &mut params)?;
        let standardise =
            if standardise { Some(Standardise::new(&mut params.layer("features"), spec.vector)?) } else { None };
        initialise(&params, rng.clone())?;
        let device = device.clone();
        Ok((Self { standardise, trunk, head, device }, params))
    }

    /// What standardises features, where anything does.
    pub(crate) fn standardise(&self) -> Option<&Standardise> {
        self.standardise.as_ref()
    }

    /// Outputs `[B, W]` of observations whose features are standardised already.
    pub(crate) fn forward(&self, obs: &ObsBatch<'_>) -> Result<Tensor> {
        self.head.forward(&self.trunk.forward(obs)?)
    }

    /// The same left in `flow`, bit for bit; on the CPU nothing is built or allocated on the way.
    pub(crate) fn run(&self, obs: &ObsBatch<'_>, flow: &mut HostForward) -> rl_core::Result<()> {
        let run = if self.device.is_cpu() { Self::run_on_host } else { Self::run_on_device };
        run(self, obs, flow).map_err(rl_nn::tensor)
    }

    fn run_on_host(&self, obs: &ObsBatch<'_>, flow: &mut HostForward) -> Result<()> {
        self.trunk.run(obs, flow)?;
        self.head.run(flow)
    }

    fn run_on_device(&self, obs: &ObsBatch<'_>, flow: &mut HostForward) -> Result<()> {
        *flow.begin() = self.forward(obs)?.flatten_all()?.to_vec1()?;
        Ok(())
    }
}
