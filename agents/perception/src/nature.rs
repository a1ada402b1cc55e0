//! Convolutional network of the Nature DQN.
//! Source: Mnih et al. 2015, table of the methods section: 32 filters 8×8 stride 4, 64 of 4×4 stride 2, 64 of 3×3
//! stride 1. With fewer filters it is the one that a CPU runs three times as fast; with padding it is Dopamine's.

use candle_core::{Device, Result, Tensor, bail};
use rl_core::Spec;
use rl_nn::{Activation, Chain, Conv2d, HostForward, Link, Scope, Window};

use crate::mlp::{dense, norm, sum_of};
use crate::sense::Sense;
use crate::{Encoder, EncoderConfig, ObsBatch};

/// Filters of the three convolutions in the paper.
pub(crate) const USUAL: [usize; 3] = [32, 64, 64];
/// Filters of the three convolutions in a network of 0.38 of the work.
pub(crate) const SMALL: [usize; 3] = [16, 32, 32];

/// The smallest frame side from which the third convolution still has an output.
const SMALLEST: usize = 36;

/// Encoder of the Nature DQN: three convolutions, then dense layers. Feature vectors and one-hot symbols are appended
/// to the flattened output of the convolutions.
#[derive(Clone, Debug)]
pub struct Nature {
    input: [usize; 3],
    device: Device,
    /// Convolutions, and the dense layers too where nothing is appended between them.
    first: Chain,
    /// Values that the convolutions make of one observation.
    flat: usize,
    sense: Sense,
    rest: Chain,
    width: usize,
}

impl Nature {
    /// Network on the stacked frames of `spec`, with `filters` filters in its three convolutions and the dense layers
    /// of `config` (`[32, 64, 64]`, `[512]` and ReLU in the paper). If `padded`, each convolution has the padding of
    /// [`Window::same`], so that the edge of a frame is seen as often as the rest.
    ///
    /// # Errors
    /// If a frame without padding is smaller than 36 × 36, where the third convolution has no output, a width is 0, or
    /// the device fails.
    pub fn new(
        spec: &Spec,
        filters: [usize; 3],
        padded: bool,
        config: &EncoderConfig,
        scope: &mut Scope<'_>,
    ) -> Result<Self> {
        let [height, width, channels] = spec.frame;
        if !padded && (height < SMALLEST || width < SMALLEST) {
            bail!(
                "frames of {height} × {width} are too small for the Nature network, which needs 36 × 36 unless it is padded"
            );
        }
        let input = [height, width, channels * spec.stack];
        let (mut first, mut rest): (Vec<Link>, Vec<Link>) = (Vec::new(), Vec::new());
        let mut output = input;
        let windows = [("conv1", 8, 4), ("conv2", 4, 2), ("conv3", 3, 1)];
        for ((name, kernel, stride), filters) in windows.into_iter().zip(filters) {
            let sum = sum_of(Activation::Relu, config);
            let window = match padded {
                true => Window::same(kernel, stride, [output[0], output[1]]),
                false => Window { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 2] },
            };
            let layer = Conv2d::with_window(&mut scope.layer(name), output, filters, window, sum)?;
            output = layer.output();
            first.push(layer.into());
            first.extend(norm(name, filters, Activation::Relu, config, scope)?);
        }
        let sense = Sense::new(spec);
        let flat = output.iter().product();
        let (dense, width) = dense(flat + sense.width(), config, scope)?;
        (if sense.width() > 0 { &mut rest } else { &mut first }).extend(dense);
        let (first, rest) = (Chain::new(first)?, Chain::new(rest)?);
        Ok(Self { input, device: scope.device().clone(), first, flat, sense, rest, width })
    }
}

impl Nature {
    fn check(&self, obs: &ObsBatch<'_>) {
        assert_eq!(obs.frames.len(), obs.rows * self.input.iter().product::<usize>(), "frames of {} rows", obs.rows);
    }
}

impl Encoder for Nature {
    fn width(&self) -> usize {
        self.width
    }

    /// The first convolution scales frames, which are bytes, to `[0, 1]`: there and nowhere else.
    fn forward(&self, obs: &ObsBatch<'_>) -> Result<Tensor> {
        let [height, width, channels] = self.input;
        self.check(obs);
        let x = Tensor::from_slice(obs.frames, (obs.rows, height, width, channels), &self.device)?; // [B, H, W, S·C]
        let mut x = self.first.forward(&x)?.flatten_from(1)?; // [B, H'·W'·64], or the features
        if self.sense.width() > 0 {
            x = Tensor::cat(&[&x, &self.sense.rows(obs, &self.device)?], 1)?; // [B, H'·W'·64 + rest]
        }
        self.rest.forward(&x)
    }

    fn run(&self, obs: &ObsBatch<'_>, flow: &mut HostForward) -> Result<()> {
        self.check(obs);
        flow.begin_with_bytes(&self.first, obs.frames)?; // [B, H', W', 64], or the features
        if self.sense.width() > 0 {
            flow.join(self.flat, self.sense.width(), |row, out| self.sense.write(obs, row, out));
        }
        flow.chain(&self.rest)
    }
}
