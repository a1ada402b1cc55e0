//! The heuristic of alpha-beta: lines in which only one side has stones, weighted by their number.

use super::position::{Position, lines};

/// Weight of a line with stones of one side alone, by their number from 0 to 3; with four the game is over.
const COUNTS: [i32; 4] = [0, 1, 4, 16];

/// Heuristic value of an unfinished position for the side to move: each of the 69 lines of four cells with stones of
/// one side alone counts 1, 4 or 16 for one, two or three stones, positive for the side to move and negative for the
/// other.
pub fn thumb(position: &Position) -> i32 {
    let (mine, theirs) = (position.mine(), position.theirs());
    let count = |line: u64, stones: u64, others: u64| {
        if line & others == 0 { COUNTS[((line & stones).count_ones() as usize).min(3)] } else { 0 }
    };
    LINES.iter().map(|&line| count(line, mine, theirs) - count(line, theirs, mine)).sum()
}

static LINES: std::sync::LazyLock<Box<[u64]>> = std::sync::LazyLock::new(|| lines().collect());

#[cfg(test)]
mod tests {
    use rl_core::Game as _;

    use super::*;

    #[test]
    fn lines_of_both_sides_count_by_their_stones() {
        let after = |columns: &[usize]| {
            let mut position = Position::start();
            columns.iter().for_each(|&column| position.play(column));
            thumb(&position)
        };
        assert_eq!(after(&[]), 0);
        assert_eq!(after(&[0]), -3, "a corner is on three lines");
        assert_eq!(after(&[3]), -7, "four in its row, one up, one on each diagonal");
        assert_eq!(after(&[0, 6]), 0);
        assert_eq!(
            after(&[0, 6, 0]),
            -(4 + 1 + 2 + 2) + 3,
            "two in the column and one, their rows, and a diagonal each"
        );
    }
}
