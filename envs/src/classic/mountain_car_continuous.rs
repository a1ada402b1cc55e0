//! MountainCar with a throttle instead of a switch: effort costs, the goal pays 100; equal step by step to Gymnasium's
//! MountainCarContinuous-v0.
//!
//! Gymnasium clips the force to [-1, 1], but charges for the action as it was given. It computes an episode's first step in
//! `f64` and keeps `f32` from then on; both are followed here, to the bit.
//! Source: Gymnasium 1.4, `classic_control/continuous_mountain_car.py`.

use rl_core::{Act, Bound, Canvas, End, Env, EnvEntry, Obs, Result, Spec, Step, save_postcard};

pub use super::valley::Config;
use super::valley::{Car, GRAVITY, LEFT, MAX_SPEED, RIGHT};

/// Table entry `mountaincar-continuous`: Gymnasium's MountainCarContinuous-v0, with episodes of at most 999 steps.
pub const ENTRY: EnvEntry = EnvEntry::single::<MountainCarContinuous>(
    "Climb out of a valley with a weak engine, sparing fuel (Gymnasium's MountainCarContinuous-v0)",
    include_str!("../../../presets/env/mountaincar-continuous.toml"),
);

const POWER: f64 = 0.0015;
const GOAL: f64 = 0.45; // m
/// The force that the engine gives at most, either way.
const FORCE: f32 = 1.0;

/// The MountainCarContinuous environment. It observes position and velocity, `vector [2]`, and takes one continuous
/// action, the force in [-1, 1].
#[derive(Clone, Debug)]
pub struct MountainCarContinuous {
    config: Config,
    car: Car,
}

impl MountainCarContinuous {
    /// Starts an episode from a given position (m) and velocity (m per step).
    pub fn start_from(&mut self, state: [f64; 2]) {
        self.car = Car::at(state);
    }

    /// Moves the car by one step and returns whether it has reached the goal. `kept` rounds to the precision of the
    /// state before the step; as `f64` holds the exact result of one operation on two `f32`, rounding afterwards is
    /// `f32` arithmetic.
    fn drive(&mut self, action: f32, kept: fn(f64) -> f64) -> bool {
        let Car { position, velocity, steps } = &mut self.car;
        let pull = GRAVITY * libm::cos(kept(3.0 * *position));
        let push = if action.abs() > FORCE {
            f64::from(FORCE.copysign(action)) * POWER - pull // NumPy's clipping leaves a Python float: no rounding between
        } else {
            single(single(f64::from(action) * single(POWER)) - single(pull))
        };
        let top = kept(MAX_SPEED);
        *velocity = kept(*velocity + kept(push)).clamp(-top, top);
        *position = kept(*position + *velocity).clamp(kept(LEFT), kept(RIGHT));
        if *position == kept(LEFT) && *velocity < 0.0 {
            *velocity = 0.0; // the wall takes all of it
        }
        *steps += 1;
        let there = *position >= kept(GOAL) && *velocity >= kept(self.config.goal_velocity);
        (*position, *velocity) = (single(*position), single(*velocity));
        there
    }
}

/// Rounds to the nearest `f32`.
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

impl Env for MountainCarContinuous {
    const ID: &'static str = "mountaincar-continuous";
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 30.0;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { config: config.checked()?, car: Car::default() })
    }

    fn spec(&self) -> Spec {
        Spec { vector: 2, continuous: [Bound { low: -FORCE, high: FORCE }].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        self.car = Car::start(seed);
        self.car.show(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let action = act.continuous[0];
        let there = self.drive(action, if self.car.steps == 0 { |value| value } else { single });
        let effort = f64::from(action) * f64::from(action) * 0.1;
        let reward = if there { 100.0 - effort } else { -effort };
        let end = End::of(there, self.car.steps >= self.config.max_steps);
        self.car.show(&mut obs);
        Ok(Step { reward: reward as f32, end, frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.car, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        self.car = Car::load(Self::ID, bytes, self.config.max_steps)?;
        Ok(())
    }

    fn draw(&self, canvas: &mut Canvas) {
        self.car.draw(GOAL, canvas);
    }
}
