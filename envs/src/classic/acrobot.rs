//! Acrobot: two links that hang from a bar, with a motor between them; swing the lower end above a line. Equal step by step to
//! Gymnasium's Acrobot-v1 over the episodes of its test, with the book's equations; NumPy's sines may differ in a last bit.
//!
//! Angles are 0 where the links hang down and straight; the state starts out rounded to `f32` and is kept in `f64`, as
//! Gymnasium does. Double pendulums are chaotic: one bit of a cosine is a different swing after some hundred steps.
//! Source: Sutton 1996; Sutton and Barto 2018, section 11.3 of the first edition; Gymnasium 1.4, `classic_control/acrobot.py`.

use std::f64::consts::{PI, TAU};

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::{Circle, Line, Rectangle};
use rl_core::{Act, Canvas, End, Env, EnvEntry, Error, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard};
use serde::{Deserialize, Serialize};

use crate::settings::{bad, check_limit};

/// Table entry `acrobot`: Gymnasium's Acrobot-v1, with episodes of at most 500 steps.
pub const ENTRY: EnvEntry = EnvEntry::single::<Acrobot>(
    "Swing the end of two links above a line, as fast as possible (Gymnasium's Acrobot-v1)",
    include_str!("../../../presets/env/acrobot.toml"),
);

// Both links are 1 m long and weigh 1 kg.
const CENTRE: f64 = 0.5; // m, from a link's upper end to its centre of mass
const MOMENT: f64 = 1.0; // kg m², of a link
const GRAVITY: f64 = 9.8; // m/s²
const TICK: f64 = 0.2; // s
const MAX_SPEEDS: [f64; 2] = [4.0 * PI, 9.0 * PI]; // rad/s
/// Height above the bar that the lower end has to reach.
const LINE: f64 = 1.0; // m
/// Largest noise: a thousand times the motor's torque turns a link up to some eighty times in a tick.
const MOST_NOISE: f64 = 1000.0; // N m
/// Initial angles and velocities are uniform in plus and minus this, in rad and rad/s.
const START: f64 = 0.1;

/// Configuration of [`Acrobot`], as its `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Largest noise added to each torque, uniform in plus and minus this, in N m; from 0 to 1000.
    pub torque_noise: f64,
    /// Number of steps after which an episode is truncated.
    pub max_steps: u32,
}

/// The Acrobot environment. It observes the cosine and sine of both angles and both angular velocities, `vector [6]`,
/// and takes one discrete action out of 3, the torque of -1, 0 or 1 N m.
#[derive(Clone, Debug)]
pub struct Acrobot {
    config: Config,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    links: Links,
    steps: u32,
    rng: Rng,
}

/// Angle of the upper link, angle between the links, and the angular velocities of both, in rad and rad/s.
type Links = [f64; 4];

impl Acrobot {
    /// Starts an episode from given angles (rad) and angular velocities (rad/s); torque noise goes on with the present
    /// random generator.
    pub fn start_from(&mut self, links: Links) {
        (self.state.links, self.state.steps) = (links, 0);
    }

    fn show(&self, obs: &mut Obs<'_>) {
        let [upper, between, upper_speed, between_speed] = self.state.links;
        let [cos, sin] = [libm::cos, libm::sin];
        let shown = [cos(upper), sin(upper), cos(between), sin(between), upper_speed, between_speed];
        obs.vector.copy_from_slice(&shown.map(|value| value as f32));
    }
}

/// Computes the time derivative of `links` (velocities and accelerations) under a torque between the links, in N m.
fn motion([upper, between, upper_speed, between_speed]: Links, torque: f64) -> Links {
    let (sin, cos) = (libm::sin(between), libm::cos(between));
    let d1 = CENTRE * CENTRE + (1.0 + CENTRE * CENTRE + 2.0 * CENTRE * cos) + MOMENT + MOMENT;
    let d2 = (CENTRE * CENTRE + CENTRE * cos) + MOMENT;
    let phi2 = CENTRE * GRAVITY * libm::cos(upper + between - PI / 2.0);
    let phi1 = -CENTRE * (between_speed * between_speed) * sin - 2.0 * CENTRE * between_speed * upper_speed * sin
        + (CENTRE + 1.0) * GRAVITY * libm::cos(upper - PI / 2.0)
        + phi2;
    let between_acc = (torque + d2 / d1 * phi1 - CENTRE * (upper_speed * upper_speed) * sin - phi2)
        / (CENTRE * CENTRE + MOMENT - d2 * d2 / d1);
    let upper_acc = -(d2 * between_acc + phi1) / d1;
    [upper_speed, between_speed, upper_acc, between_acc]
}

/// One tick of the classic Runge-Kutta method of fourth order; angles come back to [-π, π], speeds are bounded.
fn tick(links: Links, torque: f64) -> Links {
    let ahead = |by: f64, slope: Links| motion(std::array::from_fn(|i| links[i] + by * slope[i]), torque);
    let k1 = motion(links, torque);
    let k2 = ahead(TICK / 2.0, k1);
    let k3 = ahead(TICK / 2.0, k2);
    let k4 = ahead(TICK, k3);
    let [upper, between, upper_speed, between_speed] =
        std::array::from_fn(|i| links[i] + TICK / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]));
    let [upper_most, between_most] = MAX_SPEEDS;
    [
        wrap(upper),
        wrap(between),
        upper_speed.clamp(-upper_most, upper_most),
        between_speed.clamp(-between_most, between_most),
    ]
}

/// Wraps an angle into [-π, π]; speeds and noise are bounded, so that there are few turns to take off.
fn wrap(mut angle: f64) -> f64 {
    while angle > PI {
        angle -= TAU;
    }
    while angle < -PI {
        angle += TAU;
    }
    angle
}

/// Height of the lower end above the bar, in metres.
fn height([upper, between, ..]: Links) -> f64 {
    -libm::cos(upper) - libm::cos(between + upper)
}

impl Env for Acrobot {
    const ID: &'static str = "acrobot";
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 15.0;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        if !(0.0..=MOST_NOISE).contains(&config.torque_noise) {
            return Err(bad("torque_noise", format!("{} is not a torque from 0 to {MOST_NOISE}", config.torque_noise)));
        }
        check_limit(config.max_steps)?;
        Ok(Self { config: config.clone(), state: State { links: [0.0; 4], steps: 0, rng: Rng::episode(0) } })
    }

    fn spec(&self) -> Spec {
        Spec { vector: 6, discrete: [3].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        let mut rng = Rng::episode(seed);
        let links = std::array::from_fn(|_| f64::from(rng.uniform(-START, START) as f32));
        self.state = State { links, steps: 0, rng };
        self.show(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let (action, noise) = (act.discrete[0], self.config.torque_noise);
        assert!(action < 3, "acrobot: action {action} is not 0 (torque -1), 1 (none) or 2 (torque 1)");
        let mut torque = f64::from(action) - 1.0;
        if noise > 0.0 {
            torque += self.state.rng.uniform(-noise, noise);
        }
        self.state.links = tick(self.state.links, torque);
        self.state.steps += 1;
        self.show(&mut obs);
        let there = height(self.state.links) > LINE;
        let end = End::of(there, self.state.steps >= self.config.max_steps);
        Ok(Step { reward: if there { 0.0 } else { -1.0 }, end, frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.state, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let state: State = load_postcard(Self::ID, bytes)?;
        let most = [PI, PI, MAX_SPEEDS[0], MAX_SPEEDS[1]]; // beyond them a wrap might not end
        if !state.links.iter().zip(most).all(|(value, most)| value.abs() <= most) || state.steps > self.config.max_steps
        {
            let message = format!("step {} at {:?} is no state of two links", state.steps, state.links);
            return Err(Error::State { part: Self::ID.to_owned(), message });
        }
        self.state = state;
        Ok(())
    }

    fn action_names(&self) -> Vec<String> {
        ["torque -1", "torque 0", "torque 1"].map(str::to_owned).to_vec()
    }

    fn draw(&self, canvas: &mut Canvas) {
        draw(self.state.links, canvas);
    }
}

const GROUND: Rgb888 = Rgb888::new(0xF7, 0xF9, 0xFC);
const GRID: Rgb888 = Rgb888::new(0xE6, 0xEB, 0xF2);
const GOAL: Rgb888 = Rgb888::new(0x6F, 0xA8, 0x5B);
const BAR: Rgb888 = Rgb888::new(0x5B, 0x67, 0x7A);
const UPPER: Rgb888 = Rgb888::new(0x2F, 0x4B, 0x7C);
const LOWER: Rgb888 = Rgb888::new(0xE0, 0x8E, 0x45);
const JOINT: Rgb888 = Rgb888::new(0xFC, 0xE7, 0xC8);
const RIM: Rgb888 = Rgb888::new(0x22, 0x2B, 0x3A);

const SIDE: i32 = 880; // pixels, drawn at twice the size and halved
const METRE: f64 = 200.0; // pixels

/// The links, the bar that they hang from, and the line.
fn draw([upper, between, ..]: Links, canvas: &mut Canvas) {
    let bar = Point::new(SIDE / 2, SIDE / 2);
    let end = |from: Point, angle: f64| {
        from + Point::new((METRE * libm::sin(angle)) as i32, (METRE * libm::cos(angle)) as i32)
    };
    canvas.begin(SIDE as usize, SIDE as usize, GROUND);
    for ring in [2.0, 4.0] {
        canvas.stroke(&Circle::with_center(bar, (ring * METRE) as u32), GRID, 4);
    }
    let line = bar.y - (LINE * METRE) as i32;
    for dash in 0..SIDE / 40 {
        canvas.fill(&Rectangle::new(Point::new(8 + dash * 40, line - 3), Size::new(24, 6)), GOAL);
    }
    canvas.fill(&Rectangle::new(bar - Point::new(70, 5), Size::new(140, 10)), BAR);

    let elbow = end(bar, upper);
    let foot = end(elbow, upper + between);
    for (from, to, color) in [(bar, elbow, UPPER), (elbow, foot, LOWER)] {
        canvas.stroke(&Line::new(from, to), color, 36);
        for round in [from, to] {
            canvas.fill(&Circle::with_center(round, 37), color);
        }
    }
    for joint in [bar, elbow] {
        canvas.fill(&Circle::with_center(joint, 44), RIM);
        canvas.fill(&Circle::with_center(joint, 26), JOINT);
    }
    canvas.halve();
}
