//! How far an ε-greedy policy is, and what its seats draw next: all that its next action depends on besides what it sees.

use std::io::{Read, Write};
use std::ops::Range;

use rl_core::{Result, Rng, Saved, read_postcard, write_postcard};
use serde::{Deserialize, Serialize};

use crate::streams::Streams;
use crate::{Mode, Schedule};

/// ε of the seats of a run, and their streams.
pub(crate) struct Exploring {
    epsilon: Schedule,
    memory: Memory,
}

/// What is saved.
#[derive(Serialize, Deserialize)]
struct Memory {
    /// Agent steps made while exploring.
    #[serde(deserialize_with = "rl_core::counter")]
    steps: u64,
    rngs: Streams,
}

impl Exploring {
    /// For `seats`. Whoever explores has all seats of the run, by whose steps ε falls.
    pub(crate) fn new(epsilon: Schedule, seed: u64, seats: Range<u32>) -> Self {
        Self { epsilon, memory: Memory { steps: 0, rngs: Streams::new(seed, seats) } }
    }

    /// Probability of a random action now.
    pub(crate) fn epsilon(&self, mode: Mode) -> f32 {
        match mode {
            Mode::Explore => self.epsilon.at(self.memory.steps) as f32,
            Mode::Evaluate { epsilon, .. } => epsilon,
        }
    }

    /// The streams, in the order of seats.
    pub(crate) fn rngs(&mut self) -> impl Iterator<Item = &mut Rng> {
        self.memory.rngs.iter_mut()
    }

    /// Counts the steps of the seats that play; those of an evaluation leave ε as it is.
    pub(crate) fn count(&mut self, mode: Mode, playing: u64) {
        if mode == Mode::Explore {
            self.memory.steps += playing;
        }
    }
}

impl Saved for Exploring {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(&self.memory, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let Memory { steps, rngs } = read_postcard("policy", from)?;
        self.memory = Memory { steps, rngs: rngs.instead_of(&self.memory.rngs)? };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epsilon_falls_by_the_agent_steps_of_all_seats() {
        let schedule = Schedule { start: 1.0, end: 0.0, steps: 100 };
        let mut exploring = Exploring::new(schedule, 1, 0..8);
        for _ in 0..5 {
            exploring.count(Mode::Explore, 8);
        }
        let evaluation = Mode::Evaluate { epsilon: 0.05, greedy: false };
        exploring.count(evaluation, 1000);
        assert_eq!([evaluation, Mode::Explore].map(|mode| exploring.epsilon(mode)), [0.05, 0.6]);
    }
}
