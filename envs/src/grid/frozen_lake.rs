//! FrozenLake: cross the ice from start to goal; a step may slip to either side of where it was meant to go.
//!
//! Its transition table equals Gymnasium's.
//! Source: Gymnasium 1.4, `toy_text/frozen_lake.py`.

mod picture;

use rl_core::{Canvas, EnvEntry, Result};
use serde::Deserialize;

use super::world::{GridEnv, GridWorld, Outcome};
use crate::settings::{bad, check_finite, check_limit, check_probability};

/// Table entry `frozenlake`: Gymnasium's FrozenLake-v1 with the map of 4 × 4 cells, or any map by `env.map`.
pub const ENTRY: EnvEntry = EnvEntry::single::<FrozenLake>(
    "Cross slippery ice of 4 x 4 cells, or a map of your own (Gymnasium's FrozenLake-v1)",
    include_str!("../../../presets/env/frozenlake.toml"),
);

/// Table entry `frozenlake8x8`: Gymnasium's FrozenLake8x8-v1 with the map of 8 × 8 cells.
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

/// Configuration of [`FrozenLake`], as its `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Map of the lake.
    pub map: Map,
    /// Whether a step may slip to the left or right of the chosen direction.
    pub slippery: bool,
    /// Probability that a slippery step goes in the chosen direction; the rest is shared equally by the two sides.
    pub success_rate: f64,
    /// Rewards for reaching a goal, a hole, and ice (the start included).
    pub reward_schedule: [f64; 3],
    /// Number of steps after which an episode is truncated.
    pub max_steps: u32,
}

/// Map of a [`FrozenLake`], by name or by its rows from the top.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "map must be \"4x4\", \"8x8\" or a list of rows such as [\"SFF\", \"FHG\"]")]
pub enum Map {
    /// One of the names `4x4` and `8x8`, or rows with `/` between them, which need no quotes in a shell.
    Named(String),
    /// Rows of equal length made of the letters `S` (start), `F` (frozen), `H` (hole) and `G` (goal).
    Rows(Vec<String>),
}

/// The FrozenLake environment. It observes the cell, `symbols [1]`, and takes one discrete action: left, down, right or
/// up.
pub type FrozenLake = GridEnv<Lake>;

/// Map and rules of [`FrozenLake`].
#[derive(Clone, Debug)]
pub struct Lake {
    map: Grid,
    /// Probabilities of slipping to the left of the chosen direction, of going straight, and of slipping to its right.
    probabilities: [f64; 3],
    config: Config,
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
struct Grid {
    rows: usize,
    columns: usize,
    tiles: Vec<Tile>,
    starts: Vec<u32>,
}

impl Grid {
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
        let grid = Self { rows: map.len(), columns, tiles, starts };
        if grid.starts.is_empty() {
            return Err(bad("map", "has no start S".to_owned()));
        }
        let leads = grid.leads_to_goal();
        match grid.starts.iter().find(|&&start| !leads[start as usize]) {
            None => Ok(grid),
            Some(&start) => {
                let (row, column) = (start as usize / columns + 1, start as usize % columns + 1);
                Err(bad("map", format!("no way over ice leads from S in row {row}, column {column} to a goal G")))
            }
        }
    }

    fn tile(&self, cell: u32) -> Tile {
        self.tiles[cell as usize]
    }

    /// Returns the neighbour of a cell in a direction, or the cell itself at the edge of the map.
    fn neighbour(&self, cell: u32, direction: u32) -> u32 {
        let (down, right) = DIRECTIONS[direction as usize];
        let (row, column) = (cell as usize / self.columns, cell as usize % self.columns);
        let row = row.saturating_add_signed(down).min(self.rows - 1);
        let column = column.saturating_add_signed(right).min(self.columns - 1);
        (row * self.columns + column) as u32
    }

    /// Marks the cells from which a path over ice leads to a goal, the goals included, by one flood fill from all
    /// goals; it works backwards because moves can be reversed.
    fn leads_to_goal(&self) -> Vec<bool> {
        let mut leads = vec![false; self.tiles.len()];
        let mut open: Vec<u32> =
            (0u32..).zip(&self.tiles).filter(|&(_, &tile)| tile == Tile::Goal).map(|(cell, _)| cell).collect();
        while let Some(cell) = open.pop() {
            if self.tile(cell) != Tile::Hole && !std::mem::replace(&mut leads[cell as usize], true) {
                open.extend((0..ACTIONS).map(|direction| self.neighbour(cell, direction)));
            }
        }
        leads
    }
}

/// Value of `side` in [`slip`] for a step that does not slip.
const STRAIGHT: usize = 1;

/// Returns the direction of a step that aims at `action` and slips by `side`: 0 to its left, 1 not at all, 2 to its
/// right.
fn slip(action: u32, side: usize) -> u32 {
    (action + ACTIONS - 1 + side as u32) % ACTIONS
}

impl GridWorld for Lake {
    const ID: &'static str = "frozenlake";
    const VERSION: u32 = 1;
    const ACTIONS: &'static [&'static str] = &["left", "down", "right", "up"];
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        check_probability("success_rate", config.success_rate)?;
        config.reward_schedule.iter().try_for_each(|&reward| check_finite("reward_schedule", reward))?;
        check_limit(config.max_steps)?;
        let side = (1.0 - config.success_rate) / 2.0;
        Ok(Self {
            map: Grid::new(&config.map)?,
            probabilities: [side, config.success_rate, side],
            config: config.clone(),
        })
    }

    fn limit(&self) -> Option<u32> {
        Some(self.config.max_steps)
    }

    fn states(&self) -> u32 {
        self.map.tiles.len() as u32
    }

    fn starts(&self) -> &[u32] {
        &self.map.starts
    }

    fn probabilities(&self, cell: u32, _action: u32) -> &[f64] {
        if self.config.slippery && !self.map.tile(cell).ends() { &self.probabilities } else { &[1.0] }
    }

    fn outcome(&self, cell: u32, action: u32, which: usize) -> Outcome {
        if self.map.tile(cell).ends() {
            return Outcome { next: cell, reward: 0.0, terminated: true };
        }
        let side = if self.config.slippery { which } else { STRAIGHT };
        let next = self.map.neighbour(cell, slip(action, side));
        let [goal, hole, ice] = self.config.reward_schedule;
        let reward = match self.map.tile(next) {
            Tile::Goal => goal,
            Tile::Hole => hole,
            Tile::Start | Tile::Frozen => ice,
        };
        Outcome { next, reward, terminated: self.map.tile(next).ends() }
    }

    fn draw_policy(&self, actions: &[u32], values: &[f64], canvas: &mut Canvas) -> bool {
        picture::chart(&self.map, actions, values, canvas);
        true
    }

    fn draw(&self, cell: u32, last: Option<u32>, canvas: &mut Canvas) {
        picture::draw(&self.map, cell, last, canvas);
    }
}
