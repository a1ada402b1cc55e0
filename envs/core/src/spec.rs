//! Observation and action spaces of an environment: a few flat lanes, any of which may have width zero.

use serde::{Deserialize, Serialize};

use crate::Rng;
use crate::contract::hold;

/// Closed interval of one continuous action, `low..=high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Smallest value that the environment accepts.
    pub low: f32,
    /// Largest value that the environment accepts.
    pub high: f32,
}

/// Observation and action spaces of one seat, as flat lanes of fixed width; there are no nested or dictionary spaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Height, width and channels of one `u8` frame; `[0, 0, 0]` without pixels.
    pub frame: [usize; 3],
    /// Number of consecutive frames that a policy sees (frame stack), of which the environment writes only the newest;
    /// 1 without pixels.
    pub stack: usize,
    /// Number of `f32` features in an observation.
    pub vector: usize,
    /// Cardinality of each discrete observation (a cell, a token): embedded or one-hot, never normalised.
    pub symbols: Box<[u32]>,
    /// Whether the environment reports which discrete actions are legal (action mask), in
    /// [`Obs::legal`](crate::Obs::legal).
    pub mask: bool,
    /// Cardinality of each discrete action; several of them are taken in every step.
    pub discrete: Box<[u32]>,
    /// Interval of each continuous action; all of them are taken in every step.
    pub continuous: Box<[Bound]>,
}

impl Spec {
    /// Returns a spec without observations and actions, to be completed as in
    /// `Spec { vector: 4, discrete: [2].into(), ..Spec::none() }`.
    pub fn none() -> Self {
        let (symbols, discrete, continuous) = ([].into(), [].into(), [].into());
        Self { frame: [0; 3], stack: 1, vector: 0, symbols, mask: false, discrete, continuous }
    }

    /// Returns the number of bytes of one frame, `H · W · C`; 0 without pixels.
    pub fn frame_len(&self) -> usize {
        self.frame.iter().product()
    }

    /// Returns the width of the action mask: one flag per value of each discrete action; 0 without a mask.
    pub fn legal_len(&self) -> usize {
        if self.mask { self.discrete.iter().map(|&n| n as usize).sum() } else { 0 }
    }

    /// Checks that the spaces make sense: something is shown and done, and every value and interval has something in it.
    ///
    /// # Errors
    /// If they do not; the message says which one.
    pub fn check(&self) -> Result<(), String> {
        hold(self.frame_len() > 0 || self.frame == [0; 3], || {
            format!("a frame of {:?} has no pixels: [0, 0, 0] says that there is none", self.frame)
        })?;
        hold(self.stack >= 1 && (self.frame_len() > 0 || self.stack == 1), || {
            format!("a stack of {}: it is at least 1, and 1 where there are no frames", self.stack)
        })?;
        hold(self.frame_len() + self.vector + self.symbols.len() > 0, || "it shows nothing".to_owned())?;
        hold(!self.discrete.is_empty() || !self.continuous.is_empty(), || "it takes no action".to_owned())?;
        hold(!self.mask || !self.discrete.is_empty(), || {
            "a mask is of discrete actions, of which it has none".to_owned()
        })?;
        for (what, cardinalities) in [("symbols", &self.symbols), ("discrete", &self.discrete)] {
            hold(!cardinalities.contains(&0), || format!("{what} {cardinalities:?}: 0 leaves no value"))?;
        }
        let bounds = self.continuous.iter();
        let mut wrong =
            bounds.filter(|bound| !(bound.low <= bound.high && bound.low.is_finite() && bound.high.is_finite()));
        wrong.next().map_or(Ok(()), |bound| Err(format!("a continuous action from {} to {}", bound.low, bound.high)))
    }

    /// Fills `discrete`, `[N, discrete]`, and `continuous`, `[N, continuous]`, with uniformly random actions of `N`
    /// seats, whether legal or not.
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
    fn spaces_without_values_make_no_sense() {
        let good = Spec { vector: 1, discrete: [2].into(), ..Spec::none() };
        assert_eq!(good.check(), Ok(()));
        let continuous = |low, high| Spec { continuous: [Bound { low, high }].into(), ..good.clone() };
        for (spec, why) in [
            (Spec { discrete: [0].into(), ..good.clone() }, "discrete [0]: 0 leaves no value"),
            (Spec { stack: 0, ..good.clone() }, "a stack of 0"),
            (Spec { vector: 0, ..good.clone() }, "it shows nothing"),
            (Spec { discrete: [].into(), ..good.clone() }, "it takes no action"),
            (continuous(1.0, -1.0), "from 1 to -1"),
            (continuous(f32::NAN, 1.0), "from NaN to 1"),
            (continuous(0.0, f32::INFINITY), "from 0 to inf"),
        ] {
            let how = spec.check().unwrap_err();
            assert!(how.contains(why), "{how}");
        }
    }

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
