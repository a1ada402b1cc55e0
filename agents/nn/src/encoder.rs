//! Transformer encoder layer as one operation: attention and a feed-forward block, each with a residual sum and a layer
//! norm.
//!
//! Source: Vaswani et al. 2017, as `torch.nn.TransformerEncoderLayer` computes it, without dropout; the norm before
//! each block after Xiong et al. 2020.

use std::sync::{Arc, Mutex, OnceLock};

use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor, bail};

use crate::attention::{self, Heads, Mask, check_heads};
use crate::bundle::Bundle;
use crate::kernel::{self, Patches, Workspace};
use crate::layer_params::{LayerParams, split};
use crate::params::{values, with_values};
use crate::parts::{self, PARALLEL, add, sized};
use crate::{Init, Scope, gelu, layer_norm, relu};

/// Place of the layer norms in an [`EncoderLayer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlace {
    /// Pre-norm: `s = x + attention(norm1(x))`, `y = s + ff(norm2(s))`. It trains without a warm-up.
    Before,
    /// Post-norm, as in the first transformer: `s = norm1(x + attention(x))`, `y = norm2(s + ff(s))`.
    After,
}

/// Activation function of the feed-forward block of an [`EncoderLayer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedForwardActivation {
    /// ReLU, `max(0, x)`.
    Relu,
    /// Exact GELU, `x · Φ(x)` with the normal distribution function Φ.
    Gelu,
}

/// Hyperparameters of an [`EncoderLayer`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderLayerConfig {
    /// Values of a token, PyTorch's `d_model`.
    pub width: usize,
    /// Number of attention heads; it must divide `width`.
    pub heads: usize,
    /// Hidden width of the feed-forward block, PyTorch's `dim_feedforward`.
    pub hidden: usize,
    /// Activation function of the feed-forward block.
    pub bend: FeedForwardActivation,
    /// Place of the layer norms.
    pub norm: NormPlace,
    /// Term added to the variances of the layer norms; PyTorch's is 1e-5.
    pub eps: f64,
}

/// Transformer encoder layer: multi-head self-attention and a feed-forward block of two linear layers, each with a
/// residual sum and a layer norm. Its products are of `f32`, whatever the precision of the scope.
#[derive(Clone, Debug)]
pub struct EncoderLayer {
    /// Parameters, at the indices from [`QKV`] on.
    params: LayerParams,
    config: EncoderLayerConfig,
    free: Free,
}

/// Index of the joint projection's weight among the parameters; as with all below, the bias is at the next index.
const QKV: usize = 0;
const OUT: usize = 2;
const UP: usize = 4;
const DOWN: usize = 6;
const NORM1: usize = 8;
const NORM2: usize = 10;

impl EncoderLayer {
    /// Layer whose linear layers have PyTorch's default uniform initialisation, whatever `scope` says, and whose norms
    /// begin as the identity.
    ///
    /// # Errors
    /// If `width`, `heads` or `hidden` is 0, the heads do not divide the width, or the device fails.
    pub fn new(scope: &mut Scope<'_>, config: EncoderLayerConfig) -> Result<Self> {
        let EncoderLayerConfig { width, heads, hidden, .. } = config;
        check_heads(width, heads)?;
        if hidden == 0 {
            bail!("an encoder layer of 0 hidden values");
        }
        let params = LayerParams::new(scope, |scope| {
            let mut vars = Vec::new();
            let lines =
                [("qkv", width, 3 * width), ("out", width, width), ("up", width, hidden), ("down", hidden, width)];
            for (name, inputs, outputs) in lines {
                let mut scope = scope.layer(name);
                vars.push(scope.var("weight", &[inputs, outputs], Init::torch(inputs))?);
                vars.push(scope.var("bias", &[outputs], Init::torch(inputs))?);
            }
            for name in ["norm1", "norm2"] {
                let mut scope = scope.layer(name);
                vars.push(scope.var("weight", &[width], Init::Ones)?);
                vars.push(scope.var("bias", &[width], Init::Zeros)?);
            }
            Ok(vars)
        })?;
        Ok(Self { params, config, free: Arc::default() })
    }

    /// Runs the layer on `x [B, T, width]` under `mask`, to the same shape.
    ///
    /// # Errors
    /// If the last axis of `x` is not `width`, or the padding mask is not `[B, T]`.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        let width = self.config.width;
        let &[batch, steps, got] = x.dims() else {
            bail!("an encoder layer of width {width} expects [B, T, {width}], got {:?}", x.dims())
        };
        if got != width {
            bail!("an encoder layer of width {width} expects [B, T, {width}], got {:?}", x.dims());
        }
        mask.check("an encoder layer", x)?;
        let shape = Heads { batch, steps, width, heads: self.config.heads };
        if !x.device().is_cpu() {
            return self.stock(x, shape, mask);
        }
        let bundled: Vec<&Tensor> = self.params.tensors().collect();
        let (node, bundle) = Bundle::new(&bundled)?;
        let op = Op {
            params: self.params.clone(),
            bundle,
            config: self.config,
            shape,
            causal: mask.causal,
            penalties: mask.penalties()?,
            cache: OnceLock::new(),
            free: self.free.clone(),
        };
        x.contiguous()?.apply_op2(&node, op)
    }

    /// Encoder layer in candle's own operations.
    fn stock(&self, x: &Tensor, shape: Heads, mask: &Mask) -> Result<Tensor> {
        let x = x.reshape((shape.batch * shape.steps, shape.width))?;
        let line = |x: &Tensor, k: usize| x.matmul(self.params.var(k))?.broadcast_add(self.params.var(k + 1));
        let norm = |x: &Tensor, k: usize| {
            let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
            let root = (x.sqr()?.mean_keepdim(D::Minus1)? + self.config.eps)?.sqrt()?;
            x.broadcast_div(&root)?.broadcast_mul(self.params.var(k))?.broadcast_add(self.params.var(k + 1))
        };
        let attend = |x: &Tensor| line(&attention::stock(&line(x, QKV)?, shape, mask)?, OUT);
        let feed = |x: &Tensor| {
            let up = line(x, UP)?;
            line(&if self.config.bend == FeedForwardActivation::Gelu { up.gelu_erf()? } else { relu(&up)? }, DOWN)
        };
        let y = match self.config.norm {
            NormPlace::Before => {
                let sum = (&x + attend(&norm(&x, NORM1)?)?)?;
                (&sum + feed(&norm(&sum, NORM2)?)?)?
            }
            NormPlace::After => {
                let middle = norm(&(&x + attend(&x)?)?, NORM1)?;
                norm(&(&middle + feed(&middle)?)?, NORM2)?
            }
        };
        y.reshape((shape.batch, shape.steps, shape.width))
    }
}

/// Buffers of earlier passes, to be used again.
type Free = Arc<Mutex<Vec<Cache>>>;

/// Activations that the backward pass needs; rows of `width` values unless said otherwise.
#[derive(Debug, Default)]
struct Cache {
    /// Input of the attention block; empty if it is the layer's input.
    first: Vec<f32>,
    /// Projections to queries, keys and values, `[rows, 3·width]`.
    qkv: Vec<f32>,
    weights: Vec<f32>,
    /// Output of the heads, before the output projection.
    seen: Vec<f32>,
    sum1: Vec<f32>,
    /// Input of the feed-forward block.
    second: Vec<f32>,
    /// Hidden values of the feed-forward block before and after its activation, `[rows, hidden]`; the former is empty
    /// for a ReLU.
    up: Vec<f32>,
    bent: Vec<f32>,
    /// Second residual sum; empty if it is the layer's output.
    sum2: Vec<f32>,
    /// Mean and reciprocal deviation of every row in both norms, `[rows, 2]`.
    statistics: [Vec<f32>; 2],
}

struct Op {
    params: LayerParams,
    bundle: Bundle,
    config: EncoderLayerConfig,
    shape: Heads,
    causal: bool,
    penalties: Option<Vec<f32>>,
    cache: OnceLock<Cache>,
    free: Free,
}

impl Op {
    fn rows(&self) -> usize {
        self.shape.batch * self.shape.steps
    }

    /// Layer norm of `x` with the parameters at index `k`; both outputs reuse their allocations.
    fn norm(&self, p: &[&[f32]], k: usize, x: &[f32], y: &mut Vec<f32>, statistics: &mut Vec<f32>) {
        sized(y, x.len());
        sized(statistics, 2 * self.rows());
        layer_norm::forward(x, p[k], p[k + 1], self.config.eps as f32, y, statistics);
    }

    /// Linear layer on `x` with the parameters at index `k`; the output reuses its allocation.
    fn line(&self, p: &[&[f32]], k: usize, x: &[f32], relu: bool, y: &mut Vec<f32>) {
        sized(y, self.rows() * p[k + 1].len());
        kernel::forward(&Patches::rows(p[k].len() / p[k + 1].len()), x, p[k], p[k + 1], relu, y);
    }

    fn run(&self, p: &[&[f32]], x: &[f32], cache: &mut Cache) -> Vec<f32> {
        let before = self.config.norm == NormPlace::Before;
        let Cache { first, qkv, weights, seen, sum1, second, up, bent, sum2, statistics: [one, two] } = cache;
        if before {
            self.norm(p, NORM1, x, first, one);
        }
        self.line(p, QKV, if before { first } else { x }, false, qkv);
        sized(weights, self.shape.kept());
        sized(seen, x.len());
        attention::forward(self.shape, self.causal, self.penalties.as_deref(), qkv, weights, seen);
        self.line(p, OUT, seen, false, sum1);
        add(sum1, x);
        let (k, statistics) = if before { (NORM2, &mut *two) } else { (NORM1, one) };
        self.norm(p, k, sum1, second, statistics);
        if self.config.bend == FeedForwardActivation::Gelu {
            self.line(p, UP, second, false, up);
            gelu::forward(up, bent);
        } else {
            self.line(p, UP, second, true, bent);
        }
        let mut y = Vec::new();
        if before {
            self.line(p, DOWN, bent, false, &mut y);
            add(&mut y, sum1);
        } else {
            self.line(p, DOWN, bent, false, sum2);
            add(sum2, second);
            self.norm(p, NORM2, sum2, &mut y, two);
        }
        y
    }

    /// Backward pass: adds the gradients of the parameters to `grad` and returns that of `x`, given `g`, that of the
    /// output.
    fn run_back(&self, p: &[&[f32]], cache: &Cache, x: &[f32], g: &[f32], grad: &mut [f32]) -> Vec<f32> {
        let before = self.config.norm == NormPlace::Before;
        let mut grads = split(grad, p.iter().map(|p| p.len()));
        let norm_back = |grads: &mut [&mut [f32]], k: usize, x: &[f32], g: &[f32], dx: &mut [f32]| {
            let statistics = &cache.statistics[usize::from(k == NORM2)];
            let mut both = vec![0.0; 2 * self.shape.width];
            layer_norm::backward(x, p[k], g, statistics, dx, &mut both);
            let (dw, db) = both.split_at(self.shape.width);
            add(grads[k], dw);
            add(grads[k + 1], db);
        };
        let line_back = |grads: &mut [&mut [f32]], k: usize, x: &[f32], g: &[f32], dx: &mut [f32]| {
            let n = p[k + 1].len();
            let patches = Patches::rows(p[k].len() / n);
            kernel::weight_gradient(&patches, x, g, n, grads[k]);
            kernel::bias_gradient(g, grads[k + 1]);
            kernel::write_input_gradient(&patches, p[k], g, n, None, dx);
        };
        let mut rooms: [Workspace; 6] = std::array::from_fn(|_| Workspace::new());
        let [one, two, three, four, five, six] = &mut rooms;
        let dsum2 = if before {
            g
        } else {
            let normed = one.sized(x.len());
            norm_back(&mut grads, NORM2, &cache.sum2, g, normed);
            &*normed
        };
        let dup = two.sized(cache.bent.len());
        line_back(&mut grads, DOWN, &cache.bent, dsum2, dup);
        match self.config.bend {
            FeedForwardActivation::Gelu => gelu::backward(&cache.up, dup),
            FeedForwardActivation::Relu => parts::each([(&mut *dup, PARALLEL)], true, |i, [dup]| {
                let bent = &cache.bent[i * PARALLEL..];
                dup.iter_mut().zip(bent).for_each(|(d, y)| *d = if *y > 0.0 { *d } else { 0.0 });
            }),
        }
        let (dsecond, dsum1) = (three.sized(x.len()), four.sized(x.len()));
        line_back(&mut grads, UP, &cache.second, dup, dsecond);
        if before {
            norm_back(&mut grads, NORM2, &cache.sum1, dsecond, dsum1);
            add(dsum1, dsum2);
        } else {
            add(dsecond, dsum2);
            norm_back(&mut grads, NORM1, &cache.sum1, dsecond, dsum1);
        }
        let (dseen, dqkv) = (dsecond, five.sized(cache.qkv.len()));
        line_back(&mut grads, OUT, &cache.seen, dsum1, dseen);
        let penalties = self.penalties.as_deref();
        attention::backward(self.shape, self.causal, penalties, &cache.qkv, &cache.weights, dseen, dqkv);
        let mut dx = parts::zeros(x.len());
        if before {
            let normed = six.sized(x.len());
            line_back(&mut grads, QKV, &cache.first, dqkv, normed);
            norm_back(&mut grads, NORM1, x, normed, &mut dx);
        } else {
            line_back(&mut grads, QKV, x, dqkv, &mut dx);
        }
        add(&mut dx, dsum1);
        dx
    }
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "encoder-layer"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let mut cache = self.free.lock().expect("nothing panics with it").pop().unwrap_or_default();
        let y = self.params.read(|p| Ok(self.run(p, x, &mut cache)))?;
        let _ = self.cache.set(cache);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, node: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let cache = self.cache.get().expect("the forward pass fills it");
        let g = g.contiguous()?;
        let mut dx = Vec::new();
        let gradients = self.params.add(|grad| {
            dx = self.params.read(|p| with_values(x, |x| with_values(&g, |g| self.run_back(p, cache, x, g, grad)))?)?;
            Ok(())
        })?;
        let bundled: Vec<&Tensor> = self.params.tensors().collect();
        let dx = if x.track_op() { self.params.give_input(x, dx)? } else { None };
        Ok((dx, Some(self.bundle.give(node, &bundled, gradients)?)))
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        if let (Some(cache), Ok(mut free)) = (self.cache.take(), self.free.lock()) {
            free.push(cache);
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::Params;
    use crate::check::{any_threads, differences, draws, flat, params, parity, variable};

    fn layer(config: EncoderLayerConfig) -> (Params, EncoderLayer) {
        let mut params = params();
        let layer = EncoderLayer::new(&mut params.layer("encoder"), config).unwrap();
        (params, layer)
    }

    fn configs() -> impl Iterator<Item = EncoderLayerConfig> {
        [NormPlace::Before, NormPlace::After].into_iter().flat_map(|norm| {
            [FeedForwardActivation::Relu, FeedForwardActivation::Gelu].map(|bend| EncoderLayerConfig {
                width: 6,
                heads: 2,
                hidden: 7,
                bend,
                norm,
                eps: 1e-5,
            })
        })
    }

    #[test]
    fn gradients_are_differences() {
        for config in configs() {
            let (params, layer) = layer(config);
            let x = variable(&[2, 4, 6], 1);
            let share = if config.bend == FeedForwardActivation::Relu { 0.9 } else { 1.0 };
            differences(&params, &[&x], share, &|| vec![layer.forward(&x, &Mask::causal()).unwrap()]);
        }
    }

    #[test]
    fn cpu_operation_equals_stock_ones() {
        let padding = Some(Tensor::new(&[[0f32, 0.0, 0.0, 1.0, 1.0], [0.0; 5]], &Device::Cpu).unwrap());
        for config in configs() {
            let (params, layer) = layer(EncoderLayerConfig { width: 24, heads: 3, hidden: 50, ..config });
            let x = variable(&[2, 5, 24], 1);
            for mask in [Mask::none(), Mask { causal: true, padding: padding.clone() }] {
                let shape = Heads { batch: 2, steps: 5, width: 24, heads: 3 };
                parity(&params, &[&x], 2e-5, &|| vec![layer.forward(&x, &mask).unwrap()], &|| {
                    vec![layer.stock(&x, shape, &mask).unwrap()]
                });
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads_or_on_the_batch_around() {
        for config in configs() {
            let (params, layer) = layer(EncoderLayerConfig { width: 32, heads: 4, hidden: 100, ..config });
            let x = variable(&[9, 40, 32], 1);
            let run = |x: &Tensor| layer.forward(x, &Mask::none()).unwrap();
            any_threads(&params, &[&x], &|| vec![run(&x)]);
            let part = run(&x.narrow(0, 4, 2).unwrap());
            assert_eq!(flat(&part), flat(&run(&x).narrow(0, 4, 2).unwrap()));
        }
    }

    #[test]
    fn empty_batches_pass_and_wrong_shapes_are_named() {
        for config in configs() {
            let (params, layer) = layer(config);
            for shape in [[0, 5, 6], [5, 0, 6]] {
                let y = layer.forward(&draws(&shape, 1), &Mask::causal()).unwrap();
                params.backward(&y.sum_all().unwrap(), &mut Vec::new()).unwrap();
                assert_eq!(y.dims(), shape);
            }
            let error = layer.forward(&draws(&[2, 5, 4], 1), &Mask::none()).unwrap_err().to_string();
            assert!(error.contains("an encoder layer of width 6 expects [B, T, 6], got [2, 5, 4]"), "{error}");
            assert!(
                EncoderLayer::new(&mut crate::check::params().root(), EncoderLayerConfig { heads: 4, ..config })
                    .is_err()
            );
        }
    }
}
