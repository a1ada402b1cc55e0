//! An environment of one's own: walk to the right end of a corridor.

use rl_core::embedded_graphics::pixelcolor::{Rgb888, WebColors};
use rl_core::embedded_graphics::prelude::{Point, Size};
use rl_core::embedded_graphics::primitives::{Circle, Rectangle};
use rl_core::{Act, Canvas, End, Env, EnvEntry, Error, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard};
use serde::Deserialize;

pub(crate) const ENTRY: EnvEntry = EnvEntry {
    agents: &[("ppo", include_str!("../ppo.toml"))], // of agents that do not know this environment themselves
    ..EnvEntry::single::<Corridor>("Walk to the end of a corridor", PRESET)
};
const PRESET: &str = "[env]\nlength = 8\nmax_steps = 50\n\n[eval]\nepisodes = 10\nepsilon = 0.0\n";

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    length: u32,
    max_steps: u32,
}

pub(crate) struct Corridor {
    config: Config,
    at: u32,
    steps: u32,
}

impl Env for Corridor {
    const ID: &'static str = "corridor";
    const VERSION: u32 = 1;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        if config.length < 2 || config.max_steps < 1 {
            let message = "needs a length of at least 2 and at least 1 step".to_owned();
            return Err(Error::Config { key: "env.length".to_owned(), message });
        }
        Ok(Self { config: config.clone(), at: 0, steps: 0 })
    }

    fn spec(&self) -> Spec {
        Spec { symbols: [self.config.length].into(), discrete: [2].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, obs: Obs<'_>) -> Result<()> {
        let mut episode = Rng::episode(seed);
        (self.at, self.steps) = (episode.below(self.config.length / 2), 0);
        obs.symbols[0] = self.at;
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step> {
        assert!(act.discrete[0] < 2, "corridor: action {} is not 0 (left) or 1 (right)", act.discrete[0]);
        self.at = if act.discrete[0] == 1 { self.at + 1 } else { self.at.saturating_sub(1) };
        self.steps += 1;
        obs.symbols[0] = self.at;
        let end = match self.at + 1 == self.config.length {
            true => End::Terminated,
            false if self.steps >= self.config.max_steps => End::Truncated,
            false => End::No,
        };
        Ok(Step { reward: f32::from(u8::from(end == End::Terminated)), end, frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&(self.at, self.steps), out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let (at, steps) = load_postcard(Self::ID, bytes)?;
        if at >= self.config.length || steps > self.config.max_steps {
            return Err(Error::State { part: Self::ID.to_owned(), message: format!("{at} is outside the corridor") });
        }
        (self.at, self.steps) = (at, steps);
        Ok(())
    }

    fn draw(&self, canvas: &mut Canvas) {
        canvas.begin(self.config.length as usize * 64, 64, Rgb888::CSS_WHITE_SMOKE);
        let end = Point::new(self.config.length as i32 * 64 - 64, 0);
        canvas.fill(&Rectangle::new(end, Size::new(64, 64)), Rgb888::CSS_GOLD);
        canvas.fill(&Circle::with_center(Point::new(self.at as i32 * 64 + 32, 32), 40), Rgb888::CSS_STEEL_BLUE);
    }
}
