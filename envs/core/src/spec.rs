//! What an environment shows and accepts: a few flat lanes, any of which may have width zero.

use serde::{Deserialize, Serialize};

use crate::Rng;

/// The closed interval of one continuous action.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Smallest value that the environment accepts.
    pub low: f32,
    /// Largest value that the environment accepts.
    pub high: f32,
}

/// The shape of observations and actions. There are no dictionary spaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Height, width and channels of one `u8` frame; `[0, 0, 0]` without pixels.
    pub frame: [usize; 3],
    /// How many consecutive frames a policy sees; the environment writes single frames. 1 without pixels.
    pub stack: usize,
    /// Number of `f32` features.
    pub vector: usize,
    /// Cardinality of each discrete observation (a cell, a token): embedded or one-hot, never normalised.
    pub symbols: Box<[u32]>,
    /// Whether the environment reports which discrete actions are legal.
    pub mask: bool,
    /// Cardinality of each discrete action.
    pub discrete: Box<[u32]>,
    /// Interval of each continuous action.
    pub continuous: Box<[Bound]>,
}

impl Spec {
    /// Shows nothing and accepts nothing: `Spec { vector: 4, discrete: [2].into(), ..Spec::none() }` says what differs.
    pub fn none() -> Self {
        let (symbols, discrete, continuous) = ([].into(), [].into(), [].into());
        Self { frame: [0; 3], stack: 1, vector: 0, symbols, mask: false, discrete, continuous }
    }

    /// Bytes of one frame.
    pub fn frame_len(&self) -> usize {
        self.frame.iter().product()
    }

    /// Width of the legality lane: one flag per value of each discrete action, or none.
    pub fn legal_len(&self) -> usize {
        if self.mask { self.discrete.iter().map(|&n| n as usize).sum() } else { 0 }
    }

    /// Draws an action for each of some seats, uniformly and legal or not: `[seats, discrete]`, then `[seats, continuous]`.
    pub fn draw(&self, rng: &mut Rng, discrete: &mut [u32], continuous: &mut [f32]) {
        for (action, &n) in discrete.iter_mut().zip(self.discrete.iter().cycle()) {
            *action = rng.below(n);
        }
        for (action, bound) in continuous.iter_mut().zip(self.continuous.iter().cycle()) {
            *action = rng.uniform(bound.low.into(), bound.high.into()) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    #[test]
    fn random_actions_cover_their_ranges() {
        let continuous = [Bound { low: -1.0, high: 1.0 }].into();
        let spec = Spec { discrete: [3, 2].into(), continuous, ..Spec::none() };
        let (mut rng, mut discrete, mut continuous) = (Rng::new(0, Stream::Act(0)), [0; 2], [0.0; 1]);
        let mut seen = [[false; 3]; 2];
        for _ in 0..200 {
            spec.draw(&mut rng, &mut discrete, &mut continuous);
            (seen[0][discrete[0] as usize], seen[1][discrete[1] as usize]) = (true, true);
            assert!((-1.0..=1.0).contains(&continuous[0]));
        }
        assert_eq!(seen, [[true; 3], [true, true, false]]);
    }
}
