//! Taxi: fetch a passenger at one of four stands and bring them to another, among walls.
//!
//! A state is shown as Gymnasium numbers it, `((row · 5 + column) · 5 + passenger) · 4 + destination`, with the passenger at
//! stand 0 to 3 or aboard (4). A fickle passenger may name another destination at the first move, once; whether that is behind
//! them is not shown. Gymnasium draws it at reset and we when it happens, which is the same to whoever plays.
//! Source: Dietterich 2000; Gymnasium 1.4, `toy_text/taxi.py`.

mod picture;

use rl_core::{Canvas, EnvEntry, Result};
use serde::Deserialize;

use super::world::{GridEnv, GridWorld, Outcome};
use crate::settings::{check_limit, check_probability};

/// Table entry `taxi`: Gymnasium's Taxi-v4, with episodes of at most 200 steps.
pub const ENTRY: EnvEntry = EnvEntry::single::<Taxi>(
    "Fetch a passenger and bring them where they want to go (Gymnasium's Taxi-v4)",
    include_str!("../../../presets/env/taxi.toml"),
);

/// Configuration of [`Taxi`], as its `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether a possible move may go to the left or right of the chosen direction instead.
    pub rainy: bool,
    /// Probability that a move in the rain goes in the chosen direction; the rest is shared equally by the two sides.
    pub rainy_probability: f64,
    /// Whether the passenger may choose another destination at the first move of the taxi with them aboard.
    pub fickle: bool,
    /// Probability that a fickle passenger chooses another destination, any of the other three being equally probable.
    pub fickle_probability: f64,
    /// Whether an action mask reports actions that would change nothing as illegal.
    pub mask: bool,
    /// Number of steps after which an episode is truncated.
    pub max_steps: u32,
}

/// The Taxi environment. It observes Gymnasium's state number from 0 to 499, `symbols [1]`, and takes one discrete
/// action: south, north, east, west, pick up or drop off.
pub type Taxi = GridEnv<Town>;

/// Map and rules of [`Taxi`].
#[derive(Clone, Debug)]
pub struct Town {
    config: Config,
    starts: Vec<u32>,
    /// Probabilities of a move going straight, to the left and to the right; straight alone without rain.
    moves: Vec<f64>,
    /// Probabilities of a move with a passenger who may change their mind: those of `moves`, each times four
    /// destinations.
    whims: Vec<f64>,
}

const SIDE: u32 = 5;
const STANDS: [(u32, u32); 4] = [(0, 0), (0, 4), (4, 0), (4, 3)];
const ABOARD: u32 = STANDS.len() as u32;
/// Number of observations: 25 places of the taxi, five of the passenger, four destinations.
const SHOWN: u32 = SIDE * SIDE * 5 * 4;
/// Row and column of each cell with a wall on its right side.
const WALLS: [(u32, u32); 6] = [(0, 1), (1, 1), (3, 0), (3, 2), (4, 0), (4, 2)];

/// Steps in rows and columns of south, north, east, west.
const DIRECTIONS: [(isize, isize); 4] = [(1, 0), (-1, 0), (0, 1), (0, -1)];
/// Directions to the left and to the right of each of the [`DIRECTIONS`].
const SIDES: [[u32; 2]; 4] = [[2, 3], [3, 2], [1, 0], [0, 1]];
const PICK_UP: u32 = 4;
const DROP_OFF: u32 = 5;

/// Components of a state number: place of the taxi, of the passenger, and destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ride {
    row: u32,
    column: u32,
    passenger: u32,
    destination: u32,
    /// Whether a fickle passenger has had the chance to change the destination; always false for others.
    settled: bool,
}

impl Ride {
    fn of(state: u32) -> Self {
        let shown = state % SHOWN;
        let (place, destination) = (shown / 20, shown % 4);
        let (row, column, passenger) = (place / SIDE, place % SIDE, shown / 4 % 5);
        Self { row, column, passenger, destination, settled: state >= SHOWN }
    }

    fn state(self) -> u32 {
        let shown = ((self.row * SIDE + self.column) * 5 + self.passenger) * 4 + self.destination;
        shown + u32::from(self.settled) * SHOWN
    }

    /// Returns the number of the stand that the taxi is at, if any.
    fn stand(self) -> Option<u32> {
        (0..).zip(STANDS).find(|&(_, place)| place == (self.row, self.column)).map(|(stand, _)| stand)
    }

    /// Returns the state after a move in a direction, unchanged where a wall or the edge of the town is in the way.
    fn moved(self, direction: u32) -> Self {
        let (row, column) = match direction {
            0 => (self.row + 1, self.column),
            1 => (self.row.wrapping_sub(1), self.column),
            2 if !WALLS.contains(&(self.row, self.column)) => (self.row, self.column + 1),
            3 if !WALLS.contains(&(self.row, self.column.wrapping_sub(1))) => (self.row, self.column.wrapping_sub(1)),
            _ => return self,
        };
        if row < SIDE && column < SIDE { Self { row, column, ..self } } else { self }
    }
}

impl Town {
    /// Whether a move may make the passenger change their mind.
    fn may_change(&self, ride: Ride) -> bool {
        self.config.fickle && !ride.settled && ride.passenger == ABOARD
    }

    fn drive(&self, ride: Ride, action: u32, which: usize) -> Ride {
        let (turn, whim) = if self.may_change(ride) { (which / 4, which as u32 % 4) } else { (which, 0) };
        let ahead = ride.moved(action);
        let next = match turn {
            0 => ahead,
            _ if ahead == ride => ride, // a taxi that cannot go ahead does not drift either
            side => ride.moved(SIDES[action as usize][side - 1]),
        };
        if next == ride || !self.may_change(ride) {
            return next;
        }
        Ride { destination: (ride.destination + whim) % 4, settled: true, ..next }
    }
}

impl GridWorld for Town {
    const ID: &'static str = "taxi";
    const VERSION: u32 = 1;
    const ACTIONS: &'static [&'static str] = &["south", "north", "east", "west", "pick up", "drop off"];
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        check_probability("rainy_probability", config.rainy_probability)?;
        check_probability("fickle_probability", config.fickle_probability)?;
        check_limit(config.max_steps)?;
        let waits = |&state: &u32| {
            let ride = Ride::of(state);
            ride.passenger != ABOARD && ride.passenger != ride.destination
        };
        let aside = (1.0 - config.rainy_probability) / 2.0;
        let moves = if config.rainy { vec![config.rainy_probability, aside, aside] } else { vec![1.0] };
        let other = config.fickle_probability / 3.0;
        let destinations = [1.0 - config.fickle_probability, other, other, other];
        let whims = moves.iter().flat_map(|way| destinations.map(|destination| way * destination)).collect();
        Ok(Self { config: config.clone(), starts: (0..SHOWN).filter(waits).collect(), moves, whims })
    }

    fn limit(&self) -> Option<u32> {
        Some(self.config.max_steps)
    }

    fn states(&self) -> u32 {
        if self.config.fickle { 2 * SHOWN } else { SHOWN }
    }

    fn symbols(&self) -> u32 {
        SHOWN
    }

    fn symbol(&self, state: u32) -> u32 {
        state % SHOWN
    }

    fn mask(&self) -> bool {
        self.config.mask
    }

    fn legal(&self, state: u32, action: u32) -> bool {
        let ride = Ride::of(state);
        match action {
            PICK_UP => ride.stand() == Some(ride.passenger),
            DROP_OFF => ride.passenger == ABOARD && ride.stand().is_some(),
            direction => ride.moved(direction) != ride,
        }
    }

    fn starts(&self) -> &[u32] {
        &self.starts
    }

    fn probabilities(&self, state: u32, action: u32) -> &[f64] {
        match action {
            PICK_UP | DROP_OFF => &[1.0],
            _ if self.may_change(Ride::of(state)) => &self.whims,
            _ => &self.moves,
        }
    }

    fn outcome(&self, state: u32, action: u32, which: usize) -> Outcome {
        let ride = Ride::of(state);
        let goes_on = |ride: Ride, reward| Outcome { next: ride.state(), reward, terminated: false };
        match (action, ride.stand()) {
            (PICK_UP, Some(stand)) if stand == ride.passenger => goes_on(Ride { passenger: ABOARD, ..ride }, -1.0),
            (DROP_OFF, Some(stand)) if ride.passenger == ABOARD => {
                let there = Ride { passenger: stand, ..ride };
                let arrived = stand == ride.destination;
                Outcome { next: there.state(), reward: if arrived { 20.0 } else { -1.0 }, terminated: arrived }
            }
            (PICK_UP | DROP_OFF, _) => goes_on(ride, -10.0),
            (direction, _) => goes_on(self.drive(ride, direction, which), -1.0),
        }
    }

    fn draw(&self, state: u32, last: Option<u32>, canvas: &mut Canvas) {
        picture::draw(Ride::of(state), last, canvas);
    }
}
