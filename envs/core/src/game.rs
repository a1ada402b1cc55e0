//! Board games of two players who move in turns and see everything: what whoever plans ahead must be able to do with one.
//!
//! A position is a value: it is copied, played on and thrown away. What it shows is all there is to know of it, so that a
//! planner takes up a game from what its seat sees, and whoever plays the game need not know of planners.

use serde::{Serialize, de::DeserializeOwned};

/// One of the two players of a board game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Player who makes the first move of a game.
    First,
    /// Player who makes the second move of a game.
    Second,
}

impl Side {
    /// Returns the side to move after `plies` moves, counting the moves of both sides.
    pub fn after(plies: u32) -> Self {
        if plies.is_multiple_of(2) { Side::First } else { Side::Second }
    }
}

/// Result of a finished game for one of its two players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GameResult {
    /// The player won.
    Won,
    /// The game is a draw.
    Drawn,
    /// The player lost.
    Lost,
}

impl GameResult {
    /// Returns the reward of the player: 1 for a win, 0 for a draw, -1 for a loss.
    pub fn value(self) -> f32 {
        match self {
            GameResult::Won => 1.0,
            GameResult::Drawn => 0.0,
            GameResult::Lost => -1.0,
        }
    }

    /// Returns the result of the same game for the other player.
    pub fn reversed(self) -> Self {
        match self {
            GameResult::Won => GameResult::Lost,
            GameResult::Drawn => GameResult::Drawn,
            GameResult::Lost => GameResult::Won,
        }
    }
}

/// A position of a deterministic two-player board game with perfect information, on which a planner such as MCTS can
/// play ahead.
pub trait Game: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Height, width and number of feature planes of an observed position, `[H, W, C]`.
    const PLANES: [usize; 3];
    /// Number of moves, legal or not: moves are the numbers `0..ACTIONS`.
    const ACTIONS: usize;
    /// Number of symmetries of the board under which a position keeps its value, the identity included.
    const SYMMETRIES: usize;

    /// Returns the position that games begin with.
    fn start() -> Self;

    /// Returns the side to move.
    fn to_move(&self) -> Side;

    /// Whether the move `action` is legal in this position; no move is once the game is over, and some move is before.
    fn legal(&self, action: usize) -> bool;

    /// Makes the move `action`, after which the other side is to move, even if the game is over.
    ///
    /// # Panics
    /// If the move is not legal.
    fn play(&mut self, action: usize);

    /// Returns the result for the side to move; `None` while the game goes on.
    fn outcome(&self) -> Option<GameResult>;

    /// Writes the feature planes that the side to move sees into all of `planes`, `[H, W, C]` of
    /// [`PLANES`](Self::PLANES).
    fn observe(&self, planes: &mut [f32]);

    /// Returns the position for which [`observe`](Self::observe) writes `planes`; `None` if there is none.
    fn recognise(planes: &[f32]) -> Option<Self>;

    /// Returns the image of this position under a symmetry below [`SYMMETRIES`](Self::SYMMETRIES); 0 is the identity.
    fn image(&self, symmetry: usize) -> Self;

    /// Returns the image of the move `action` under a symmetry below [`SYMMETRIES`](Self::SYMMETRIES).
    fn image_of(action: usize, symmetry: usize) -> usize;
}
