//! Dense layers on features and one-hot symbols.

use candle_core::{Device, Result, Tensor, bail};
use rl_core::Spec;
use rl_nn::{Activation, Chain, HostForward, LayerNorm, Linear, Link, Scope};

use crate::sense::Sense;
use crate::{Encoder, EncoderConfig, ObsBatch};

/// Multi-layer perceptron on feature vectors and one-hot symbols, for observations without frames.
#[derive(Clone, Debug)]
pub struct Mlp {
    sense: Sense,
    device: Device,
    layers: Chain,
    width: usize,
}

impl Mlp {
    /// Dense layers of the widths `config.hidden`; if there are none, the observation itself is the feature.
    ///
    /// # Errors
    /// If the spec has neither features nor symbols, a width is 0, or the device fails.
    pub fn new(spec: &Spec, config: &EncoderConfig, scope: &mut Scope<'_>) -> Result<Self> {
        let sense = Sense::new(spec);
        if sense.width() == 0 {
            bail!("an observation without pixels, features and symbols has nothing to encode");
        }
        let (layers, width) = dense(sense.width(), config, scope)?;
        Ok(Self { sense, device: scope.device().clone(), layers: Chain::new(layers)?, width })
    }
}

impl Encoder for Mlp {
    fn width(&self) -> usize {
        self.width
    }

    fn forward(&self, obs: &ObsBatch<'_>) -> Result<Tensor> {
        let x = self.sense.rows(obs, &self.device)?; // [B, vector + Σ symbols]
        self.layers.forward(&x)
    }

    fn run(&self, obs: &ObsBatch<'_>, flow: &mut HostForward) -> Result<()> {
        self.sense.extend(obs, flow.begin()); // [B, vector + Σ symbols]
        flow.chain(&self.layers)
    }
}

/// Makes the dense layers `fc1`, `fc2`, … of `config` on rows of `inputs` values; returns them and the width of the
/// last.
pub(crate) fn dense(inputs: usize, config: &EncoderConfig, scope: &mut Scope<'_>) -> Result<(Vec<Link>, usize)> {
    let mut width = inputs;
    let mut links = Vec::new();
    for (i, &next) in config.hidden.iter().enumerate() {
        if next == 0 {
            bail!("dense layer {} has width 0", i + 1);
        }
        let (name, sum) = (format!("fc{}", i + 1), sum_of(config.activation, config));
        links.push(Linear::new(&mut scope.layer(&name), width, next, sum)?.into());
        links.extend(norm(&name, next, config.activation, config, scope)?);
        width = next;
    }
    Ok((links, width))
}

/// Activation that a linear or convolutional layer itself applies: `activation`, or none where a layer norm comes
/// first.
pub(crate) fn sum_of(activation: Activation, config: &EncoderConfig) -> Activation {
    if config.layer_norm { Activation::None } else { activation }
}

/// Layer norm and `activation` behind the layer called `name`, of `width` outputs, if `config` asks for norms; ε is
/// 1e-5 as in PyTorch.
pub(crate) fn norm(
    name: &str,
    width: usize,
    activation: Activation,
    config: &EncoderConfig,
    scope: &mut Scope<'_>,
) -> Result<Option<Link>> {
    if !config.layer_norm {
        return Ok(None);
    }
    let norm = LayerNorm::new(&mut scope.layer(&format!("{name}_norm")), width, 1e-5)?;
    Ok(Some(Link::Norm(norm, activation)))
}
