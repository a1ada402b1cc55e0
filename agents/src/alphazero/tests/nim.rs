//! A game so small that its values are known: from a heap each side takes one to three stones, and who takes the last wins.
//! A heap of a multiple of four is lost for who is to move.

use rl_core::{Game, GameResult, Side};
use serde::{Deserialize, Serialize};

/// Stones at first.
pub(super) const MOST: usize = 11;

/// A heap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Nim {
    pub(super) left: usize,
    pub(super) plies: u32,
}

impl Game for Nim {
    const PLANES: [usize; 3] = [1, MOST + 1, 2];
    const ACTIONS: usize = 3;
    const SYMMETRIES: usize = 1;

    fn start() -> Self {
        Self { left: MOST, plies: 0 }
    }

    fn to_move(&self) -> Side {
        Side::after(self.plies)
    }

    fn legal(&self, action: usize) -> bool {
        action < self.left
    }

    fn play(&mut self, action: usize) {
        assert!(self.legal(action), "{action} of {self:?}");
        (self.left, self.plies) = (self.left - action - 1, self.plies + 1);
    }

    fn outcome(&self) -> Option<GameResult> {
        (self.left == 0).then_some(GameResult::Lost)
    }

    /// The heap one-hot, and a plane of who is to move.
    fn observe(&self, planes: &mut [f32]) {
        for (count, planes) in planes.chunks_exact_mut(2).enumerate() {
            planes[0] = if count == self.left { 1.0 } else { 0.0 };
            planes[1] = if self.to_move() == Side::First { 0.0 } else { 1.0 };
        }
    }

    fn recognise(planes: &[f32]) -> Option<Self> {
        let left = planes.chunks_exact(2).position(|planes| planes[0] == 1.0)?;
        Some(Self { left, plies: planes[1] as u32 })
    }

    fn image(&self, _: usize) -> Self {
        self.clone()
    }

    fn image_of(action: usize, _: usize) -> usize {
        action
    }
}
