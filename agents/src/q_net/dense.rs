//! Dense layers of a head, plain or noisy.
//!
//! A noisy layer has a mean and a spread for every weight: `y = (μ + σ ⊙ ε) x`. With factorised noise, ε is the outer product
//! of a vector per input and one per output, so that the layer is two plain ones, `y = μ x + ε_out ⊙ (σ (x ⊙ ε_in))`: the
//! kernels are those of plain layers, and every row of a batch may have noise of its own.
//! Source: Fortunato et al. 2018, "Noisy networks for exploration", section 3.1 and, for the first values, 3.2.

use std::f64::consts::TAU;

use candle_core::{Result, Tensor};
use rl_core::Rng;
use rl_nn::{Activation, HostForward, Init, Linear, Scope};

/// Noise ε of all noisy layers of a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise<'a> {
    /// Rows of noise, `[R, width]`: each serves B / R consecutive rows of a batch. Empty for means alone.
    pub(crate) values: &'a [f32],
    /// Numbers per row of noise.
    pub(crate) width: usize,
}

impl Noise<'_> {
    /// The `len` numbers from index `at` on in the row of noise that serves row `b` of a batch of `rows`.
    fn part(&self, at: usize, len: usize, b: usize, rows: usize) -> &[f32] {
        let serves = rows / (self.values.len() / self.width);
        &self.values[b / serves * self.width + at..][..len]
    }

    /// The `len` numbers from index `at` on for all rows of a batch: `[rows, len]`, or `[1, len]` for one row of noise.
    fn tensor(&self, at: usize, len: usize, rows: usize, like: &Tensor) -> Result<Tensor> {
        let rows = if self.values.len() == self.width { 1 } else { rows };
        let values: Vec<f32> = (0..rows).flat_map(|b| self.part(at, len, b, rows).iter().copied()).collect();
        Tensor::from_vec(values, (rows, len), like.device())
    }
}

/// Appends a row of noise: `sgn(x) √|x|` of standard normal numbers, two from each point that Box and Muller's method draws.
pub(crate) fn draw_noise(width: usize, rng: &mut Rng, out: &mut Vec<f32>) {
    let shrink = |x: f64| (x.signum() * x.abs().sqrt()) as f32;
    let end = out.len() + width;
    while out.len() < end {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - rng.f64()));
        let (sin, cos) = libm::sincos(TAU * rng.f64());
        out.push(shrink(radius * cos));
        if out.len() < end {
            out.push(shrink(radius * sin));
        }
    }
}

/// Dense layer, `[B, inputs]` to `[B, outputs]`.
pub(crate) enum Dense {
    /// A layer without noise.
    Plain(Linear),
    /// A NoisyNet layer.
    Noisy(Noisy),
}

/// NoisyNet layer with factorised noise: two plain layers, and the index of its noise in a row of noise.
pub(crate) struct Noisy {
    mean: Linear,
    spread: Linear,
    relu: bool,
    inputs: usize,
    outputs: usize,
    at: usize,
}

impl Dense {
    /// Creates a noisy layer with σ initialised to `noisy` / √inputs, or a plain layer where `noisy` is 0.
    ///
    /// A noisy layer adds the numbers of noise that it needs to `noise_width`.
    pub(crate) fn new(
        scope: &mut Scope<'_>,
        [inputs, outputs]: [usize; 2],
        activation: Activation,
        noisy: f64,
        noise_width: &mut usize,
    ) -> Result<Self> {
        if noisy == 0.0 {
            return Ok(Self::Plain(Linear::new(scope, inputs, outputs, activation)?));
        }
        let spread = Init::Constant { value: noisy / (inputs as f64).sqrt() };
        // As published, whatever plain layers begin with.
        let begin = Init::torch(inputs);
        let mean = Linear::with_init(&mut scope.layer("mean"), inputs, outputs, Activation::None, begin, begin)?;
        let spread = Linear::with_init(&mut scope.layer("spread"), inputs, outputs, Activation::None, spread, spread)?;
        let at = *noise_width;
        *noise_width += inputs + outputs;
        Ok(Self::Noisy(Noisy { mean, spread, relu: activation == Activation::Relu, inputs, outputs, at }))
    }

    /// Maps `x [B, inputs]` to `[B, outputs]`, with the graph for gradients.
    pub(crate) fn forward(&self, x: &Tensor, noise: Noise<'_>) -> Result<Tensor> {
        let Noisy { mean, spread, relu, inputs, outputs, at } = match self {
            Self::Plain(layer) => return layer.forward(x),
            Self::Noisy(layer) => layer,
        };
        let mut y = mean.forward(x)?;
        if !noise.values.is_empty() {
            let rows = x.dim(0)?;
            let noisy = spread.forward(&x.broadcast_mul(&noise.tensor(*at, *inputs, rows, x)?)?)?;
            y = (y + noisy.broadcast_mul(&noise.tensor(at + inputs, *outputs, rows, x)?)?)?;
        }
        if *relu { rl_nn::relu(&y) } else { Ok(y) }
    }

    /// Maps the values in `flow`, `[B, inputs]`, to `[B, outputs]` on the host; `room` is scratch memory.
    pub(crate) fn run(&self, flow: &mut HostForward, room: &mut HostForward, noise: Noise<'_>) -> Result<()> {
        let Noisy { mean, spread, relu, inputs, outputs, at } = match self {
            Self::Plain(layer) => return flow.linear(layer),
            Self::Noisy(layer) => layer,
        };
        if noise.values.is_empty() {
            flow.linear(mean)?;
        } else {
            let rows = flow.values().len() / inputs;
            let noised = room.begin();
            for (b, x) in flow.values().chunks_exact(*inputs).enumerate() {
                noised.extend(x.iter().zip(noise.part(*at, *inputs, b, rows)).map(|(x, e)| x * e));
            }
            room.linear(spread)?;
            flow.linear(mean)?;
            let each = flow.values_mut().chunks_exact_mut(*outputs).zip(room.values().chunks_exact(*outputs));
            for (b, (y, noisy)) in each.enumerate() {
                let noise = noise.part(at + inputs, *outputs, b, rows);
                y.iter_mut().zip(noisy.iter().zip(noise)).for_each(|(y, (n, e))| *y += n * e);
            }
        }
        if *relu {
            // What is not a number stays one.
            flow.values_mut().iter_mut().for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y });
        }
        Ok(())
    }
}
