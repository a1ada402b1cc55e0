//! Multi-head self-attention by scaled dot products.
//!
//! Each pair of sequence and head is worked through on its own, in buffers that stay in cache. The attention weights
//! are kept for the backward pass up to [`KEPT`] values, and computed again beyond it, with equal bits.
//! Source: Vaswani et al. 2017, as PyTorch computes it, without dropout.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor, bail};

use crate::kernel::{self, Patches, vectorised};
use crate::math::{self, sum};
use crate::params::{values, with_values};
use crate::parts;
use crate::softmax::softmax_rows_back;
use crate::{Activation, Linear, Scope};

/// Most attention weights that are kept for the backward pass, 64 MiB; where there are more, it computes them again.
pub(crate) const KEPT: usize = 1 << 24;

/// Attention mask: the keys that a query attends to. A query without any key gets zeros in place of a weighted sum of
/// values.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Whether query `t` attends to the keys `0..=t` alone.
    pub causal: bool,
    /// Key padding mask, `f32 [B, T]`: where it is not 0, the key is padding and no query attends to it.
    pub padding: Option<Tensor>,
}

impl Mask {
    /// Mask under which every query attends to every key.
    pub fn none() -> Self {
        Self::default()
    }

    /// Causal mask without padding: query `t` attends to the keys `0..=t`.
    pub fn causal() -> Self {
        Self { causal: true, padding: None }
    }

    /// Checks that the padding mask is `[B, T]` for inputs `x [B, T, ..]` of the layer called `name`.
    pub(crate) fn check(&self, name: &str, x: &Tensor) -> Result<()> {
        let expected = &x.dims()[..2];
        match &self.padding {
            Some(padding) if padding.dims() != expected => {
                bail!("{name} expects padding {expected:?} beside inputs {:?}, got {:?}", x.dims(), padding.dims())
            }
            _ => Ok(()),
        }
    }

    /// Additive mask on the scores of every key, `[B, T]`: -∞ for padding, else 0; `None` without a padding mask.
    pub(crate) fn penalties(&self) -> Result<Option<Vec<f32>>> {
        let penalty = |v: &f32| if *v == 0.0 { 0.0 } else { f32::NEG_INFINITY };
        let all = |values: &[f32]| values.iter().map(penalty).collect();
        self.padding.as_ref().map(|padding| with_values(&padding.contiguous()?, all)).transpose()
    }
}

/// Multi-head self-attention: a joint projection to queries, keys and values, `softmax(Q·Kᵀ / √(width / heads))·V` in
/// each head, and an output projection.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Joint projection with `weight [width, 3·width]`: queries, keys, values.
    qkv: Linear,
    out: Linear,
    width: usize,
    heads: usize,
}

impl Attention {
    /// Attention of `heads` heads with `width / heads` values each. Its projections `qkv` and `out` are linear layers
    /// with bias, initialised as `scope` says.
    ///
    /// # Errors
    /// If `heads` does not divide `width`, or the device fails.
    pub fn new(scope: &mut Scope<'_>, width: usize, heads: usize) -> Result<Self> {
        check_heads(width, heads)?;
        let qkv = Linear::new(&mut scope.layer("qkv"), width, 3 * width, Activation::None)?;
        let out = Linear::new(&mut scope.layer("out"), width, width, Activation::None)?;
        Ok(Self { qkv, out, width, heads })
    }

    /// Self-attention of `x [B, T, width]` under `mask`, to the same shape.
    ///
    /// # Errors
    /// If the last axis of `x` is not `width`, or the padding mask is not `[B, T]`.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        let &[batch, steps, width] = x.dims() else {
            bail!("an attention of width {} expects [B, T, {0}], got {:?}", self.width, x.dims())
        };
        if width != self.width {
            bail!("an attention of width {} expects [B, T, {0}], got {:?}", self.width, x.dims());
        }
        mask.check("an attention", x)?;
        let qkv = self.qkv.forward(&x.reshape((batch * steps, width))?)?; // [B·T, 3·width]
        let shape = Heads { batch, steps, width, heads: self.heads };
        let y = attend(&qkv, shape, mask)?; // [B·T, width]
        self.out.forward(&y)?.reshape((batch, steps, width))
    }
}

/// Checks that `heads` divides `width`, and that neither is 0.
pub(crate) fn check_heads(width: usize, heads: usize) -> Result<()> {
    if heads == 0 || width == 0 || !width.is_multiple_of(heads) {
        bail!("an attention of width {width} with {heads} heads");
    }
    Ok(())
}

/// Sizes of a self-attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    /// Number of sequences, `B`.
    pub batch: usize,
    /// Tokens of a sequence, `T`.
    pub steps: usize,
    /// Values of a token, those of all heads together.
    pub width: usize,
    /// Number of heads; it divides `width`.
    pub heads: usize,
}

impl Heads {
    /// Number of values of one head.
    fn depth(&self) -> usize {
        self.width / self.heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.depth() as f32).sqrt()
    }

    /// Number of attention weights of one sequence, `heads · T²`.
    fn square(&self) -> usize {
        self.heads * self.steps * self.steps
    }

    /// Number of attention weights kept for the backward pass: `B · heads · T²` up to [`KEPT`], else 0.
    pub(crate) fn kept(&self) -> usize {
        let all = self.batch * self.square();
        if all <= KEPT { all } else { 0 }
    }

    fn parallel(&self) -> bool {
        self.batch * self.square() * self.depth() >= 1 << 18
    }
}

fn attend(qkv: &Tensor, shape: Heads, mask: &Mask) -> Result<Tensor> {
    if !qkv.device().is_cpu() {
        return stock(qkv, shape, mask);
    }
    qkv.apply_op1(Op { shape, causal: mask.causal, penalties: mask.penalties()?, weights: OnceLock::new() })
}

/// Attention of the projections `qkv [B·T, 3·width]` in candle's own operations, to `[B·T, width]`.
pub(crate) fn stock(qkv: &Tensor, shape: Heads, mask: &Mask) -> Result<Tensor> {
    let Heads { batch, steps, width, heads } = shape;
    let of = |k: usize| {
        let part = qkv.narrow(1, k * width, width)?.reshape((batch, steps, heads, shape.depth()))?;
        part.transpose(1, 2)?.contiguous() // [B, heads, T, depth]
    };
    let scores = (of(0)? * f64::from(shape.scale()))?.matmul(&of(1)?.transpose(2, 3)?.contiguous()?)?;
    let mut seen = Tensor::ones((batch, 1, steps, steps), scores.dtype(), scores.device())?;
    if mask.causal {
        let rows = (0..steps * steps).map(|i| f32::from(u8::from(i % steps.max(1) <= i / steps.max(1))));
        let rows = Tensor::from_iter(rows, scores.device())?.reshape((1, 1, steps, steps))?;
        seen = seen.broadcast_mul(&rows)?;
    }
    if let Some(padding) = &mask.padding {
        let keys = padding.eq(0.0)?.to_dtype(scores.dtype())?.reshape((batch, 1, 1, steps))?;
        seen = seen.broadcast_mul(&keys)?;
    }
    let seen = seen.broadcast_as(scores.dims())?;
    // Finite penalties keep rows without keys free of NaN; the product zeroes them.
    let weights = (scores + ((&seen - 1.0)? * 1e30)?)?;
    let weights = weights.broadcast_sub(&weights.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let weights = (weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)? * seen)?;
    weights.matmul(&of(2)?)?.transpose(1, 2)?.reshape((batch * steps, width))
}

struct Op {
    shape: Heads,
    causal: bool,
    penalties: Option<Vec<f32>>,
    weights: OnceLock<Vec<f32>>,
}

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Heads { batch, steps, width, .. } = self.shape;
        let mut y = parts::zeros(batch * steps * width);
        let mut weights = vec![0.0; self.shape.kept()];
        forward(self.shape, self.causal, self.penalties.as_deref(), values(qkv, layout)?, &mut weights, &mut y);
        let _ = self.weights.set(weights);
        Ok((CpuStorage::F32(y), (batch * steps, width).into()))
    }

    fn bwd(&self, qkv: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let weights = self.weights.get().expect("the forward pass fills it");
        let mut d = parts::zeros(qkv.elem_count());
        with_values(qkv, |qkv| {
            with_values(&g.contiguous()?, |g| {
                backward(self.shape, self.causal, self.penalties.as_deref(), qkv, weights, g, &mut d);
            })
        })??;
        Tensor::from_vec(d, qkv.dims(), qkv.device()).map(Some)
    }
}

/// Buffers of one head.
struct Scratch {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// The transpose of the keys, or of the values in the backward pass.
    turned: Vec<f32>,
    out: Vec<f32>,
    weights: Vec<f32>,
    none: Vec<f32>,
}

impl Scratch {
    fn new(shape: Heads) -> Self {
        let [q, k, v, turned, out] = [(); 5].map(|()| vec![0.0; shape.steps * shape.depth()]);
        let [weights, none] = [shape.steps * shape.steps, shape.steps.max(shape.depth())].map(|n| vec![0.0; n]);
        Self { q, k, v, turned, out, weights, none }
    }

    /// Takes queries, keys and values of `head` out of the rows of one sequence; queries are scaled.
    fn take(&mut self, shape: Heads, head: usize, qkv: &[f32]) {
        let depth = shape.depth();
        for (k, to) in [&mut self.q, &mut self.k, &mut self.v].into_iter().enumerate() {
            gather(qkv, 3 * shape.width, k * shape.width + head * depth, depth, to);
        }
        let scale = shape.scale();
        self.q.iter_mut().for_each(|q| *q *= scale);
    }
}

/// Writes the attention of the projections `qkv [B·T, 3·width]` to `y [B·T, width]`, and its weights `[B, heads, T, T]`
/// to `weights` unless that is empty. `penalties [B, T]` are added to the scores of each key.
pub(crate) fn forward(
    shape: Heads,
    causal: bool,
    penalties: Option<&[f32]>,
    qkv: &[f32],
    weights: &mut [f32],
    y: &mut [f32],
) {
    let Heads { steps, width, heads, .. } = shape;
    let (rows, square, depth) = (steps * width, shape.square(), shape.depth());
    let work = |b: usize, weights: &mut [f32], y: &mut [f32]| {
        let mut scratch = Scratch::new(shape);
        let penalties = penalties.map(|all| &all[b * steps..][..steps]);
        for head in 0..heads {
            scratch.take(shape, head, &qkv[b * 3 * rows..][..3 * rows]);
            attention_weights(shape, causal, penalties, &mut scratch);
            let Scratch { v, out, weights: w, none, .. } = &mut scratch;
            kernel::forward(&Patches::rows(steps), w, v, &none[..depth], false, out);
            scatter(out, width, head * depth, depth, y);
            if !weights.is_empty() {
                weights[head * steps * steps..][..steps * steps].copy_from_slice(w);
            }
        }
    };
    if steps == 0 {
        return;
    }
    if weights.is_empty() {
        parts::each([(y, rows)], shape.parallel(), |b, [y]| work(b, &mut [], y));
    } else {
        parts::each([(y, rows), (weights, square)], shape.parallel(), |b, [y, weights]| work(b, weights, y));
    }
}

/// Replaces `d [B·T, 3·width]` by the gradient of the projections `qkv`, given `g [B·T, width]`, the gradient of the
/// attention's output. If `weights` is empty, the attention weights are computed again.
pub(crate) fn backward(
    shape: Heads,
    causal: bool,
    penalties: Option<&[f32]>,
    qkv: &[f32],
    weights: &[f32],
    g: &[f32],
    d: &mut [f32],
) {
    let Heads { steps, width, heads, .. } = shape;
    let (rows, square, depth) = (steps * width, steps * steps, shape.depth());
    if steps == 0 {
        return;
    }
    parts::each([(d, 3 * rows)], shape.parallel(), |b, [d]| {
        let mut scratch = Scratch::new(shape);
        let [mut go, mut dw, mut dv] = [steps * depth, square, steps * depth].map(|n| vec![0.0; n]);
        for head in 0..heads {
            scratch.take(shape, head, &qkv[b * 3 * rows..][..3 * rows]);
            gather(&g[b * rows..][..rows], width, head * depth, depth, &mut go);
            if weights.is_empty() {
                attention_weights(shape, causal, penalties.map(|all| &all[b * steps..][..steps]), &mut scratch);
            } else {
                scratch.weights.copy_from_slice(&weights[(b * heads + head) * square..][..square]);
            }
            let Scratch { q, k, v, turned, out, weights: w, none } = &mut scratch;
            dv.fill(0.0);
            kernel::weight_gradient(&Patches::rows(steps), w, &go, depth, &mut dv);
            scatter(&dv, 3 * width, 2 * width + head * depth, depth, d);
            kernel::transpose(v, depth, turned);
            kernel::forward(&Patches::rows(depth), &go, turned, &none[..steps], false, &mut dw);
            softmax_rows_back(w, &mut dw, steps); // now of the scores
            dv.fill(0.0);
            kernel::weight_gradient(&Patches::rows(steps), &dw, q, depth, &mut dv);
            scatter(&dv, 3 * width, width + head * depth, depth, d);
            kernel::forward(&Patches::rows(steps), &dw, k, &none[..depth], false, out);
            let scale = shape.scale();
            out.iter_mut().for_each(|q| *q *= scale);
            scatter(out, 3 * width, head * depth, depth, d);
        }
    });
}

/// Fills the weights of attention of one head, `[T, T]`.
fn attention_weights(shape: Heads, causal: bool, penalties: Option<&[f32]>, scratch: &mut Scratch) {
    let (steps, depth) = (shape.steps, shape.depth());
    let Scratch { q, k, turned, weights, none, .. } = scratch;
    kernel::transpose(k, depth, turned);
    let start = penalties.unwrap_or(&none[..steps]);
    kernel::forward(&Patches::rows(depth), q, turned, start, false, weights);
    vectorised(
        #[inline(always)]
        || {
            for (t, row) in weights.chunks_exact_mut(steps).enumerate() {
                let (row, hidden) = row.split_at_mut(if causal { t + 1 } else { steps });
                hidden.fill(0.0);
                let top = math::max(row);
                if top == f32::NEG_INFINITY && !row.iter().any(|x| x.is_nan()) {
                    row.fill(0.0); // no key to see; what is not a number makes the sum below none
                    continue;
                }
                row.iter_mut().for_each(|x| *x = math::exp(*x - top));
                let scale = 1.0 / sum(row);
                row.iter_mut().for_each(|x| *x *= scale);
            }
        },
    );
}

/// Copies `depth` values from place `at` of each row of `stride` values to the rows of `to`.
fn gather(from: &[f32], stride: usize, at: usize, depth: usize, to: &mut [f32]) {
    for (to, from) in to.chunks_exact_mut(depth).zip(from.chunks_exact(stride)) {
        to.copy_from_slice(&from[at..][..depth]);
    }
}

/// Copies rows of `depth` values to place `at` of each row of `stride` values.
fn scatter(from: &[f32], stride: usize, at: usize, depth: usize, to: &mut [f32]) {
    for (from, to) in from.chunks_exact(depth).zip(to.chunks_exact_mut(stride)) {
        to[at..][..depth].copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::check::{any_threads, close, differences, draws, flat, params, parity, variable};
    use crate::{Params, softmax};

    fn attention(width: usize, heads: usize) -> (Params, Attention) {
        let mut params = params();
        let attention = Attention::new(&mut params.layer("attention"), width, heads).unwrap();
        (params, attention)
    }

    /// The first sequence ends early, the second is whole, the third is nothing but padding.
    fn masks() -> [Mask; 4] {
        let rows = [[0f32, 0.0, 1.0, 1.0, 1.0], [0.0; 5], [1.0; 5]];
        let padding = Some(Tensor::new(&rows, &Device::Cpu).unwrap());
        [Mask::none(), Mask::causal(), Mask { causal: false, padding: padding.clone() }, Mask { causal: true, padding }]
    }

    #[test]
    fn gradients_are_differences() {
        for mask in masks() {
            let (params, attention) = attention(6, 2);
            let x = variable(&[3, 5, 6], 1);
            differences(&params, &[&x], 1.0, &|| vec![attention.forward(&x, &mask).unwrap()]);
        }
    }

    #[test]
    fn cpu_operation_equals_stock_ones_under_every_mask() {
        let shape = Heads { batch: 3, steps: 5, width: 12, heads: 3 };
        let qkv = variable(&[15, 36], 1);
        for mask in masks() {
            parity(&params(), &[&qkv], 1e-5, &|| vec![attend(&qkv, shape, &mask).unwrap()], &|| {
                vec![stock(&qkv, shape, &mask).unwrap()]
            });
        }
    }

    #[test]
    fn weights_kept_or_computed_again_give_equal_bits() {
        let shape = Heads { batch: 2, steps: 9, width: 8, heads: 2 };
        let (qkv, g) = (flat(&draws(&[18, 24], 1)), flat(&draws(&[18, 8], 2)));
        let run = |kept: usize| {
            let (mut weights, mut y, mut d) = (vec![0.0; kept], vec![0.0; g.len()], vec![0.0; qkv.len()]);
            forward(shape, true, None, &qkv, &mut weights, &mut y);
            backward(shape, true, None, &qkv, &weights, &g, &mut d);
            (y, d)
        };
        assert!(run(shape.kept()) == run(0));
    }

    #[test]
    fn one_head_is_the_softmax_of_products() {
        let qkv = draws(&[7, 12], 1);
        let shape = Heads { batch: 1, steps: 7, width: 4, heads: 1 };
        let of = |k: usize| qkv.narrow(1, 4 * k, 4).unwrap().reshape((1, 1, 7, 4)).unwrap();
        let keys = of(1).transpose(2, 3).unwrap().contiguous().unwrap();
        let weights = softmax(&(of(0) * 0.5).unwrap().matmul(&keys).unwrap()).unwrap(); // [1, 1, T, T]
        let expected = weights.matmul(&of(2).contiguous().unwrap()).unwrap();
        close(&flat(&attend(&qkv, shape, &Mask::none()).unwrap()), &flat(&expected), 1e-6, "attention");
    }

    #[test]
    fn the_future_and_padding_change_nothing() {
        let (_params, attention) = attention(8, 2);
        let x = draws(&[1, 6, 8], 1);
        let other = Tensor::cat(&[x.narrow(1, 0, 4).unwrap(), draws(&[1, 2, 8], 2)], 1).unwrap();
        let padding = Some(Tensor::new(&[[0f32, 0.0, 0.0, 0.0, 1.0, 1.0]], &Device::Cpu).unwrap());
        for mask in [Mask::causal(), Mask { causal: false, padding }] {
            let [a, b] = [&x, &other].map(|x| flat(&attention.forward(x, &mask).unwrap().narrow(1, 0, 4).unwrap()));
            assert_eq!(a, b);
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads_or_on_the_batch_around() {
        let (params, attention) = attention(32, 4);
        let x = variable(&[9, 40, 32], 1);
        let run = |x: &Tensor| attention.forward(x, &Mask::causal()).unwrap();
        any_threads(&params, &[&x], &|| vec![run(&x)]);
        let all = run(&x);
        for (from, batch) in [(0, 1), (4, 3)] {
            let part = run(&x.narrow(0, from, batch).unwrap());
            assert_eq!(flat(&part), flat(&all.narrow(0, from, batch).unwrap()));
        }
    }

    #[test]
    fn empty_batches_and_sequences_pass_and_wrong_shapes_are_named() {
        let (_params, attention) = attention(8, 2);
        for shape in [[0, 5, 8], [5, 0, 8]] {
            assert_eq!(attention.forward(&draws(&shape, 1), &Mask::causal()).unwrap().dims(), shape);
        }
        let error = |x: &[usize], mask: &Mask| attention.forward(&draws(x, 1), mask).unwrap_err().to_string();
        assert!(error(&[2, 5, 4], &Mask::none()).contains("an attention of width 8 expects [B, T, 8], got [2, 5, 4]"));
        let mask = Mask { causal: false, padding: Some(draws(&[5, 2], 1)) };
        assert!(error(&[2, 5, 8], &mask).contains("an attention expects padding [2, 5]"));
        let error = Attention::new(&mut params().root(), 8, 3).unwrap_err().to_string();
        assert!(error.contains("an attention of width 8 with 3 heads"), "{error}");
    }
}
