//! What an optimiser remembers of each parameter, two numbers, and the one pass in which both and the parameter move.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, Var};
use rayon::prelude::*;
use rl_core::{Error, read_postcard, write_postcard};
use serde::{Deserialize, Serialize};

use crate::Params;
use crate::kernel::vectorised;
use crate::params::{values_mut, with_values};

/// Values of a task. An update is elementwise, so that it decides no bit of one; the sum of a norm is cut by it.
const PART: usize = 1 << 16;

/// A moment nearer to 0 than this is 0. Behind a ReLU that never opens gradients are 0 for good, and what is remembered of
/// them would shrink to subnormal numbers, which no decay brings to 0 and which cost a processor a hundred times as much.
/// No step of such a moment would reach the last bit of a weight.
const LEAST: f32 = 1e-36;

/// A moment that may just have become too small to matter.
#[inline(always)]
pub(crate) fn settled(moment: f32) -> f32 {
    if moment.abs() < LEAST { 0.0 } else { moment }
}

#[derive(Debug)]
pub(crate) enum Moments {
    /// Flat, in parameter order.
    Host([Vec<f32>; 2]),
    /// Those of each parameter.
    Device(Vec<[Tensor; 2]>),
}

/// What is saved.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(deserialize_with = "rl_core::counter")]
    steps: u64,
    moments: [Vec<f32>; 2],
}

impl Moments {
    /// Moments of `params` that all are `first`.
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

    /// The same for candle's own operations.
    pub(crate) fn on_device(params: &Params, [a, b]: [f32; 2]) -> Result<Self> {
        let full = |var: &Var, first| Tensor::full(first, var.dims(), params.device());
        let pairs = params.iter().map(|(_, var)| Ok([full(var, a)?, full(var, b)?]));
        Ok(Self::Device(pairs.collect::<Result<_>>()?))
    }

    /// Moves parameters and moments by the gradient: on the host `fused(p, moments, g)` does on slices; elsewhere
    /// `stock(p, g, moments)` says in candle's operations what the parameter becomes. Returns whether all of them still are
    /// finite numbers.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) fn step(
        &mut self,
        params: &Params,
        grad: &[f32],
        fused: impl Fn(&mut [f32], [&mut [f32]; 2], &[f32]) + Sync,
        stock: impl Fn(&Tensor, &Tensor, &mut [Tensor; 2]) -> Result<Tensor>,
    ) -> Result<bool> {
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
        Ok(finite.into_inner() && on_device.is_finite())
    }

    /// Appends `steps` and the moments.
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

    /// Restores what [`save`](Moments::save) wrote, and returns the steps.
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

/// The pass over one parameter.
struct Update<'a, F> {
    grad: &'a [f32],
    moments: Mutex<[&'a mut [f32]; 2]>,
    fused: &'a F,
    /// Made false by a parameter that is not finite.
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

/// Whether all of `values` are numbers: the greatest of their bits without the sign, as integers, is that of one.
fn are_finite(values: &[f32]) -> bool {
    let mut most = 0;
    vectorised(
        #[inline(always)]
        || most = values.iter().fold(0, |most, value| most.max(value.to_bits() & !(1 << 31))),
    );
    most < f32::INFINITY.to_bits()
}

/// The global norm: 32 sums side by side in blocks, then in double precision, block after block and part after part,
/// whatever the machine and its threads. Where squares are beyond singles, though no value is, in double precision alone.
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

/// The factor on a gradient of global norm `norm` that leaves it at most `clip` long; 0 for no limit.
pub(crate) fn clipping(clip: f64, norm: f64) -> f32 {
    if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
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
}
