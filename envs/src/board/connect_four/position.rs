//! Positions of Connect Four as two boards of bits: the stones of the side to move, and all stones.
//!
//! A column is seven bits from the bottom up, of which the topmost stays 0: no line of four runs over an edge, and adding
//! the bottom row to all stones carries into the cells that the next stones fall into.
//! Source: Tromp's "Fhourstones" for the layout.

use rl_core::{Game, GameResult, Rng, Side};
use serde::{Deserialize, Serialize};

/// Number of columns of the board.
pub const WIDTH: usize = 7;
/// Number of cells of a column.
pub const HEIGHT: usize = 6;
/// Number of cells of the board.
pub const CELLS: u32 = (WIDTH * HEIGHT) as u32;

/// Distance in bits from a cell to its right neighbour.
const STRIDE: usize = HEIGHT + 1;
const COLUMN: u64 = (1 << HEIGHT) - 1;
const BOTTOM: u64 = {
    let (mut bottom, mut column) = (0, 0);
    while column < WIDTH {
        bottom |= 1 << (column * STRIDE);
        column += 1;
    }
    bottom
};
const BOARD: u64 = BOTTOM * COLUMN;
/// Distance in bits from a cell to the next one of a line: up, right, and both diagonals.
pub(super) const DIRECTIONS: [usize; 4] = [1, STRIDE, STRIDE - 1, STRIDE + 1];

/// A position of Connect Four. As a [`Game`], its moves are columns from 0 to 6 and its two planes are the stones of
/// the side to move and those of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Boards")]
pub struct Position {
    mine: u64,
    all: u64,
}

/// Two bit boards as read from a file, not yet checked to be a position.
#[derive(Deserialize)]
struct Boards {
    mine: u64,
    all: u64,
}

impl TryFrom<Boards> for Position {
    type Error = &'static str;

    fn try_from(Boards { mine, all }: Boards) -> Result<Self, Self::Error> {
        let position = Self { mine, all };
        if position.is_sound() { Ok(position) } else { Err("stones in no order that moves lead to") }
    }
}

impl Position {
    /// Returns the position after `plies` uniformly random legal moves from the start; `None` if the game ends within
    /// them.
    pub fn random(plies: u32, rng: &mut Rng) -> Option<Self> {
        let mut position = Self::start();
        for _ in 0..plies {
            position.play(position.random_move(rng));
            if position.outcome().is_some() {
                return None;
            }
        }
        Some(position)
    }

    /// Draws a uniformly random legal move, a column from 0 to 6.
    ///
    /// # Panics
    /// If the game is over.
    pub fn random_move(&self, rng: &mut Rng) -> usize {
        let open = (0..WIDTH).filter(|&column| self.legal(column));
        let chosen = rng.below(open.clone().count() as u32) as usize;
        open.into_iter().nth(chosen).expect("fewer than there are")
    }

    /// Returns the number of stones of both sides.
    pub fn stones(&self) -> u32 {
        self.all.count_ones()
    }

    /// Whether moves can lead to this position, lines of four left aside.
    fn is_sound(&self) -> bool {
        let Self { mine, all } = *self;
        let stacked = (0..WIDTH).all(|column| {
            let stones = all >> (column * STRIDE) & COLUMN;
            (stones + 1).is_power_of_two()
        });
        all & !BOARD == 0 && mine & !all == 0 && stacked && mine.count_ones() == all.count_ones() / 2
    }

    pub(super) fn mine(&self) -> u64 {
        self.mine
    }

    pub(super) fn theirs(&self) -> u64 {
        self.mine ^ self.all
    }

    /// Returns the cells that the next stones fall into, one bit per column with room.
    pub(super) fn open(&self) -> u64 {
        (self.all + BOTTOM) & BOARD
    }

    /// Returns the position after a stone of the side to move in `cell`, one of the [`open`](Self::open) cells.
    pub(super) fn with(&self, cell: u64) -> Self {
        Self { mine: self.theirs(), all: self.all | cell }
    }

    /// Returns the empty cells where a stone would complete a line, whether it can fall there yet or not: those of the
    /// side to move, then those of the other side.
    pub(super) fn winning(&self) -> [u64; 2] {
        [self.mine, self.theirs()].map(|stones| completing(stones) & BOARD & !self.all)
    }

    /// Returns a number below 2⁴⁹ that is unique to this position, for hash tables.
    pub(super) fn key(&self) -> u64 {
        self.mine + self.all
    }

    /// Returns the side whose stone lies in a cell, `None` if it is empty; rows are counted from the top.
    pub(super) fn stone(&self, row: usize, column: usize) -> Option<Side> {
        let bit = bit(row, column);
        let (next, other) = match self.to_move() {
            Side::First => (Side::First, Side::Second),
            Side::Second => (Side::Second, Side::First),
        };
        (self.all & bit != 0).then_some(if self.mine & bit != 0 { next } else { other })
    }
}

/// Returns all cells of `column` as a bit board.
pub(super) fn cells(column: usize) -> u64 {
    COLUMN << (column * STRIDE)
}

/// Returns the bit of a cell; rows are counted from the top.
pub(super) fn bit(row: usize, column: usize) -> u64 {
    1 << (column * STRIDE + HEIGHT - 1 - row)
}

/// Lists all 69 lines of four cells of the board, as bit boards.
pub(super) fn lines() -> impl Iterator<Item = u64> {
    DIRECTIONS.into_iter().flat_map(|step| {
        let line = 1 | 1 << step | 1 << (2 * step) | 1 << (3 * step);
        (0..WIDTH * STRIDE - 3 * step).map(move |first| line << first).filter(|line| line & !BOARD == 0)
    })
}

/// Returns the cells that would complete a line of four whose other three cells are in `stones`.
fn completing(stones: u64) -> u64 {
    DIRECTIONS.into_iter().fold(0, |cells, step| {
        let (up, down) = ([1, 2, 3].map(|n| stones << (n * step)), [1, 2, 3].map(|n| stones >> (n * step)));
        let (top, upper) = (up[0] & up[1] & up[2], up[0] & up[1] & down[0]);
        let (lower, bottom) = (up[0] & down[0] & down[1], down[0] & down[1] & down[2]);
        cells | top | upper | lower | bottom
    })
}

/// Returns, for each of the [`DIRECTIONS`], the first cells of all lines of four within `stones`, and the direction.
pub(super) fn fours(stones: u64) -> impl Iterator<Item = (u64, usize)> {
    DIRECTIONS.into_iter().map(move |step| {
        let pairs = stones & stones >> step;
        (pairs & pairs >> (2 * step), step)
    })
}

impl Game for Position {
    const PLANES: [usize; 3] = [HEIGHT, WIDTH, 2];
    const ACTIONS: usize = WIDTH;
    const SYMMETRIES: usize = 2;

    fn start() -> Self {
        Self { mine: 0, all: 0 }
    }

    fn to_move(&self) -> Side {
        Side::after(self.stones())
    }

    fn legal(&self, action: usize) -> bool {
        action < WIDTH && self.open() & cells(action) != 0 && self.outcome().is_none()
    }

    fn play(&mut self, action: usize) {
        let cell = if action < WIDTH { self.open() & cells(action) } else { 0 };
        assert!(cell != 0, "connectfour: no stone can fall into column {action}");
        *self = self.with(cell);
    }

    fn outcome(&self) -> Option<GameResult> {
        // Only the last move can have made a line, and it was not of the side to move.
        if fours(self.theirs()).any(|(firsts, _)| firsts != 0) {
            Some(GameResult::Lost)
        } else {
            (self.all == BOARD).then_some(GameResult::Drawn)
        }
    }

    /// Writes one plane for the stones of the side to move and one for those of the other side, `[6, 7, 2]` with the
    /// top row first; a stone is 1, an empty cell 0.
    fn observe(&self, planes: &mut [f32]) {
        for (cell, planes) in planes.chunks_exact_mut(2).enumerate() {
            let bit = bit(cell / WIDTH, cell % WIDTH);
            let on = |stones: u64| if stones & bit != 0 { 1.0 } else { 0.0 };
            (planes[0], planes[1]) = (on(self.mine), on(self.theirs()));
        }
    }

    fn recognise(planes: &[f32]) -> Option<Self> {
        if planes.len() != WIDTH * HEIGHT * 2 {
            return None;
        }
        let mut position = Self::start();
        for (cell, planes) in planes.chunks_exact(2).enumerate() {
            let bit = bit(cell / WIDTH, cell % WIDTH);
            match planes {
                [0.0, 0.0] => {}
                [1.0, 0.0] => (position.mine, position.all) = (position.mine | bit, position.all | bit),
                [0.0, 1.0] => position.all |= bit,
                _ => return None,
            }
        }
        position.is_sound().then_some(position)
    }

    /// Returns the position itself for symmetry 0, and its mirror image (left and right exchanged) for 1.
    fn image(&self, symmetry: usize) -> Self {
        let mirrored = |stones: u64| {
            (0..WIDTH)
                .fold(0, |to, column| to | (stones >> (column * STRIDE) & COLUMN) << ((WIDTH - 1 - column) * STRIDE))
        };
        match symmetry {
            0 => *self,
            _ => Self { mine: mirrored(self.mine), all: mirrored(self.all) },
        }
    }

    fn image_of(action: usize, symmetry: usize) -> usize {
        if symmetry == 0 { action } else { WIDTH - 1 - action }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rl_core::Stream;

    use super::*;

    fn after(columns: &[usize]) -> Position {
        columns.iter().fold(Position::start(), |mut position, &column| {
            position.play(column);
            position
        })
    }

    #[test]
    fn as_many_positions_are_reached_as_are_known_to_be() {
        // Source: OEIS A212693, by Tromp: positions after so many moves.
        let known = [1, 7, 49, 238, 1120, 4263, 16422, 54859];
        let mut reached = BTreeSet::from([Position::start()]);
        for count in known {
            assert_eq!(reached.len(), count);
            let moves = |position: &Position| {
                let position = *position;
                (0..WIDTH).filter(move |&a| position.legal(a)).map(move |a| {
                    let mut next = position;
                    next.play(a);
                    next
                })
            };
            reached = reached.iter().flat_map(moves).collect();
        }
    }

    #[test]
    fn games_of_seven_moves_are_those_that_fill_no_column() {
        fn games(position: &Position, plies: u32) -> u64 {
            if plies == 0 {
                return 1;
            }
            let next = |a| {
                let mut next = *position;
                next.play(a);
                games(&next, plies - 1)
            };
            (0..WIDTH).filter(|&a| position.legal(a)).map(next).sum()
        }
        assert_eq!(games(&Position::start(), 7), 7u64.pow(7) - 7);
    }

    #[test]
    fn a_line_of_four_in_any_direction_loses_for_who_is_to_move() {
        for (columns, what) in [
            (&[0, 6, 0, 6, 0, 6, 0][..], "a column"),
            (&[0, 0, 1, 1, 2, 2, 3], "a row"),
            (&[0, 1, 1, 2, 2, 3, 2, 3, 3, 6, 3], "rising"),
            (&[6, 5, 5, 4, 4, 3, 4, 3, 3, 0, 3], "falling"),
        ] {
            let (before, last) = (after(&columns[..columns.len() - 1]), *columns.last().unwrap());
            assert_eq!(before.outcome(), None, "{what}");
            assert!(before.winning()[0] & before.open() & cells(last) != 0, "{what} can be completed");
            let position = after(columns);
            assert_eq!(position.outcome(), Some(GameResult::Lost), "{what}");
            assert!((0..WIDTH).all(|column| !position.legal(column)), "{what}");
        }
        assert_eq!(lines().count(), 69);
    }

    #[test]
    fn cells_that_win_are_those_that_complete_a_line() {
        let mut rng = Rng::new(5, Stream::Tool(0));
        for plies in (0..36).cycle().take(400) {
            let Some(position) = Position::random(plies, &mut rng) else { continue };
            for (stones, winning) in [position.mine(), position.theirs()].into_iter().zip(position.winning()) {
                let empty = (0..64).map(|i| 1 << i).filter(|cell| BOARD & cell != 0 && position.all & cell == 0);
                let expected: u64 = empty.filter(|cell| lines().any(|line| line & (stones | cell) == line)).sum();
                assert_eq!(winning, expected, "{position:?}");
            }
        }
    }

    #[test]
    fn what_is_shown_is_recognised_and_nothing_else_is() {
        let mut rng = Rng::new(6, Stream::Tool(0));
        let mut planes = [9.0; 84];
        for plies in 0..30 {
            let Some(position) = Position::random(plies, &mut rng) else { continue };
            position.observe(&mut planes);
            assert_eq!(Position::recognise(&planes), Some(position));
            assert_eq!(planes.iter().sum::<f32>(), plies as f32);
        }
        after(&[3, 2]).observe(&mut planes);
        let refused = |at: usize, value: f32| {
            let mut planes = planes;
            planes[at] = value;
            Position::recognise(&planes).is_none()
        };
        assert!(refused(0, 0.5), "half a stone");
        assert!(refused(0, 1.0), "a stone in the air");
        assert!(refused(70, 1.0), "a third stone, of the side to move");
        assert!(Position::recognise(&planes[1..]).is_none());
    }

    #[test]
    fn the_image_is_a_mirror_and_its_moves_are_the_images_of_the_moves() {
        let mut rng = Rng::new(7, Stream::Tool(0));
        for plies in 0..30 {
            let Some(position) = Position::random(plies, &mut rng) else { continue };
            assert_eq!(position.image(0), position);
            assert_eq!(position.image(1).image(1), position);
            for column in (0..WIDTH).filter(|&column| position.legal(column)) {
                let (mut here, mut there) = (position, position.image(1));
                here.play(column);
                there.play(Position::image_of(column, 1));
                assert_eq!(here.image(1), there);
            }
        }
    }
}
