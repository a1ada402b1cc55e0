//! Dense layers on features and one-hot symbols.

use candle_core::{Device, Result, Tensor, bail};
use rl_core::Spec;
use rl_nn::{Activation, Chain, Flow, Linear, Scope};

use crate::sense::Sense;
use crate::{Encoder, Seen};

/// A multi-layer perceptron, for observations without pixels.
#[derive(Clone, Debug)]
pub struct Mlp {
    sense: Sense,
    device: Device,
    layers: Chain,
    width: usize,
}

impl Mlp {
    /// Layers of the widths `hidden` with `activation`; with none, the observation itself is the feature.
    ///
    /// # Errors
    /// If there is nothing to see or a width is 0.
    pub fn new(spec: &Spec, hidden: &[usize], activation: Activation, scope: &mut Scope<'_>) -> Result<Self> {
        let sense = Sense::new(spec);
        if sense.width() == 0 {
            bail!("an observation without pixels, features and symbols has nothing to encode");
        }
        let (layers, width) = dense(sense.width(), hidden, activation, scope)?;
        Ok(Self { sense, device: scope.device().clone(), layers: Chain::new(layers)?, width })
    }
}

impl Encoder for Mlp {
    fn width(&self) -> usize {
        self.width
    }

    fn forward(&self, obs: &Seen<'_>) -> Result<Tensor> {
        let x = self.sense.rows(obs, &self.device)?; // [B, vector + Σ symbols]
        self.layers.forward(&x)
    }

    fn run(&self, obs: &Seen<'_>, flow: &mut Flow) -> Result<()> {
        self.sense.extend(obs, flow.begin()); // [B, vector + Σ symbols]
        flow.chain(&self.layers)
    }
}

/// Dense layers `fc1`, `fc2`, … on `inputs` numbers, and the width of the last.
pub(crate) fn dense(
    inputs: usize,
    hidden: &[usize],
    activation: Activation,
    scope: &mut Scope<'_>,
) -> Result<(Vec<Linear>, usize)> {
    let mut width = inputs;
    let mut layers = Vec::new();
    for (i, &next) in hidden.iter().enumerate() {
        if next == 0 {
            bail!("dense layer {} has width 0", i + 1);
        }
        layers.push(Linear::new(&mut scope.layer(&format!("fc{}", i + 1)), width, next, activation)?);
        width = next;
    }
    Ok((layers, width))
}
