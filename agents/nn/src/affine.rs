//! Linear and convolutional layers on the CPU: product, bias and activation in one pass, and their gradients.

use std::sync::Arc;

use candle_core::{CpuStorage, Layout, Result, Tensor, bail};

use crate::Activation;
use crate::kernel::bf16::{self, Unit};
use crate::kernel::{self, Patches, Pixel};
use crate::layer_params::LayerParams;
use crate::params::{values, with_values};
use crate::parts::sized;

/// Linear or convolutional layer on the CPU: `activation(patches(x) · w + b)`, with parameters `w [depth, n]` and
/// `b [n]`.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub params: LayerParams,
    pub patches: Arc<Patches>,
    pub activation: Activation,
    /// Instructions for products of bf16; `None` for products of `f32`.
    pub unit: Option<Unit>,
    /// Shape of the output without its batch axis: `[H', W', n]`, or `[n]` of a linear layer.
    pub output: Vec<usize>,
}

/// Contiguous inputs of a batch: images `[B, H, W, C]`, or rows `[B, inputs]`.
#[derive(Clone, Copy)]
pub(crate) enum Images<'a> {
    /// Bytes, each taken as its value over 255.
    Bytes(&'a [u8]),
    /// `f32` values, taken as they are.
    Floats(&'a [f32]),
}

impl<'a> Images<'a> {
    /// Borrows the values of a storage.
    ///
    /// # Errors
    /// If they are not contiguous, or neither `u8` nor `f32`.
    pub(crate) fn of(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::U8(all), Some((from, to))) => Ok(Self::Bytes(&all[from..to])),
            (CpuStorage::U8(_), None) => bail!("expected contiguous bytes, got {layout:?}"),
            _ => Ok(Self::Floats(values(storage, layout)?)),
        }
    }
}

impl Affine {
    /// Output channels, `n`.
    pub(crate) fn outputs(&self) -> usize {
        *self.output.last().expect("an image has an axis")
    }

    /// Forward pass without a graph: replaces `out` by the output of the batch and reuses its allocation.
    ///
    /// # Errors
    /// If the layer is not on the CPU.
    ///
    /// # Panics
    /// If `x` does not hold whole inputs.
    pub(crate) fn run(&self, x: Images<'_>, out: &mut Vec<f32>) -> Result<()> {
        match x {
            Images::Bytes(x) => self.run_on(x, out),
            Images::Floats(x) => self.run_on(x, out),
        }
    }

    fn run_on<P: Pixel>(&self, x: &[P], out: &mut Vec<f32>) -> Result<()> {
        if !self.params.var(0).device().is_cpu() {
            bail!("a layer on another device has no values on the host");
        }
        let images = x.len() / self.patches.input;
        assert_eq!(x.len(), images * self.patches.input, "inputs of {} values each", self.patches.input);
        let len = images * self.patches.pixels() * self.outputs();
        sized(out, len); // the kernel writes every element
        let [w, b] = [self.params.var(0), self.params.var(1)];
        let relu = self.activation == Activation::Relu;
        with_values(w, |w| {
            with_values(b, |b| match self.unit {
                None => kernel::forward(&self.patches, x, w, b, relu, out),
                Some(unit) => bf16::forward(unit, &self.patches, x, w, b, relu, out),
            })
        })??;
        self.activation.finish(out);
        Ok(())
    }

    /// Gradients of weight and bias, given `g [rows, n]`, the gradient of the pre-activation. They are written to the
    /// flat gradient or returned, as by [`LayerParams::write`].
    pub(crate) fn gradients(&self, x: Images<'_>, g: &[f32]) -> Result<Vec<Option<Tensor>>> {
        let n = self.outputs();
        self.params.write(|into, write| {
            let (dw, db) = into.split_at_mut(self.patches.depth() * n);
            match (x, self.unit) {
                (Images::Bytes(x), None) => kernel::write_weight_gradient(&self.patches, x, g, n, dw, write),
                (Images::Floats(x), None) => kernel::write_weight_gradient(&self.patches, x, g, n, dw, write),
                (Images::Bytes(x), Some(unit)) => bf16::write_weight_gradient(unit, &self.patches, x, g, n, dw, write),
                (Images::Floats(x), Some(unit)) => bf16::write_weight_gradient(unit, &self.patches, x, g, n, dw, write),
            }
            kernel::write_bias_gradient(g, db, write);
            Ok(())
        })
    }

    /// Writes the gradient of the input to `dx`, given `g`, the gradient of the pre-activation. If `made` holds the
    /// activation that produced the input, and the input, `dx` is the gradient before that activation.
    pub(crate) fn input_gradient(&self, g: &[f32], made: Option<(Activation, &[f32])>, dx: &mut [f32]) -> Result<()> {
        let n = self.outputs();
        let relu = made.filter(|(activation, _)| *activation == Activation::Relu).map(|(_, x)| x);
        with_values(self.params.var(0), |w| match self.unit {
            None => kernel::write_input_gradient(&self.patches, w, g, n, relu, dx),
            Some(unit) => bf16::write_input_gradient(unit, &self.patches, w, g, n, relu, dx),
        })?;
        if let Some((activation, x)) = made {
            activation.bend(dx, x);
        }
        Ok(())
    }
}
