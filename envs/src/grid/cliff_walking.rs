//! CliffWalking: from one end of a cliff to the other; a step over its edge costs 100 and leads back to the start.
//!
//! Its transition table equals Gymnasium's. The cliff and the goal are states as well, as they are there: nobody ever acts in them.
//! Source: Sutton and Barto 2018, example 6.6; Gymnasium 1.4, `toy_text/cliffwalking.py`.

use embedded_graphics::pixelcolor::Rgb888;
use rl_core::{Canvas, EnvEntry, Result};
use serde::Deserialize;

use super::cells::Cells;
use super::chart::Chart;
use super::world::{GridEnv, GridWorld, Outcome};

/// Table entry `cliffwalking`: Gymnasium's CliffWalking-v1, where every step goes where it was meant to.
pub const ENTRY: EnvEntry = EnvEntry::single::<CliffWalking>(
    "Walk along a cliff without falling off it (Gymnasium's CliffWalking-v1)",
    include_str!("../../../presets/env/cliffwalking.toml"),
);

/// Table entry `cliffwalking-slippery`: Gymnasium's CliffWalkingSlippery-v1, where a step may slip to either side.
pub const ENTRY_SLIPPERY: EnvEntry = EnvEntry {
    id: "cliffwalking-slippery",
    ..EnvEntry::single::<CliffWalking>(
        "Walk along a slippery cliff without falling off it (Gymnasium's CliffWalkingSlippery-v1)",
        include_str!("../../../presets/env/cliffwalking-slippery.toml"),
    )
};

/// Configuration of [`CliffWalking`], as its `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether a step goes in the chosen direction or to its left or right, each with probability 1/3.
    pub slippery: bool,
    /// Number of steps after which an episode is truncated; 0 for never.
    pub max_steps: u32,
}

/// The CliffWalking environment. It observes the cell, `symbols [1]`, and takes one discrete action: up, right, down or
/// left.
pub type CliffWalking = GridEnv<Cliff>;

/// Map and rules of [`CliffWalking`]: 4 × 12 cells, reward -1 per step and -100 for a step over the cliff.
#[derive(Clone, Debug)]
pub struct Cliff {
    config: Config,
}

const ROWS: u32 = 4;
const COLUMNS: u32 = 12;
const START: u32 = (ROWS - 1) * COLUMNS;
const GOAL: u32 = ROWS * COLUMNS - 1;

/// Steps in rows and columns of up, right, down, left: the neighbours of an action are the directions at its sides.
const DIRECTIONS: [(isize, isize); 4] = [(-1, 0), (0, 1), (1, 0), (0, -1)];

fn is_cliff(cell: u32) -> bool {
    (START + 1..GOAL).contains(&cell)
}

impl GridWorld for Cliff {
    const ID: &'static str = "cliffwalking";
    const VERSION: u32 = 1;
    const ACTIONS: &'static [&'static str] = &["up", "right", "down", "left"];
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { config: config.clone() })
    }

    fn limit(&self) -> Option<u32> {
        (self.config.max_steps > 0).then_some(self.config.max_steps)
    }

    fn states(&self) -> u32 {
        ROWS * COLUMNS
    }

    fn starts(&self) -> &[u32] {
        &[START]
    }

    fn probabilities(&self, _cell: u32, _action: u32) -> &[f64] {
        if self.config.slippery { &[1.0 / 3.0; 3] } else { &[1.0] }
    }

    fn outcome(&self, cell: u32, action: u32, which: usize) -> Outcome {
        let turn = if self.config.slippery { which + 3 } else { 0 }; // to the left, straight, to the right
        let (down, right) = DIRECTIONS[(action as usize + turn) % 4];
        let row = (cell / COLUMNS).saturating_add_signed(down as i32).min(ROWS - 1);
        let column = (cell % COLUMNS).saturating_add_signed(right as i32).min(COLUMNS - 1);
        let next = row * COLUMNS + column;
        if is_cliff(next) {
            return Outcome { next: START, reward: -100.0, terminated: false };
        }
        Outcome { next, reward: -1.0, terminated: next == GOAL }
    }

    fn draw_policy(&self, actions: &[u32], values: &[f64], canvas: &mut Canvas) -> bool {
        chart(actions, values, canvas);
        true
    }

    fn draw(&self, cell: u32, last: Option<u32>, canvas: &mut Canvas) {
        draw(cell, last, canvas);
    }
}

const SEAM: Rgb888 = Rgb888::new(0xA9, 0xC8, 0x9A);
const GRASS: Rgb888 = Rgb888::new(0xC4, 0xDF, 0xB3);
const BLADE: Rgb888 = Rgb888::new(0xAE, 0xD0, 0x9B);
const HOME: Rgb888 = Rgb888::new(0xE6, 0xF2, 0xDC);
const TARGET: Rgb888 = Rgb888::new(0xFF, 0xE9, 0xAE);
const EDGE: Rgb888 = Rgb888::new(0x8A, 0x76, 0x64);
const ROCK: Rgb888 = Rgb888::new(0x5B, 0x4D, 0x43);
const ABYSS: Rgb888 = Rgb888::new(0x33, 0x2B, 0x29);

/// Draws meadow, cliff, start, goal, and the walker with an arrow in the direction of the last action.
fn draw(walker: u32, aim: Option<u32>, canvas: &mut Canvas) {
    let mut cells = Cells::begin(canvas, [ROWS, COLUMNS], 128, SEAM);
    (0..ROWS * COLUMNS).for_each(|cell| draw_cell(&mut cells, cell));
    let corner = cells.corner(walker);
    cells.walker(corner, SEAM);
    if let Some(aim) = aim {
        cells.aim(corner, DIRECTIONS[aim as usize]);
    }
    cells.halve();
    letters(&mut cells);
}

fn draw_cell(cells: &mut Cells<'_>, cell: u32) {
    let corner = cells.corner(cell);
    match cell {
        START => cells.tile(corner, HOME),
        GOAL => {
            cells.tile(corner, TARGET);
            cells.flag(corner);
        }
        _ if is_cliff(cell) => {
            cells.bar(corner, (0.0, 0.0), (1.0, 1.0), ABYSS);
            cells.bar(corner, (0.0, 0.0), (1.0, 0.34), ROCK);
            cells.bar(corner, (0.0, 0.0), (1.0, 0.10), EDGE);
            for (x, depth) in [(0.08, 0.50), (0.38, 0.62), (0.70, 0.44)] {
                cells.slab(corner, (x, 0.2), (0.2, depth - 0.2), 0.08, ROCK);
            }
        }
        _ => {
            cells.tile(corner, GRASS);
            for (x, y) in [(0.24, 0.34), (0.68, 0.28), (0.46, 0.74)] {
                cells.stroke(corner, (x, y), (x - 0.04, y - 0.09), 0.03, BLADE);
                cells.stroke(corner, (x, y), (x + 0.05, y - 0.08), 0.03, BLADE);
            }
        }
    }
}

/// Draws a policy and the values of the cells.
fn chart(actions: &[u32], values: &[f64], canvas: &mut Canvas) {
    let mut cells = Cells::begin(canvas, [ROWS, COLUMNS], 128, SEAM);
    let open = |cell| cell != GOAL && !is_cliff(cell);
    Chart::new(actions, values, &DIRECTIONS, open).paint(&mut cells, draw_cell, letters);
}

fn letters(cells: &mut Cells<'_>) {
    cells.letter(START, "S");
    cells.letter(GOAL, "G");
}
