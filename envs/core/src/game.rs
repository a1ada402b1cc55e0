//! Board games of two players who move in turns and see everything: what whoever plans ahead must be able to do with one.
//!
//! A position is a value: it is copied, played on and thrown away. What it shows is all there is to know of it, so that a
//! planner takes up a game from what its seat sees, and whoever plays the game need not know of planners.

use serde::{Serialize, de::DeserializeOwned};

/// One of the two players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who makes the first move of a game.
    First,
    /// The other one.
    Second,
}

impl Side {
    /// Who moves after `plies` moves of both.
    pub fn after(plies: u32) -> Self {
        if plies.is_multiple_of(2) { Side::First } else { Side::Second }
    }
}

/// What a game that is over brought one of its players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GameResult {
    /// A point.
    Won,
    /// Nothing to either.
    Drawn,
    /// A point to the other.
    Lost,
}

impl GameResult {
    /// 1, 0 or -1.
    pub fn value(self) -> f32 {
        match self {
            GameResult::Won => 1.0,
            GameResult::Drawn => 0.0,
            GameResult::Lost => -1.0,
        }
    }

    /// What it brought the other player.
    pub fn reversed(self) -> Self {
        match self {
            GameResult::Won => GameResult::Lost,
            GameResult::Drawn => GameResult::Drawn,
            GameResult::Lost => GameResult::Won,
        }
    }
}

/// A position of a game.
pub trait Game: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Height, width and planes of what a position shows, `[H, W, C]`.
    const PLANES: [usize; 3];
    /// Moves that there are, legal or not.
    const ACTIONS: usize;
    /// Images of a position that are worth as much, itself included.
    const SYMMETRIES: usize;

    /// The position that games begin with.
    fn start() -> Self;

    /// Whose move it is.
    fn to_move(&self) -> Side;

    /// Whether the rules allow a move here; none is once the game is over.
    fn legal(&self, action: usize) -> bool;

    /// Makes a move; then the other side is to move, also where that ends the game.
    ///
    /// # Panics
    /// If the move is not legal.
    fn play(&mut self, action: usize);

    /// What the game brought the side to move, once it is over.
    fn outcome(&self) -> Option<GameResult>;

    /// Writes what the side to move sees, `[H, W, C]`, every element.
    fn observe(&self, planes: &mut [f32]);

    /// The position that shows these planes, if one does.
    fn recognise(planes: &[f32]) -> Option<Self>;

    /// The image of this position by one of the symmetries; that by 0 is itself.
    fn image(&self, symmetry: usize) -> Self;

    /// What becomes of a move in the same image.
    fn image_of(action: usize, symmetry: usize) -> usize;
}
