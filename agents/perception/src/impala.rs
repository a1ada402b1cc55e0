//! Residual network of IMPALA.
//! Source: Espeholt et al. 2018, figure 3, right: sections of 16, 32 and 32 filters, each a 3×3 convolution, a 3×3
//! maximum of stride 2 and two residual blocks; then a ReLU and a dense layer of 256.

use candle_core::{Device, Result, Tensor, bail};
use rl_core::Spec;
use rl_nn::{Activation, Chain, Conv2d, HostForward, Residual, Scope, Window, max_pool};

use crate::mlp::dense;
use crate::sense::Sense;
use crate::{Encoder, EncoderConfig, ObsBatch};

/// Filters of each section.
const SECTIONS: [usize; 3] = [16, 32, 32];
/// Window of a section's max pooling, which halves the sides, rounded up.
const MAXIMUM: Window = Window { kernel: [3; 2], stride: [2; 2], padding: [1; 2] };

/// Encoder of IMPALA: three sections of a convolution, max pooling and two residual blocks, then dense layers. Feature
/// vectors and one-hot symbols are appended to the flattened output of the last section.
#[derive(Clone, Debug)]
pub struct Impala {
    input: [usize; 3],
    device: Device,
    sections: Vec<Section>,
    /// Values that the last section makes of one observation.
    flat: usize,
    sense: Sense,
    rest: Chain,
    width: usize,
}

#[derive(Clone, Debug)]
struct Section {
    convolution: Chain,
    /// Shape of the convolution's output, `[H, W, filters]`.
    wide: [usize; 3],
    blocks: [Residual; 2],
}

impl Impala {
    /// Network on the stacked frames of `spec`, with the dense layers of `config` (`[256]` and ReLU in the paper).
    ///
    /// # Errors
    /// If a width is 0, layer norms are asked for, or the device fails.
    pub fn new(spec: &Spec, config: &EncoderConfig, scope: &mut Scope<'_>) -> Result<Self> {
        if config.layer_norm {
            bail!("the residual trunk has no layer norms");
        }
        let [height, width, channels] = spec.frame;
        let input = [height, width, channels * spec.stack];
        let (mut shape, mut sections) = (input, Vec::new());
        for (i, filters) in SECTIONS.into_iter().enumerate() {
            let last = i + 1 == SECTIONS.len();
            let section = Section::new(&mut scope.layer(&format!("section{}", i + 1)), shape, filters, last)?;
            shape = [section.wide[0].div_ceil(2), section.wide[1].div_ceil(2), filters];
            sections.push(section);
        }
        let (sense, flat) = (Sense::new(spec), shape.iter().product());
        let (rest, width) = dense(flat + sense.width(), config, scope)?;
        Ok(Self { input, device: scope.device().clone(), sections, flat, sense, rest: Chain::new(rest)?, width })
    }

    fn check(&self, obs: &ObsBatch<'_>) {
        assert_eq!(obs.frames.len(), obs.rows * self.input.iter().product::<usize>(), "frames of {} rows", obs.rows);
    }
}

impl Section {
    /// Section on images of `input`, `[H, W, C]`; the `last` one ends in a ReLU.
    fn new(scope: &mut Scope<'_>, input: [usize; 3], filters: usize, last: bool) -> Result<Self> {
        let window = Window { kernel: [3; 2], stride: [1; 2], padding: [1; 2] };
        let convolution = Conv2d::with_window(&mut scope.layer("conv"), input, filters, window, Activation::None)?;
        let wide = convolution.output();
        let shape = [wide[0].div_ceil(2), wide[1].div_ceil(2), filters];
        let end = if last { Activation::Relu } else { Activation::None };
        let blocks = [
            Residual::new(&mut scope.layer("block1"), shape, Activation::None)?,
            Residual::new(&mut scope.layer("block2"), shape, end)?,
        ];
        Ok(Self { convolution: Chain::new([convolution])?, wide, blocks })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = max_pool(&self.convolution.forward(x)?, MAXIMUM)?;
        self.blocks.iter().try_fold(x, |x, block| block.forward(&x))
    }
}

impl Encoder for Impala {
    fn width(&self) -> usize {
        self.width
    }

    /// The first convolution scales frames, which are bytes, to `[0, 1]`: there and nowhere else.
    fn forward(&self, obs: &ObsBatch<'_>) -> Result<Tensor> {
        let [height, width, channels] = self.input;
        self.check(obs);
        let x = Tensor::from_slice(obs.frames, (obs.rows, height, width, channels), &self.device)?; // [B, H, W, S·C]
        let x = self.sections.iter().try_fold(x, |x, section| section.forward(&x))?; // [B, H/8, W/8, 32]
        let mut x = x.flatten_from(1)?; // [B, H/8·W/8·32]
        if self.sense.width() > 0 {
            x = Tensor::cat(&[&x, &self.sense.rows(obs, &self.device)?], 1)?; // [B, H/8·W/8·32 + rest]
        }
        self.rest.forward(&x)
    }

    fn run(&self, obs: &ObsBatch<'_>, flow: &mut HostForward) -> Result<()> {
        self.check(obs);
        for (i, section) in self.sections.iter().enumerate() {
            if i == 0 {
                flow.begin_with_bytes(&section.convolution, obs.frames)?;
            } else {
                flow.chain(&section.convolution)?;
            }
            flow.max_pool(section.wide, MAXIMUM)?;
            section.blocks.iter().try_for_each(|block| flow.residual(block))?;
        }
        if self.sense.width() > 0 {
            flow.join(self.flat, self.sense.width(), |row, out| self.sense.write(obs, row, out));
        }
        flow.chain(&self.rest)
    }
}
