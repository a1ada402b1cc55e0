//! What every encoder offers, and which one serves a spec.

use candle_core::{Result, Tensor};
use rl_core::Spec;
use rl_nn::{Activation, Flow, Precision, Scope};
use serde::{Deserialize, Serialize};

use crate::{Mlp, Nature};

/// A gathered batch of `B` observations, borrowed from whoever gathered it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// `B`.
    pub rows: usize,
    /// Stacked frames, `[B, H, W, S·C]`.
    pub frames: &'a [u8],
    /// Features, `[B, vector]`.
    pub vector: &'a [f32],
    /// Discrete observations, `[B, symbols]`.
    pub symbols: &'a [u32],
}

/// Turns observations into features.
pub trait Encoder: Send + Sync {
    /// Number of features.
    fn width(&self) -> usize;

    /// Features of a batch, `[B, width]`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    ///
    /// # Panics
    /// If a slice of `obs` does not hold `obs.rows` rows of the encoder's spec.
    fn forward(&self, obs: &Seen<'_>) -> Result<Tensor>;

    /// The same features on the host, bit for bit, left in `flow`: no graph, and no allocation once `flow` has grown.
    ///
    /// # Errors
    /// If the parameters are not on the CPU.
    ///
    /// # Panics
    /// As [`forward`](Encoder::forward).
    fn run(&self, obs: &Seen<'_>, flow: &mut Flow) -> Result<()>;
}

/// Sizes of an encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Widths of the dense layers: all of an [`Mlp`], those after the convolutions of a [`Nature`].
    pub hidden: Vec<usize>,
    /// What follows each of them; convolutions have a ReLU.
    pub activation: Activation,
    /// Whether a layer norm stands between the sum of every layer and what follows it; convolutions are normalised pixel by
    /// pixel.
    #[serde(default)]
    pub layer_norm: bool,
    /// What all layers multiply.
    #[serde(default)]
    pub precision: Precision,
}

/// The encoder for `spec`: [`Nature`] where there are frames, else [`Mlp`].
///
/// # Errors
/// If frames are too small, there is nothing to see, or a size is 0.
pub fn encoder_for(spec: &Spec, config: &EncoderConfig, scope: &mut Scope<'_>) -> Result<Box<dyn Encoder>> {
    let scope = &mut scope.with_precision(config.precision);
    if spec.frame_len() > 0 {
        Ok(Box::new(Nature::new(spec, config, scope)?))
    } else {
        Ok(Box::new(Mlp::new(spec, config, scope)?))
    }
}
