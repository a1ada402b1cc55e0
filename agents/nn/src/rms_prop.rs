//! RMSProp on the flat gradient, in place, with clipping by the global norm.
//! Source: Hinton 2012; centred as Graves 2013 and Mnih et al. 2015 have it. Of the two places of ε: for a gradient far
//! above it they agree, for a small one TensorFlow's step (inside the root) is shorter than PyTorch's (outside).

use std::io::{Read, Write};

use candle_core::{Result, Tensor};
use rl_core::Saved;

use crate::Params;
use crate::moments::{Moments, clipping, norm, overflows, settled};
use crate::optimiser::{StepOutcome, StepStats};

/// Place of ε in the denominator of RMSProp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpsPlace {
    /// Denominator `√(v + ε)`, as in TensorFlow and the A2C of OpenAI Baselines.
    InsideRoot,
    /// Denominator `√v + ε`, as in PyTorch.
    OutsideRoot,
}

/// Hyperparameters of [`RmsProp`]; the learning rate is an argument of every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropConfig {
    /// Decay rate of v, the running mean of the squared gradient, and of the running mean of the gradient if centred.
    pub decay: f64,
    /// Term ε, added in the denominator at `eps_place`.
    pub eps: f64,
    /// Place of ε, inside or outside of the root.
    pub eps_place: EpsPlace,
    /// Value of v before the first step: 0 as in PyTorch, or 1 as in TensorFlow, which makes first steps shorter.
    pub first_square: f64,
    /// Whether the denominator has the running variance, v less the squared running mean, in place of v.
    pub centred: bool,
    /// Largest global L2 norm of the gradient; a longer gradient is scaled down to it, as by PyTorch's
    /// `clip_grad_norm_`. 0 turns clipping off.
    pub clip: f64,
}

/// RMSProp optimiser with its step count and moments.
#[derive(Debug)]
pub struct RmsProp {
    config: RmsPropConfig,
    steps: u64,
    /// Mean square and, if centred, mean of the gradient.
    moments: Moments,
}

/// Scalars of one optimiser step, equal for all parameter values.
#[derive(Clone, Copy)]
struct Factors {
    decay: f32,
    rate: f32,
    /// ε inside and outside of the root; one of them is 0.
    eps: [f32; 2],
    /// Factor on the gradient that clips its global norm; 1 where nothing is clipped.
    scale: f32,
}

impl RmsProp {
    /// RMSProp for `params`, with v at `first_square`, a zero mean and no step made.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(params: &Params, config: RmsPropConfig) -> Result<Self> {
        let moments = Moments::new(params, [config.first_square as f32, 0.0])?;
        Ok(Self { config, steps: 0, moments })
    }

    /// Number of steps made; a [refused](StepOutcome::Refused) one does not count.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Clips `grad` by its global norm, updates the moments and moves `params` at the learning rate `rate`.
    ///
    /// The gradient is flat in parameter order, as [`Params::backward`] writes it. If the step is
    /// [refused](StepOutcome::Refused), neither parameters nor moments nor the step count change.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If `grad` is not as long as `params`.
    pub fn step(&mut self, params: &Params, grad: &[f32], rate: f64) -> Result<StepStats> {
        assert_eq!(grad.len(), params.len(), "gradient of these parameters");
        let norm = norm(grad);
        let scale = clipping(self.config.clip, norm);
        if overflows(norm, scale) {
            return Ok(StepStats { norm, outcome: StepOutcome::Refused });
        }
        self.steps += 1;
        let eps = self.config.eps as f32;
        let factors = Factors {
            decay: self.config.decay as f32,
            rate: rate as f32,
            eps: if self.config.eps_place == EpsPlace::InsideRoot { [eps, 0.0] } else { [0.0, eps] },
            scale,
        };
        let centred = self.config.centred;
        let outcome = self.moments.step(
            params,
            grad,
            |p, [square, mean], g| {
                if centred {
                    update_centred(p, square, mean, g, factors);
                } else {
                    update(p, square, g, factors);
                }
            },
            |p, g, moments| update_stock(p, g, moments, centred, factors),
        )?;
        Ok(StepStats { norm, outcome })
    }
}

fn update(p: &mut [f32], square: &mut [f32], g: &[f32], factors: Factors) {
    let Factors { decay, rate, eps: [inside, outside], scale } = factors;
    crate::kernel::vectorised(
        #[inline(always)]
        || {
            for ((p, v), g) in p.iter_mut().zip(square).zip(g) {
                let g = g * scale;
                *v = settled(decay * *v + (1.0 - decay) * g * g);
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
                *v = settled(decay * *v + (1.0 - decay) * g * g);
                *m = settled(decay * *m + (1.0 - decay) * g);
                let variance = *v - *m * *m;
                let variance = if variance < 0.0 { 0.0 } else { variance }; // by rounding only
                *p -= rate * g / ((variance + inside).sqrt() + outside);
            }
        },
    );
}

/// RMSProp step in candle's own operations; returns the new parameter.
fn update_stock(
    p: &Tensor,
    g: &Tensor,
    [square, mean]: &mut [Tensor; 2],
    centred: bool,
    factors: Factors,
) -> Result<Tensor> {
    let f = |x: f32| f64::from(x);
    let (decay, rest) = (f(factors.decay), f(1.0 - factors.decay));
    let g = (g * f(factors.scale))?;
    *square = ((&*square * decay)? + ((&g * rest)? * &g)?)?;
    let mut level = square.clone();
    if centred {
        *mean = ((&*mean * decay)? + (&g * rest)?)?;
        level = (level - mean.sqr()?)?.maximum(0.0)?;
    }
    let root = ((level + f(factors.eps[0]))?.sqrt()? + f(factors.eps[1]))?;
    p - ((g * f(factors.rate))? / root)?
}

impl Saved for RmsProp {
    fn save(&self, out: &mut dyn Write) -> rl_core::Result<()> {
        self.moments.save(self.steps, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> rl_core::Result<()> {
        self.steps = self.moments.load(from)?;
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
            let moments = Moments::on_device(&theirs, [config.first_square as f32, 0.0]).unwrap();
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
            rms.step(&params, &[0.3], 1.0).unwrap().made(1).unwrap();
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
            first.step(&a, &grad(&a, 0), 1e-3).unwrap().made(1).unwrap();
            b.copy_from(&a).unwrap();
            let mut bytes = Vec::new();
            first.save(&mut bytes).unwrap();
            let mut second = RmsProp::new(&b, config).unwrap();
            second.load(&mut bytes.as_slice()).unwrap();
            for step in 1..4 {
                first.step(&a, &grad(&a, step), 1e-3).unwrap().made(1).unwrap();
                second.step(&b, &grad(&a, step), 1e-3).unwrap().made(1).unwrap();
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
        assert!(rms.step(&params, &grad, 1e-3).unwrap().norm.is_infinite());
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
                        rms.step(&params, &grad(&params, step), 1e-3).unwrap().made(1).unwrap();
                    }
                    values(&params)
                })
            };
            assert!(run(1) == run(4));
        }
    }
}
