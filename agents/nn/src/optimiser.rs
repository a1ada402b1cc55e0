//! All optimisers in one enum, so that the settings of a learner choose one at run time.

use std::io::{Read, Write};

use candle_core::Result;
use rl_core::{Error, Saved};

use crate::{Adam, AdamConfig, Params, RmsProp, RmsPropConfig};

/// Choice of an optimiser, with its hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimiserConfig {
    /// Plain Adam, [`Adam`].
    Adam(AdamConfig),
    /// Rectified Adam, [`Adam::rectified`].
    RAdam(AdamConfig),
    /// RMSProp, [`RmsProp`].
    RmsProp(RmsPropConfig),
}

/// Result of one optimiser step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepStats {
    /// Global L2 norm of the gradient before clipping; if it is not finite, the step changed nothing.
    pub norm: f64,
    /// Whether every parameter is finite after the step; true without a look where `norm` is not finite.
    pub finite: bool,
}

/// Optimiser that an [`OptimiserConfig`] chose, with its moments.
#[derive(Debug)]
pub enum Optimiser {
    /// [`Adam`], rectified or not.
    Adam(Adam),
    /// RMSProp, [`RmsProp`].
    RmsProp(RmsProp),
}

impl Optimiser {
    /// Optimiser of the chosen kind for `params`, with no step made.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(params: &Params, config: OptimiserConfig) -> Result<Self> {
        Ok(match config {
            OptimiserConfig::Adam(config) => Self::Adam(Adam::new(params, config)?),
            OptimiserConfig::RAdam(config) => Self::Adam(Adam::rectified(params, config)?),
            OptimiserConfig::RmsProp(config) => Self::RmsProp(RmsProp::new(params, config)?),
        })
    }

    /// Number of steps made; a step whose gradient norm is not finite does not count.
    pub fn steps(&self) -> u64 {
        match self {
            Self::Adam(adam) => adam.steps(),
            Self::RmsProp(rms) => rms.steps(),
        }
    }

    /// Clips `grad` by its global norm, updates the moments and moves `params` at the learning rate `rate`.
    ///
    /// The gradient is flat in parameter order, as [`Params::backward`] writes it. If its norm is not finite, neither
    /// parameters nor moments nor the step count change.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If `grad` is not as long as `params`.
    pub fn step(&mut self, params: &Params, grad: &[f32], rate: f64) -> Result<StepStats> {
        match self {
            Self::Adam(adam) => adam.step(params, grad, rate),
            Self::RmsProp(rms) => rms.step(params, grad, rate),
        }
    }

    /// First byte of the saved state, which tells the kinds of optimisers apart.
    fn mark(&self) -> u8 {
        match self {
            Self::Adam(adam) if adam.rectified => b'D',
            Self::Adam(_) => b'A',
            Self::RmsProp(_) => b'R',
        }
    }
}

impl Saved for Optimiser {
    fn save(&self, out: &mut dyn Write) -> rl_core::Result<()> {
        out.write_all(&[self.mark()])?;
        match self {
            Self::Adam(adam) => adam.save(out),
            Self::RmsProp(rms) => rms.save(out),
        }
    }

    fn load(&mut self, from: &mut dyn Read) -> rl_core::Result<()> {
        let mut mark = [0];
        from.read_exact(&mut mark)?;
        if mark != [self.mark()] {
            let message = "is of another kind of optimiser than this run has".to_owned();
            return Err(Error::State { part: "optimiser".to_owned(), message });
        }
        match self {
            Self::Adam(adam) => adam.load(from),
            Self::RmsProp(rms) => rms.load(from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EpsPlace, Init};

    #[test]
    fn each_kind_is_saved_and_refuses_the_others_state() {
        let mut params = crate::check::params();
        params.root().var("a", &[3], Init::Ones).unwrap();
        let config = AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-5, clip: 0.5 };
        let (adam, radam) = (OptimiserConfig::Adam(config), OptimiserConfig::RAdam(config));
        let rms = OptimiserConfig::RmsProp(RmsPropConfig {
            decay: 0.99,
            eps: 1e-5,
            eps_place: EpsPlace::InsideRoot,
            first_square: 1.0,
            centred: true,
            clip: 0.5,
        });
        let mut saved = Vec::new();
        for config in [adam, rms, radam] {
            let mut optimiser = Optimiser::new(&params, config).unwrap();
            optimiser.step(&params, &[1.0, 2.0, 3.0], 0.1).unwrap();
            let (mut bytes, mut again) = (Vec::new(), Vec::new());
            optimiser.save(&mut bytes).unwrap();
            let mut fresh = Optimiser::new(&params, config).unwrap();
            fresh.load(&mut bytes.as_slice()).unwrap();
            fresh.save(&mut again).unwrap();
            assert_eq!((&bytes, fresh.steps()), (&again, 1));
            saved.push(bytes);
        }
        for (config, bytes) in [(adam, &saved[1]), (rms, &saved[0]), (radam, &saved[0])] {
            let error = Optimiser::new(&params, config).unwrap().load(&mut bytes.as_slice()).unwrap_err().to_string();
            assert!(error.contains("another kind of optimiser"), "{error}");
        }
    }

    #[test]
    fn a_parameter_that_a_step_makes_infinite_is_told_on_the_host_and_in_operations_of_candle() {
        let config = AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-5, clip: 0.0 };
        for stock in [false, true] {
            let mut params = crate::check::params();
            params.root().var("a", &[3], Init::Ones).unwrap();
            params.root().var("b", &[70_000], Init::Ones).unwrap();
            let mut adam = Adam::new(&params, config).unwrap();
            if stock {
                adam.moments = crate::moments::Moments::on_device(&params, [0.0; 2]).unwrap();
            }
            let mut grad = vec![1e-3; params.len()];
            assert!(adam.step(&params, &grad, 1e-3).unwrap().finite);
            grad[..70_000].fill(0.0);
            let moved = adam.step(&params, &grad, 1e39).unwrap();
            assert!(moved.norm.is_finite() && !moved.finite, "{moved:?}");
        }
    }
}
