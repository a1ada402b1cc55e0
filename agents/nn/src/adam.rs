//! Adam on the flat gradient, in place, with clipping by the global norm.
//! Source: Kingma and Ba 2015, as PyTorch computes it: ε is added after the bias correction of √v.

use std::io::{Read, Write};
use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, Var};
use rayon::prelude::*;
use rl_core::{Error, Saved, load_postcard, save_postcard};
use serde::{Deserialize, Serialize};

use crate::Params;
use crate::params::{values_mut, with_values};

/// Values that one task updates; elementwise, so that it decides no bit.
pub(crate) const PART: usize = 1 << 16;

/// The constants of [`Adam`]; the learning rate comes with each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub clip: f64,
}

/// The optimiser and its moments.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    steps: u64,
    moments: Moments,
}

#[derive(Debug)]
enum Moments {
    /// Flat, in parameter order.
    Host { m: Vec<f32>, v: Vec<f32> },
    /// `[m, v]` of each parameter.
    Device(Vec<[Tensor; 2]>),
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Factors {
    beta1: f32,
    beta2: f32,
    /// Learning rate over the bias correction of m.
    rate: f32,
    /// Root of the bias correction of v.
    root: f32,
    eps: f32,
    /// Of the gradient, by clipping.
    scale: f32,
}

impl Adam {
    /// An optimiser of `params` that has made no step.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(params: &Params, config: AdamConfig) -> Result<Self> {
        let moments = if params.device().is_cpu() {
            Moments::Host { m: vec![0.0; params.len()], v: vec![0.0; params.len()] }
        } else {
            Moments::zeros(params)?
        };
        Ok(Self { config, steps: 0, moments })
    }

    /// Steps made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves `params` against `grad`, flat as [`Params::backward`] leaves it, and returns the gradient's global norm
    /// before clipping; a norm that is not finite changes nothing.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If `grad` is not of these parameters.
    pub fn step(&mut self, params: &Params, grad: &[f32], rate: f64) -> Result<f64> {
        assert_eq!(grad.len(), params.len(), "gradient of these parameters");
        let norm = norm(grad);
        if !norm.is_finite() {
            return Ok(norm);
        }
        self.steps += 1;
        let factors = self.factors(norm, rate);
        match &mut self.moments {
            Moments::Host { m, v } => {
                let mut at = 0;
                for (_, var) in params.iter() {
                    let to = at + var.elem_count();
                    let moments = Mutex::new((&mut m[at..to], &mut v[at..to]));
                    var.inplace_op1(&Update { grad: &grad[at..to], moments, factors })?;
                    at = to;
                }
            }
            Moments::Device(moments) => {
                let mut at = 0;
                for ((_, var), moments) in params.iter().zip(moments) {
                    let to = at + var.elem_count();
                    update_stock(var, &grad[at..to], moments, factors)?;
                    at = to;
                }
            }
        }
        Ok(norm)
    }

    fn factors(&self, norm: f64, rate: f64) -> Factors {
        let AdamConfig { beta1, beta2, eps, clip } = self.config;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        Factors {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            rate: (rate / (1.0 - beta1.powi(steps))) as f32,
            root: (1.0 - beta2.powi(steps)).sqrt() as f32,
            eps: eps as f32,
            scale: clipping(clip, norm),
        }
    }
}

impl Moments {
    fn zeros(params: &Params) -> Result<Self> {
        let zeros = params.iter().map(|(_, var)| Ok([var.zeros_like()?, var.zeros_like()?]));
        Ok(Moments::Device(zeros.collect::<Result<_>>()?))
    }
}

/// The global norm: 16 sums side by side in blocks, then in double precision, whatever the machine.
pub(crate) fn norm(grad: &[f32]) -> f64 {
    let mut total = 0.0;
    for block in grad.chunks(1024) {
        let mut sums = [0f32; 16];
        for part in block.chunks(16) {
            sums.iter_mut().zip(part).for_each(|(s, g)| *s += g * g);
        }
        total += sums.iter().map(|&s| f64::from(s)).sum::<f64>();
    }
    total.sqrt()
}

/// The factor on a gradient of global norm `norm` that leaves it at most `clip` long; 0 for no limit.
pub(crate) fn clipping(clip: f64, norm: f64) -> f32 {
    if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) as f32 } else { 1.0 }
}

/// One parameter's update in one pass.
struct Update<'a> {
    grad: &'a [f32],
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
    factors: Factors,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let p = values_mut(storage, layout)?;
        let mut moments = self.moments.lock().expect("locked once");
        let (m, v) = &mut *moments;
        if p.len() <= PART || rayon::current_num_threads() == 1 {
            update(p, m, v, self.grad, self.factors);
            return Ok(());
        }
        let parts = p.par_chunks_mut(PART).zip(m.par_chunks_mut(PART)).zip(v.par_chunks_mut(PART));
        parts.zip(self.grad.par_chunks(PART)).for_each(|(((p, m), v), g)| update(p, m, v, g, self.factors));
        Ok(())
    }
}

fn update(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) {
    let Factors { beta1, beta2, rate, root, eps, scale } = factors;
    crate::kernel::vectorised(
        #[inline(always)]
        || {
            for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                let g = g * scale;
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                *p -= rate * *m / (v.sqrt() / root + eps);
            }
        },
    );
}

/// The same step in candle's own operations.
fn update_stock(var: &Var, grad: &[f32], [m, v]: &mut [Tensor; 2], factors: Factors) -> Result<()> {
    let f = |x: f32| f64::from(x);
    let g = (Tensor::from_slice(grad, var.dims(), var.device())? * f(factors.scale))?;
    *m = ((&*m * f(factors.beta1))? + (&g * f(1.0 - factors.beta1))?)?;
    *v = ((&*v * f(factors.beta2))? + ((&g * f(1.0 - factors.beta2))? * &g)?)?;
    let root = ((v.sqrt()? / f(factors.root))? + f(factors.eps))?;
    var.set(&(var.as_tensor() - ((&*m * f(factors.rate))? / root)?)?)
}

/// What is saved.
#[derive(Serialize, Deserialize)]
struct Kept {
    steps: u64,
    m: Vec<f32>,
    v: Vec<f32>,
}

impl Saved for Adam {
    fn save(&self, out: &mut dyn Write) -> rl_core::Result<()> {
        let (m, v) = match &self.moments {
            Moments::Host { m, v } => (m.clone(), v.clone()),
            Moments::Device(moments) => {
                let (mut m, mut v) = (Vec::new(), Vec::new());
                for [a, b] in moments {
                    with_values(a, |a| m.extend_from_slice(a)).map_err(crate::tensor)?;
                    with_values(b, |b| v.extend_from_slice(b)).map_err(crate::tensor)?;
                }
                (m, v)
            }
        };
        let mut bytes = Vec::new();
        save_postcard(&Kept { steps: self.steps, m, v }, &mut bytes)?;
        Ok(out.write_all(&bytes)?)
    }

    fn load(&mut self, from: &mut dyn Read) -> rl_core::Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let kept: Kept = load_postcard("optimiser", &bytes)?;
        let expected = match &self.moments {
            Moments::Host { m, .. } => m.len(),
            Moments::Device(moments) => moments.iter().map(|[m, _]| m.elem_count()).sum(),
        };
        if kept.m.len() != expected || kept.v.len() != expected {
            let message = format!("holds {} and {} moments, expected {expected}", kept.m.len(), kept.v.len());
            return Err(Error::State { part: "optimiser".to_owned(), message });
        }
        self.steps = kept.steps;
        match &mut self.moments {
            Moments::Host { m, v } => (*m, *v) = (kept.m, kept.v),
            Moments::Device(moments) => {
                let mut at = 0;
                for pair in moments {
                    let to = at + pair[0].elem_count();
                    let [m, v] = [&kept.m[at..to], &kept.v[at..to]]
                        .map(|values| Tensor::from_slice(values, pair[0].dims(), pair[0].device()));
                    *pair = [m.map_err(crate::tensor)?, v.map_err(crate::tensor)?];
                    at = to;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rl_core::{Rng, Stream};

    use super::*;
    use crate::Init;

    const CONFIG: AdamConfig = AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1.5e-4, clip: 2.0 };

    fn params() -> Params {
        let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        params.root().var("a", &[7, 9], Init::torch(2)).unwrap();
        params.root().var("b", &[300, 400], Init::torch(2)).unwrap();
        params
    }

    fn grads(params: &Params) -> Vec<Vec<f32>> {
        let mut rng = Rng::new(2, Stream::Tool(0));
        (0..5).map(|_| (0..params.len()).map(|_| 0.01 * rng.normal() as f32).collect()).collect()
    }

    fn flat(params: &Params) -> Vec<f32> {
        let mut out = vec![0.0; params.len()];
        params.read(&mut out).unwrap();
        out
    }

    #[test]
    fn fused_step_equals_stock_operations() {
        let (ours, theirs) = (params(), params());
        let mut fused = Adam::new(&ours, CONFIG).unwrap();
        let mut stock = Adam { config: CONFIG, steps: 0, moments: Moments::zeros(&theirs).unwrap() };
        for grad in grads(&ours) {
            assert_eq!(fused.step(&ours, &grad, 1e-3).unwrap(), stock.step(&theirs, &grad, 1e-3).unwrap());
        }
        let worst = flat(&ours).iter().zip(flat(&theirs)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-7, "{worst}");
        let (mut a, mut b) = (Vec::new(), Vec::new());
        fused.save(&mut a).unwrap();
        stock.save(&mut b).unwrap();
        stock.load(&mut a.as_slice()).unwrap();
        b.clear();
        stock.save(&mut b).unwrap();
        assert_eq!(a, b);
    }

    #[test]
    fn a_loaded_optimiser_goes_on_as_the_saved_one() {
        let (a, b) = (params(), params());
        let mut first = Adam::new(&a, CONFIG).unwrap();
        let grads = grads(&a);
        first.step(&a, &grads[0], 1e-3).unwrap();
        b.copy_from(&a).unwrap();
        let mut bytes = Vec::new();
        first.save(&mut bytes).unwrap();
        let mut second = Adam::new(&b, CONFIG).unwrap();
        second.load(&mut bytes.as_slice()).unwrap();
        for grad in &grads[1..] {
            first.step(&a, grad, 1e-3).unwrap();
            second.step(&b, grad, 1e-3).unwrap();
        }
        assert_eq!(flat(&a), flat(&b));
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let params = params();
        let before = flat(&params);
        let mut adam = Adam::new(&params, CONFIG).unwrap();
        let mut grad = vec![0.0; params.len()];
        grad[70] = f32::NAN;
        assert!(adam.step(&params, &grad, 1e-3).unwrap().is_nan());
        assert_eq!((flat(&params), adam.steps()), (before, 0));
    }

    #[test]
    fn the_norm_is_clipped_not_the_values() {
        let params = params();
        let mut adam = Adam::new(&params, CONFIG).unwrap();
        let grad = vec![1.0; params.len()];
        let norm = adam.step(&params, &grad, 1e-3).unwrap();
        assert!((norm - (params.len() as f64).sqrt()).abs() < 1e-3);
        let Moments::Host { m, .. } = &adam.moments else { panic!("the CPU keeps them flat") };
        let clipped = m.iter().map(|m| f64::from(*m * 10.0).powi(2)).sum::<f64>().sqrt();
        assert!((clipped - 2.0).abs() < 1e-3, "{clipped}");
    }
}
