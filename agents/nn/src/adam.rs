//! Adam on the flat gradient, in place, with clipping by the global norm.
//! Source: Kingma and Ba 2015, as PyTorch computes it: ε is added after the bias correction of √v. One thing is not
//! PyTorch's: 1 - β is a difference of `f32`, which makes v 0.0013 % smaller where β₂ is 0.999.

use std::io::{Read, Write};

use candle_core::{Result, Tensor};
use rl_core::Saved;

use crate::math::power;
use crate::moments::{Moments, clipping, norm, overflows, settled};
use crate::optimiser::{StepOutcome, StepStats};
use crate::{Params, radam};

/// Hyperparameters of [`Adam`]; the learning rate is an argument of every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Decay rate β₁ of the first moment m, the running mean of the gradient.
    pub beta1: f64,
    /// Decay rate β₂ of the second moment v, the running mean of the squared gradient.
    pub beta2: f64,
    /// Term ε, added to √v: after the bias correction of v in Adam, before it in rectified Adam, as in PyTorch.
    pub eps: f64,
    /// Largest global L2 norm of the gradient; a longer gradient is scaled down to it, as by PyTorch's
    /// `clip_grad_norm_`. 0 turns clipping off.
    pub clip: f64,
}

impl AdamConfig {
    /// Hyperparameters with β₁ = 0.9 and β₂ = 0.999, the defaults of Kingma and Ba and of PyTorch.
    pub const fn new(eps: f64, clip: f64) -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps, clip }
    }
}

/// Adam optimiser with its step count and moments; [`rectified`](Self::rectified) makes it RAdam.
#[derive(Debug)]
pub struct Adam {
    config: AdamConfig,
    /// Whether this is RAdam, which divides by √v only once the variance of v is bounded.
    pub(crate) rectified: bool,
    steps: u64,
    /// First moment m and second moment v of every parameter value, without bias correction.
    pub(crate) moments: Moments,
}

/// Scalars of one optimiser step, equal for all parameter values.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    /// Learning rate over `1 - β₁ᵗ`, the bias correction of m; in an adaptive step also times `√(1 - β₂ᵗ)`, and in
    /// RAdam times the rectification.
    pub(crate) rate: f32,
    /// `ε · √(1 - β₂ᵗ)` in Adam, where the correction of √v is taken out of the quotient to save a division per value;
    /// plain ε in RAdam.
    pub(crate) eps: f32,
    /// Whether the step divides by √v: always in Adam, in RAdam only once the variance of v is bounded.
    pub(crate) adapts: bool,
    /// Factor on the gradient that clips its global norm; 1 where nothing is clipped.
    pub(crate) scale: f32,
}

impl Adam {
    /// Adam for `params`, with zero moments and no step made.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(params: &Params, config: AdamConfig) -> Result<Self> {
        let moments = Moments::new(params, [0.0; 2])?;
        Ok(Self { config, rectified: false, steps: 0, moments })
    }

    /// Rectified Adam (RAdam) for `params`: as long as too few gradients have been seen to bound the variance of v,
    /// steps follow the first moment alone; later ones are scaled by a rectification that grows to 1.
    /// Source: Liu et al. 2020.
    ///
    /// # Errors
    /// If the device fails.
    pub fn rectified(params: &Params, config: AdamConfig) -> Result<Self> {
        Ok(Self { rectified: true, ..Self::new(params, config)? })
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
        let factors = self.factors(scale, rate);
        let outcome = self.moments.step(
            params,
            grad,
            |p, [m, v], g| if factors.adapts { update(p, m, v, g, factors) } else { radam::wait(p, m, v, g, factors) },
            |p, g, moments| match factors.adapts {
                true => update_stock(p, g, moments, factors),
                false => radam::wait_stock(p, g, moments, factors),
            },
        )?;
        Ok(StepStats { norm, outcome })
    }

    fn factors(&self, scale: f32, rate: f64) -> Factors {
        let AdamConfig { beta1, beta2, eps, .. } = self.config;
        let root = (1.0 - power(beta2, self.steps)).sqrt();
        let rate = rate / (1.0 - power(beta1, self.steps));
        let (rate, eps, adapts) = match self.rectified.then(|| radam::rectification(beta2, self.steps)) {
            None => (rate * root, eps * root, true),
            Some(Some(by)) => (rate * (by * root), eps, true),
            Some(None) => (rate, eps, false),
        };
        Factors { beta1: beta1 as f32, beta2: beta2 as f32, rate: rate as f32, eps: eps as f32, adapts, scale }
    }
}

fn update(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) {
    let Factors { beta1, beta2, rate, eps, scale, .. } = factors;
    crate::kernel::vectorised(
        #[inline(always)]
        || {
            for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                let g = g * scale;
                *m = settled(beta1 * *m + (1.0 - beta1) * g);
                *v = settled(beta2 * *v + (1.0 - beta2) * g * g);
                *p -= rate * *m / (v.sqrt() + eps);
            }
        },
    );
}

/// Adaptive step in candle's own operations; returns the new parameter.
fn update_stock(p: &Tensor, g: &Tensor, [m, v]: &mut [Tensor; 2], factors: Factors) -> Result<Tensor> {
    let f = |x: f32| f64::from(x);
    let g = (g * f(factors.scale))?;
    *m = ((&*m * f(factors.beta1))? + (&g * f(1.0 - factors.beta1))?)?;
    *v = ((&*v * f(factors.beta2))? + ((&g * f(1.0 - factors.beta2))? * &g)?)?;
    let root = (v.sqrt()? + f(factors.eps))?;
    p - ((&*m * f(factors.rate))? / root)?
}

impl Saved for Adam {
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
        let mut stock = Adam::new(&theirs, CONFIG).unwrap();
        stock.moments = Moments::on_device(&theirs, [0.0; 2]).unwrap();
        for grad in grads(&ours) {
            assert_eq!(fused.step(&ours, &grad, 1e-3).unwrap(), stock.step(&theirs, &grad, 1e-3).unwrap());
        }
        let worst = crate::check::largest(flat(&ours).iter().zip(flat(&theirs)).map(|(a, b)| (a - b).abs()));
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
        first.step(&a, &grads[0], 1e-3).unwrap().made(1).unwrap();
        b.copy_from(&a).unwrap();
        let mut bytes = Vec::new();
        first.save(&mut bytes).unwrap();
        let mut second = Adam::new(&b, CONFIG).unwrap();
        second.load(&mut bytes.as_slice()).unwrap();
        for grad in &grads[1..] {
            first.step(&a, grad, 1e-3).unwrap().made(1).unwrap();
            second.step(&b, grad, 1e-3).unwrap().made(1).unwrap();
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
        assert!(adam.step(&params, &grad, 1e-3).unwrap().norm.is_nan());
        assert_eq!((flat(&params), adam.steps()), (before, 0));
    }

    #[test]
    fn the_norm_is_clipped_not_the_values() {
        let params = params();
        let mut adam = Adam::new(&params, CONFIG).unwrap();
        let grad = vec![1.0; params.len()];
        let norm = adam.step(&params, &grad, 1e-3).unwrap().norm;
        assert!((norm - (params.len() as f64).sqrt()).abs() < 1e-3);
        let Moments::Host([m, _]) = &adam.moments else { panic!("the CPU keeps them flat") };
        let clipped = m.iter().map(|m| f64::from(*m * 10.0).powi(2)).sum::<f64>().sqrt();
        assert!((clipped - 2.0).abs() < 1e-3, "{clipped}");
    }

    #[test]
    fn moments_of_gradients_that_ceased_end_at_zero_and_are_never_subnormal() {
        let params = params();
        let mut adam = Adam::new(&params, CONFIG).unwrap();
        let mut grad = grads(&params)[0].clone();
        for _ in 0..1200 {
            adam.step(&params, &grad, 1e-3).unwrap().made(1).unwrap();
            let Moments::Host([m, v]) = &adam.moments else { panic!("the CPU keeps them flat") };
            assert!(m.iter().chain(v).all(|moment| moment.is_normal() || *moment == 0.0));
            grad.fill(0.0);
        }
        let Moments::Host([m, _]) = &adam.moments else { panic!("the CPU keeps them flat") };
        assert!(m.iter().all(|m| *m == 0.0), "0.9 to the power of 1200 is below any number of f32");
    }

    /// Of a constant gradient g the corrected moments are g and g² in every step, whatever the decay rates.
    #[test]
    fn both_moments_are_corrected_for_their_beginning_at_zero() {
        let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        params.root().var("a", &[1], Init::Zeros).unwrap();
        let mut adam = Adam::new(&params, AdamConfig { eps: 0.5, clip: 0.0, ..CONFIG }).unwrap();
        for step in 1..=4 {
            adam.step(&params, &[0.3], 0.1).unwrap().made(1).unwrap();
            let expected = -0.1 * 0.3 / (0.3 + 0.5) * step as f32;
            assert!((flat(&params)[0] / expected - 1.0).abs() < 1e-4, "step {step}: {:?}, {expected}", flat(&params));
        }
    }

    #[test]
    fn a_parameter_that_a_step_makes_infinite_is_told() {
        let params = params();
        let mut adam = Adam::new(&params, CONFIG).unwrap();
        let mut grad = vec![0.0; params.len()];
        assert_eq!(adam.step(&params, &grad, 1e-3).unwrap().outcome, StepOutcome::Made);
        grad[70] = 1.0;
        assert_eq!(adam.step(&params, &grad, 1e39).unwrap().outcome, StepOutcome::NotFinite);
    }
}
