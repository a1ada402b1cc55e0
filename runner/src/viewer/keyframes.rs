//! States of a game every so many steps, from which jumps begin. When they take too many bytes, every second one is
//! dropped.

use super::survey::Tally;

/// Steps from one state to the next at first: some 20 ms of Atari.
pub(super) const EVERY: usize = 64;

/// A state of the environment.
#[derive(Clone, Debug)]
pub(super) struct Keyframe {
    /// Steps of the game before the state.
    pub(super) step: usize,
    /// What these steps came to.
    pub(super) tally: Tally,
    /// The state as `save_seats` wrote it.
    pub(super) state: Vec<u8>,
}

/// States of one game, in order.
#[derive(Clone, Debug)]
pub(super) struct Keyframes {
    kept: Vec<Keyframe>,
    every: usize,
    bytes: usize,
    most: usize,
}

impl Keyframes {
    /// Begins without states; more than one never take more than `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { kept: Vec::new(), every: EVERY, bytes: 0, most }
    }

    /// Adds the next state if its step is one that is kept.
    pub(super) fn push(&mut self, keyframe: Keyframe) {
        if !keyframe.step.is_multiple_of(self.every) {
            return;
        }
        self.bytes += keyframe.state.len();
        self.kept.push(keyframe);
        while self.bytes > self.most && self.kept.len() > 1 {
            self.every *= 2;
            self.kept.retain(|kept| kept.step.is_multiple_of(self.every));
            self.bytes = self.kept.iter().map(|kept| kept.state.len()).sum();
        }
    }

    /// The last state at or before a step.
    pub(super) fn before(&self, step: usize) -> Option<&Keyframe> {
        let after = self.kept.partition_point(|kept| kept.step <= step);
        after.checked_sub(1).map(|at| &self.kept[at])
    }

    /// Number of states, and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_them_go_where_all_are_too_many() {
        let mut keyframes = Keyframes::new(1000);
        for n in 1..=40 {
            keyframes.push(Keyframe { step: n * EVERY, tally: Tally::default(), state: vec![0; 100] });
            assert!(keyframes.size().1 <= 1000, "{:?}", keyframes.size());
        }
        let steps: Vec<usize> = keyframes.kept.iter().map(|kept| kept.step / EVERY).collect();
        assert_eq!(steps, [4, 8, 12, 16, 20, 24, 28, 32, 36, 40], "every fourth");
        assert_eq!(keyframes.before(17 * EVERY).unwrap().step, 16 * EVERY);
        assert_eq!(keyframes.before(16 * EVERY).unwrap().step, 16 * EVERY);
        assert!(keyframes.before(4 * EVERY - 1).is_none());
    }
}
