//! FrozenLake: cross the ice from start to goal; a step may slip to either side of where it was meant to go.
//!
//! Its transition table equals Gymnasium's, and the dynamics and the table come from the same three functions, so that a
//! policy judged by [`Tabular`] is judged by the lake that it walks on.
//! Source: Gymnasium 1.4, `toy_text/frozen_lake.py`.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, Point, Size};
use embedded_graphics::primitives::{Circle, CornerRadii, Ellipse, Line, Rectangle, RoundedRectangle, Triangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
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
        let cell = (1024 / self.lake.rows.max(self.lake.columns)).clamp(48, 192) as i32 & !1;
        Scene { canvas, cell }.draw(&self.lake, &self.state);
    }
}

const ICE: Rgb888 = Rgb888::new(0xDC, 0xEE, 0xF9);
const SHEEN: Rgb888 = Rgb888::new(0xF3, 0xFA, 0xFE);
const SEAM: Rgb888 = Rgb888::new(0xB4, 0xD2, 0xE8);
const RIM: Rgb888 = Rgb888::new(0x86, 0xB2, 0xD2);
const WATER: Rgb888 = Rgb888::new(0x1D, 0x4E, 0x7A);
const DEEP: Rgb888 = Rgb888::new(0x12, 0x36, 0x59);
const START: Rgb888 = Rgb888::new(0xBF, 0xE6, 0xC8);
const GOAL: Rgb888 = Rgb888::new(0xFF, 0xE9, 0xAE);
const LETTER: Rgb888 = Rgb888::new(0x4F, 0x6B, 0x7E);
const FLAG: Rgb888 = Rgb888::new(0xD6, 0x45, 0x50);
const POST: Rgb888 = Rgb888::new(0x5A, 0x46, 0x36);
const COAT: Rgb888 = Rgb888::new(0xE0, 0x7A, 0x3F);
const FACE: Rgb888 = Rgb888::new(0xFF, 0xE3, 0xC9);
const EYE: Rgb888 = Rgb888::new(0x2B, 0x2B, 0x33);

/// The picture, drawn at twice its size and halved, but for the letters; lengths are fractions of a cell.
struct Scene<'a> {
    canvas: &'a mut Canvas,
    cell: i32,
}

impl Scene<'_> {
    fn draw(mut self, lake: &Lake, state: &State) {
        let (width, height) = (lake.columns as i32 * self.cell, lake.rows as i32 * self.cell);
        self.canvas.begin(width as usize, height as usize, SEAM);
        for (cell, &tile) in lake.tiles.iter().enumerate() {
            self.tile(self.corner(lake, cell as u32), tile);
        }
        let corner = self.corner(lake, state.cell);
        self.walker(corner, lake.tile(state.cell) == Tile::Hole);
        if let Some(aim) = state.aim {
            self.aim(corner, DIRECTIONS[usize::from(aim)]);
        }
        self.canvas.halve();
        self.cell /= 2;
        for (cell, &tile) in lake.tiles.iter().enumerate() {
            match tile {
                Tile::Start => self.letter(self.corner(lake, cell as u32), "S"),
                Tile::Goal => self.letter(self.corner(lake, cell as u32), "G"),
                Tile::Frozen | Tile::Hole => {}
            }
        }
    }

    fn corner(&self, lake: &Lake, cell: u32) -> Point {
        let (row, column) = (cell as usize / lake.columns, cell as usize % lake.columns);
        Point::new(column as i32 * self.cell, row as i32 * self.cell)
    }

    fn part(&self, fraction: f64) -> i32 {
        (fraction * f64::from(self.cell)) as i32
    }

    fn at(&self, corner: Point, x: f64, y: f64) -> Point {
        corner + Point::new(self.part(x), self.part(y))
    }

    fn size(&self, width: f64, height: f64) -> Size {
        Size::new(self.part(width) as u32, self.part(height) as u32)
    }

    fn disc(&mut self, corner: Point, (x, y): (f64, f64), diameter: f64, color: Rgb888) {
        let disc = Circle::with_center(self.at(corner, x, y), self.part(diameter) as u32);
        self.canvas.fill(&disc, color);
    }

    fn oval(&mut self, corner: Point, (x, y): (f64, f64), (width, height): (f64, f64), color: Rgb888) {
        let oval = Ellipse::with_center(self.at(corner, x, y), self.size(width, height));
        self.canvas.fill(&oval, color);
    }

    fn tile(&mut self, corner: Point, tile: Tile) {
        let ground = match tile {
            Tile::Start => START,
            Tile::Goal => GOAL,
            Tile::Frozen | Tile::Hole => ICE,
        };
        let slab = Rectangle::new(self.at(corner, 0.02, 0.02), self.size(0.96, 0.96));
        let slab = RoundedRectangle::new(slab, CornerRadii::new(self.size(0.08, 0.08)));
        self.canvas.fill(&slab, ground);
        match tile {
            Tile::Frozen => self.sheen(corner),
            Tile::Hole => {
                self.oval(corner, (0.5, 0.52), (0.80, 0.72), RIM);
                self.oval(corner, (0.5, 0.54), (0.72, 0.64), WATER);
                self.oval(corner, (0.5, 0.58), (0.54, 0.44), DEEP);
            }
            Tile::Start => {}
            Tile::Goal => {
                let post = Rectangle::new(self.at(corner, 0.42, 0.18), self.size(0.05, 0.64));
                self.canvas.fill(&post, POST);
                let (top, tip, foot) =
                    (self.at(corner, 0.47, 0.18), self.at(corner, 0.80, 0.32), self.at(corner, 0.47, 0.46));
                self.canvas.fill(&Triangle::new(top, tip, foot), FLAG);
                self.oval(corner, (0.445, 0.83), (0.26, 0.07), POST);
            }
        }
    }

    fn sheen(&mut self, corner: Point) {
        let width = self.part(0.03).max(1) as u32;
        for (from, to) in [((0.16, 0.34), (0.34, 0.16)), ((0.16, 0.50), (0.50, 0.16)), ((0.72, 0.84), (0.84, 0.72))] {
            let line = Line::new(self.at(corner, from.0, from.1), self.at(corner, to.0, to.1));
            self.canvas.stroke(&line, SHEEN, width);
        }
    }

    fn letter(&mut self, corner: Point, letter: &str) {
        let style = TextStyleBuilder::new().alignment(Alignment::Center).baseline(Baseline::Middle).build();
        let font = MonoTextStyle::new(&FONT_10X20, LETTER);
        let Ok(_) = Text::with_text_style(letter, self.at(corner, 0.15, 0.17), font, style).draw(self.canvas);
    }

    /// The walker, or what is left of it above water.
    fn walker(&mut self, corner: Point, swims: bool) {
        if swims {
            self.oval(corner, (0.5, 0.66), (0.46, 0.16), RIM);
        } else {
            self.oval(corner, (0.5, 0.84), (0.44, 0.10), SEAM);
            let coat = Rectangle::new(self.at(corner, 0.34, 0.44), self.size(0.32, 0.40));
            let coat = RoundedRectangle::new(coat, CornerRadii::new(self.size(0.14, 0.14)));
            self.canvas.fill(&coat, COAT);
        }
        let y = if swims { 0.54 } else { 0.36 };
        self.disc(corner, (0.5, y), 0.34, COAT);
        self.disc(corner, (0.5, y + 0.02), 0.26, FACE);
        self.disc(corner, (0.45, y), 0.045, EYE);
        self.disc(corner, (0.55, y), 0.045, EYE);
    }

    /// An arrowhead on the side that the last action aimed at: where the walker stands and where it points may differ.
    fn aim(&mut self, corner: Point, (down, right): (isize, isize)) {
        let (down, right) = (down as f64, right as f64);
        let at = |along: f64, across: f64| {
            self.at(corner, 0.5 + along * right + across * down, 0.5 + along * down - across * right)
        };
        let head = Triangle::new(at(0.46, 0.0), at(0.37, 0.09), at(0.37, -0.09));
        self.canvas.fill(&head, FLAG);
    }
}
