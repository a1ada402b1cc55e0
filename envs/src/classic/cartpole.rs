//! CartPole: a pole hinged on a cart that is pushed left or right, equal step by step to Gymnasium's CartPole-v1 and v0.
//!
//! The state is kept in `f64` and shown in `f32`, as Gymnasium does; sines come from `libm`, so that a trajectory does not
//! vary with the system.
//! Source: Barto, Sutton and Anderson 1983; Gymnasium 1.4, `classic_control/cartpole.py`.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::{Circle, CornerRadii, Line, Rectangle, RoundedRectangle};
use rl_core::{Act, Canvas, End, Env, EnvEntry, Error, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard};
use serde::{Deserialize, Serialize};

use crate::settings::{Observe, check_limit};

/// Table entry `cartpole`: Gymnasium's CartPole-v1, with episodes of at most 500 steps.
pub const ENTRY: EnvEntry = EnvEntry::single::<CartPole>(
    "Balance a pole on a cart for 500 steps (Gymnasium's CartPole-v1)",
    include_str!("../../../presets/env/cartpole.toml"),
);

/// Table entry `cartpole-v0`: Gymnasium's CartPole-v0, with episodes of at most 200 steps.
pub const ENTRY_V0: EnvEntry = EnvEntry {
    id: "cartpole-v0",
    ..EnvEntry::single::<CartPole>(
        "Balance a pole on a cart for 200 steps (Gymnasium's CartPole-v0)",
        include_str!("../../../presets/env/cartpole-v0.toml"),
    )
};

/// Table entry `cartpole-positions`: CartPole of at most 500 steps, partially observed, without velocities.
pub const ENTRY_POSITIONS: EnvEntry = EnvEntry {
    id: "cartpole-positions",
    ..EnvEntry::single::<CartPole>(
        "Balance a pole on a cart for 500 steps without seeing how fast they move",
        include_str!("../../../presets/env/cartpole-positions.toml"),
    )
};

const GRAVITY: f64 = 9.8; // m/s²
const POLE_MASS: f64 = 0.1; // kg
const TOTAL_MASS: f64 = POLE_MASS + 1.0; // kg, with the cart
const HALF_LENGTH: f64 = 0.5; // m, from the hinge to the pole's centre of mass
const POLE_MOMENT: f64 = POLE_MASS * HALF_LENGTH;
const FORCE: f64 = 10.0; // N
const TICK: f64 = 0.02; // s
/// Positions beyond which the cart has left the track, in metres.
const X_LIMIT: f64 = 2.4;
/// Angles beyond which the pole has fallen: 12 degrees in radians.
const ANGLE_LIMIT: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
/// Bound that no position, angle or velocity reaches within an episode, in m, rad, m/s and rad/s.
const FARTHEST: f64 = 100.0;
/// Initial values are uniform in plus and minus this, in m, rad, m/s and rad/s.
const START: f64 = 0.05;

/// Configuration of [`CartPole`], as its `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether the reward is −1 for the step that terminates the episode and 0 for all others, instead of 1 for every
    /// step.
    pub sutton_barto_reward: bool,
    /// Whether velocities are observed.
    pub observe: Observe,
    /// Number of steps after which an episode is truncated.
    pub max_steps: u32,
}

/// The CartPole environment. It observes position, velocity, angle and angular velocity, `vector [4]`, or position and
/// angle alone, `vector [2]`, and takes one discrete action: push to the left (0) or to the right (1).
#[derive(Clone, Debug)]
pub struct CartPole {
    config: Config,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
struct State {
    x: f64,
    x_dot: f64,
    angle: f64,
    angle_dot: f64,
    steps: u32,
}

impl CartPole {
    /// Starts an episode from given position (m), velocity (m/s), angle (rad) and angular velocity (rad/s).
    pub fn start_from(&mut self, [x, x_dot, angle, angle_dot]: [f64; 4]) {
        self.state = State { x, x_dot, angle, angle_dot, steps: 0 };
    }

    fn show(&self, obs: &mut Obs<'_>) {
        let State { x, x_dot, angle, angle_dot, .. } = self.state;
        match self.config.observe {
            Observe::All => obs.vector.copy_from_slice(&[x, x_dot, angle, angle_dot].map(|value| value as f32)),
            Observe::Positions => obs.vector.copy_from_slice(&[x, angle].map(|value| value as f32)),
        }
    }
}

impl State {
    /// One tick of explicit Euler: positions move by the velocities *before* the push.
    fn tick(&mut self, force: f64) {
        let (sin, cos) = (libm::sin(self.angle), libm::cos(self.angle));
        let push = (force + POLE_MOMENT * (self.angle_dot * self.angle_dot) * sin) / TOTAL_MASS;
        let angle_acc =
            (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cos * cos) / TOTAL_MASS));
        let x_acc = push - POLE_MOMENT * angle_acc * cos / TOTAL_MASS;
        self.x += TICK * self.x_dot;
        self.x_dot += TICK * x_acc;
        self.angle += TICK * self.angle_dot;
        self.angle_dot += TICK * angle_acc;
        self.steps += 1;
    }

    fn fallen(&self) -> bool {
        self.x.abs() > X_LIMIT || self.angle.abs() > ANGLE_LIMIT
    }

    /// Whether an episode can reach this state: it ends long before any value is as large as [`FARTHEST`].
    fn is_sound(&self) -> bool {
        [self.x, self.x_dot, self.angle, self.angle_dot].iter().all(|value| value.abs() <= FARTHEST)
    }
}

impl Env for CartPole {
    const ID: &'static str = "cartpole";
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 50.0;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        check_limit(config.max_steps)?;
        Ok(Self { config: config.clone(), state: State::default() })
    }

    fn spec(&self) -> Spec {
        let vector = match self.config.observe {
            Observe::All => 4,
            Observe::Positions => 2,
        };
        Spec { vector, discrete: [2].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        let mut episode = Rng::episode(seed);
        self.start_from(std::array::from_fn(|_| episode.uniform(-START, START)));
        self.show(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let action = act.discrete[0];
        assert!(action < 2, "cartpole: action {action} is not 0 (left) or 1 (right)");
        self.state.tick(if action == 1 { FORCE } else { -FORCE });
        self.show(&mut obs);

        let end = End::of(self.state.fallen(), self.state.steps >= self.config.max_steps);
        let reward = match (self.config.sutton_barto_reward, end) {
            (false, _) => 1.0,
            (true, End::Terminated) => -1.0,
            (true, _) => 0.0,
        };
        Ok(Step { reward, end, frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.state, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let state: State = load_postcard(Self::ID, bytes)?;
        if !state.is_sound() || state.steps > self.config.max_steps {
            let message = format!("step {} at {}, {} is no state of cart and pole", state.steps, state.x, state.angle);
            return Err(Error::State { part: Self::ID.to_owned(), message });
        }
        self.state = state;
        Ok(())
    }

    fn action_names(&self) -> Vec<String> {
        ["left", "right"].map(str::to_owned).to_vec()
    }

    fn draw(&self, canvas: &mut Canvas) {
        let scene = Scene { x: self.state.x, angle: self.state.angle };
        scene.draw(canvas);
    }
}

/// Picture of cart and pole: 600 × 400 pixels, drawn at twice the size and halved.
struct Scene {
    x: f64,
    angle: f64,
}

const SKY: Rgb888 = Rgb888::new(0xF7, 0xF9, 0xFC);
const GROUND: Rgb888 = Rgb888::new(0xE6, 0xEB, 0xF2);
const TRACK: Rgb888 = Rgb888::new(0x5B, 0x67, 0x7A);
const CART: Rgb888 = Rgb888::new(0x2F, 0x4B, 0x7C);
const WHEEL: Rgb888 = Rgb888::new(0x22, 0x2B, 0x3A);
const POLE: Rgb888 = Rgb888::new(0xE0, 0x8E, 0x45);
const HINGE: Rgb888 = Rgb888::new(0xFC, 0xE7, 0xC8);
const LIMIT: Rgb888 = Rgb888::new(0xD6, 0x45, 0x50);
const FAN: Rgb888 = Rgb888::new(0xC8, 0xD3, 0xE3);

impl Scene {
    const WIDTH: i32 = 1200;
    const HEIGHT: i32 = 800;
    const METRE: f64 = 220.0; // pixels, so that both limits are in the picture
    const RAIL: i32 = 620; // height of the track from the top
    const HINGE: i32 = Self::RAIL - 88;
    const LENGTH: f64 = 2.0 * HALF_LENGTH * 440.0; // the pole is shown at twice its scale, to make its angle readable

    fn column(metres: f64) -> i32 {
        Self::WIDTH / 2 + (metres * Self::METRE) as i32
    }

    /// The tip of a pole that stands at `hinge`, leaning by `angle`.
    fn tip(hinge: Point, angle: f64, length: f64) -> Point {
        hinge + Point::new((length * libm::sin(angle)) as i32, (-length * libm::cos(angle)) as i32)
    }

    fn draw(&self, canvas: &mut Canvas) {
        let rect = |x: i32, y: i32, w: i32, h: i32| Rectangle::new(Point::new(x, y), Size::new(w as u32, h as u32));
        canvas.begin(Self::WIDTH as usize, Self::HEIGHT as usize, SKY);
        canvas.fill(&rect(0, Self::RAIL, Self::WIDTH, Self::HEIGHT - Self::RAIL), GROUND);

        // The track, its ticks every half metre and its ends.
        canvas.fill(&rect(0, Self::RAIL - 4, Self::WIDTH, 8), TRACK);
        for half in -4..=4 {
            let height = if half == 0 { 28 } else { 16 };
            canvas.fill(&rect(Self::column(f64::from(half) / 2.0) - 2, Self::RAIL + 4, 4, height), TRACK);
        }
        for end in [-X_LIMIT, X_LIMIT] {
            for dash in 0..20 {
                canvas.fill(&rect(Self::column(end) - 3, 40 + dash * 30, 6, 16), LIMIT);
            }
        }

        // The angles within which the pole still counts as upright.
        let hinge = Point::new(Self::column(self.x), Self::HINGE);
        for side in [-ANGLE_LIMIT, ANGLE_LIMIT] {
            canvas.stroke(&Line::new(hinge, Self::tip(hinge, side, Self::LENGTH + 40.0)), FAN, 4);
        }

        // Cart, wheels, pole, hinge, from back to front.
        for wheel in [-52, 52] {
            canvas.fill(&Circle::with_center(Point::new(hinge.x + wheel, Self::RAIL - 22), 36), WHEEL);
            canvas.fill(&Circle::with_center(Point::new(hinge.x + wheel, Self::RAIL - 22), 12), FAN);
        }
        let body =
            RoundedRectangle::new(rect(hinge.x - 90, Self::HINGE - 8, 180, 64), CornerRadii::new(Size::new(14, 14)));
        canvas.fill(&body, CART);
        let tip = Self::tip(hinge, self.angle, Self::LENGTH);
        canvas.stroke(&Line::new(hinge, tip), POLE, 24);
        canvas.fill(&Circle::with_center(tip, 25), POLE);
        canvas.fill(&Circle::with_center(hinge, 34), POLE);
        canvas.fill(&Circle::with_center(hinge, 14), HINGE);
        canvas.halve();
    }
}
