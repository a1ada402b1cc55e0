//! The Gaussian error linear unit, exact.
//! Source: Hendrycks and Gimpel 2016: x · Φ(x), not its approximation by tanh.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::kernel::vectorised;
use crate::math;
use crate::params::{values, with_values};
use crate::parts::{self, PARALLEL};

const HALF_ROOT: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// Greatest density of the standard normal distribution, 1 / √(2π).
const DENSITY: f32 = 0.398_942_3;

/// Exact GELU, elementwise: `x · Φ(x)` with the normal distribution function Φ, PyTorch's default and not its tanh
/// approximation.
///
/// # Errors
/// If the device fails.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() { x.contiguous()?.apply_op1(Gelu) } else { x.gelu_erf() }
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = Vec::new();
        forward(values(x, layout)?, &mut y);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = with_values(&g.contiguous()?, <[f32]>::to_vec)?;
        with_values(x, |x| backward(x, &mut dx))?;
        Tensor::from_vec(dx, x.dims(), x.device()).map(Some)
    }
}

/// Replaces `y` by `x · Φ(x)` and reuses its allocation.
pub(crate) fn forward(x: &[f32], y: &mut Vec<f32>) {
    parts::sized(y, x.len());
    parts::each([(y, PARALLEL)], x.len() >= PARALLEL, |i, [y]| {
        let x = &x[i * PARALLEL..][..y.len()];
        vectorised(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, x)| *y = 0.5 * x * (1.0 + math::erf(x * HALF_ROOT))),
        );
    });
}

/// Backward pass of the GELU: multiplies `d`, the gradient of the output, by `Φ(x) + x · φ(x)`, in place.
pub(crate) fn backward(x: &[f32], d: &mut [f32]) {
    parts::each([(d, PARALLEL)], x.len() >= PARALLEL, |i, [d]| {
        let x = &x[i * PARALLEL..][..d.len()];
        vectorised(
            #[inline(always)]
            || {
                for (d, x) in d.iter_mut().zip(x) {
                    let below = 0.5 * (1.0 + math::erf(x * HALF_ROOT));
                    *d *= x.mul_add(DENSITY * math::exp(-0.5 * x * x), below);
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{any_threads, differences, params, parity, variable};

    #[test]
    fn gradients_are_differences_and_values_those_of_stock() {
        let x = variable(&[3, 11], 1);
        differences(&params(), &[&x], 1.0, &|| vec![gelu(&x).unwrap()]);
        parity(&params(), &[&x], 1e-6, &|| vec![gelu(&x).unwrap()], &|| vec![x.gelu_erf().unwrap()]);
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let x = variable(&[3, 40_000], 1);
        any_threads(&params(), &[&x], &|| vec![gelu(&x).unwrap()]);
    }
}
