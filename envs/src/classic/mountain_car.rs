//! MountainCar: an engine too weak for the hill, which therefore has to be climbed with a run-up; equal step by step to
//! Gymnasium's MountainCar-v0, in `f64`.
//!
//! Source: Moore 1990; Gymnasium 1.4, `classic_control/mountain_car.py`.

use rl_core::{Act, Canvas, End, Env, EnvEntry, Obs, Result, Spec, Step, save_postcard};

pub use super::valley::Config;
use super::valley::{Car, GRAVITY, LEFT, MAX_SPEED, RIGHT};

/// Table entry `mountaincar`: Gymnasium's MountainCar-v0, with episodes of at most 200 steps.
pub const ENTRY: EnvEntry = EnvEntry::single::<MountainCar>(
    "Climb out of a valley with a weak engine, as fast as possible (Gymnasium's MountainCar-v0)",
    include_str!("../../../presets/env/mountaincar.toml"),
);

const FORCE: f64 = 0.001;
const GOAL: f64 = 0.5; // m

/// The MountainCar environment. It observes position and velocity, `vector [2]`, and takes one discrete action: push to
/// the left (0), not at all (1) or to the right (2).
#[derive(Clone, Debug)]
pub struct MountainCar {
    config: Config,
    car: Car,
}

impl MountainCar {
    /// Starts an episode from a given position (m) and velocity (m per step).
    pub fn start_from(&mut self, state: [f64; 2]) {
        self.car = Car::at(state);
    }
}

impl Env for MountainCar {
    const ID: &'static str = "mountaincar";
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 30.0;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { config: config.checked()?, car: Car::default() })
    }

    fn spec(&self) -> Spec {
        Spec { vector: 2, discrete: [3].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        self.car = Car::start(seed);
        self.car.show(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let action = act.discrete[0];
        assert!(action < 3, "mountaincar: action {action} is not 0 (left), 1 (neither) or 2 (right)");
        let Car { position, velocity, steps } = &mut self.car;
        let push = (f64::from(action) - 1.0) * FORCE + libm::cos(3.0 * *position) * -GRAVITY;
        *velocity = (*velocity + push).clamp(-MAX_SPEED, MAX_SPEED);
        *position = (*position + *velocity).clamp(LEFT, RIGHT);
        if *position == LEFT && *velocity < 0.0 {
            *velocity = 0.0; // the wall takes all of it
        }
        *steps += 1;
        let there = *position >= GOAL && *velocity >= self.config.goal_velocity;
        let end = End::of(there, *steps >= self.config.max_steps);
        self.car.show(&mut obs);
        Ok(Step { reward: -1.0, end, frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.car, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        self.car = Car::load(Self::ID, bytes, self.config.max_steps)?;
        Ok(())
    }

    fn action_names(&self) -> Vec<String> {
        ["left", "no-op", "right"].map(str::to_owned).to_vec()
    }

    fn draw(&self, canvas: &mut Canvas) {
        self.car.draw(GOAL, canvas);
    }
}
