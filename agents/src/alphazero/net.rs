//! Policy and value network: a residual network on the planes of a position.
//!
//! There is no normalisation layer: a residual block begins as the identity, its last convolution at zero, which
//! suffices for training so few blocks; logits and values begin near 0.
//! Source: Silver et al. 2017, "Mastering the game of Go without human knowledge"; Zhang et al. 2019, "Fixup
//! initialization".

use candle_core::{Device, Result, Tensor};
use rl_core::Rng;
use rl_nn::{
    Activation, Chain, Conv2d, HostForward, Init, InitScheme, Linear, Link, Params, Precision, Residual, Window,
};

/// Architecture of a policy and value network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Height, width and number of input planes, `[H, W, C]`.
    pub(crate) planes: [usize; 3],
    /// Number of moves, A.
    pub(crate) actions: usize,
    /// Channels of every convolution.
    pub(crate) channels: usize,
    /// Number of residual blocks, of two convolutions each.
    pub(crate) blocks: usize,
    /// Width of the dense layer of the value head.
    pub(crate) hidden: usize,
    /// Number format in which convolutions multiply.
    pub(crate) precision: Precision,
}

/// Policy and value network: planes to logits of all moves, and to the value for the side to move, from -1 to 1.
pub(crate) struct Net {
    planes: [usize; 3],
    stem: Chain,
    blocks: Vec<Residual>,
    policy: Linear,
    value: Chain,
    device: Device,
}

/// Buffers of a forward pass on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    policy: HostForward,
    value: HostForward,
}

impl Flows {
    /// Clears the input and returns it, to be filled with planes, `[B, H, W, C]`.
    pub(crate) fn begin(&mut self) -> &mut Vec<f32> {
        self.policy.begin()
    }

    /// Logits of the last pass, `[B, A]`.
    pub(crate) fn logits(&self) -> &[f32] {
        self.policy.values()
    }

    /// Values of the last pass, `[B]`.
    pub(crate) fn values(&self) -> &[f32] {
        self.value.values()
    }
}

impl Net {
    /// Creates a network and its parameters, drawn from `rng`.
    ///
    /// # Errors
    /// If a size is 0, or the device fails.
    pub(crate) fn new(shape: Shape, device: &Device, rng: &Rng) -> Result<(Self, Params)> {
        let mut params = Params::new(device, rng.clone());
        let [height, width, planes] = shape.planes;
        let window = Window { kernel: [3; 2], stride: [1; 2], padding: [1; 2] };
        let (input, channels) = ([height, width, planes], shape.channels);
        let mut root = params.root();
        let mut root = root.with_init_scheme(InitScheme::Orthogonal);
        let mut convolutions = root.with_precision(shape.precision);
        let stem = Conv2d::with_window(&mut convolutions.layer("stem"), input, channels, window, Activation::Relu)?;
        let stem = Chain::new([stem])?;
        let mut block = |number: usize| {
            let scope = &mut convolutions.layer(&format!("block{number}"));
            Residual::zero_init(scope, [height, width, channels], Activation::Relu)
        };
        let blocks = (1..=shape.blocks).map(&mut block).collect::<Result<Vec<_>>>()?;
        let flat = height * width * channels;
        let wide = Linear::new(&mut root.layer("value_fc"), flat, shape.hidden, Activation::Relu)?;
        let mut head = |name, inputs, outputs, activation| {
            let init = Init::Orthogonal { gain: 0.01 };
            Linear::with_init(&mut root.layer(name), inputs, outputs, activation, init, Init::Zeros)
        };
        let value = Chain::new([wide, head("value_head", shape.hidden, 1, Activation::Tanh)?].map(Link::from))?;
        let policy = head("policy_head", flat, shape.actions, Activation::None)?;
        Ok((Self { planes: shape.planes, stem, blocks, policy, value, device: device.clone() }, params))
    }

    /// Logits `[B, A]` and values `[B]` of planes `[B, H, W, C]`, with the graph for gradients.
    pub(crate) fn forward(&self, planes: &[f32]) -> Result<(Tensor, Tensor)> {
        let [height, width, count] = self.planes;
        let rows = planes.len() / (height * width * count);
        let x = Tensor::from_slice(planes, (rows, height, width, count), &self.device)?;
        let mut x = self.stem.forward(&x)?; // [B, H, W, channels]
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let x = x.flatten_from(1)?; // [B, H·W·channels]
        Ok((self.policy.forward(&x)?, self.value.forward(&x)?.squeeze(1)?))
    }

    /// Computes logits and values of the planes in `flows` without a graph, and leaves them there.
    ///
    /// The bits are those of [`forward`](Self::forward). On the CPU no graph is built and nothing is allocated.
    pub(crate) fn run(&self, flows: &mut Flows) -> rl_core::Result<()> {
        let run = if self.device.is_cpu() { self.run_on_host(flows) } else { self.run_on_device(flows) };
        run.map_err(rl_nn::tensor)
    }

    fn run_on_host(&self, Flows { policy, value }: &mut Flows) -> Result<()> {
        policy.chain(&self.stem)?;
        self.blocks.iter().try_for_each(|block| policy.residual(block))?;
        value.begin().extend_from_slice(policy.values());
        value.chain(&self.value)?;
        policy.linear(&self.policy)
    }

    fn run_on_device(&self, Flows { policy, value }: &mut Flows) -> Result<()> {
        let (logits, values) = self.forward(policy.values())?;
        *policy.begin() = logits.flatten_all()?.to_vec1()?;
        *value.begin() = values.to_vec1()?;
        Ok(())
    }
}
