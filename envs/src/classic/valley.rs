//! The valley that both mountain cars drive in: its shape, where a car starts and what of it is shown and drawn.
//!
//! The height at `x` is `0.45 sin 3x + 0.55`, so the slope is `1.35 cos 3x`.
//! Source: Moore 1990; Gymnasium 1.4, `classic_control/mountain_car.py`.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::{Circle, Line, Rectangle, Triangle};
use rl_core::{Canvas, Error, Obs, Result, Rng, load_postcard};
use serde::{Deserialize, Serialize};

use crate::settings::{bad, check_finite, check_limit};

/// Position of the left wall, which stops the car.
pub(super) const LEFT: f64 = -1.2; // m
/// Position of the right end of the road, behind the goal.
pub(super) const RIGHT: f64 = 0.6; // m
pub(super) const MAX_SPEED: f64 = 0.07; // m per step, either way
pub(super) const GRAVITY: f64 = 0.0025;

/// Configuration of MountainCar and MountainCarContinuous, as their `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Smallest velocity at which the goal counts as reached, in metres per step.
    pub goal_velocity: f64,
    /// Number of steps after which an episode is truncated.
    pub max_steps: u32,
}

impl Config {
    pub(super) fn checked(&self) -> Result<Self> {
        check_finite("goal_velocity", self.goal_velocity)?;
        if self.goal_velocity > MAX_SPEED {
            return Err(bad(
                "goal_velocity",
                format!("{} is faster than the car can be, {MAX_SPEED}", self.goal_velocity),
            ));
        }
        check_limit(self.max_steps)?;
        Ok(self.clone())
    }
}

/// State of an episode: position (m) and velocity (m per step) of the car, and the number of steps.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Car {
    pub(super) position: f64,
    pub(super) velocity: f64,
    pub(super) steps: u32,
}

impl Car {
    pub(super) fn at([position, velocity]: [f64; 2]) -> Self {
        Self { position, velocity, steps: 0 }
    }

    /// Returns the initial state of the episode `seed`: at rest near the bottom, uniformly in [-0.6, -0.4) m.
    pub(super) fn start(seed: u64) -> Self {
        Self::at([Rng::episode(seed).uniform(-0.6, -0.4), 0.0])
    }

    pub(super) fn show(&self, obs: &mut Obs<'_>) {
        obs.vector.copy_from_slice(&[self.position as f32, self.velocity as f32]);
    }

    pub(super) fn load(id: &str, bytes: &[u8], max_steps: u32) -> Result<Self> {
        let car: Self = load_postcard(id, bytes)?;
        let Self { position, velocity, steps } = car;
        // In single precision, as the continuous car is kept: its wall and top speed lie a little further out.
        let within = |value: f64, [low, high]: [f64; 2]| (low as f32..=high as f32).contains(&(value as f32));
        if !within(position, [LEFT, RIGHT]) || !within(velocity, [-MAX_SPEED, MAX_SPEED]) || steps > max_steps {
            let message = format!("step {steps} at {position} with {velocity} is no state of a car");
            return Err(Error::State { part: id.to_owned(), message });
        }
        Ok(car)
    }

    /// Draws the valley, the flag at `goal` (m) and the car: 600 × 400 pixels, drawn at twice the size and halved.
    pub(super) fn draw(&self, goal: f64, canvas: &mut Canvas) {
        canvas.begin(WIDTH as usize, HEIGHT as usize, SKY);
        canvas.fill(&Circle::with_center(Point::new(210, 170), 130), SUN);
        let wall = ground(LEFT) - Point::new(60, 150); // where the bonnet of a car at the wall touches it
        canvas.fill(&Rectangle::new(wall, Size::new(12, 250)), WALL);
        for x in 0..WIDTH {
            let far = 430 + (60.0 * libm::sin(f64::from(x) / 170.0) + 35.0 * libm::sin(f64::from(x) / 61.0)) as i32;
            canvas.fill(&column(x, far), FAR);
            let road = ground(metres(x)).y;
            canvas.fill(&column(x, road), GRASS);
            canvas.fill(&column(x, road + 14), EARTH);
        }
        flag(canvas, goal);
        self.body(canvas);
        canvas.halve();
    }

    fn body(&self, canvas: &mut Canvas) {
        let slope = libm::atan(1.35 * libm::cos(3.0 * self.position));
        let (sin, cos) = (libm::sin(slope), libm::cos(slope));
        let foot = ground(self.position);
        // A place of the car from pixels along the road and above it.
        let at = |along: f64, above: f64| {
            foot + Point::new((along * cos - above * sin) as i32, (-along * sin - above * cos) as i32)
        };
        canvas.stroke(&Line::new(at(-36.0, 62.0), at(26.0, 62.0)), CABIN, 30);
        canvas.stroke(&Line::new(at(-24.0, 60.0), at(-6.0, 60.0)), GLASS, 18);
        canvas.stroke(&Line::new(at(2.0, 60.0), at(18.0, 60.0)), GLASS, 18);
        canvas.stroke(&Line::new(at(-62.0, 36.0), at(62.0, 36.0)), BODY, 34);
        canvas.fill(&Circle::with_center(at(60.0, 40.0), 12), LAMP);
        for wheel in [-36.0, 36.0] {
            canvas.fill(&Circle::with_center(at(wheel, 18.0), 38), TYRE);
            canvas.fill(&Circle::with_center(at(wheel, 18.0), 14), HUB);
        }
    }
}

const SKY: Rgb888 = Rgb888::new(0xE4, 0xF1, 0xFA);
const SUN: Rgb888 = Rgb888::new(0xFD, 0xE6, 0xA2);
const FAR: Rgb888 = Rgb888::new(0xC6, 0xDD, 0xDA);
const GRASS: Rgb888 = Rgb888::new(0x6F, 0xA8, 0x5B);
const EARTH: Rgb888 = Rgb888::new(0x9C, 0xC4, 0x86);
const WALL: Rgb888 = Rgb888::new(0x7A, 0x6A, 0x5C);
const POST: Rgb888 = Rgb888::new(0x5A, 0x46, 0x36);
const FLAG: Rgb888 = Rgb888::new(0xD6, 0x45, 0x50);
const BODY: Rgb888 = Rgb888::new(0x2F, 0x4B, 0x7C);
const CABIN: Rgb888 = Rgb888::new(0x24, 0x3B, 0x63);
const GLASS: Rgb888 = Rgb888::new(0xCF, 0xE3, 0xF2);
const LAMP: Rgb888 = Rgb888::new(0xFF, 0xDF, 0x80);
const TYRE: Rgb888 = Rgb888::new(0x22, 0x2B, 0x3A);
const HUB: Rgb888 = Rgb888::new(0xC8, 0xD3, 0xE3);

const WIDTH: i32 = 1200;
const HEIGHT: i32 = 800;
const METRE: f64 = 600.0; // pixels, so that a tenth of a metre is seen beyond either end
const ORIGIN: f64 = -1.3; // m, the left edge

fn metres(x: i32) -> f64 {
    ORIGIN + f64::from(x) / METRE
}

/// Returns the pixel of the road at `x` metres.
fn ground(x: f64) -> Point {
    let height = 0.45 * libm::sin(3.0 * x) + 0.55;
    Point::new(((x - ORIGIN) * METRE) as i32, (780.0 - height * METRE) as i32)
}

/// Returns the pixel column `x` from `top` to the bottom of the picture.
fn column(x: i32, top: i32) -> Rectangle {
    Rectangle::new(Point::new(x, top), Size::new(1, (HEIGHT - top).max(0) as u32))
}

fn flag(canvas: &mut Canvas, goal: f64) {
    let foot = ground(goal);
    let up = |height: i32| foot - Point::new(0, height);
    canvas.stroke(&Line::new(foot, up(130)), POST, 6);
    canvas.fill(&Triangle::new(up(130), up(82), up(106) + Point::new(74, 0)), FLAG);
}
