//! Encoder trait, its configuration, and the choice of an encoder for a spec.

use candle_core::{Result, Tensor};
use rl_core::Spec;
use rl_nn::{Activation, HostForward, Precision, Scope};
use serde::{Deserialize, Serialize};

use crate::nature::{SMALL, USUAL};
use crate::{Impala, Mlp, Nature};

/// Batch of `B` observations, borrowed from whoever gathered it.
#[derive(Clone, Copy, Debug)]
pub struct ObsBatch<'a> {
    /// Batch size `B`.
    pub rows: usize,
    /// Stacked frames, `[B, H, W, S·C]`, of a spec whose frame is `[H, W, C]` and whose stack is `S`.
    pub frames: &'a [u8],
    /// Feature vectors, `[B, vector]`.
    pub vector: &'a [f32],
    /// Discrete observations, `[B, symbols]`, each below its number of values in the spec.
    pub symbols: &'a [u32],
}

/// Network that turns a batch of observations into features.
pub trait Encoder: Send + Sync {
    /// Number of features of one observation.
    fn width(&self) -> usize;

    /// Features of a batch, `f32 [B, width]`, with a graph for the gradient.
    ///
    /// # Errors
    /// If a tensor operation fails.
    ///
    /// # Panics
    /// If a slice of `obs` does not hold `obs.rows` rows of the encoder's spec.
    fn forward(&self, obs: &ObsBatch<'_>) -> Result<Tensor>;

    /// Leaves the features of a batch in `flow`, `[B, width]`, with the bits of [`forward`](Encoder::forward): on the
    /// CPU, without a graph, and on one thread with no allocation once `flow` has grown.
    ///
    /// # Errors
    /// If the parameters are not on the CPU.
    ///
    /// # Panics
    /// If a slice of `obs` does not hold `obs.rows` rows of the encoder's spec.
    fn run(&self, obs: &ObsBatch<'_>, flow: &mut HostForward) -> Result<()>;
}

/// Convolutional network between frames and the dense layers; observations without frames have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trunk {
    /// Convolutions of the Nature DQN: 32 filters of 8 × 8 with stride 4, 64 of 4 × 4 with stride 2 and 64 of 3 × 3
    /// with stride 1, without padding.
    Nature,
    /// [`Nature`](Self::Nature) on padded frames, as Dopamine has it but that the second convolution of 84 × 84 pixels
    /// is padded in the mirror image: 2.5 times as many features, for 1.7 times as many multiplications.
    Padded,
    /// [`Nature`](Self::Nature) with 16, 32 and 32 filters: 0.38 of the work.
    Small,
    /// Residual network of IMPALA with sections of 16, 32 and 32 filters: six times the work of
    /// [`Nature`](Self::Nature).
    Impala,
}

impl Trunk {
    /// Approximate bytes that a training step keeps of each stack of frames `[H, W, C]`.
    pub fn bytes(self, [height, width, _]: [usize; 3]) -> usize {
        let numbers = match self {
            Self::Nature => 8, // a pixel's: 32 filters on a sixteenth of them and 64 on a 64th, with their gradients
            Self::Padded => 12,
            Self::Small => 4,
            Self::Impala => 130, // 16 filters on all, and some ten copies on a quarter and less
        };
        height * width * numbers * size_of::<f32>()
    }

    /// Approximate number of values that the convolutions make of a stack of frames `[H, W, C]`.
    pub fn features(self, [height, width, _]: [usize; 3]) -> usize {
        let sixteenths = match self {
            Self::Nature => 8, // a pixel's: 64 filters on a 64th of them, less the edges
            Self::Padded => 18,
            Self::Small => 4,
            Self::Impala => 9,
        };
        height * width * sixteenths / 16
    }
}

/// Sizes and choices of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Convolutional network on frames; unused without frames.
    pub trunk: Trunk,
    /// Widths of the dense layers: all layers of an [`Mlp`], else those after the trunk.
    pub hidden: Vec<usize>,
    /// Activation function of the dense layers; convolutions have a ReLU.
    pub activation: Activation,
    /// Whether every layer has a layer norm before its activation; that of a convolution is over the channels of each
    /// pixel.
    pub layer_norm: bool,
    /// Precision of the products of all layers.
    pub precision: Precision,
}

/// Makes the encoder for `spec`: the network of `config.trunk` if observations have frames, else an [`Mlp`].
///
/// # Errors
/// If frames are too small, observations have no parts, a width is 0, layer norms are asked of a trunk without, or the
/// device fails.
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
