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

/// Result of one optimiser step, which may not have been made: [`StepStats::outcome`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepStats {
    /// Global L2 norm of the gradient before clipping.
    pub norm: f64,
    /// What became of the step.
    pub outcome: StepOutcome,
}

impl StepStats {
    /// Norm of the gradient of update `number`, the first being 1.
    ///
    /// # Errors
    /// If the step was not made, or a parameter is not finite after it.
    pub fn made(self, number: u64) -> rl_core::Result<f64> {
        let what = match self.outcome {
            StepOutcome::Made => return Ok(self.norm),
            StepOutcome::Refused => format!("the norm of the gradient is {:.1e}: no step was made", self.norm),
            StepOutcome::NotFinite => "its step makes a parameter that is not finite".to_owned(),
        };
        Err(Error::NotFinite { update: number, what, batch: Vec::new() })
    }
}

/// What became of an optimiser step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It was made, and every parameter is finite.
    Made,
    /// It was made, and a parameter is not finite.
    NotFinite,
    /// It was not made, and changed nothing: the norm of the gradient is not finite, or still so large after clipping
    /// that squares of its values would overflow `f32`, after which a second moment stays infinite and its parameter
    /// still.
    Refused,
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

    /// Number of steps made; a [refused](StepOutcome::Refused) one does not count.
    pub fn steps(&self) -> u64 {
        match self {
            Self::Adam(adam) => adam.steps(),
            Self::RmsProp(rms) => rms.steps(),
        }
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
            optimiser.step(&params, &[1.0, 2.0, 3.0], 0.1).unwrap().made(1).unwrap();
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
            assert_eq!(adam.step(&params, &grad, 1e-3).unwrap().outcome, StepOutcome::Made);
            grad[..70_000].fill(0.0);
            let moved = adam.step(&params, &grad, 1e39).unwrap();
            assert!(moved.norm.is_finite() && moved.outcome == StepOutcome::NotFinite, "{moved:?}");
        }
    }

    #[test]
    fn a_gradient_whose_squares_overflow_is_refused_unless_it_is_clipped() {
        let adam = |clip| AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-5, clip };
        let rms = |clip| RmsPropConfig {
            decay: 0.99,
            eps: 1e-5,
            eps_place: EpsPlace::InsideRoot,
            first_square: 1.0,
            centred: false,
            clip,
        };
        let kinds = |clip| {
            [OptimiserConfig::Adam(adam(clip)), OptimiserConfig::RAdam(adam(clip)), OptimiserConfig::RmsProp(rms(clip))]
        };
        for (clip, large, outcome) in [
            (0.0, 1e21, StepOutcome::Refused),
            (0.0, -1e21, StepOutcome::Refused),
            (0.0, 1e19, StepOutcome::Made),
            (0.5, 1e21, StepOutcome::Made),
        ] {
            for config in kinds(clip) {
                let mut params = crate::check::params();
                params.root().var("a", &[2], Init::Ones).unwrap();
                let mut optimiser = Optimiser::new(&params, config).unwrap();
                let moved = optimiser.step(&params, &[large, 1.0], 0.1).unwrap();
                assert_eq!((moved.outcome, moved.norm.is_finite()), (outcome, true), "{config:?}, {large}");
                assert_eq!(optimiser.steps(), u64::from(outcome == StepOutcome::Made));
                let read = || {
                    let mut values = vec![0.0; 2];
                    params.read(&mut values).unwrap();
                    values
                };
                let before = read();
                assert_eq!(before == [1.0; 2], outcome == StepOutcome::Refused, "{before:?}");
                // What was refused leaves no infinite moment behind, under which no later step would move anything.
                for _ in 0..20 {
                    assert_eq!(optimiser.step(&params, &[1.0, 1.0], 0.1).unwrap().outcome, StepOutcome::Made);
                }
                assert!(outcome != StepOutcome::Refused || read().iter().all(|value| *value < 0.9), "{:?}", read());
            }
        }
    }
}
