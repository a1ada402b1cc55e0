//! Sequential halving: how often each move of a root is tried.
//! Source: Karnin et al. 2013, "Almost optimal exploration in multi-armed bandits"; Danihelka et al. 2022, algorithm 2.

/// Schedule of sequential halving: the number of visits that the move tried by each simulation has had before.
#[derive(Clone, Debug)]
pub(crate) struct Halving {
    /// Visits, `[considered - 1][simulation]`.
    rounds: Vec<Vec<u32>>,
}

impl Halving {
    /// Computes the schedules of `simulations` simulations, for 1 to `most` considered moves.
    pub(crate) fn new(most: usize, simulations: usize) -> Self {
        Self { rounds: (1..=most).map(|considered| sequence(considered, simulations)).collect() }
    }

    /// Visits that the move tried by a simulation has had: it tries the best of the moves with so many visits.
    pub(crate) fn visits(&self, considered: usize, simulation: usize) -> u32 {
        self.rounds[considered - 1][simulation]
    }
}

/// Rounds of equal length, each with half of the moves of the one before, two at least.
fn sequence(considered: usize, simulations: usize) -> Vec<u32> {
    if considered == 1 {
        return (0..simulations as u32).collect();
    }
    let rounds = considered.next_power_of_two().ilog2() as usize;
    let (mut sequence, mut left, mut visits) = (Vec::new(), considered, 0);
    while sequence.len() < simulations {
        for _ in 0..(simulations / (rounds * left)).max(1) {
            sequence.extend(std::iter::repeat_n(visits, left));
            visits += 1;
        }
        left = (left / 2).max(2);
    }
    sequence.truncate(simulations);
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_halves_the_moves_and_takes_as_long() {
        let expected = |parts: &[(u32, usize)]| -> Vec<u32> {
            parts.iter().flat_map(|&(visits, times)| std::iter::repeat_n(visits, times)).collect()
        };
        let of_four =
            [(0, 4), (1, 4), (2, 4), (3, 4), (4, 2), (5, 2), (6, 2), (7, 2), (8, 2), (9, 2), (10, 2), (11, 2)];
        assert_eq!(sequence(4, 32), expected(&of_four));
        // Seven: one visit each, two of the best three, then pairs.
        assert_eq!(sequence(7, 16), expected(&[(0, 7), (1, 3), (2, 2), (3, 2), (4, 2)]));
        assert_eq!(sequence(1, 4), [0, 1, 2, 3]);
        assert_eq!(sequence(7, 3), [0, 0, 0]);
    }
}
