//! The two moments that an optimiser keeps of every parameter value, and the one pass that updates both and the
//! parameter.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, Var};
use rayon::prelude::*;
use rl_core::{Error, read_postcard, write_postcard};
use serde::{Deserialize, Serialize};

use crate::Params;
use crate::kernel::vectorised;
use crate::optimiser::StepOutcome;
use crate::params::{values_mut, with_values};

/// Values per task of a thread. An update is elementwise, so that no bit depends on this; the sums of [`norm`] are cut
/// by it.
const PART: usize = 1 << 16;

/// Magnitude below which a moment is set to 0. Behind a ReLU that never opens gradients are 0 for good, and their
/// moments would shrink to subnormal numbers, which no decay brings to 0 and which cost a processor a hundred times as
/// much. No step of such a moment would reach the last bit of a weight.
const LEAST: f32 = 1e-36;

/// Returns `moment`, or 0 if its magnitude is below [`LEAST`].
#[inline(always)]
pub(crate) fn settled(moment: f32) -> f32 {
    if moment.abs() < LEAST { 0.0 } else { moment }
}

/// Two moments of every parameter value.
#[derive(Debug)]
pub(crate) enum Moments {
    /// Moments on the CPU: two flat vectors in parameter order.
    Host([Vec<f32>; 2]),
    /// Moments on another device: two tensors per parameter.
    Device(Vec<[Tensor; 2]>),
}

/// Saved state of an optimiser.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(deserialize_with = "rl_core::counter")]
    steps: u64,
    moments: [Vec<f32>; 2],
}

impl Moments {
    /// Moments of `params`, filled with the values `first`, on the device of the parameters.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) fn new(params: &Params, first: [f32; 2]) -> Result<Self> {
        if params.device().is_cpu() {
            Ok(Self::Host(first.map(|first| vec![first; params.len()])))
        } else {
            Self::on_device(params, first)
        }
    }

    /// Moments of `params` as tensors on their device, all filled with the given values, for a step in candle's own
    /// operations.
    pub(crate) fn on_device(params: &Params, [a, b]: [f32; 2]) -> Result<Self> {
        let full = |var: &Var, first| Tensor::full(first, var.dims(), params.device());
        let pairs = params.iter().map(|(_, var)| Ok([full(var, a)?, full(var, b)?]));
        Ok(Self::Device(pairs.collect::<Result<_>>()?))
    }

    /// Updates parameters and moments by the flat gradient `grad`: on the CPU `fused(p, moments, g)` changes slices in
    /// place; elsewhere `stock(p, g, moments)` returns the new parameter and replaces the moments in candle's
    /// operations. Returns whether all parameters are finite afterwards, as the outcome of a step that was made.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) fn step(
        &mut self,
        params: &Params,
        grad: &[f32],
        fused: impl Fn(&mut [f32], [&mut [f32]; 2], &[f32]) + Sync,
        stock: impl Fn(&Tensor, &Tensor, &mut [Tensor; 2]) -> Result<Tensor>,
    ) -> Result<StepOutcome> {
        let (mut at, finite) = (0, AtomicBool::new(true));
        // On a device 0 · p is summed up, which only what is finite makes 0, so that one number is waited for.
        let mut zero: Option<Tensor> = None;
        for (i, (_, var)) in params.iter().enumerate() {
            let range = at..at + var.elem_count();
            at = range.end;
            let grad = &grad[range.clone()];
            match self {
                Self::Host(moments) => {
                    let moments = Mutex::new(moments.each_mut().map(|moment| &mut moment[range.clone()]));
                    var.inplace_op1(&Update { grad, moments, fused: &fused, finite: &finite })?;
                }
                Self::Device(moments) => {
                    let grad = Tensor::from_slice(grad, var.dims(), var.device())?;
                    let moved = stock(var.as_tensor(), &grad, &mut moments[i])?;
                    let none = (&moved * 0.0)?.sum_all()?;
                    zero = Some(zero.map_or(Ok(none.clone()), |zero| zero + none)?);
                    var.set(&moved)?;
                }
            }
        }
        let on_device = zero.map_or(Ok(0.0), |zero| zero.to_scalar::<f32>())?;
        let finite = finite.into_inner() && on_device.is_finite();
        Ok(if finite { StepOutcome::Made } else { StepOutcome::NotFinite })
    }

    /// Writes `steps` and the moments in the postcard format.
    pub(crate) fn save(&self, steps: u64, out: &mut dyn Write) -> rl_core::Result<()> {
        let moments = match self {
            Self::Host(moments) => moments.clone(),
            Self::Device(pairs) => {
                let mut all = [Vec::new(), Vec::new()];
                for (at, moment) in pairs.iter().flat_map(|pair| (0..2).zip(pair)) {
                    with_values(moment, |values| all[at].extend_from_slice(values)).map_err(crate::tensor)?;
                }
                all
            }
        };
        write_postcard(&Kept { steps, moments }, out)
    }

    /// Restores the moments that [`save`](Moments::save) wrote, and returns the steps.
    ///
    /// # Errors
    /// If there are not as many moments as here.
    pub(crate) fn load(&mut self, from: &mut dyn Read) -> rl_core::Result<u64> {
        let Kept { steps, moments } = read_postcard("optimiser", from)?;
        let expected = match self {
            Self::Host([first, _]) => first.len(),
            Self::Device(pairs) => pairs.iter().map(|[first, _]| first.elem_count()).sum(),
        };
        if moments.iter().any(|moment| moment.len() != expected) {
            let [a, b] = moments.map(|moment| moment.len());
            let message = format!("holds {a} and {b} moments, expected {expected}");
            return Err(Error::State { part: "optimiser".to_owned(), message });
        }
        match self {
            Self::Host(here) => *here = moments,
            Self::Device(pairs) => {
                let mut at = 0;
                for pair in pairs {
                    let to = at + pair[0].elem_count();
                    for (tensor, moment) in pair.iter_mut().zip(&moments) {
                        *tensor = Tensor::from_slice(&moment[at..to], tensor.dims(), tensor.device())
                            .map_err(crate::tensor)?;
                    }
                    at = to;
                }
            }
        }
        Ok(steps)
    }
}

/// In-place operation that updates one parameter and its moments.
struct Update<'a, F> {
    grad: &'a [f32],
    moments: Mutex<[&'a mut [f32]; 2]>,
    fused: &'a F,
    /// Set to false when a parameter is not finite afterwards.
    finite: &'a AtomicBool,
}

impl<F: Fn(&mut [f32], [&mut [f32]; 2], &[f32]) + Sync> Update<'_, F> {
    fn part(&self, p: &mut [f32], moments: [&mut [f32]; 2], grad: &[f32]) {
        (self.fused)(p, moments, grad);
        if !are_finite(p) {
            self.finite.store(false, Ordering::Relaxed);
        }
    }
}

impl<F: Fn(&mut [f32], [&mut [f32]; 2], &[f32]) + Sync> InplaceOp1 for Update<'_, F> {
    fn name(&self) -> &'static str {
        "optimiser"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let p = values_mut(storage, layout)?;
        let mut moments = self.moments.lock().expect("locked once");
        let [a, b] = &mut *moments;
        // In parts on one thread too: what was just written is near when it is looked at.
        if p.len() <= PART || rayon::current_num_threads() == 1 {
            let parts = p.chunks_mut(PART).zip(a.chunks_mut(PART)).zip(b.chunks_mut(PART));
            parts.zip(self.grad.chunks(PART)).for_each(|(((p, a), b), g)| self.part(p, [a, b], g));
        } else {
            let parts = p.par_chunks_mut(PART).zip(a.par_chunks_mut(PART)).zip(b.par_chunks_mut(PART));
            parts.zip(self.grad.par_chunks(PART)).for_each(|(((p, a), b), g)| self.part(p, [a, b], g));
        }
        Ok(())
    }
}

/// Whether all of `values` are finite: the greatest of their bits without the sign, as integers, is below infinity's.
fn are_finite(values: &[f32]) -> bool {
    let mut most = 0;
    vectorised(
        #[inline(always)]
        || most = values.iter().fold(0, |most, value| most.max(value.to_bits() & !(1 << 31))),
    );
    most < f32::INFINITY.to_bits()
}

/// Global L2 norm of the gradient, with equal bits on every machine and any number of threads: 32 partial sums in `f32`
/// per block, then a sum in double precision in the order of blocks and parts. If squares overflow `f32`, though no
/// value is infinite, the sum is of squares in double precision.
pub(crate) fn norm(grad: &[f32]) -> f64 {
    let norm = norm_by_blocks(grad);
    if norm.is_infinite() && are_finite(grad) {
        return grad.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
    }
    norm
}

fn norm_by_blocks(grad: &[f32]) -> f64 {
    let square = |part: &[f32]| {
        let mut total = 0.0;
        vectorised(
            #[inline(always)]
            || {
                for block in part.chunks(4096) {
                    let mut sums = [0f32; 32];
                    let (wide, rest) = block.as_chunks::<32>();
                    for part in wide {
                        sums.iter_mut().zip(part).for_each(|(s, g)| *s += g * g);
                    }
                    sums.iter_mut().zip(rest).for_each(|(s, g)| *s += g * g);
                    total += sums.iter().map(|&s| f64::from(s)).sum::<f64>();
                }
            },
        );
        total
    };
    if grad.len() <= PART || rayon::current_num_threads() == 1 {
        return grad.chunks(PART).map(square).sum::<f64>().sqrt();
    }
    let parts: Vec<f64> = grad.par_chunks(PART).map(square).collect();
    parts.into_iter().sum::<f64>().sqrt()
}

/// Factor on a gradient of global norm `norm` that limits it to `clip`: `min(clip / (norm + 1e-6), 1)`, or 1 if `clip`
/// is 0.
pub(crate) fn clipping(clip: f64, norm: f64) -> f32 {
    if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
}

/// Whether the norm of a gradient is not finite, or so large, times the factor `scale` of clipping, that squares of its
/// values may overflow `f32`: their greatest is 3.4e38.
pub(crate) fn overflows(norm: f64, scale: f32) -> bool {
    let clipped = norm * f64::from(scale);
    clipped.is_nan() || clipped > 1.8e19
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_of_finite_values_has_a_norm() {
        assert_eq!(norm(&[3.0, 0.0, -4.0]), 5.0);
        let large = norm(&[3e30, 0.0, -4e30]);
        assert!((large / 5e30 - 1.0).abs() < 1e-6, "{large}");
        assert!(norm(&[1.0, f32::INFINITY]).is_infinite() && norm(&[1.0, f32::NAN]).is_nan());
        assert!(clipping(0.5, large) > 0.0);
    }

    #[test]
    fn a_value_that_is_not_finite_is_seen_wherever_it_stands() {
        for len in [1, 7, 32, 1000] {
            let mut values = vec![-f32::MAX; len];
            assert!(are_finite(&values));
            for at in [0, len / 2, len - 1] {
                for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN] {
                    let good = std::mem::replace(&mut values[at], bad);
                    assert!(!are_finite(&values), "{bad} at {at} of {len}");
                    values[at] = good;
                }
            }
        }
    }

    #[test]
    fn only_what_is_longer_than_the_clip_is_scaled() {
        assert_eq!([clipping(0.5, 0.0), clipping(0.5, 0.1), clipping(0.5, 0.499)], [1.0; 3]);
        assert!((clipping(0.5, 2.0) - 0.25).abs() < 1e-6 && (clipping(3.0, 4.0) - 0.75).abs() < 1e-6);
        assert_eq!(clipping(0.0, 1e9), 1.0, "no clip");
    }
}
