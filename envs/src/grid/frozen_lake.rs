//! FrozenLake: cross the ice from start to goal; a step may slip to either side of where it was meant to go.
//!
//! Its transition table equals Gymnasium's, and the dynamics and the table come from the same three functions, so that a
//! policy judged by [`Tabular`] is judged by the lake that it walks on.
//! Source: Gymnasium 1.4, `toy_text/frozen_lake.py`.

mod picture;

use rl_core::{
    Act, Canvas, End, Env, EnvEntry, Error, Obs, Outcome, Result, Rng, Spec, Step, Tabular, load_postcard,
    save_postcard,
};
use serde::{Deserialize, Serialize};

/// The lake of 4 × 4 cells, and of your own.
pub const ENTRY: EnvEntry = EnvEntry::single::<FrozenLake>(
    "Cross slippery ice of 4 x 4 cells, or a map of your own (Gymnasium's FrozenLake-v1)",
    include_str!("../../../presets/env/frozenlake.toml"),
);

/// The lake of 8 × 8 cells.
pub const ENTRY_8X8: EnvEntry = EnvEntry {
    id: "frozenlake8x8",
    ..EnvEntry::single::<FrozenLake>(
        "Cross slippery ice of 8 x 8 cells (Gymnasium's FrozenLake8x8-v1)",
        include_str!("../../../presets/env/frozenlake8x8.toml"),
    )
};

const MAP_4X4: [&str; 4] = ["SFFF", "FHFH", "FFFH", "HFFG"];
const MAP_8X8: [&str; 8] =
    ["SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"];

/// The `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The lake.
    pub map: Map,
    /// Whether a step may slide to either side of where it was meant to go.
    pub slippery: bool,
    /// Probability that a slippery step goes where it was meant to; the rest is shared by the two sides.
    pub success_rate: f64,
    /// Rewards for reaching the goal, a hole, and ice (the start included).
    pub reward_schedule: [f64; 3],
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
}

/// A lake by name, or its rows from the top.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "map must be \"4x4\", \"8x8\" or a list of rows such as [\"SFF\", \"FHG\"]")]
pub enum Map {
    /// `4x4`, `8x8`, or rows with `/` between them, which a shell passes on without quotes.
    Named(String),
    /// Rows of `S`tart, `F`rozen, `H`ole and `G`oal.
    Rows(Vec<String>),
}

/// The environment.
#[derive(Clone, Debug)]
pub struct FrozenLake {
    lake: Lake,
    /// Probabilities of slipping to the left of the aim, of going straight, and of slipping to its right.
    odds: [f64; 3],
    config: Config,
    state: State,
}

/// Everything that changes in an episode.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    cell: u32,
    steps: u32,
    /// The last action, for the picture.
    aim: Option<u8>,
    rng: Rng,
}

const ACTIONS: u32 = 4;
/// Steps in rows and columns of left, down, right, up: Gymnasium's order, in which the neighbours of an action are the
/// directions at its sides.
const DIRECTIONS: [(isize, isize); ACTIONS as usize] = [(0, -1), (1, 0), (0, 1), (-1, 0)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tile {
    Start,
    Frozen,
    Hole,
    Goal,
}

impl Tile {
    fn ends(self) -> bool {
        matches!(self, Tile::Hole | Tile::Goal)
    }
}

/// A checked map.
#[derive(Clone, Debug)]
struct Lake {
    rows: usize,
    columns: usize,
    tiles: Vec<Tile>,
    starts: Vec<u32>,
}

impl Lake {
    fn new(map: &Map) -> Result<Self> {
        match map {
            Map::Named(name) if name == "4x4" => Self::parse(&MAP_4X4),
            Map::Named(name) if name == "8x8" => Self::parse(&MAP_8X8),
            Map::Named(rows) if rows.contains('/') => Self::parse(&rows.split('/').collect::<Vec<_>>()),
            Map::Named(name) => {
                Err(bad("map", format!("{name:?} is neither \"4x4\" nor \"8x8\" nor rows such as \"SFF/FHG\"")))
            }
            Map::Rows(rows) => Self::parse(&rows.iter().map(String::as_str).collect::<Vec<_>>()),
        }
    }

    fn parse(map: &[&str]) -> Result<Self> {
        let columns = map.first().map_or(0, |row| row.chars().count());
        if columns == 0 {
            return Err(bad("map", "has no cells".to_owned()));
        }
        let mut tiles = Vec::with_capacity(map.len() * columns);
        for (r, row) in map.iter().enumerate() {
            let width = row.chars().count();
            if width != columns {
                return Err(bad("map", format!("row {} has {width} cells, row 1 has {columns}", r + 1)));
            }
            for (c, letter) in row.chars().enumerate() {
                tiles.push(match letter {
                    'S' => Tile::Start,
                    'F' => Tile::Frozen,
                    'H' => Tile::Hole,
                    'G' => Tile::Goal,
                    _ => {
                        let place = format!("row {}, column {}", r + 1, c + 1);
                        return Err(bad("map", format!("{letter:?} in {place} is none of S, F, H and G")));
                    }
                });
            }
        }
        let starts = (0u32..).zip(&tiles).filter(|&(_, &tile)| tile == Tile::Start).map(|(cell, _)| cell).collect();
        let lake = Self { rows: map.len(), columns, tiles, starts };
        if lake.starts.is_empty() {
            return Err(bad("map", "has no start S".to_owned()));
        }
        match lake.starts.iter().find(|&&start| !lake.reaches_goal(start)) {
            None => Ok(lake),
            Some(&start) => {
                let (row, column) = (start as usize / columns + 1, start as usize % columns + 1);
                Err(bad("map", format!("no way over ice leads from S in row {row}, column {column} to a goal G")))
            }
        }
    }

    fn tile(&self, cell: u32) -> Tile {
        self.tiles[cell as usize]
    }

    /// The neighbour in a direction; the shore keeps a walker where it is.
    fn neighbour(&self, cell: u32, direction: u32) -> u32 {
        let (down, right) = DIRECTIONS[direction as usize];
        let (row, column) = (cell as usize / self.columns, cell as usize % self.columns);
        let row = row.saturating_add_signed(down).min(self.rows - 1);
        let column = column.saturating_add_signed(right).min(self.columns - 1);
        (row * self.columns + column) as u32
    }

    fn reaches_goal(&self, start: u32) -> bool {
        let mut seen = vec![false; self.tiles.len()];
        let mut open = vec![start];
        while let Some(cell) = open.pop() {
            if self.tile(cell) == Tile::Goal {
                return true;
            }
            if self.tile(cell) != Tile::Hole && !std::mem::replace(&mut seen[cell as usize], true) {
                open.extend((0..ACTIONS).map(|direction| self.neighbour(cell, direction)));
            }
        }
        false
    }
}

fn bad(key: &str, message: String) -> Error {
    Error::Config { key: format!("env.{key}"), message }
}

/// Where a step goes that aims at `action` and slips by `side`: 0 to its left, 1 not at all, 2 to its right.
fn slip(action: u32, side: usize) -> u32 {
    (action + ACTIONS - 1 + side as u32) % ACTIONS
}

impl FrozenLake {
    fn reward(&self, cell: u32) -> f64 {
        let [goal, hole, ice] = self.config.reward_schedule;
        match self.lake.tile(cell) {
            Tile::Goal => goal,
            Tile::Hole => hole,
            Tile::Start | Tile::Frozen => ice,
        }
    }

    /// The outcomes of one action in the order of Gymnasium's `P[state][action]`, impossible ones included.
    fn ways(&self, cell: u32, action: u32) -> Vec<Outcome> {
        if self.lake.tile(cell).ends() {
            return vec![Outcome { probability: 1.0, next: cell, reward: 0.0, terminated: true }];
        }
        let sides = if self.config.slippery { 0..3 } else { 1..2 };
        let way = |side| {
            let next = self.lake.neighbour(cell, slip(action, side));
            let terminated = self.lake.tile(next).ends();
            Outcome { probability: self.odds[side], next, reward: self.reward(next), terminated }
        };
        sides.map(way).collect()
    }
}

impl Env for FrozenLake {
    const ID: &'static str = "frozenlake";
    const VERSION: u32 = 1;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        let success = config.success_rate;
        if !(0.0..=1.0).contains(&success) {
            return Err(bad("success_rate", format!("{success} is not a probability from 0 to 1")));
        }
        if let Some(reward) = config.reward_schedule.iter().find(|reward| !reward.is_finite()) {
            return Err(bad("reward_schedule", format!("{reward} is not finite")));
        }
        if config.max_steps == 0 {
            return Err(bad("max_steps", "must be at least 1".to_owned()));
        }
        let side = (1.0 - success) / 2.0;
        let odds = if config.slippery { [side, success, side] } else { [0.0, 1.0, 0.0] };
        let lake = Lake::new(&config.map)?;
        let state = State { cell: lake.starts[0], steps: 0, aim: None, rng: Rng::episode(0) };
        Ok(Self { lake, odds, config: config.clone(), state })
    }

    fn spec(&self) -> Spec {
        Spec {
            frame: [0, 0, 0],
            stack: 1,
            vector: 0,
            symbols: [self.lake.tiles.len() as u32].into(),
            mask: false,
            discrete: [ACTIONS].into(),
            continuous: [].into(),
        }
    }

    fn reset(&mut self, rng: &mut Rng, obs: Obs<'_>) -> Result<()> {
        let mut rng = Rng::episode(rng.u64());
        let start = rng.below(self.lake.starts.len() as u32);
        self.state = State { cell: self.lake.starts[start as usize], steps: 0, aim: None, rng };
        obs.symbols[0] = self.state.cell;
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step> {
        let action = act.discrete[0];
        assert!(action < ACTIONS, "frozenlake: action {action} is not 0 (left), 1 (down), 2 (right) or 3 (up)");
        let state = &mut self.state;
        let draw = state.rng.f64();
        let side = usize::from(draw >= self.odds[0]) + usize::from(draw >= self.odds[0] + self.odds[1]);
        state.cell = self.lake.neighbour(state.cell, slip(action, side));
        state.aim = Some(action as u8);
        state.steps += 1;
        obs.symbols[0] = state.cell;

        let end = if self.lake.tile(state.cell).ends() {
            End::Terminated
        } else if state.steps >= self.config.max_steps {
            End::Truncated
        } else {
            End::No
        };
        Ok(Step { reward: self.reward(self.state.cell) as f32, end, frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.state, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let state: State = load_postcard(Self::ID, bytes)?;
        let cells = self.lake.tiles.len();
        let aims = state.aim.is_none_or(|aim| u32::from(aim) < ACTIONS);
        if state.cell as usize >= cells || state.steps > self.config.max_steps || !aims {
            let message = format!("cell {} at step {} is not on this lake of {cells} cells", state.cell, state.steps);
            return Err(Error::State { part: Self::ID.to_owned(), message });
        }
        self.state = state;
        Ok(())
    }

    fn tabular(&self) -> Option<Tabular> {
        let cells = self.lake.tiles.len() as u32;
        let mut start = vec![0.0; cells as usize];
        for &cell in &self.lake.starts {
            start[cell as usize] = 1.0 / self.lake.starts.len() as f64;
        }
        let ways = |cell| (0..ACTIONS).map(|action| self.ways(cell, action)).collect();
        let table = Tabular::new(start, Some(self.config.max_steps), (0..cells).map(ways).collect());
        Some(table.expect("odds sum to 1 and neighbours are cells"))
    }

    fn draw(&self, canvas: &mut Canvas) {
        picture::draw(&self.lake, &self.state, canvas);
    }
}
