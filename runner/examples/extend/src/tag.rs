//! An environment of one's own for two agents: one chases the other over a field.

use rl_core::embedded_graphics::pixelcolor::{Rgb888, WebColors};
use rl_core::embedded_graphics::prelude::Point;
use rl_core::embedded_graphics::primitives::Circle;
use rl_core::{
    Act, Canvas, End, EnvEntry, Error, Result, Rng, Spec, World, WorldRows, WorldStep, load_postcard, save_postcard,
};
use serde::Deserialize;

pub(crate) const ENTRY: EnvEntry = EnvEntry {
    agents: &[("ppo", include_str!("../tag-ppo.toml"))],
    ..EnvEntry::shared::<Tag>("Catch the other, or run from it: two seats a field", PRESET)
};
const PRESET: &str = "[env]\nsize = 5\nrounds = 20\nrival = \"oneself\"\n\n[eval]\nepisodes = 100\nepsilon = 0.0\n";

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    size: u8,
    rounds: u16,
    rival: Rival,
}

/// Who is chased: another seat, or somebody who moves at random.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rival {
    Oneself,
    Random,
}

/// Where the seats stand, `[x, y]`: the first chases the second.
pub(crate) struct Tag {
    config: Config,
    at: [[u8; 2]; 2],
    round: u16,
    /// Moves a rival that is no seat.
    rng: Rng,
}

impl Tag {
    /// Moves by an action: stay, left, right, up or down, as far as the field goes.
    fn moved(&self, [x, y]: [u8; 2], action: u32) -> [u8; 2] {
        let last = self.config.size - 1;
        match action {
            0 => [x, y],
            1 => [x.saturating_sub(1), y],
            2 => [(x + 1).min(last), y],
            3 => [x, y.saturating_sub(1)],
            4 => [x, (y + 1).min(last)],
            _ => panic!("tag: action {action} is not one of 0 to 4"),
        }
    }

    /// Shows each seat its role, where it is, where the other is from there, and how much time is left, all from -1 to 1.
    fn show(&self, rows: &mut WorldRows<'_>) {
        let last = f32::from(self.config.size - 1);
        let left = 1.0 - f32::from(self.round) / f32::from(self.config.rounds);
        for n in 0..rows.reward.len() {
            let [[x, y], [other_x, other_y]] = [self.at[n], self.at[1 - n]].map(|at| at.map(f32::from));
            let features = [n as f32, x / last, y / last, (other_x - x) / last, (other_y - y) / last, left];
            rows.obs(n).vector.copy_from_slice(&features);
        }
    }
}

impl World for Tag {
    const ID: &'static str = "tag";
    const VERSION: u32 = 1;
    type Config = Config;

    fn seats(config: &Config) -> usize {
        match config.rival {
            Rival::Oneself => 2,
            Rival::Random => 1,
        }
    }

    fn new(config: &Config) -> Result<Self> {
        if config.size < 2 || config.rounds < 1 {
            let message = "needs a field of at least 2 by 2 and at least 1 round".to_owned();
            return Err(Error::Config { key: "env.size".to_owned(), message });
        }
        Ok(Self { config: config.clone(), at: [[0; 2]; 2], round: 0, rng: Rng::episode(0) })
    }

    fn spec(&self) -> Spec {
        Spec { vector: 6, discrete: [5].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut rows: WorldRows<'_>) -> Result<()> {
        self.rng = Rng::episode(seed);
        let cells = u32::from(self.config.size).pow(2);
        let chaser = self.rng.below(cells);
        let chased = (chaser + 1 + self.rng.below(cells - 1)) % cells; // any other cell
        let size = self.config.size;
        self.at = [chaser, chased]
            .map(|cell| [cell as u16 % u16::from(size), cell as u16 / u16::from(size)].map(|i| i as u8));
        self.round = 0;
        self.show(&mut rows);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: WorldRows<'_>) -> Result<WorldStep> {
        let before = self.at;
        let chased = match self.config.rival {
            Rival::Oneself => act.discrete[1],
            Rival::Random => self.rng.below(5),
        };
        self.at = [self.moved(before[0], act.discrete[0]), self.moved(before[1], chased)];
        self.round += 1;
        self.show(&mut rows);
        let passed = self.at == [before[1], before[0]];
        // What one wins the other loses: the chaser wins where it catches, and loses where time runs out.
        let (won, over) = match self.at[0] == self.at[1] || passed {
            true => (1.0, true),
            false if self.round >= self.config.rounds => (-1.0, true),
            false => (0.0, false),
        };
        rows.reward.fill(won);
        if let [_, chased] = rows.reward {
            *chased = 0.0 - won;
        }
        Ok(WorldStep { end: End::of(over, false), frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&(self.at, self.round, &self.rng), out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let (at, round, rng): ([[u8; 2]; 2], u16, Rng) = load_postcard(Self::ID, bytes)?;
        if at.as_flattened().iter().any(|&place| place >= self.config.size) || round > self.config.rounds {
            return Err(Error::State { part: Self::ID.to_owned(), message: format!("{at:?} is outside the field") });
        }
        (self.at, self.round, self.rng) = (at, round, rng);
        Ok(())
    }

    /// Draws the field as a seat sees it: itself filled, the other as a ring.
    fn draw(&self, n: usize, canvas: &mut Canvas) {
        const CELL: i32 = 48;
        let side = usize::from(self.config.size) * CELL as usize;
        canvas.begin(side, side, Rgb888::CSS_WHITE_SMOKE);
        let disc = |[x, y]: [u8; 2]| {
            let middle = |place: u8| i32::from(place) * CELL + CELL / 2;
            Circle::with_center(Point::new(middle(x), middle(y)), 36)
        };
        let colours = [Rgb888::CSS_CRIMSON, Rgb888::CSS_STEEL_BLUE];
        canvas.stroke(&disc(self.at[1 - n]), colours[1 - n], 4);
        canvas.fill(&disc(self.at[n]), colours[n]);
    }
}
