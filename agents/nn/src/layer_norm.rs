//! Layer normalisation over the last axis.
//! Source: Ba et al. 2016.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor, bail};

use crate::bundle::Bundle;
use crate::kernel::{Workspace, vectorised};
use crate::layer_params::LayerParams;
use crate::math::{sum, sum2};
use crate::params::{values, with_values};
use crate::parts::{self, PARALLEL, add_rows, rows_of};
use crate::{Activation, Init, Scope};

/// Layer normalisation over the last axis: `y = (x - mean) / sqrt(variance + eps) * weight + bias`, with the biased
/// variance.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// Parameters `weight` and `bias`, `[width]` each.
    params: LayerParams,
    width: usize,
    eps: f32,
}

impl LayerNorm {
    /// Layer for rows of `width` values, with weight 1 and bias 0; PyTorch's `eps` is 1e-5.
    ///
    /// # Errors
    /// If `width` is zero, or the device fails.
    pub fn new(scope: &mut Scope<'_>, width: usize, eps: f64) -> Result<Self> {
        if width == 0 {
            bail!("a layer norm of width 0");
        }
        let params = LayerParams::new(scope, |scope| {
            Ok(vec![scope.var("weight", &[width], Init::Ones)?, scope.var("bias", &[width], Init::Zeros)?])
        })?;
        Ok(Self { params, width, eps: eps as f32 })
    }

    /// Normalises every row of `x [.., width]`, to the same shape.
    ///
    /// # Errors
    /// If the last axis is not `width` long.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.check(x)?;
        if !x.device().is_cpu() {
            return self.stock(x);
        }
        let bundled: Vec<&Tensor> = self.params.tensors().collect();
        let (node, bundle) = Bundle::new(&bundled)?;
        let op =
            Op { params: self.params.clone(), bundle, width: self.width, eps: self.eps, statistics: OnceLock::new() };
        x.contiguous()?.apply_op2(&node, op)
    }

    /// Checks that the last axis of `x` is `width` long.
    pub(crate) fn check(&self, x: &Tensor) -> Result<()> {
        if x.dims().last() != Some(&self.width) {
            bail!("a layer norm of width {} got {:?}", self.width, x.dims());
        }
        Ok(())
    }

    /// Number of values in a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Parameters `weight` and `bias`, `[width]` each.
    pub(crate) fn params(&self) -> &LayerParams {
        &self.params
    }

    /// Normalises rows without a graph and applies `activation`: replaces `y` and reuses its allocation. The values
    /// have the bits of [`forward`](Self::forward) and the activation.
    pub(crate) fn run(&self, x: &[f32], activation: Activation, y: &mut Vec<f32>) -> Result<()> {
        parts::sized(y, x.len()); // every element is written
        with_values(self.params.var(0), |w| {
            with_values(self.params.var(1), |b| normalise(x, w, b, self.eps, activation == Activation::Relu, y))
        })??;
        activation.finish(y);
        Ok(())
    }

    /// Backward pass, given `g`, the gradient of the norm's output: writes the gradient of `x` to `dx`, and gives those
    /// of weight and bias as [`LayerParams::write`] does.
    pub(crate) fn gradients(&self, x: &[f32], g: &[f32], dx: &mut [f32]) -> Result<Vec<Option<Tensor>>> {
        let mut kept = Workspace::new();
        let kept = kept.sized(x.len() / self.width * 2);
        statistics(x, self.width, self.eps, kept);
        self.params.add(|grad| with_values(self.params.var(0), |w| backward(x, w, g, kept, dx, grad)))
    }

    /// Layer norm in candle's own operations.
    fn stock(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let root = (x.sqr()?.mean_keepdim(D::Minus1)? + f64::from(self.eps))?.sqrt()?;
        x.broadcast_div(&root)?.broadcast_mul(self.params.var(0))?.broadcast_add(self.params.var(1))
    }
}

struct Op {
    params: LayerParams,
    bundle: Bundle,
    width: usize,
    eps: f32,
    /// Mean and reciprocal deviation of each row, `[rows, 2]`.
    statistics: OnceLock<Vec<f32>>,
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let mut y = parts::zeros(x.len());
        let mut statistics = vec![0.0; x.len() / self.width * 2];
        with_values(self.params.var(0), |w| {
            with_values(self.params.var(1), |b| forward(x, w, b, self.eps, &mut y, &mut statistics))
        })??;
        let _ = self.statistics.set(statistics);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, node: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let statistics = self.statistics.get().expect("the forward pass fills it");
        let mut dx = parts::zeros(x.elem_count());
        let g = g.contiguous()?;
        let gradients = self.params.add(|grad| {
            with_values(self.params.var(0), |w| {
                with_values(x, |x| with_values(&g, |g| backward(x, w, g, statistics, &mut dx, grad)))
            })??
        })?;
        let bundled: Vec<&Tensor> = self.params.tensors().collect();
        let dx = if x.track_op() { self.params.give_input(x, dx)? } else { None };
        Ok((dx, Some(self.bundle.give(node, &bundled, gradients)?)))
    }
}

/// Normalises the rows of `x [rows, width]` to `y`, and writes mean and reciprocal deviation of each to
/// `statistics [rows, 2]`.
pub(crate) fn forward(x: &[f32], w: &[f32], b: &[f32], eps: f32, y: &mut [f32], statistics: &mut [f32]) {
    let (width, rows) = (w.len(), rows_of(w.len()));
    let scale = 1.0 / width as f32;
    parts::each([(y, rows * width), (statistics, rows * 2)], x.len() >= PARALLEL, |i, [y, statistics]| {
        let x = &x[i * rows * width..];
        vectorised(
            #[inline(always)]
            || {
                let kept = statistics.chunks_exact_mut(2);
                for ((x, y), kept) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(kept) {
                    let [mean, root] = moments(x, scale, eps);
                    kept.copy_from_slice(&[mean, root]);
                    for (((y, x), w), b) in y.iter_mut().zip(x).zip(w).zip(b) {
                        *y = ((x - mean) * root).mul_add(*w, *b);
                    }
                }
            },
        );
    });
}

/// Normalises the rows of `x [rows, width]` to `y`, clipped at 0 if `relu`.
fn normalise(x: &[f32], w: &[f32], b: &[f32], eps: f32, relu: bool, y: &mut [f32]) {
    let (width, rows) = (w.len(), rows_of(w.len()));
    let (scale, least) = (1.0 / width as f32, if relu { 0.0 } else { f32::NEG_INFINITY });
    parts::each([(y, rows * width)], x.len() >= PARALLEL, |i, [y]| {
        let x = &x[i * rows * width..];
        vectorised(
            #[inline(always)]
            || {
                for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
                    let [mean, root] = moments(x, scale, eps);
                    for (((y, x), w), b) in y.iter_mut().zip(x).zip(w).zip(b) {
                        let value = ((x - mean) * root).mul_add(*w, *b);
                        *y = if value < least { least } else { value }; // what is not a number stays one
                    }
                }
            },
        );
    });
}

/// Writes mean and reciprocal deviation of each row to `out [rows, 2]`.
fn statistics(x: &[f32], width: usize, eps: f32, out: &mut [f32]) {
    let (rows, scale) = (rows_of(width), 1.0 / width as f32);
    parts::each([(out, rows * 2)], x.len() >= PARALLEL, |i, [out]| {
        let x = &x[i * rows * width..];
        vectorised(
            #[inline(always)]
            || {
                for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(2)) {
                    out.copy_from_slice(&moments(x, scale, eps));
                }
            },
        );
    });
}

/// Mean and reciprocal deviation of one row; `scale` is the reciprocal of its width.
#[inline(always)]
fn moments(x: &[f32], scale: f32, eps: f32) -> [f32; 2] {
    let mean = sum(x) * scale;
    let variance = sum2(x, x, |x, _| (x - mean) * (x - mean)) * scale;
    [mean, 1.0 / (variance + eps).sqrt()]
}

/// Backward pass of a layer norm, given `g`, the gradient of its output, and the `statistics` of its forward pass:
/// writes the gradient of `x` to `dx`, and adds those of weight and bias to `grad [2·width]`.
pub(crate) fn backward(x: &[f32], w: &[f32], g: &[f32], statistics: &[f32], dx: &mut [f32], grad: &mut [f32]) {
    let (width, rows) = (w.len(), rows_of(w.len()));
    let scale = 1.0 / width as f32;
    let mut partial = vec![0.0; x.len().div_ceil(rows * width) * 2 * width];
    parts::each([(dx, rows * width), (&mut partial, 2 * width)], x.len() >= PARALLEL, |i, [dx, partial]| {
        let (x, g, statistics) = (&x[i * rows * width..], &g[i * rows * width..], &statistics[i * rows * 2..]);
        let (dw, db) = partial.split_at_mut(width);
        vectorised(
            #[inline(always)]
            || {
                let ins = x.chunks_exact(width).zip(g.chunks_exact(width)).zip(statistics.chunks_exact(2));
                for (dx, ((x, g), kept)) in dx.chunks_exact_mut(width).zip(ins) {
                    let (mean, root) = (kept[0], kept[1]);
                    for j in 0..width {
                        dx[j] = g[j] * w[j];
                        dw[j] += g[j] * ((x[j] - mean) * root);
                        db[j] += g[j];
                    }
                    let level = sum(dx) * scale;
                    let slope = sum2(dx, x, |d, x| d * ((x - mean) * root)) * scale;
                    for (d, x) in dx.iter_mut().zip(x) {
                        *d = root * (*d - level - (x - mean) * root * slope);
                    }
                }
            },
        );
    });
    add_rows(grad, &partial);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::check::{any_threads, differences, draws, flat, params, parity, variable};

    fn norm(width: usize) -> (Params, LayerNorm) {
        let mut params = params();
        let norm = LayerNorm::new(&mut params.layer("norm"), width, 1e-5).unwrap();
        let values: Vec<f32> = flat(&draws(&[2 * width], 7)).iter().map(|v| v + 0.5).collect();
        params.write(&values).unwrap();
        (params, norm)
    }

    #[test]
    fn gradients_are_differences() {
        for width in [5, 37] {
            let (params, norm) = norm(width);
            let x = variable(&[2, 3, width], 1);
            differences(&params, &[&x], 1.0, &|| vec![norm.forward(&x).unwrap()]);
        }
    }

    #[test]
    fn cpu_operation_equals_stock_ones() {
        let (params, norm) = norm(70);
        let x = Tensor::new(30f32, &candle_core::Device::Cpu).unwrap();
        let x = candle_core::Var::from_tensor(&draws(&[9, 70], 1).broadcast_add(&x).unwrap()).unwrap();
        parity(&params, &[&x], 2e-5, &|| vec![norm.forward(&x).unwrap()], &|| vec![norm.stock(&x).unwrap()]);
    }

    /// Of so many rows the gradients of scale and shift are summed in parts.
    #[test]
    fn many_rows_equal_stock_operations() {
        let (params, norm) = norm(100);
        let x = variable(&[1000, 100], 1);
        parity(&params, &[&x], 1e-4, &|| vec![norm.forward(&x).unwrap()], &|| vec![norm.stock(&x).unwrap()]);
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (params, norm) = norm(100);
        let x = variable(&[2000, 100], 1);
        any_threads(&params, &[&x], &|| vec![norm.forward(&x).unwrap()]);
    }

    #[test]
    fn a_row_does_not_depend_on_the_batch_around_it() {
        let (_params, norm) = norm(33);
        let x = draws(&[20, 33], 1);
        let all = norm.forward(&x).unwrap();
        for (from, rows) in [(0, 1), (5, 3), (1, 19)] {
            let part = norm.forward(&x.narrow(0, from, rows).unwrap()).unwrap();
            assert_eq!(flat(&part), flat(&all.narrow(0, from, rows).unwrap()));
        }
    }

    #[test]
    fn empty_batches_pass_and_wrong_widths_are_named() {
        let (params, norm) = norm(4);
        let y = norm.forward(&draws(&[0, 4], 1)).unwrap();
        params.backward(&y.sum_all().unwrap(), &mut Vec::new()).unwrap();
        assert_eq!(y.dims(), [0, 4]);
        let error = norm.forward(&draws(&[2, 3], 1)).unwrap_err().to_string();
        assert!(error.contains("a layer norm of width 4 got [2, 3]"), "{error}");
    }
}
