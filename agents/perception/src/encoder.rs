//! What every encoder offers, and which one serves a spec.

use candle_core::{Result, Tensor};
use rl_core::Spec;
use rl_nn::{Activation, Flow, Precision, Scope};
use serde::{Deserialize, Serialize};

use crate::nature::{SMALL, USUAL};
use crate::{Impala, Mlp, Nature};

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

/// What stands between frames and the dense layers; where there are no frames, nothing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trunk {
    /// The convolutions of the Nature DQN: 32, 64 and 64 filters.
    Nature,
    /// The same on padded frames, as Dopamine has them but that the second convolution of 84 × 84 pixels is padded in the mirror
    /// image: 2.5 times as many features, for 1.7 times as many multiplications.
    Padded,
    /// As [`Nature`](Self::Nature) with 16, 32 and 32: a third of the work.
    Small,
    /// The residual network of IMPALA: six times the work.
    Impala,
}

impl Trunk {
    /// Bytes that a training step keeps of each stack of frames `[H, W, C]`, about.
    pub fn bytes(self, [height, width, _]: [usize; 3]) -> usize {
        let numbers = match self {
            Self::Nature => 8, // a pixel's: 32 filters on a sixteenth of them and 64 on a 64th, with their gradients
            Self::Padded => 12,
            Self::Small => 4,
            Self::Impala => 130, // 16 filters on all, and some ten copies on a quarter and less
        };
        height * width * numbers * size_of::<f32>()
    }
}

/// Sizes of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// What looks at frames.
    pub trunk: Trunk,
    /// Widths of the dense layers: all of an [`Mlp`], else those after the trunk.
    pub hidden: Vec<usize>,
    /// What follows each of them; convolutions have a ReLU.
    pub activation: Activation,
    /// Whether a layer norm stands between the sum of every layer and what follows it; convolutions are normalised pixel by
    /// pixel.
    pub layer_norm: bool,
    /// What all layers multiply.
    pub precision: Precision,
}

/// The encoder for `spec`: that of the trunk where there are frames, else [`Mlp`].
///
/// # Errors
/// If frames are too small, there is nothing to see, a size is 0, or layer norms are asked of a trunk without.
pub fn encoder_for(spec: &Spec, config: &EncoderConfig, scope: &mut Scope<'_>) -> Result<Box<dyn Encoder>> {
    let scope = &mut scope.with_precision(config.precision);
    if spec.frame_len() == 0 {
        return Ok(Box::new(Mlp::new(spec, config, scope)?));
    }
    Ok(match config.trunk {
        Trunk::Nature => Box::new(Nature::new(spec, USUAL, false, config, scope)?),
        Trunk::Padded => Box::new(Nature::new(spec, USUAL, true, config, scope)?),
        Trunk::Small => Box::new(Nature::new(spec, SMALL, false, config, scope)?),
        Trunk::Impala => Box::new(Impala::new(spec, config, scope)?),
    })
}
