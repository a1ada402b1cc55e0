//! RMSProp on the flat gradient, in place, with clipping by the global norm.
//! Source: Hinton 2012; centred as Graves 2013 and Mnih et al. 2015 have it; both places of ε, for a gradient far above it
//! they agree, for a small one TensorFlow's step (inside the root) is shorter than PyTorch's (outside).

use std::io::{Read, Write};
use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, Var};
use rayon::prelude::*;
use rl_core::{Error, Saved, load_postcard, save_postcard};
use serde::{Deserialize, Serialize};

use crate::Params;
use crate::adam::{PART, clipping, norm};
use crate::params::{values_mut, with_values};

/// Where ε is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpsPlace {
    /// √(v + ε), as TensorFlow and the A2C of OpenAI Baselines do.
    InsideRoot,
    /// √v + ε, as PyTorch does.
    OutsideRoot,
}

/// The constants of [`RmsProp`]; the learning rate comes with each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RmsPropConfig {
    /// Decay of the mean square, and of the mean if centred.
    pub decay: f64,
    /// Added to the mean square or its root.
    pub eps: f64,
    /// Where it is added.
    pub eps_place: EpsPlace,
    /// The mean square before the first step: 0 as in PyTorch, or 1 as in TensorFlow, which makes first steps shorter.
    pub first_square: f64,
    /// Whether the variance is taken in place of the mean square.
    pub centred: bool,
    /// Largest global norm of the gradient; 0 for no limit.
    pub clip: f64,
}

/// The optimiser and its moments.
#[derive(Debug)]
pub struct RmsProp {
    config: RmsPropConfig,
    steps: u64,
    moments: Moments,
}

#[derive(Debug)]
enum Moments {
    /// Flat, in parameter order; the mean is empty unless centred.
    Host { square: Vec<f32>, mean: Vec<f32> },
    /// `[square, mean]` of each parameter.
    Device(Vec<[Tensor; 2]>),
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Factors {
    decay: f32,
    rate: f32,
    /// ε inside and outside of the root; one of them is 0.
    eps: [f32; 2],
    /// Of the gradient, by clipping.
    scale: f32,
}

impl RmsProp {
    /// An optimiser of `params` that has made no step.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(params: &Params, config: RmsPropConfig) -> Result<Self> {
        let first = config.first_square as f32;
        let moments = if params.device().is_cpu() {
            let mean = vec![0.0; if config.centred { params.len() } else { 0 }];
            Moments::Host { square: vec![first; params.len()], mean }
        } else {
            Moments::on_device(params, first)?
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
        let eps = self.config.eps as f32;
        let factors = Factors {
            decay: self.config.decay as f32,
            rate: rate as f32,
            eps: if self.config.eps_place == EpsPlace::InsideRoot { [eps, 0.0] } else { [0.0, eps] },
            scale: clipping(self.config.clip, norm),
        };
        let mut at = 0;
        match &mut self.moments {
            Moments::Host { square, mean } => {
                for (_, var) in params.iter() {
                    let to = at + var.elem_count();
                    let mean = if self.config.centred { &mut mean[at..to] } else { &mut [][..] };
                    let moments = Mutex::new((&mut square[at..to], mean));
                    var.inplace_op1(&Update { grad: &grad[at..to], moments, factors })?;
                    at = to;
                }
            }
            Moments::Device(moments) => {
                for ((_, var), moments) in params.iter().zip(moments) {
                    let to = at + var.elem_count();
                    update_stock(var, &grad[at..to], moments, self.config.centred, factors)?;
                    at = to;
                }
            }
        }
        Ok(norm)
    }
}

impl Moments {
    fn on_device(params: &Params, first: f32) -> Result<Self> {
        let make = |(_, var): (&str, &Var)| {
            Ok([Tensor::full(first, var.dims(), params.device())?, var.as_detached_tensor().zeros_like()?])
        };
        Ok(Moments::Device(params.iter().map(make).collect::<Result<_>>()?))
    }
}

/// One parameter's update in one pass.
struct Update<'a> {
    grad: &'a [f32],
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
    factors: Factors,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "rms-prop"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let p = values_mut(storage, layout)?;
        let mut moments = self.moments.lock().expect("locked once");
        let (square, mean) = &mut *moments;
        let serial = p.len() <= PART || rayon::current_num_threads() == 1;
        match (serial, mean.is_empty()) {
            (true, true) => update(p, square, self.grad, self.factors),
            (true, false) => update_centred(p, square, mean, self.grad, self.factors),
            (false, true) => {
                let parts = p.par_chunks_mut(PART).zip(square.par_chunks_mut(PART)).zip(self.grad.par_chunks(PART));
                parts.for_each(|((p, square), g)| update(p, square, g, self.factors));
            }
            (false, false) => {
                let parts = p.par_chunks_mut(PART).zip(square.par_chunks_mut(PART)).zip(mean.par_chunks_mut(PART));
                let parts = parts.zip(self.grad.par_chunks(PART));
                parts.for_each(|(((p, square), mean), g)| update_centred(p, square, mean, g, self.factors));
            }
        }
        Ok(())
    }
}

fn update(p: &mut [f32], square: &mut [f32], g: &[f32], factors: Factors) {
    let Factors { decay, rate, eps: [inside, outside], scale } = factors;
    crate::kernel::vectorised(
        #[inline(always)]
        || {
            for ((p, v), g) in p.iter_mut().zip(square).zip(g) {
                let g = g * scale;
                *v = decay * *v + (1.0 - decay) * g * g;
                *p -= rate * g / ((*v + inside).sqrt() + outside);
            }
        },
    );
}

fn update_centred(p: &mut [f32], square: &mut [f32], mean: &mut [f32], g: &[f32], factors: Factors) {
    let Factors { decay, rate, eps: [inside, outside], scale } = factors;
    crate::kernel::vectorised(
        #[inline(always)]
        || {
            for (((p, v), m), g) in p.iter_mut().zip(square).zip(mean).zip(g) {
                let g = g * scale;
                *v = decay * *v + (1.0 - decay) * g * g;
                *m = decay * *m + (1.0 - decay) * g;
                let variance = *v - *m * *m;
                let variance = if variance < 0.0 { 0.0 } else { variance }; // by rounding only
                *p -= rate * g / ((variance + inside).sqrt() + outside);
            }
        },
    );
}

/// The same step in candle's own operations.
fn update_stock(
    var: &Var,
    grad: &[f32],
    [square, mean]: &mut [Tensor; 2],
    centred: bool,
    factors: Factors,
) -> Result<()> {
    let f = |x: f32| f64::from(x);
    let (decay, rest) = (f(factors.decay), f(1.0 - factors.decay));
    let g = (Tensor::from_slice(grad, var.dims(), var.device())? * f(factors.scale))?;
    *square = ((&*square * decay)? + ((&g * rest)? * &g)?)?;
    let mut level = square.clone();
    if centred {
        *mean = ((&*mean * decay)? + (&g * rest)?)?;
        level = (level - mean.sqr()?)?.maximum(0.0)?;
    }
    let root = ((level + f(factors.eps[0]))?.sqrt()? + f(factors.eps[1]))?;
    var.set(&(var.as_tensor() - ((g * f(factors.rate))? / root)?)?)
}

/// What is saved.
#[derive(Serialize, Deserialize)]
struct Kept {
    steps: u64,
    square: Vec<f32>,
    mean: Vec<f32>,
}

impl Saved for RmsProp {
    fn save(&self, out: &mut dyn Write) -> rl_core::Result<()> {
        let (square, mean) = match &self.moments {
            Moments::Host { square, mean } => (square.clone(), mean.clone()),
            Moments::Device(moments) => {
                let (mut square, mut mean) = (Vec::new(), Vec::new());
                for [a, b] in moments {
                    with_values(a, |a| square.extend_from_slice(a)).map_err(crate::tensor)?;
                    if self.config.centred {
                        with_values(b, |b| mean.extend_from_slice(b)).map_err(crate::tensor)?;
                    }
                }
                (square, mean)
            }
        };
        let mut bytes = Vec::new();
        save_postcard(&Kept { steps: self.steps, square, mean }, &mut bytes)?;
        Ok(out.write_all(&bytes)?)
    }

    fn load(&mut self, from: &mut dyn Read) -> rl_core::Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let kept: Kept = load_postcard("optimiser", &bytes)?;
        let expected = match &self.moments {
            Moments::Host { square, .. } => square.len(),
            Moments::Device(moments) => moments.iter().map(|[square, _]| square.elem_count()).sum(),
        };
        let means = if self.config.centred { expected } else { 0 };
        if kept.square.len() != expected || kept.mean.len() != means {
            let (squares, found) = (kept.square.len(), kept.mean.len());
            let message = format!("holds {squares} mean squares and {found} means, expected {expected} and {means}");
            return Err(Error::State { part: "optimiser".to_owned(), message });
        }
        match &mut self.moments {
            Moments::Host { square, mean } => (*square, *mean) = (kept.square, kept.mean),
            Moments::Device(moments) => {
                let mut at = 0;
                for [square, mean] in moments {
                    let to = at + square.elem_count();
                    let put = |values: &[f32]| Tensor::from_slice(values, square.dims(), square.device());
                    let loaded = put(&kept.square[at..to]).map_err(crate::tensor)?;
                    if self.config.centred {
                        *mean = put(&kept.mean[at..to]).map_err(crate::tensor)?;
                    }
                    *square = loaded;
                    at = to;
                }
            }
        }
        self.steps = kept.steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Init;
    use crate::check::{close, draws, flat};

    /// The A2C of OpenAI Baselines.
    const TF: RmsPropConfig = RmsPropConfig {
        decay: 0.99,
        eps: 1e-5,
        eps_place: EpsPlace::InsideRoot,
        first_square: 1.0,
        centred: false,
        clip: 0.5,
    };

    fn configs() -> [RmsPropConfig; 4] {
        let torch = RmsPropConfig { eps: 1e-8, eps_place: EpsPlace::OutsideRoot, first_square: 0.0, clip: 0.0, ..TF };
        let nature = RmsPropConfig { decay: 0.95, eps: 0.01, centred: true, first_square: 0.0, clip: 0.0, ..TF };
        [TF, torch, nature, RmsPropConfig { centred: true, eps: 1e-3, ..torch }]
    }

    fn params() -> Params {
        let mut params = crate::check::params();
        params.root().var("a", &[7, 9], Init::torch(2)).unwrap();
        params.root().var("b", &[300, 400], Init::torch(2)).unwrap();
        params
    }

    fn values(params: &Params) -> Vec<f32> {
        let mut out = vec![0.0; params.len()];
        params.read(&mut out).unwrap();
        out
    }

    fn grad(params: &Params, step: u32) -> Vec<f32> {
        flat(&(draws(&[params.len()], step) * 0.01).unwrap())
    }

    #[test]
    fn fused_step_equals_stock_operations_and_saves_alike() {
        for config in configs() {
            let (ours, theirs) = (params(), params());
            let mut fused = RmsProp::new(&ours, config).unwrap();
            let moments = Moments::on_device(&theirs, config.first_square as f32).unwrap();
            let mut stock = RmsProp { config, steps: 0, moments };
            for step in 0..5 {
                let grad = grad(&ours, step);
                assert_eq!(fused.step(&ours, &grad, 1e-3).unwrap(), stock.step(&theirs, &grad, 1e-3).unwrap());
            }
            close(&values(&ours), &values(&theirs), 1e-6, "parameters");
            let saved = |of: &RmsProp| {
                let mut bytes = Vec::new();
                of.save(&mut bytes).unwrap();
                bytes
            };
            stock.load(&mut saved(&fused).as_slice()).unwrap();
            assert_eq!(saved(&stock), saved(&fused));
        }
    }

    /// One step by hand: g = 0.3, so v = 0.99 · first + 0.01 · 0.09.
    #[test]
    fn epsilon_and_the_first_square_stand_where_they_are_said_to() {
        let one = |config: RmsPropConfig| {
            let mut params = crate::check::params();
            params.root().var("a", &[1], Init::Zeros).unwrap();
            let mut rms = RmsProp::new(&params, RmsPropConfig { eps: 0.5, clip: 0.0, ..config }).unwrap();
            rms.step(&params, &[0.3], 1.0).unwrap();
            values(&params)
        };
        let [tf, torch, nature, _] = configs();
        close(&one(tf), &[-0.3 / (0.990_9_f32 + 0.5).sqrt()], 1e-6, "inside, first 1");
        close(&one(torch), &[-0.3 / (0.000_9_f32.sqrt() + 0.5)], 1e-6, "outside, first 0");
        close(&one(nature), &[-0.3 / (0.004_5_f32 - 0.000_225 + 0.5).sqrt()], 1e-6, "centred, inside");
    }

    #[test]
    fn a_loaded_optimiser_goes_on_as_the_saved_one() {
        for config in configs() {
            let (a, b) = (params(), params());
            let mut first = RmsProp::new(&a, config).unwrap();
            first.step(&a, &grad(&a, 0), 1e-3).unwrap();
            b.copy_from(&a).unwrap();
            let mut bytes = Vec::new();
            first.save(&mut bytes).unwrap();
            let mut second = RmsProp::new(&b, config).unwrap();
            second.load(&mut bytes.as_slice()).unwrap();
            for step in 1..4 {
                first.step(&a, &grad(&a, step), 1e-3).unwrap();
                second.step(&b, &grad(&a, step), 1e-3).unwrap();
            }
            assert_eq!((values(&a), first.steps()), (values(&b), second.steps()));
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let params = params();
        let before = values(&params);
        let mut rms = RmsProp::new(&params, TF).unwrap();
        let mut grad = vec![0.0; params.len()];
        grad[70] = f32::INFINITY;
        assert!(rms.step(&params, &grad, 1e-3).unwrap().is_infinite());
        assert_eq!((values(&params), rms.steps()), (before, 0));
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        for config in configs() {
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let params = params();
                    let mut rms = RmsProp::new(&params, config).unwrap();
                    for step in 0..3 {
                        rms.step(&params, &grad(&params, step), 1e-3).unwrap();
                    }
                    values(&params)
                })
            };
            assert!(run(1) == run(4));
        }
    }
}
