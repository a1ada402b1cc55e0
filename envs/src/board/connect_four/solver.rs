//! Exact values of positions, by a search to the end of the game.
//!
//! Alpha-beta over bits: moves that let the other side win at once are never looked at, those that make most threats come
//! first, and what is known of a position is kept in a table whose entries newer ones replace. From 14 stones on a value
//! takes milliseconds; that of an empty board is known, and takes this solver too long.
//! Source: Allis 1988, "A knowledge-based approach of Connect-Four"; Pons 2015, "Solving Connect 4", for ordering and table.

use rl_core::Game as _;

use super::position::{CELLS, Position, WIDTH, cells};

/// Logarithm of the number of entries of the table, each of eight bytes.
const BITS: u32 = 20;
/// Columns from the middle outwards.
const ORDER: [usize; WIDTH] = [3, 2, 4, 1, 5, 0, 6];

/// Exact solver of Connect Four by alpha-beta search with a transposition table (8 MiB), which later calls reuse.
#[derive(Clone, Debug)]
pub struct Solver {
    /// Upper bounds: the key of a position in the upper 56 bits, its bound and 64 in the lower eight. 0 is no entry.
    table: Box<[u64]>,
}

impl Default for Solver {
    fn default() -> Self {
        Self::new()
    }
}

impl Solver {
    /// Makes a solver with an empty transposition table.
    pub fn new() -> Self {
        Self { table: vec![0; 1 << BITS].into() }
    }

    /// Returns the result under optimal play of both sides: 1 if the side to move wins, 0 for a draw, -1 if it loses.
    pub fn result(&mut self, position: &Position) -> i32 {
        self.between(position, -1, 1).signum()
    }

    /// Returns the result under optimal play together with its speed, from -21 to 21: `n` for a win of the side to move
    /// by the `n`-th from last of its 21 stones, `-n` for such a loss, 0 for a draw.
    pub fn value(&mut self, position: &Position) -> i32 {
        let (mut low, mut high) = (-(CELLS as i32) / 2, CELLS as i32 / 2);
        while low < high {
            let middle = (low + high).div_euclid(2);
            // Far from 0 first: quick wins are quickly found or ruled out.
            let asked = if middle <= 0 { middle.min(low / 2) } else { middle.max(high / 2).min(high - 1) };
            if self.between(position, asked, asked + 1) <= asked { high = asked } else { low = asked + 1 }
        }
        low
    }

    /// Returns the [`result`](Self::result) after each move for the side that makes it; `None` where a move is not
    /// legal.
    pub fn results(&mut self, position: &Position) -> [Option<i32>; WIDTH] {
        std::array::from_fn(|column| {
            position.legal(column).then(|| {
                let mut next = *position;
                next.play(column);
                -self.result(&next)
            })
        })
    }

    /// Returns the value of `position` if it is between `alpha` and `beta`, else a bound on that side.
    fn between(&mut self, position: &Position, alpha: i32, beta: i32) -> i32 {
        if let Some(standing) = position.outcome() {
            return standing.value() as i32 * ((CELLS + 2 - position.stones()) / 2) as i32;
        }
        if position.winning()[0] & position.open() != 0 {
            return ((CELLS + 1 - position.stones()) / 2) as i32;
        }
        self.search(position, alpha, beta)
    }

    /// Does the work of [`between`](Self::between) for an unfinished game that the side to move cannot win at once.
    fn search(&mut self, position: &Position, mut alpha: i32, mut beta: i32) -> i32 {
        let left = (CELLS - position.stones()) as i32;
        let Some(moves) = safe(position) else { return -(left / 2) };
        if left <= 2 {
            return 0;
        }
        let worst = -((left - 2) / 2); // the other side cannot win sooner
        if worst >= beta {
            return worst;
        }
        let best = self.known(position).unwrap_or((left - 1) / 2);
        if best <= alpha {
            return best;
        }
        (alpha, beta) = (alpha.max(worst), beta.min(best));
        for cell in ordered(position, moves).into_iter().filter(|&cell| cell != 0) {
            let value = -self.search(&position.with(cell), -beta, -alpha);
            if value >= beta {
                return value;
            }
            alpha = alpha.max(value);
        }
        self.learn(position, alpha);
        alpha
    }

    fn known(&self, position: &Position) -> Option<i32> {
        let entry = self.table[slot(position)];
        (entry != 0 && entry >> 8 == position.key()).then_some((entry & 0xFF) as i32 - 64)
    }

    fn learn(&mut self, position: &Position, bound: i32) {
        self.table[slot(position)] = position.key() << 8 | (bound + 64) as u64;
    }
}

fn slot(position: &Position) -> usize {
    (position.key().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS)) as usize
}

/// Returns the cells of moves that do not let the other side win at once; `None` where every move loses.
fn safe(position: &Position) -> Option<u64> {
    let (open, theirs) = (position.open(), position.winning()[1]);
    let forced = open & theirs;
    let moves = if forced == 0 { open } else { forced };
    let moves = if moves & (moves.wrapping_sub(1)) & forced != 0 { 0 } else { moves }; // two cannot both be stopped
    let moves = moves & !(theirs >> 1); // nor may a stone lie below a cell where the other side wins
    (moves != 0).then_some(moves)
}

/// Sorts `moves` by the number of threats that they make, most first, then from the middle outwards; unused places are
/// 0.
fn ordered(position: &Position, moves: u64) -> [u64; WIDTH] {
    let (mut sorted, mut count) = ([(0, 0); WIDTH], 0);
    for cell in ORDER.map(|column| moves & cells(column)).into_iter().filter(|&cell| cell != 0) {
        let threats = position.with(cell).winning()[1].count_ones();
        let mut at = count;
        while at > 0 && sorted[at - 1].1 < threats {
            sorted[at] = sorted[at - 1];
            at -= 1;
        }
        (sorted[at], count) = ((cell, threats), count + 1);
    }
    sorted.map(|(cell, _)| cell)
}

#[cfg(test)]
mod tests {
    use rl_core::{GameResult, Rng, Stream};

    use super::*;

    /// Every line to its end.
    fn naive(position: &Position) -> i32 {
        match position.outcome() {
            Some(GameResult::Drawn) => return 0,
            Some(_) => return -(((CELLS + 2 - position.stones()) / 2) as i32),
            None => {}
        }
        let value = |column| {
            let mut next = *position;
            next.play(column);
            -naive(&next)
        };
        (0..WIDTH).filter(|&column| position.legal(column)).map(value).max().expect("a legal move")
    }

    #[test]
    fn endgames_have_the_value_of_a_full_search() {
        let mut rng = Rng::new(1, Stream::Tool(0));
        let (mut solver, mut seen) = (Solver::new(), [0; 3]);
        while seen.iter().sum::<u32>() < 300 {
            let plies = 30 + rng.below(12);
            let Some(position) = Position::random(plies, &mut rng) else { continue };
            let value = naive(&position);
            assert_eq!(solver.value(&position), value, "{position:?}");
            assert_eq!(solver.result(&position), value.signum(), "{position:?}");
            seen[(value.signum() + 1) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 20), "losses, draws and wins: {seen:?}");
    }

    #[test]
    fn a_position_is_worth_its_best_move_and_as_much_as_its_mirror() {
        let mut rng = Rng::new(2, Stream::Tool(0));
        let (mut solver, mut count) = (Solver::new(), 0);
        while count < 20 {
            let Some(position) = Position::random(22, &mut rng) else { continue };
            let best = solver.results(&position).into_iter().flatten().max();
            assert_eq!(best, Some(solver.result(&position)), "{position:?}");
            assert_eq!(Solver::new().value(&position.image(1)), solver.value(&position), "{position:?}");
            count += 1;
        }
    }

    #[test]
    fn a_row_of_three_with_both_ends_open_is_won() {
        let mut position = Position::start();
        [2, 2, 3, 3].iter().for_each(|&column| position.play(column));
        // The third stone of the row threatens both ends: the winner's fourth stone, when he has 18 more.
        assert_eq!(Solver::new().value(&position), 18);
    }
}
