//! Connect Four on six rows and seven columns.
//!
//! A seat plays both sides in turns, or one of them against an opponent, which side being drawn anew for every game. Shown
//! are the stones of the side to move and those of the other, a plane each, and the columns that have room. A reward is
//! that of the side that the seat moved for: 1 for a line of four, 0 for a draw, -1 where the opponent made one. A stone
//! that its column has no room for loses the game.
//! Source: Allis 1988, "A knowledge-based approach of Connect-Four"; PettingZoo's `connect_four_v3` for what is shown.

mod picture;
mod position;
mod solver;
mod thumb;

use rl_core::{
    Act, Canvas, End, Env, EnvEntry, Game as _, GameResult, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard,
};
use serde::{Deserialize, Serialize};

pub use position::{CELLS, HEIGHT, Position, WIDTH};
pub use solver::Solver;
pub use thumb::thumb;

use crate::board::alpha_beta::AlphaBeta;
use crate::settings::bad;

/// The entry of the table of environments; its protocols say who is played against.
pub const ENTRY: EnvEntry = EnvEntry {
    protocols: &[
        ("self-play", include_str!("../../../presets/protocol/self-play.toml")),
        ("random", include_str!("../../../presets/protocol/random.toml")),
        ("alphabeta4", include_str!("../../../presets/protocol/alphabeta4.toml")),
    ],
    ..EnvEntry::single::<ConnectFour>(
        "Line up four stones that fall into columns, against oneself or another player",
        include_str!("../../../presets/env/connectfour.toml"),
    )
};

/// The `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the rest follows; a name for reports.
    pub protocol: String,
    /// Who makes the other side's moves.
    pub opponent: Opponent,
    /// Moves that the opponent `alphabeta` looks ahead.
    pub depth: u32,
    /// Fewest and most random moves that a game begins with, before anybody chooses one.
    pub random_plies: [u32; 2],
}

/// Who makes the other side's moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opponent {
    /// The seat itself.
    Oneself,
    /// Any legal move.
    Random,
    /// [`AlphaBeta`] by the rule of [`thumb`].
    AlphaBeta,
}

/// Random moves after which no game is over yet: the seventh stone may complete a line.
const MOST_RANDOM: u32 = 6;
/// Beyond it a move takes seconds.
const MOST_DEPTH: u32 = 10;

/// The environment.
#[derive(Clone, Debug)]
pub struct ConnectFour {
    random_plies: [u32; 2],
    /// Who answers, unless the seat itself does.
    answers: Option<Answers>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum Answers {
    Random,
    AlphaBeta(AlphaBeta<Position>),
}

/// Everything that changes in an episode.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    position: Position,
    /// Draws the first moves and those of the opponent.
    rng: Rng,
}

impl State {
    fn answer(&mut self, answers: Answers) {
        let Self { position, rng } = self;
        position.play(match answers {
            Answers::Random => position.random_move(rng),
            Answers::AlphaBeta(player) => player.choose(position, rng),
        });
    }
}

impl ConnectFour {
    /// What the game brought who made the last move, once it is over.
    fn earned(&self) -> Option<f32> {
        self.state.position.outcome().map(GameResult::reversed).map(GameResult::value)
    }

    fn show(&self, obs: &mut Obs<'_>) {
        let position = &self.state.position;
        position.observe(obs.vector);
        // Once the game is over nothing is chosen any more, and a mask forbids never everything.
        let over = position.outcome().is_some();
        for (column, legal) in obs.legal.iter_mut().enumerate() {
            *legal = (over || position.legal(column)).into();
        }
    }
}

impl Env for ConnectFour {
    const ID: &'static str = "connectfour";
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 2.0;
    type Config = Config;

    fn new(config: &Config) -> Result<Self> {
        let [least, most] = config.random_plies;
        if least > most || most > MOST_RANDOM {
            let message = format!("[{least}, {most}] is not a range within 0 to {MOST_RANDOM}, where no game is over");
            return Err(bad("random_plies", message));
        }
        if !(1..=MOST_DEPTH).contains(&config.depth) {
            return Err(bad("depth", format!("{} is not from 1 to {MOST_DEPTH}", config.depth)));
        }
        let answers = match config.opponent {
            Opponent::Oneself => None,
            Opponent::Random => Some(Answers::Random),
            Opponent::AlphaBeta => Some(Answers::AlphaBeta(AlphaBeta::new(config.depth, thumb))),
        };
        let state = State { position: Position::start(), rng: Rng::episode(0) };
        Ok(Self { random_plies: config.random_plies, answers, state })
    }

    fn spec(&self) -> Spec {
        let planes = Position::PLANES.iter().product();
        Spec { vector: planes, mask: true, discrete: [WIDTH as u32].into(), ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        let mut rng = Rng::episode(seed);
        let [least, most] = self.random_plies;
        let plies = least + rng.below(most - least + 1);
        let position = Position::random(plies, &mut rng).expect("no game is over so soon");
        self.state = State { position, rng };
        if let Some(answers) = self.answers
            && self.state.rng.below(2) == 0
        {
            self.state.answer(answers);
        }
        self.show(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        let column = act.discrete[0] as usize;
        assert!(column < WIDTH, "connectfour: action {column} is not a column from 0 to {}", WIDTH - 1);
        let earned = if self.state.position.legal(column) {
            self.state.position.play(column);
            match (self.earned(), self.answers) {
                (None, Some(answers)) => {
                    self.state.answer(answers);
                    self.earned().map(|theirs| -theirs)
                }
                (earned, _) => earned,
            }
        } else {
            Some(GameResult::Lost.value())
        };
        self.show(&mut obs);
        Ok(Step { reward: earned.unwrap_or(0.0), end: End::of(earned.is_some(), false), frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.state, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        self.state = load_postcard(Self::ID, bytes)?;
        Ok(())
    }

    fn action_names(&self) -> Vec<String> {
        (1..=WIDTH).map(|column| format!("column {column}")).collect()
    }

    fn draw(&self, canvas: &mut Canvas) {
        picture::draw(&self.state.position, canvas);
    }
}
