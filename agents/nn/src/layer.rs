//! Linear and convolutional layers with their activation.
//!
//! Weights are stored input-major, `[in, out]` and `[kernel, kernel, in, out]`, and images are `[B, H, W, C]`, so that
//! neighbours in memory are the output channels that a vector register holds.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};

use crate::affine::Affine;
use crate::chain::Affines;
use crate::kernel::Patches;
use crate::layer_params::LayerParams;
use crate::{Activation, Init, Scope, Window};

/// Linear layer with bias and activation: `activation(x · weight + bias)`, where `weight` is `[inputs, outputs]` (the
/// transpose of PyTorch's) and `bias` is `[outputs]`.
#[derive(Clone, Debug)]
pub struct Linear {
    affine: Affines,
}

impl Linear {
    /// Layer from `inputs` to `outputs` values, initialised as `scope` says; see [`Scope::with_init_scheme`].
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &mut Scope<'_>, inputs: usize, outputs: usize, activation: Activation) -> Result<Self> {
        let [weight, bias] = scope.init_scheme().of(inputs, outputs);
        Self::with_init(scope, inputs, outputs, activation, weight, bias)
    }

    /// Layer with initialisations of its own for weight and bias.
    ///
    /// # Errors
    /// If the device fails.
    pub fn with_init(
        scope: &mut Scope<'_>,
        inputs: usize,
        outputs: usize,
        activation: Activation,
        weight: Init,
        bias: Init,
    ) -> Result<Self> {
        let params = LayerParams::new(scope, |scope| {
            Ok(vec![scope.var("weight", &[inputs, outputs], weight)?, scope.var("bias", &[outputs], bias)?])
        })?;
        let patches = Arc::new(Patches::rows(inputs));
        let unit = scope.unit(&patches, outputs);
        let affine = Affine { params, patches, activation, unit, output: vec![outputs] };
        Ok(Self { affine: Affines::new([affine]) })
    }

    /// Applies the layer to the rows of `x [B, inputs]`: `[B, outputs]`.
    ///
    /// # Errors
    /// If `x` is not a matrix of `f32` and of `inputs` columns.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.check(x)?;
        if x.device().is_cpu() {
            return self.affine.forward(x);
        }
        let Affine { params, activation, .. } = self.affine();
        stock(x, params.var(0), params.var(1), *activation)
    }

    /// Checks that `x` is `f32 [B, inputs]`.
    pub(crate) fn check(&self, x: &Tensor) -> Result<()> {
        let (_, width) = x.dims2()?;
        if x.dtype() != DType::F32 {
            candle_core::bail!("a linear layer takes f32, got {:?}: only convolutions scale bytes", x.dtype());
        }
        let inputs = self.affine().patches.input;
        if width != inputs {
            candle_core::bail!("a linear layer of {inputs} inputs got {width}");
        }
        Ok(())
    }

    /// The layer as its CPU operation runs it.
    pub(crate) fn affine(&self) -> &Affine {
        self.affine.only()
    }
}

/// Convolution with bias and activation on images `[B, H, W, C]`: `activation(conv(x, weight) + bias)`. As in PyTorch
/// it is a cross-correlation; `weight` is `[kernel_h, kernel_w, in, out]` and `bias` is `[out]`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    input: [usize; 3],
    output: [usize; 3],
    window: Window,
    affine: Affines,
}

impl Conv2d {
    /// Convolution on images of `input`, `[H, W, C]`, with a square kernel and no padding, initialised as `scope` says;
    /// see [`Scope::with_init_scheme`].
    ///
    /// # Errors
    /// If the window does not fit the image.
    pub fn new(
        scope: &mut Scope<'_>,
        input: [usize; 3],
        channels: usize,
        kernel: usize,
        stride: usize,
        activation: Activation,
    ) -> Result<Self> {
        let window = Window { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 2] };
        Self::with_window(scope, input, channels, window, activation)
    }

    /// Convolution on images of `input`, `[H, W, C]`, with any kernel, stride and padding, initialised as `scope` says.
    ///
    /// # Errors
    /// If the window does not fit the image.
    pub fn with_window(
        scope: &mut Scope<'_>,
        input: [usize; 3],
        channels: usize,
        window: Window,
        activation: Activation,
    ) -> Result<Self> {
        let places: usize = window.kernel.iter().product();
        let [weight, bias] = scope.init_scheme().of(input[2] * places, channels * places);
        Self::with_init(scope, input, channels, window, activation, weight, bias)
    }

    /// Convolution as [`with_window`](Self::with_window) makes it, with initialisations of its own for weight and bias.
    ///
    /// # Errors
    /// If the window does not fit the image.
    pub fn with_init(
        scope: &mut Scope<'_>,
        input: [usize; 3],
        channels: usize,
        window: Window,
        activation: Activation,
        weight: Init,
        bias: Init,
    ) -> Result<Self> {
        let [height, width, depth] = input;
        let Some([down, across]) = window.output([height, width]) else {
            candle_core::bail!("a window of {window:?} does not fit {height}×{width}");
        };
        let [kernel_y, kernel_x] = window.kernel;
        let params = LayerParams::new(scope, |scope| {
            let weight = scope.var("weight", &[kernel_y, kernel_x, depth, channels], weight)?;
            Ok(vec![weight, scope.var("bias", &[channels], bias)?])
        })?;
        let output = [down, across, channels];
        let patches = Arc::new(Patches::window(input, window));
        let unit = scope.unit(&patches, channels);
        let affine = Affine { params, patches, activation, unit, output: output.to_vec() };
        Ok(Self { input, output, window, affine: Affines::new([affine]) })
    }

    /// Shape of one output image, `[H', W', channels]`.
    pub fn output(&self) -> [usize; 3] {
        self.output
    }

    /// Applies the convolution to `x [B, H, W, C]` of `f32` or `u8`: `f32 [B, H', W', channels]`. Bytes are scaled to
    /// `[0, 1]`.
    ///
    /// # Errors
    /// If `x` is not a batch of images of the layer's input shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.check(x)?;
        if x.device().is_cpu() {
            return self.affine.forward(x);
        }
        let Affine { params, activation, .. } = self.affine();
        stock_conv(x, params.var(0), params.var(1), self.window, *activation)
    }

    /// Checks that `x` is a batch of images of the layer's input shape.
    pub(crate) fn check(&self, x: &Tensor) -> Result<()> {
        let (_, h, w, c) = x.dims4()?;
        if [h, w, c] != self.input {
            candle_core::bail!("a convolution on {:?} got {:?}", self.input, [h, w, c]);
        }
        Ok(())
    }

    /// The convolution as its CPU operation runs it.
    pub(crate) fn affine(&self) -> &Affine {
        self.affine.only()
    }
}

/// Linear layer in candle's own operations.
fn stock(x: &Tensor, weight: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    activation.stock(x.matmul(weight)?.broadcast_add(bias)?)
}

/// Convolution in candle's own operations.
fn stock_conv(x: &Tensor, weight: &Tensor, bias: &Tensor, window: Window, activation: Activation) -> Result<Tensor> {
    let ([stride_y, stride_x], [above, left]) = (window.stride, window.padding);
    let x = if x.dtype() == DType::U8 { (x.to_dtype(DType::F32)? / 255.0)? } else { x.clone() };
    let mut x = x.pad_with_zeros(1, above, above)?.pad_with_zeros(2, left, left)?;
    // candle's gradient takes one remainder of rows for that of columns too: what no window covers is left out before.
    for axis in 0..2 {
        let (size, kernel, stride) = (x.dim(1 + axis)?, window.kernel[axis], window.stride[axis]);
        let outputs = (size - kernel) / stride + 1;
        x = x.narrow(1 + axis, 0, (outputs - 1) * stride + kernel)?;
    }
    let x = x.permute((0, 3, 1, 2))?.contiguous()?; // [B, C, H, W]
    let weight = weight.permute((3, 2, 0, 1))?.contiguous()?; // [out, in, K, K]
    // candle knows one stride: rows or columns between are left out afterwards.
    let stride = if stride_y == stride_x { stride_y } else { 1 };
    let mut y = x.conv2d(&weight, 0, stride, 1, 1)?.permute((0, 2, 3, 1))?; // [B, H', W', out]
    if stride_y != stride_x {
        for (dim, step) in [(1, stride_y), (2, stride_x)] {
            let kept: Vec<u32> = (0..y.dim(dim)? as u32).step_by(step).collect();
            y = y.contiguous()?.index_select(&Tensor::new(kept, y.device())?, dim)?;
        }
    }
    activation.stock(y.broadcast_add(bias)?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use rl_core::{Rng, Stream};

    use super::*;
    use crate::check::variable;
    use crate::{Params, Precision};

    fn params() -> Params {
        Params::new(&Device::Cpu, Rng::new(5, Stream::Init))
    }

    fn draws(shape: &[usize], seed: u32) -> Tensor {
        let mut rng = Rng::new(0, Stream::Tool(seed));
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() as f32).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Σ y · c, whose gradient by `y` is `c`.
    fn probe(y: &Tensor, seed: u32) -> Tensor {
        (y * draws(y.dims(), seed)).unwrap().sum_all().unwrap()
    }

    /// Compares the gradient of `loss` with central differences, in every parameter.
    fn check_differences(params: &Params, activation: Activation, loss: &dyn Fn() -> Tensor) {
        let mut grad = Vec::new();
        params.backward(&loss(), &mut grad).unwrap();
        let mut values = vec![0.0; params.len()];
        params.read(&mut values).unwrap();
        let step = 2e-3; // the loss is piecewise linear in each parameter
        let at = |values: &[f32]| {
            params.write(values).unwrap();
            f64::from(loss().to_scalar::<f32>().unwrap())
        };
        let mut close = 0;
        for i in 0..values.len() {
            let middle = values[i];
            values[i] = middle + step;
            let above = at(&values);
            values[i] = middle - step;
            let below = at(&values);
            values[i] = middle;
            let expected = (above - below) / f64::from(2.0 * step);
            close += usize::from((expected - f64::from(grad[i])).abs() < 1e-2 * expected.abs().max(1.0));
        }
        params.write(&values).unwrap();
        // A ReLU's corner may lie between the two points.
        let least = if activation != Activation::Relu { values.len() } else { values.len() * 95 / 100 };
        assert!(close >= least, "{close} of {} gradients equal their difference", values.len());
        for (name, var) in params.iter() {
            let at: Vec<usize> = (0..values.len()).filter(|&i| params.name_at(i) == name).collect();
            assert!(at.len() == var.elem_count() && at.iter().any(|&i| grad[i] != 0.0), "{name} gets no gradient");
        }
    }

    /// Of PyTorch's default: 1/√(fan in), to which every pixel of a kernel belongs.
    #[test]
    fn a_convolution_begins_within_the_interval_of_its_kernel() {
        let mut params = params();
        Conv2d::new(&mut params.layer("a"), [12, 12, 4], 256, 8, 4, Activation::None).unwrap();
        let (_, weight) = params.iter().next().unwrap();
        let values = weight.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let most = values.iter().fold(0f32, |most, value| most.max(value.abs()));
        assert!((0.062..=0.0625).contains(&most), "1/√(8 · 8 · 4): {most}");
    }

    #[test]
    fn linear_gradients_are_differences() {
        for activation in [Activation::None, Activation::Relu] {
            let mut params = params();
            let first = Linear::new(&mut params.layer("a"), 5, 7, activation).unwrap();
            let second = Linear::new(&mut params.layer("b"), 7, 3, Activation::None).unwrap();
            let x = draws(&[4, 5], 1);
            let loss = || probe(&second.forward(&first.forward(&x).unwrap()).unwrap(), 2);
            check_differences(&params, activation, &loss);
        }
    }

    #[test]
    fn convolution_gradients_are_differences() {
        for activation in [Activation::None, Activation::Relu, Activation::Tanh] {
            let mut params = params();
            let window = Window { kernel: [3, 2], stride: [1, 2], padding: [0, 1] };
            let first = Conv2d::with_window(&mut params.layer("a"), [7, 6, 2], 4, window, activation).unwrap();
            let second = Conv2d::new(&mut params.layer("b"), first.output(), 3, 2, 2, Activation::None).unwrap();
            let x = draws(&[2, 7, 6, 2], 1);
            let loss = || probe(&second.forward(&first.forward(&x).unwrap()).unwrap(), 2);
            check_differences(&params, activation, &loss);
        }
    }

    /// As the second convolution of the Nature network has it on frames of 60 × 80.
    #[test]
    fn a_stride_that_leaves_more_columns_than_rows_has_stock_gradients() {
        for (input, kernel, stride, padding) in [([14, 19], 4, 2, 0), ([9, 12], 8, 4, 2), ([7, 7], 3, 2, 0)] {
            let mut params = params();
            let window = Window { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] };
            let [h, w] = input;
            let conv = Conv2d::with_window(&mut params.layer("a"), [h, w, 3], 4, window, Activation::Relu).unwrap();
            let x = Var::from_tensor(&draws(&[2, h, w, 3], 1)).unwrap();
            let layer = &conv.affine().params;
            let ours = || vec![conv.forward(&x).unwrap()];
            let stock = || vec![stock_conv(&x, layer.var(0), layer.var(1), window, Activation::Relu).unwrap()];
            crate::check::parity(&params, &[&x], 2e-5, &ours, &stock);
        }
    }

    #[test]
    fn cpu_operations_equal_stock_ones_in_value_and_every_gradient() {
        let mut params = params();
        let window = Window { kernel: [3, 2], stride: [2, 1], padding: [1, 2] };
        let conv = Conv2d::with_window(&mut params.layer("a"), [9, 9, 3], 8, window, Activation::Relu).unwrap();
        let line = Linear::new(&mut params.layer("b"), 5 * 12 * 8, 20, Activation::Relu).unwrap();
        let x = Var::from_tensor(&draws(&[5, 9, 9, 3], 1)).unwrap();
        let ours = |x: &Tensor| line.forward(&conv.forward(x).unwrap().flatten_from(1).unwrap()).unwrap();
        let theirs = |x: &Tensor| {
            let [c, l] = [&conv.affine().params, &line.affine().params];
            let y = stock_conv(x, c.var(0), c.var(1), conv.window, Activation::Relu).unwrap();
            stock(&y.flatten_from(1).unwrap(), l.var(0), l.var(1), Activation::Relu).unwrap()
        };
        let close = |a: &Tensor, b: &Tensor, what: &str| {
            let worst = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(worst < 2e-5, "{what}: off by {worst}");
        };
        close(&ours(&x), &theirs(&x), "value");
        let a = probe(&ours(&x), 3).backward().unwrap();
        let b = probe(&theirs(&x), 3).backward().unwrap();
        let vars = params.iter().chain([("input", &x)]);
        for (name, var) in vars {
            close(a.get(var).unwrap(), b.get(var).unwrap(), name);
        }
    }

    /// That products are rounded, where this CPU has instructions for it, and in each of the three.
    #[test]
    fn bf16_is_used_in_the_value_and_in_the_gradients_of_weights_and_inputs() {
        let there = Precision::Bf16.unit().is_some();
        let passes = |precision: Precision| {
            let mut params = params();
            let conv = &mut params.layer("conv");
            let conv = Conv2d::new(&mut conv.with_precision(precision), [8, 8, 4], 16, 4, 2, Activation::Relu).unwrap();
            let line = &mut params.layer("line");
            let line = Linear::new(&mut line.with_precision(precision), 144, 32, Activation::None).unwrap();
            let (images, rows) = (variable(&[3, 8, 8, 4], 1), variable(&[3, 144], 2));
            let y = [conv.forward(&images).unwrap(), line.forward(&rows).unwrap()];
            let store = (probe(&y[0], 3) + probe(&y[1], 4)).unwrap().backward().unwrap();
            let of = |layer: &Affine, x: &Var| {
                [store.get(layer.params.var(0)).unwrap(), store.get(x).unwrap()].map(crate::check::flat)
            };
            let ([conv_w, conv_x], [line_w, line_x]) = (of(conv.affine(), &images), of(line.affine(), &rows));
            let [conv, line] = [&y[0], &y[1]].map(crate::check::flat);
            [("conv", [conv, conv_w, conv_x]), ("line", [line, line_w, line_x])]
        };
        for ((layer, rounded), (_, exact)) in passes(Precision::Bf16).into_iter().zip(passes(Precision::F32)) {
            for (what, (rounded, exact)) in ["value", "weights", "input"].into_iter().zip(rounded.iter().zip(&exact)) {
                assert_eq!(rounded != exact, there, "{layer}: {what}");
                crate::check::close(rounded, exact, 0.05, what);
            }
        }
    }

    #[test]
    fn gradients_flow_through_the_sink_and_the_store_alike() {
        let mut params = params();
        let layer = Linear::new(&mut params.layer("a"), 6, 4, Activation::Relu).unwrap();
        let x = draws(&[3, 6], 1);
        // Used twice: both uses count.
        let loss = || {
            let y = layer.forward(&x).unwrap();
            (probe(&y, 2) + probe(&layer.forward(&(&x * 2.0).unwrap()).unwrap(), 3)).unwrap()
        };
        let mut flat = Vec::new();
        params.backward(&loss(), &mut flat).unwrap();
        let store = loss().backward().unwrap();
        let stored: Vec<f32> = params
            .iter()
            .flat_map(|(_, var)| store.get(var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .collect();
        let worst = crate::check::largest(flat.iter().zip(&stored).map(|(a, b)| (a - b).abs()));
        assert!(worst < 1e-5, "{worst}");
    }

    #[test]
    fn a_row_does_not_depend_on_the_batch_around_it() {
        let mut params = params();
        let conv = Conv2d::new(&mut params.layer("a"), [12, 12, 4], 32, 8, 4, Activation::Relu).unwrap();
        let line = Linear::new(&mut params.layer("b"), 128, 18, Activation::None).unwrap();
        let x = draws(&[64, 12, 12, 4], 1);
        let run = |x: &Tensor| -> Vec<Vec<f32>> {
            line.forward(&conv.forward(x).unwrap().flatten_from(1).unwrap()).unwrap().to_vec2().unwrap()
        };
        let all = run(&x);
        for batch in 1..64 {
            let from = (batch * 7) % (64 - batch + 1);
            let part = run(&x.narrow(0, from, batch).unwrap());
            assert!(part == all[from..from + batch], "batch {batch} from row {from}");
        }
    }
}
