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

/// Table entry `connectfour`; its protocols choose the opponent: `self-play`, `random` or `alphabeta4`.
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

/// Configuration of [`ConnectFour`], as its `[env]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the protocol that the other keys follow, for reports.
    pub protocol: String,
    /// Who makes the moves of the other side.
    pub opponent: Opponent,
    /// Search depth of the opponent `alphabeta`, in moves of both sides; from 1 to 10.
    pub depth: u32,
    /// Smallest and largest number of uniformly random moves, of both sides, that a game begins with; at most 6.
    pub random_plies: [u32; 2],
}

/// Opponent in [`ConnectFour`]: who makes the moves of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opponent {
    /// The seat plays both sides in turn (self-play).
    Oneself,
    /// Uniformly random legal moves.
    Random,
    /// [`AlphaBeta`] search with the heuristic [`thumb`].
    AlphaBeta,
}

/// Largest number of random moves after which no game is over yet: the seventh stone may complete a line.
const MOST_RANDOM: u32 = 6;
/// Largest search depth; beyond it a move takes seconds.
const MOST_DEPTH: u32 = 10;

/// The Connect Four environment. It observes the planes of [`Position`] for the side to move, `vector [6 · 7 · 2]`,
/// with an action mask, and takes one discrete action, the column from 0 to 6.
#[derive(Clone, Debug)]
pub struct ConnectFour {
    random_plies: [u32; 2],
    /// Opponent that answers each move; `None` where the seat plays both sides.
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
    /// Generator of the random first moves and of the opponent's moves.
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
    /// Returns the reward of the side that made the last move; `None` while the game goes on.
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
        // Half of the time an opponent makes another move before the first of the seat.
        let bound = MOST_RANDOM - u32::from(config.opponent != Opponent::Oneself);
        if least > most || most > bound {
            let message = format!("[{least}, {most}] is not a range within 0 to {bound}, where no game is over");
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
