//! Exploration state of an ε-greedy policy: its step count, from which ε follows, and the random streams of its seats.

use std::io::{Read, Write};
use std::ops::Range;

use rl_core::{Result, Rng, Saved, read_postcard, write_postcard};
use serde::{Deserialize, Serialize};

use crate::streams::Streams;
use crate::{Mode, Schedule};

/// Schedule of ε with its step count, and the random streams of the seats.
pub(crate) struct Exploring {
    epsilon: Schedule,
    state: ExplorationState,
}

/// Saved part of the exploration state.
#[derive(Serialize, Deserialize)]
struct ExplorationState {
    /// Agent steps made while exploring.
    #[serde(deserialize_with = "rl_core::counter")]
    steps: u64,
    rngs: Streams,
}

impl Exploring {
    /// Creates the state for `seats` (global numbers).
    ///
    /// A policy that explores must have all seats of the run, since ε follows the agent steps of all seats.
    pub(crate) fn new(epsilon: Schedule, seed: u64, seats: Range<u32>) -> Self {
        Self { epsilon, state: ExplorationState { steps: 0, rngs: Streams::new(seed, seats) } }
    }

    /// Probability of a random action at the present step, by the schedule or by the evaluation protocol.
    pub(crate) fn epsilon(&self, mode: Mode) -> f32 {
        match mode {
            Mode::Explore => self.epsilon.at(self.state.steps) as f32,
            Mode::Evaluate { epsilon, .. } => epsilon,
        }
    }

    /// Random streams in the order of the seats.
    pub(crate) fn rngs(&mut self) -> impl Iterator<Item = &mut Rng> {
        self.state.rngs.iter_mut()
    }

    /// Counts the steps of `playing` seats; steps of an evaluation are not counted.
    pub(crate) fn count(&mut self, mode: Mode, playing: u64) {
        if mode == Mode::Explore {
            self.state.steps += playing;
        }
    }
}

impl Saved for Exploring {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(&self.state, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let ExplorationState { steps, rngs } = read_postcard("policy", from)?;
        self.state = ExplorationState { steps, rngs: rngs.instead_of(&self.state.rngs)? };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilon_falls_by_the_agent_steps_of_all_seats() {
        let schedule = Schedule { start: 1.0, end: 0.0, steps: 100, delay: 0 };
        let mut exploring = Exploring::new(schedule, 1, 0..8);
        for _ in 0..5 {
            exploring.count(Mode::Explore, 8);
        }
        let evaluation = Mode::Evaluate { epsilon: 0.05, greedy: false };
        exploring.count(evaluation, 1000);
        assert_eq!([evaluation, Mode::Explore].map(|mode| exploring.epsilon(mode)), [0.05, 0.6]);
    }
}
