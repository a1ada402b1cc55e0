//! The rule of thumb of alpha-beta: what lines that only one side has stones in promise.

use super::position::{Position, lines};

/// What a line of one colour counts, by its stones. Four of them are a game that is over.
const COUNTS: [i32; 4] = [0, 1, 4, 16];

/// Lines of the side to move less those of the other: each of the 69 lines of four cells that holds stones of one side
/// alone counts 1, 4 or 16 for one, two or three of them.
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
