//! Batch normalisation over the last axis, with the batch's statistics in training and running ones otherwise.
//!
//! Sums are taken over parts of rows fixed by the shape and joined in their order, so that the bits do not depend on
//! threads. The running statistics are buffers: copied to target networks and saved, but not trained; in a run of
//! several processes each has its own.
//! Source: Ioffe and Szegedy 2015; parts are joined after Chan et al. 1979.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, Var, bail};

use crate::bundle::Bundle;
use crate::kernel::vectorised;
use crate::layer_params::LayerParams;
use crate::params::{set, values, with_values};
use crate::parts::{self, PARALLEL, rows_of};
use crate::{Init, Scope};

/// Mean and variance that a [`BatchNorm`] normalises by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// Training mode: normalises by the mean and biased variance of the batch, and updates the running statistics.
    Batch,
    /// Evaluation mode: normalises by the running mean and variance, which stay as they are.
    Running,
}

/// Batch normalisation per channel of the last axis: `y = (x - mean) / sqrt(variance + eps) * weight + bias`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Parameters `weight` and `bias`, `[channels]` each.
    params: LayerParams,
    running_mean: Var,
    running_var: Var,
    channels: usize,
    momentum: f32,
    eps: f32,
}

impl BatchNorm {
    /// Layer for `channels` channels, with weight 1, bias 0, running mean 0 and running variance 1.
    ///
    /// Every training batch updates both as `running = (1 - momentum) * running + momentum * batch`, where the variance
    /// of the batch is the unbiased one. PyTorch's values are a `momentum` of 0.1 and an `eps` of 1e-5.
    ///
    /// # Errors
    /// If there are no channels, or the device fails.
    pub fn new(scope: &mut Scope<'_>, channels: usize, momentum: f64, eps: f64) -> Result<Self> {
        if channels == 0 {
            bail!("a batch norm of 0 channels");
        }
        let params = LayerParams::new(scope, |scope| {
            Ok(vec![scope.var("weight", &[channels], Init::Ones)?, scope.var("bias", &[channels], Init::Zeros)?])
        })?;
        let running_mean = scope.buffer("running_mean", &[channels], 0.0)?;
        let running_var = scope.buffer("running_var", &[channels], 1.0)?;
        Ok(Self { params, running_mean, running_var, channels, momentum: momentum as f32, eps: eps as f32 })
    }

    /// Normalises `x [.., channels]`, such as `[B, H, W, C]`, to the same shape.
    ///
    /// # Errors
    /// If the last axis is not `channels` long, or [`Statistics::Batch`] is asked for on fewer than two rows of
    /// channels.
    pub fn forward(&self, x: &Tensor, statistics: Statistics) -> Result<Tensor> {
        let channels = self.channels;
        if x.dims().last() != Some(&channels) {
            bail!("a batch norm of {channels} channels got {:?}", x.dims());
        }
        let rows = x.elem_count() / channels;
        if statistics == Statistics::Batch && rows < 2 {
            bail!("a batch norm in training needs two rows or more, got {:?}", x.dims());
        }
        if !x.device().is_cpu() {
            return self.stock(x, statistics);
        }
        let x = x.contiguous()?;
        let (mean, variance) = match statistics {
            Statistics::Batch => {
                let (mean, variance) = with_values(&x, |x| moments(x, channels))?;
                self.follow(&mean, &variance, rows)?;
                (mean, variance)
            }
            Statistics::Running => {
                (with_values(&self.running_mean, <[f32]>::to_vec)?, with_values(&self.running_var, <[f32]>::to_vec)?)
            }
        };
        let root = variance.iter().map(|v| 1.0 / (v + self.eps).sqrt()).collect();
        let bundled: Vec<&Tensor> = self.params.tensors().collect();
        let (node, bundle) = Bundle::new(&bundled)?;
        x.apply_op2(&node, Op { params: self.params.clone(), bundle, channels, statistics, mean, root })
    }

    /// Updates the running statistics by those of a batch of `rows` rows, with the unbiased variance.
    fn follow(&self, mean: &[f32], variance: &[f32], rows: usize) -> Result<()> {
        let sample = rows as f32 / (rows as f32 - 1.0);
        for (running, now, scale) in [(&self.running_mean, mean, 1.0), (&self.running_var, variance, sample)] {
            let mut moved = with_values(running, <[f32]>::to_vec)?;
            for (moved, now) in moved.iter_mut().zip(now) {
                *moved = (1.0 - self.momentum) * *moved + self.momentum * (now * scale);
            }
            set(running, &moved)?;
        }
        Ok(())
    }

    /// Batch norm in candle's own operations.
    fn stock(&self, x: &Tensor, statistics: Statistics) -> Result<Tensor> {
        let rows = x.reshape(((), self.channels))?; // [rows, C]
        let (mean, variance) = match statistics {
            Statistics::Batch => {
                let mean = rows.mean(0)?;
                let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(0)?;
                self.follow(&mean.to_vec1()?, &variance.to_vec1()?, rows.dim(0)?)?;
                (mean, variance)
            }
            Statistics::Running => (self.running_mean.as_detached_tensor(), self.running_var.as_detached_tensor()),
        };
        let root = (variance + f64::from(self.eps))?.sqrt()?;
        let y = rows.broadcast_sub(&mean)?.broadcast_div(&root)?;
        y.broadcast_mul(self.params.var(0))?.broadcast_add(self.params.var(1))?.reshape(x.dims())
    }
}

struct Op {
    params: LayerParams,
    bundle: Bundle,
    channels: usize,
    statistics: Statistics,
    mean: Vec<f32>,
    /// Reciprocal deviation of every channel.
    root: Vec<f32>,
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let (scale, part) = (self.scale()?, rows_of(self.channels) * self.channels);
        let y = with_values(self.params.var(1), |bias| {
            parts::made(x.len(), part, x.len() >= PARALLEL, |i, y| {
                normalise(&x[i * part..], y, [&self.mean, &scale, bias]);
            })
        })?;
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, node: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (channels, scale) = (self.channels, self.scale()?);
        let g = g.contiguous()?;
        let sums = with_values(x, |x| with_values(&g, |g| gradient_sums(x, g, &self.mean)))??;
        let (level, slope) = sums.split_at(channels); // Σ g, Σ g·(x − mean)
        let gradients = self.params.add(|grad| {
            let (dw, db) = grad.split_at_mut(channels);
            for c in 0..channels {
                dw[c] += slope[c] * self.root[c];
                db[c] += level[c];
            }
            Ok(())
        })?;
        let count = x.elem_count() as f32 / channels as f32;
        let constant = |f: &dyn Fn(usize) -> f32| -> Vec<f32> {
            (0..channels).map(|c| if self.statistics == Statistics::Batch { f(c) } else { 0.0 }).collect()
        };
        let offset = constant(&|c| -scale[c] * level[c] / count);
        let tilt = constant(&|c| -scale[c] * self.root[c] * self.root[c] * slope[c] / count);
        let mut dx = None;
        if x.track_op() {
            let part = rows_of(channels) * channels;
            let given = with_values(x, |x| {
                with_values(&g, |g| {
                    parts::made(x.len(), part, x.len() >= PARALLEL, |i, d| {
                        let from = i * part..i * part + d.len();
                        input_gradient(&x[from.clone()], &g[from], d, [&self.mean, &scale, &offset, &tilt]);
                    })
                })
            })??;
            dx = self.params.give_input(x, given)?;
        }
        let bundled: Vec<&Tensor> = self.params.tensors().collect();
        Ok((dx, Some(self.bundle.give(node, &bundled, gradients)?)))
    }
}

impl Op {
    /// Weight over deviation.
    fn scale(&self) -> Result<Vec<f32>> {
        with_values(self.params.var(0), |w| w.iter().zip(&self.root).map(|(w, r)| w * r).collect())
    }
}

/// `y = (x − mean) · scale + bias`.
fn normalise(x: &[f32], y: &mut [f32], constants: [&[f32]; 3]) {
    let n = constants[0].len();
    vectorised(
        #[inline(always)]
        || {
            let [mean, scale, bias] = constants.map(|constant| &constant[..n]);
            for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
                for j in 0..n {
                    y[j] = (x[j] - mean[j]).mul_add(scale[j], bias[j]);
                }
            }
        },
    );
}

/// `d = g · scale + (x − mean) · tilt + offset`, where `g` is the gradient of the output.
fn input_gradient(x: &[f32], g: &[f32], d: &mut [f32], constants: [&[f32]; 4]) {
    let n = constants[0].len();
    vectorised(
        #[inline(always)]
        || {
            let [mean, scale, offset, tilt] = constants.map(|constant| &constant[..n]);
            for ((x, g), d) in x.chunks_exact(n).zip(g.chunks_exact(n)).zip(d.chunks_exact_mut(n)) {
                for j in 0..n {
                    d[j] = g[j].mul_add(scale[j], (x[j] - mean[j]).mul_add(tilt[j], offset[j]));
                }
            }
        },
    );
}

/// Mean and biased variance of each channel.
fn moments(x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let part = rows_of(channels) * channels;
    let mut partial = vec![0.0; x.len().div_ceil(part) * 2 * channels];
    parts::each([(&mut partial, 2 * channels)], x.len() >= PARALLEL, |i, [partial]| {
        let x = &x[i * part..x.len().min((i + 1) * part)];
        let (mean, square) = partial.split_at_mut(channels);
        let rows = (x.len() / channels) as f32;
        add_columns(x, mean, |x, _| x, &vec![0.0; channels]);
        mean.iter_mut().for_each(|m| *m /= rows);
        add_columns(x, square, |x, m| (x - m) * (x - m), mean);
    });
    let mut mean = vec![0f64; channels];
    let mut square = vec![0f64; channels];
    let mut before = 0f64;
    for (i, partial) in partial.chunks_exact(2 * channels).enumerate() {
        let rows = ((x.len() - i * part).min(part) / channels) as f64;
        let all = before + rows;
        for c in 0..channels {
            let apart = f64::from(partial[c]) - mean[c];
            mean[c] += apart * rows / all;
            square[c] += f64::from(partial[channels + c]) + apart * apart * before * rows / all;
        }
        before = all;
    }
    let variance = square.iter().map(|s| (s / before) as f32).collect();
    (mean.iter().map(|m| *m as f32).collect(), variance)
}

/// Sums Σ g and Σ g·(x − mean) over all rows, of each channel.
fn gradient_sums(x: &[f32], g: &[f32], mean: &[f32]) -> Vec<f32> {
    let channels = mean.len();
    let part = rows_of(channels) * channels;
    let mut partial = vec![0.0; x.len().div_ceil(part) * 2 * channels];
    parts::each([(&mut partial, 2 * channels)], x.len() >= PARALLEL, |i, [partial]| {
        let rows = i * part..x.len().min((i + 1) * part);
        let (level, slope) = partial.split_at_mut(channels);
        add_both(&x[rows.clone()], &g[rows], level, slope, mean);
    });
    let mut sums = vec![0f64; 2 * channels];
    for partial in partial.chunks_exact(2 * channels) {
        sums.iter_mut().zip(partial).for_each(|(s, p)| *s += f64::from(*p));
    }
    sums.iter().map(|s| *s as f32).collect()
}

/// Adds g and g·(x − mean) of all rows to `level` and `slope`, four rows at a time.
fn add_both(x: &[f32], g: &[f32], level: &mut [f32], slope: &mut [f32], mean: &[f32]) {
    let n = mean.len();
    vectorised(
        #[inline(always)]
        || {
            let (level, slope) = (&mut level[..n], &mut slope[..n]);
            let (xs, gs) = (x.chunks_exact(4 * n), g.chunks_exact(4 * n));
            for (x, g) in xs.clone().zip(gs.clone()) {
                let ([x0, x1, x2, x3], [g0, g1, g2, g3]) = (quarters(x), quarters(g));
                for j in 0..n {
                    level[j] += (g0[j] + g1[j]) + (g2[j] + g3[j]);
                    let m = mean[j];
                    let near = g0[j] * (x0[j] - m) + g1[j] * (x1[j] - m);
                    slope[j] += near + (g2[j] * (x2[j] - m) + g3[j] * (x3[j] - m));
                }
            }
            for (x, g) in xs.remainder().chunks_exact(n).zip(gs.remainder().chunks_exact(n)) {
                for j in 0..n {
                    level[j] += g[j];
                    slope[j] += g[j] * (x[j] - mean[j]);
                }
            }
        },
    );
}

/// Adds `f(a, constant)` of all rows to `sums`, four rows at a time.
fn add_columns(a: &[f32], sums: &mut [f32], f: impl Fn(f32, f32) -> f32, constant: &[f32]) {
    let n = sums.len();
    vectorised(
        #[inline(always)]
        || {
            let (constant, sums) = (&constant[..n], &mut sums[..n]);
            let fours = a.chunks_exact(4 * n);
            for a in fours.clone() {
                let [a0, a1, a2, a3] = quarters(a);
                for j in 0..n {
                    let c = constant[j];
                    sums[j] += (f(a0[j], c) + f(a1[j], c)) + (f(a2[j], c) + f(a3[j], c));
                }
            }
            for a in fours.remainder().chunks_exact(n) {
                for j in 0..n {
                    sums[j] += f(a[j], constant[j]);
                }
            }
        },
    );
}

#[inline(always)]
fn quarters(rows: &[f32]) -> [&[f32]; 4] {
    let n = rows.len() / 4;
    std::array::from_fn(|i| &rows[i * n..][..n])
}

#[cfg(test)]
mod tests {
    use rl_core::Saved;

    use super::*;
    use crate::Params;
    use crate::check::{any_threads, close, differences, draws, flat, params, parity, variable};

    fn norm(channels: usize) -> (Params, BatchNorm) {
        let mut params = params();
        let norm = BatchNorm::new(&mut params.layer("norm"), channels, 0.1, 1e-5).unwrap();
        let values: Vec<f32> = flat(&draws(&[2 * channels], 7)).iter().map(|v| v + 0.5).collect();
        params.write(&values).unwrap();
        (params, norm)
    }

    #[test]
    fn gradients_are_differences() {
        for statistics in [Statistics::Batch, Statistics::Running] {
            for (shape, channels) in [([2, 3, 3, 5], 5), ([1, 1, 7, 3], 3)] {
                let (params, norm) = norm(channels);
                let x = variable(&shape, 1);
                norm.forward(&x, Statistics::Batch).unwrap();
                differences(&params, &[&x], 1.0, &|| vec![norm.forward(&x, statistics).unwrap()]);
            }
        }
    }

    #[test]
    fn cpu_operation_equals_stock_ones_and_moves_the_same_statistics() {
        let shift = Tensor::new(4f32, &candle_core::Device::Cpu).unwrap();
        let x = draws(&[6, 5, 7, 11], 1).broadcast_add(&shift).unwrap();
        let x = Var::from_tensor(&x).unwrap();
        let (params, norm) = norm(11);
        for statistics in [Statistics::Batch, Statistics::Running] {
            parity(&params, &[&x], 2e-5, &|| vec![norm.forward(&x, statistics).unwrap()], &|| {
                vec![norm.stock(&x, statistics).unwrap()]
            });
        }
        let running = |run: &dyn Fn()| {
            set(&norm.running_mean, &[0.5; 11]).unwrap();
            set(&norm.running_var, &[2.0; 11]).unwrap();
            run();
            [flat(&norm.running_mean), flat(&norm.running_var)].concat()
        };
        let ours = running(&|| drop(norm.forward(&x, Statistics::Batch).unwrap()));
        let theirs = running(&|| drop(norm.stock(&x, Statistics::Batch).unwrap()));
        close(&ours, &theirs, 1e-5, "running statistics");
        assert!(ours[0] > 0.6 && ours[11] < 2.0, "they moved");
    }

    #[test]
    fn acting_does_not_move_the_running_statistics_and_saving_keeps_them() {
        let (params, norm) = norm(4);
        let x = draws(&[8, 4], 1);
        norm.forward(&x, Statistics::Batch).unwrap();
        let before = flat(&norm.forward(&x, Statistics::Running).unwrap());
        let mut bytes = Vec::new();
        params.save(&mut bytes).unwrap();
        assert_eq!(before, flat(&norm.forward(&x, Statistics::Running).unwrap()));
        let (mut other, loaded) = self::norm(4);
        other.load(&mut bytes.as_slice()).unwrap();
        assert_eq!(before, flat(&loaded.forward(&x, Statistics::Running).unwrap()));
    }

    #[test]
    fn a_far_mean_costs_no_precision() {
        let (_params, norm) = norm(2);
        let shift = Tensor::new(1e4f32, &candle_core::Device::Cpu).unwrap();
        let x = (draws(&[40_000, 2], 1) * 8.0).unwrap().broadcast_add(&shift).unwrap();
        let y = norm.forward(&x, Statistics::Batch).unwrap();
        let (w, b) = (flat(norm.params.var(0)), flat(norm.params.var(1)));
        for (c, (w, b)) in w.iter().zip(&b).enumerate() {
            let y: Vec<f64> = flat(&y.narrow(1, c, 1).unwrap()).iter().map(|y| f64::from((y - b) / w)).collect();
            let mean = y.iter().sum::<f64>() / y.len() as f64;
            let square = y.iter().map(|y| y * y).sum::<f64>() / y.len() as f64;
            assert!(mean.abs() < 1e-3 && (square - 1.0).abs() < 1e-3, "{mean} {square}");
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let (params, norm) = norm(24);
        let x = variable(&[13, 20, 20, 24], 1);
        for statistics in [Statistics::Batch, Statistics::Running] {
            any_threads(&params, &[&x], &|| vec![norm.forward(&x, statistics).unwrap()]);
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_batch_around_it_while_acting() {
        let (_params, norm) = norm(9);
        let x = draws(&[20, 9], 1);
        norm.forward(&x, Statistics::Batch).unwrap();
        let all = norm.forward(&x, Statistics::Running).unwrap();
        for (from, rows) in [(0, 1), (5, 3), (1, 19)] {
            let part = norm.forward(&x.narrow(0, from, rows).unwrap(), Statistics::Running).unwrap();
            assert_eq!(flat(&part), flat(&all.narrow(0, from, rows).unwrap()));
        }
        assert_eq!(norm.forward(&draws(&[0, 9], 1), Statistics::Running).unwrap().dims(), [0, 9]);
    }

    #[test]
    fn wrong_shapes_are_named() {
        let (_params, norm) = norm(4);
        let error = |dims: &[usize]| norm.forward(&draws(dims, 1), Statistics::Batch).unwrap_err().to_string();
        assert!(error(&[2, 3]).contains("a batch norm of 4 channels got [2, 3]"));
        assert!(error(&[1, 4]).contains("needs two rows or more, got [1, 4]"));
    }
}
