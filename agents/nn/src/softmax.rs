//! Softmax and log-softmax over the last axis.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor, bail};

use crate::kernel::vectorised;
use crate::math::{self, sum, sum2};
use crate::params::{values, with_values};
use crate::parts::{self, PARALLEL, rows_of};

/// Softmax over the last axis: `y = exp(x - max) / sum(exp(x - max))`. A row of nothing but -∞ is NaN.
///
/// # Errors
/// If `x` has no axis, or one of no elements at the end.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    apply(x, Op::Softmax)
}

/// Log-softmax over the last axis: `y = x - max - ln(sum(exp(x - max)))`, finite where [`softmax`] underflows to 0.
///
/// # Errors
/// If `x` has no axis, or one of no elements at the end.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    apply(x, Op::LogSoftmax)
}

fn apply(x: &Tensor, op: Op) -> Result<Tensor> {
    if matches!(x.dims(), [] | [.., 0]) {
        bail!("a softmax needs values in the last axis, got {:?}", x.dims());
    }
    if x.device().is_cpu() { x.contiguous()?.apply_op1(op) } else { stock(x, op) }
}

/// Softmax or log-softmax in candle's own operations.
fn stock(x: &Tensor, op: Op) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    let exp = x.exp()?;
    let sum = exp.sum_keepdim(D::Minus1)?;
    match op {
        Op::Softmax => exp.broadcast_div(&sum),
        Op::LogSoftmax => x.broadcast_sub(&sum.log()?),
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Softmax,
    LogSoftmax,
}

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        match self {
            Op::Softmax => "softmax",
            Op::LogSoftmax => "log-softmax",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let width = *layout.dims().last().expect("it has an axis");
        let part = rows_of(width) * width;
        let y = parts::changed(x, part, x.len() >= PARALLEL, |_, y| match self {
            Op::Softmax => softmax_rows(y, width),
            Op::LogSoftmax => log_softmax_rows(y, width),
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let width = *x.dims().last().expect("it has an axis");
        let part = rows_of(width) * width;
        let dx = with_values(y, |y| {
            with_values(&g.contiguous()?, |g| {
                parts::changed(g, part, y.len() >= PARALLEL, |i, g| match self {
                    Op::Softmax => softmax_rows_back(&y[i * part..], g, width),
                    Op::LogSoftmax => log_softmax_rows_back(&y[i * part..], g, width),
                })
            })
        })??;
        Tensor::from_vec(dx, x.dims(), x.device()).map(Some)
    }
}

/// Replaces each row of `width` values by its softmax.
pub(crate) fn softmax_rows(rows: &mut [f32], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(width) {
                let top = math::max(row);
                row.iter_mut().for_each(|x| *x = math::exp(*x - top));
                let scale = 1.0 / sum(row);
                row.iter_mut().for_each(|x| *x *= scale);
            }
        },
    );
}

/// Backward pass of a softmax with output `y`: replaces `g`, the gradient of the output, by `y * (g - Σ y·g)` in each
/// row.
pub(crate) fn softmax_rows_back(y: &[f32], g: &mut [f32], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for (y, g) in y.chunks_exact(width).zip(g.chunks_exact_mut(width)) {
                let mean = sum2(y, g, |y, g| y * g);
                g.iter_mut().zip(y).for_each(|(g, y)| *g = y * (*g - mean));
            }
        },
    );
}

fn log_softmax_rows(rows: &mut [f32], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(width) {
                let top = math::max(row);
                let log = libm::logf(sum2(row, row, |x, _| math::exp(x - top)));
                row.iter_mut().for_each(|x| *x = (*x - top) - log);
            }
        },
    );
}

/// Backward pass of a log-softmax with output `y`: replaces `g`, the gradient of the output, by `g - exp(y) * Σ g` in
/// each row.
fn log_softmax_rows_back(y: &[f32], g: &mut [f32], width: usize) {
    vectorised(
        #[inline(always)]
        || {
            for (y, g) in y.chunks_exact(width).zip(g.chunks_exact_mut(width)) {
                let all = sum(g);
                g.iter_mut().zip(y).for_each(|(g, y)| *g -= math::exp(*y) * all);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::check::{any_threads, close, differences, draws, flat, params, parity, variable};

    const BOTH: [fn(&Tensor) -> Result<Tensor>; 2] = [softmax, log_softmax];

    #[test]
    fn gradients_are_differences() {
        for width in [2, 7, 40] {
            let x = variable(&[2, 3, width], 1);
            for f in BOTH {
                differences(&params(), &[&x], 1.0, &|| vec![f(&x).unwrap()]);
            }
        }
    }

    #[test]
    fn cpu_operations_equal_stock_ones() {
        let x = candle_core::Var::from_tensor(&(draws(&[9, 45], 1) * 10.0).unwrap()).unwrap();
        for (f, op) in BOTH.into_iter().zip([Op::Softmax, Op::LogSoftmax]) {
            parity(&params(), &[&x], 1e-5, &|| vec![f(&x).unwrap()], &|| vec![stock(&x, op).unwrap()]);
        }
    }

    #[test]
    fn far_values_neither_overflow_nor_vanish() {
        let inf = f32::INFINITY;
        let x = Tensor::new(&[[1e30f32, 0.0, -1e30], [-inf, 2.0, 2.0], [-500.0, -501.0, -inf]], &Device::Cpu).unwrap();
        let y = flat(&softmax(&x).unwrap());
        close(&y, &[1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.731_058_6, 0.268_941_4, 0.0], 1e-6, "softmax");
        let log = log_softmax(&x).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((log[0][0], log[0][1], log[1][0]), (0.0, -1e30, -inf));
        assert!(flat(&softmax(&Tensor::new(&[f32::NAN, 1.0], &Device::Cpu).unwrap()).unwrap())[0].is_nan());
    }

    #[test]
    fn bits_do_not_depend_on_threads_or_on_the_batch_around() {
        let x = variable(&[900, 70], 1);
        for f in BOTH {
            any_threads(&params(), &[&x], &|| vec![f(&x).unwrap()]);
            let part = f(&x.narrow(0, 501, 3).unwrap()).unwrap();
            assert_eq!(flat(&part), flat(&f(&x).unwrap().narrow(0, 501, 3).unwrap()));
        }
    }

    #[test]
    fn empty_batches_pass_and_empty_rows_are_refused() {
        for f in BOTH {
            assert_eq!(f(&draws(&[0, 3], 1)).unwrap().dims(), [0, 3]);
            assert!(f(&draws(&[3, 0], 1)).unwrap_err().to_string().contains("got [3, 0]"));
        }
    }
}
