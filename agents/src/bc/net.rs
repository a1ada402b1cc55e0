//! Policy network without a critic.
//!
//! Weights are initialised as those of `ActorCritic`: orthogonal with gain √2, the head's with 0.01.

use candle_core::{Device, Result, Tensor};
use rl_core::{Rng, Spec};
use rl_nn::{HostForward, InitScheme, Params, Standardise};
use rl_perception::{Encoder, EncoderConfig, ObsBatch, encoder_for};

use crate::policy_head::PolicyHead;

/// Policy network: observations to the parameters of π(· | s), which an `ActionDistribution` takes.
pub(crate) struct PolicyNet {
    /// Normalisation of features; `None` where it is not asked for.
    standardise: Option<Standardise>,
    trunk: Box<dyn Encoder>,
    head: PolicyHead,
    device: Device,
}

impl PolicyNet {
    /// Creates a network for `spec` and its parameters, drawn from `rng`.
    ///
    /// With `standardise` the network gets buffers for the statistics that normalise features.
    pub(crate) fn new(
        spec: &Spec,
        config: &EncoderConfig,
        standardise: bool,
        device: &Device,
        rng: &Rng,
    ) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng.clone());
        let trunk = encoder_for(spec, config, &mut params.layer("trunk").with_init_scheme(InitScheme::Orthogonal))?;
        let head = PolicyHead::new(spec, trunk.width(), &mut params)?.with_deviations(spec, &mut params)?;
        let standardise =
            if standardise { Some(Standardise::new(&mut params.layer("features"), spec.vector)?) } else { None };
        let device = device.clone();
        Ok((Self { standardise, trunk, head, device }, params))
    }

    /// Normalisation of features, to be applied before a pass; `None` where it is not asked for.
    pub(crate) fn standardise(&self) -> Option<&Standardise> {
        self.standardise.as_ref()
    }

    /// Outputs `[B, W]` for observations with normalised features, with the graph for gradients.
    pub(crate) fn forward(&self, obs: &ObsBatch<'_>) -> Result<Tensor> {
        self.head.forward(&self.trunk.forward(obs)?)
    }

    /// Outputs `[B, W]` without a graph, left in `flow`: bit for bit those of [`forward`](Self::forward). On the CPU
    /// no graph is built and nothing is allocated.
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
