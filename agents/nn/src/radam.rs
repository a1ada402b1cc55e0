//! Step rules of rectified Adam (RAdam), which does not adapt until its second moment can be trusted.
//!
//! The mean square of a few gradients varies so much that a step divided by its root is a matter of luck. While so few
//! have been seen that its variance has no bound, steps follow the first moment alone; then the adaptive ones grow to
//! Adam's.
//! Source: Liu et al. 2020, "On the variance of the adaptive learning rate and beyond", algorithm 2, as PyTorch
//! computes it: ε is added to √v before the bias correction, and adapting begins where more than 5 degrees of freedom
//! are seen.

use candle_core::{Result, Tensor};

use crate::adam::Factors;
use crate::math::power;
use crate::moments::settled;

/// Degrees of freedom ρ beyond which steps are adaptive.
const TRUSTED: f64 = 5.0;

/// Rectification r of an adaptive step, given the step count; `None` while ρ ≤ 5, where steps are not adaptive.
pub(crate) fn rectification(beta2: f64, steps: u64) -> Option<f64> {
    let power = power(beta2, steps);
    let most = 2.0 / (1.0 - beta2) - 1.0;
    let seen = most - 2.0 * steps as f64 * power / (1.0 - power);
    let variance = |freedom: f64| (freedom - 4.0) * (freedom - 2.0) / freedom;
    (seen > TRUSTED).then(|| (variance(seen) / variance(most)).sqrt())
}

/// Step without adaptation: updates both moments and moves `p` along the bias-corrected first moment.
pub(crate) fn wait(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) {
    let Factors { beta1, beta2, rate, scale, .. } = factors;
    crate::kernel::vectorised(
        #[inline(always)]
        || {
            for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                let g = g * scale;
                *m = settled(beta1 * *m + (1.0 - beta1) * g);
                *v = settled(beta2 * *v + (1.0 - beta2) * g * g);
                *p -= rate * *m;
            }
        },
    );
}

/// Step without adaptation, as [`wait`] makes it, in candle's own operations; returns the new parameter.
pub(crate) fn wait_stock(p: &Tensor, g: &Tensor, [m, v]: &mut [Tensor; 2], factors: Factors) -> Result<Tensor> {
    let f = |x: f32| f64::from(x);
    let g = (g * f(factors.scale))?;
    *m = ((&*m * f(factors.beta1))? + (&g * f(1.0 - factors.beta1))?)?;
    *v = ((&*v * f(factors.beta2))? + ((&g * f(1.0 - factors.beta2))? * &g)?)?;
    p - (&*m * f(factors.rate))?
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rl_core::{Rng, Saved, Stream};

    use super::*;
    use crate::moments::Moments;
    use crate::{Adam, AdamConfig, Init, Params};

    const CONFIG: AdamConfig = AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, clip: 2.0 };

    fn params() -> Params {
        let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        params.root().var("a", &[7, 9], Init::torch(2)).unwrap();
        params
    }

    fn grads(count: usize, len: usize) -> Vec<Vec<f32>> {
        let mut rng = Rng::new(2, Stream::Tool(0));
        (0..count).map(|_| (0..len).map(|_| rng.normal() as f32).collect()).collect()
    }

    fn flat(params: &Params) -> Vec<f32> {
        let mut out = vec![0.0; params.len()];
        params.read(&mut out).unwrap();
        out
    }

    #[test]
    fn steps_adapt_from_the_sixth_on_and_end_as_adams() {
        // With β₂ = 0.999 as in the paper's figure 5.
        assert!((1..=5).all(|steps| rectification(0.999, steps).is_none()));
        let by: Vec<f64> = [6, 100, 1000, 100_000].map(|steps| rectification(0.999, steps).unwrap()).to_vec();
        assert!(by[0] < 0.05 && by.windows(2).all(|pair| pair[0] < pair[1]), "{by:?}");
        assert!((by[3] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn fused_steps_equal_stock_operations() {
        let (ours, theirs) = (params(), params());
        let mut fused = Adam::rectified(&ours, CONFIG).unwrap();
        let mut stock = Adam::rectified(&theirs, CONFIG).unwrap();
        stock.moments = Moments::on_device(&theirs, [0.0; 2]).unwrap();
        for grad in grads(9, ours.len()) {
            assert_eq!(fused.step(&ours, &grad, 1e-3).unwrap(), stock.step(&theirs, &grad, 1e-3).unwrap());
        }
        let worst = crate::check::largest(flat(&ours).iter().zip(flat(&theirs)).map(|(a, b)| (a - b).abs()));
        assert!(worst < 1e-7, "{worst}");
    }

    #[test]
    fn a_loaded_optimiser_goes_on_as_the_saved_one_and_a_bad_gradient_changes_nothing() {
        let (a, b) = (params(), params());
        let mut first = Adam::rectified(&a, CONFIG).unwrap();
        let grads = grads(8, a.len());
        grads[..4].iter().for_each(|grad| assert!(first.step(&a, grad, 1e-3).unwrap().norm > 0.0));
        let before = flat(&a);
        assert!(first.step(&a, &vec![f32::NAN; a.len()], 1e-3).unwrap().norm.is_nan());
        assert_eq!((flat(&a), first.steps()), (before, 4));
        b.copy_from(&a).unwrap();
        let mut bytes = Vec::new();
        first.save(&mut bytes).unwrap();
        let mut second = Adam::rectified(&b, CONFIG).unwrap();
        second.load(&mut bytes.as_slice()).unwrap();
        for grad in &grads[4..] {
            first.step(&a, grad, 1e-3).unwrap().made(1).unwrap();
            second.step(&b, grad, 1e-3).unwrap().made(1).unwrap();
        }
        assert_eq!(flat(&a), flat(&b));
    }

    /// Numbers of algorithm 2 of the paper, computed in Python.
    #[test]
    fn rectifications_are_those_of_the_paper() {
        for (beta2, steps, expected) in [
            (0.999, 6, 0.025_821_112_8),
            (0.999, 100, 0.215_335_436_5),
            (0.999, 1000, 0.645_325_652_3),
            (0.9, 6, 0.255_176_806_5),
            (0.9, 12, 0.572_001_049_8),
        ] {
            let got = rectification(beta2, steps).unwrap();
            assert!((got / expected - 1.0).abs() < 1e-6, "{beta2}, {steps}: {got}");
        }
    }

    /// By hand, of a constant gradient g: the corrected m is g, √v is g √(1 - β₂ᵗ), and ε stands beside it as it is.
    #[test]
    fn a_step_is_the_first_moment_alone_and_later_that_over_the_root_and_epsilon() {
        let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        params.root().var("a", &[1], Init::Zeros).unwrap();
        let config = AdamConfig { beta1: 0.9, beta2: 0.9, eps: 0.5, clip: 0.0 };
        let (mut adam, mut at) = (Adam::rectified(&params, config).unwrap(), 0.0);
        for step in 1..=12 {
            adam.step(&params, &[0.3], 0.1).unwrap().made(1).unwrap();
            let root = (1.0 - 0.9f64.powi(step)).sqrt();
            let along = match rectification(0.9, step as u64) {
                None => 0.3,
                Some(by) => by * root * 0.3 / (0.3 * root + 0.5),
            };
            at -= 0.1 * along;
            assert!((f64::from(flat(&params)[0]) - at).abs() < 1e-5, "step {step}: {:?}, {at}", flat(&params));
        }
    }
}
