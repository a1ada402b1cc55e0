//! A player by alpha-beta search to a fixed depth, with a heuristic evaluation at the leaves.
//! Source: Knuth and Moore 1975, "An analysis of alpha-beta pruning", in its fail-soft form.

use rl_core::{Game, GameResult, Rng};

/// Value of a won game, far beyond any heuristic value; one that is won sooner counts more.
const WON: i32 = 1 << 24;

/// A player of the game `G` by alpha-beta search to a fixed depth, counted in moves of both sides.
#[derive(Clone, Copy, Debug)]
pub struct AlphaBeta<G> {
    depth: u32,
    /// Heuristic value of an unfinished position for the side to move, within ±2²⁰.
    thumb: fn(&G) -> i32,
}

impl<G: Game> AlphaBeta<G> {
    /// Makes a player that searches `depth` moves ahead. `thumb` is the heuristic value of an unfinished position for
    /// the side to move, within ±2²⁰.
    ///
    /// # Panics
    /// If `depth` is 0.
    pub fn new(depth: u32, thumb: fn(&G) -> i32) -> Self {
        assert!(depth > 0, "alpha-beta looks a move ahead at least");
        Self { depth, thumb }
    }

    /// Chooses a best move for the side to move; equally good moves have the same probability.
    ///
    /// # Panics
    /// If the game is over.
    pub fn choose(&self, position: &G, rng: &mut Rng) -> usize {
        let (mut best, mut chosen, mut equals) = (-i32::MAX, None, 0);
        for action in (0..G::ACTIONS).filter(|&action| position.legal(action)) {
            // One below the best, so that an equal is told from a worse one.
            let value = -self.value(&after(position, action), self.depth - 1, -i32::MAX, -(best - 1).max(-i32::MAX));
            if value > best || chosen.is_none() {
                (best, chosen, equals) = (value, Some(action), 1);
            } else if value == best {
                equals += 1;
                if rng.below(equals) == 0 {
                    chosen = Some(action);
                }
            }
        }
        chosen.expect("a game that goes on has a legal move")
    }

    /// Returns the value of `position` for the side to move: exact between `alpha` and `beta`, else a bound on that
    /// side.
    fn value(&self, position: &G, depth: u32, mut alpha: i32, beta: i32) -> i32 {
        match position.outcome() {
            Some(GameResult::Drawn) => return 0,
            Some(GameResult::Won) => return WON + depth as i32,
            Some(GameResult::Lost) => return -WON - depth as i32,
            None if depth == 0 => return (self.thumb)(position),
            None => {}
        }
        let mut best = -i32::MAX;
        for action in middle_first::<G>().filter(|&action| position.legal(action)) {
            best = best.max(-self.value(&after(position, action), depth - 1, -beta, -alpha));
            alpha = alpha.max(best);
            if alpha >= beta {
                break;
            }
        }
        best
    }
}

fn after<G: Game>(position: &G, action: usize) -> G {
    let mut next = position.clone();
    next.play(action);
    next
}

/// Lists all moves from the middle outwards: good moves are often in the middle, and trying them first prunes the
/// others.
fn middle_first<G: Game>() -> impl Iterator<Item = usize> {
    let middle = (G::ACTIONS - 1) / 2;
    (0..G::ACTIONS).map(move |i| if i % 2 == 0 { middle - i / 2 } else { middle + i.div_ceil(2) })
}

#[cfg(test)]
mod tests {
    use rl_core::Stream;

    use super::*;
    use crate::board::connect_four::{Position, thumb};

    /// The same without a bound: every line is looked at.
    fn minimax(position: &Position, depth: u32) -> i32 {
        match position.outcome() {
            Some(standing) => standing.value() as i32 * (WON + depth as i32),
            None if depth == 0 => thumb(position),
            None => (0..7)
                .filter(|&a| position.legal(a))
                .map(|a| -minimax(&after(position, a), depth - 1))
                .max()
                .expect("a legal move"),
        }
    }

    #[test]
    fn the_move_is_one_of_the_best_of_a_full_search_and_each_of_them_comes() {
        let mut rng = Rng::new(3, Stream::Tool(0));
        for plies in 0..30 {
            let Some(position) = Position::random(plies, &mut rng) else { continue };
            let values: Vec<Option<i32>> =
                (0..7).map(|a| position.legal(a).then(|| -minimax(&after(&position, a), 3))).collect();
            let best = values.iter().flatten().max();
            let player = AlphaBeta::new(4, thumb);
            let mut chosen = [false; 7];
            (0..60).for_each(|_| chosen[player.choose(&position, &mut rng)] = true);
            for (a, value) in values.iter().enumerate() {
                assert_eq!(chosen[a], value.as_ref() == best, "{plies} plies, column {a}: {values:?}");
            }
        }
    }

    #[test]
    fn moves_go_from_the_middle_outwards() {
        assert_eq!(middle_first::<Position>().collect::<Vec<_>>(), [3, 4, 2, 5, 1, 6, 0]);
    }
}
