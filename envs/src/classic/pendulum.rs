//! Pendulum: swing a rod up and hold it there with a motor that is too weak to lift it at once; equal step by step to
//! Gymnasium's Pendulum-v1.
//!
//! The angle is 0 upright and grows counter-clockwise without bound; it is shown as cosine and sine. A torque beyond the motor's
//! is clipped, and paid for as clipped. The state is kept in `f64`; what comes of the torque alone is `f32`, as NumPy has it.
//! Source: Gymnasium 1.4, `classic_control/pendulum.py`.

use std::f64::consts::{PI, TAU};

use embedded_graphics::geometry::AngleUnit;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::Point;
use embedded_graphics::primitives::{Arc, Circle, Line, Triangle};
use rl_core::{
    Act, Bound, Canvas, End, Env, EnvEntry, Error, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard,
};
use serde::{Deserialize, Serialize};

use crate::settings::{check_finite, check_limit};

/// Table entry `pendulum`: Gymnasium's Pendulum-v1, with episodes of 200 steps.
pub const ENTRY: EnvEntry = EnvEntry::single::<Pendulum>(
    "Swing a rod up and hold it there with a weak motor (Gymnasium's Pendulum-v1)",
    include_str!("../../../presets/env/pendulum.toml"),
);

const MASS: f64 = 1.0; // kg
const LENGTH: f64 = 1.0; // m
const TICK: f64 = 0.05; // s
const MAX_SPEED: f64 = 8.0; // rad/s
const MAX_TORQUE: f32 = 2.0; // N m
/// Initial speeds are uniform in plus and minus this.
const START_SPEED: f64 = 1.0; // rad/s

/// Configuration of [`Pendulum`], as its `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Acceleration of gravity, in m/s².
    pub g: f64,
    /// Number of steps after which an episode is truncated.
    pub max_steps: u32,
}

/// The Pendulum environment. It observes the cosine and sine of the angle and the angular velocity, `vector [3]`, and
/// takes one continuous action, the torque in [-2, 2] N m.
#[derive(Clone, Debug)]
pub struct Pendulum {
    config: Config,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
struct State {
    angle: f64,
    speed: f64,
    /// The last torque, for the picture.
    torque: f32,
    steps: u32,
}

impl Pendulum {
    /// Starts an episode from a given angle (rad, 0 upright) and angular velocity (rad/s).
    pub fn start_from(&mut self, [angle, speed]: [f64; 2]) {
        self.state = State { angle, speed, torque: 0.0, steps: 0 };
    }

    fn show(&self, obs: &mut Obs<'_>) {
        let State { angle, speed, .. } = self.state;
        obs.vector.copy_from_slice(&[libm::cos(angle) as f32, libm::sin(angle) as f32, speed as f32]);
    }
}

impl State {
    /// Returns the cost (negative reward) of applying `torque`, in N m, in this state.
    fn cost(&self, torque: f32) -> f64 {
        let from_upright = (self.angle + PI).rem_euclid(TAU) - PI;
        from_upright * from_upright + 0.1 * (self.speed * self.speed) + f64::from(0.001 * (torque * torque))
    }

    /// One tick of semi-implicit Euler: the angle moves by the speed *after* the push.
    fn tick(&mut self, torque: f32, g: f64) {
        let fall = 3.0 * g / (2.0 * LENGTH) * libm::sin(self.angle);
        let push = f64::from((3.0 / (MASS * LENGTH * LENGTH)) as f32 * torque);
        self.speed = (self.speed + (fall + push) * TICK).clamp(-MAX_SPEED, MAX_SPEED);
        self.angle += self.speed * TICK;
        self.torque = torque;
        self.steps += 1;
    }

    /// Whether an episode can reach this state: the angle is not wrapped, but its speed bounds it within 2³² steps.
    fn is_sound(&self) -> bool {
        self.angle.abs() <= 2e9 && self.speed.abs() <= MAX_SPEED && self.torque.abs() <= MAX_TORQUE
    }
}

impl Env for Pendulum {
    const ID: &'static str = "pendulum";
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 30.0;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        check_finite("g", config.g)?;
        check_limit(config.max_steps)?;
        Ok(Self { config: config.clone(), state: State::default() })
    }

    fn spec(&self) -> Spec {
        Spec { vector: 3, continuous: [Bound { low: -MAX_TORQUE, high: MAX_TORQUE }].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        let mut episode = Rng::episode(seed);
        self.start_from([episode.uniform(-PI, PI), episode.uniform(-START_SPEED, START_SPEED)]);
        self.show(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let torque = act.continuous[0].clamp(-MAX_TORQUE, MAX_TORQUE);
        let reward = -self.state.cost(torque) as f32;
        self.state.tick(torque, self.config.g);
        self.show(&mut obs);
        Ok(Step { reward, end: End::of(false, self.state.steps >= self.config.max_steps), frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.state, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let state: State = load_postcard(Self::ID, bytes)?;
        if !state.is_sound() || state.steps > self.config.max_steps {
            let message = format!("step {} at {} is no state of a pendulum", state.steps, state.angle);
            return Err(Error::State { part: Self::ID.to_owned(), message });
        }
        self.state = state;
        Ok(())
    }

    fn draw(&self, canvas: &mut Canvas) {
        draw(&self.state, canvas);
    }
}

const GROUND: Rgb888 = Rgb888::new(0xF7, 0xF9, 0xFC);
const DIAL: Rgb888 = Rgb888::new(0xE6, 0xEB, 0xF2);
const MARK: Rgb888 = Rgb888::new(0xC8, 0xD3, 0xE3);
const UPRIGHT: Rgb888 = Rgb888::new(0x6F, 0xA8, 0x5B);
const ROD: Rgb888 = Rgb888::new(0xE0, 0x8E, 0x45);
const BOB: Rgb888 = Rgb888::new(0xC7, 0x6F, 0x2B);
const MOTOR: Rgb888 = Rgb888::new(0x2F, 0x4B, 0x7C);
const AXLE: Rgb888 = Rgb888::new(0xFC, 0xE7, 0xC8);
const TORQUE: Rgb888 = Rgb888::new(0xD6, 0x45, 0x50);

const SIDE: i32 = 800; // pixels, drawn at twice the size and halved
const REACH: f64 = 290.0; // pixels from axle to tip

/// Draws the rod on a dial, and an arrow around the motor that grows with the torque.
fn draw(state: &State, canvas: &mut Canvas) {
    let axle = Point::new(SIDE / 2, SIDE / 2);
    let polar = |angle: f64, radius: f64| {
        axle + Point::new((-radius * libm::sin(angle)) as i32, (-radius * libm::cos(angle)) as i32)
    };
    canvas.begin(SIDE as usize, SIDE as usize, GROUND);
    canvas.fill(&Circle::with_center(axle, 720), DIAL);
    canvas.fill(&Circle::with_center(axle, 700), GROUND);
    for hour in 1..12 {
        let angle = TAU * f64::from(hour) / 12.0;
        canvas.stroke(&Line::new(polar(angle, 330.0), polar(angle, 355.0)), MARK, 6);
    }
    canvas.fill(&Triangle::new(polar(0.0, 330.0), polar(0.05, 372.0), polar(-0.05, 372.0)), UPRIGHT);

    let tip = polar(state.angle, REACH);
    canvas.stroke(&Line::new(axle, tip), ROD, 44);
    canvas.fill(&Circle::with_center(tip, 76), BOB);
    canvas.fill(&Circle::with_center(tip, 44), ROD);
    canvas.fill(&Circle::with_center(axle, 104), MOTOR);
    canvas.fill(&Circle::with_center(axle, 30), AXLE);

    // From the top of the motor in the direction of the torque, at most two thirds of the way round.
    let sweep = f64::from(state.torque / MAX_TORQUE) * TAU / 1.5;
    if sweep.abs() > 0.1 {
        let (from, by) = ((-90.0f32).deg(), (-sweep as f32).rad());
        canvas.stroke(&Arc::with_center(axle, 172, from, by), TORQUE, 12);
        let ahead = sweep + 0.3f64.copysign(sweep);
        canvas.fill(&Triangle::new(polar(sweep, 62.0), polar(sweep, 110.0), polar(ahead, 86.0)), TORQUE);
    }
    canvas.halve();
}
