//! Minibatches of observations and actions without rewards, for imitation learning.

use rl_core::Spec;

use crate::Replay;
use crate::sample::{Observations, Table};

/// A minibatch of `B` observation-action pairs, in memory that is reused.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// Observations in which the actions were taken.
    pub obs: Observations,
    /// Discrete actions, `[B, discrete]`.
    pub discrete: Table<u32>,
    /// Continuous actions as the environment got them: clipped, in its units, `[B, continuous]`.
    pub continuous: Table<f32>,
    room: usize,
}

impl Steps {
    /// Allocates a minibatch of `room` steps.
    pub fn new(spec: &Spec, room: usize) -> Self {
        Self {
            obs: Observations::new(spec, room),
            discrete: Table::new(room, spec.discrete.len()),
            continuous: Table::new(room, spec.continuous.len()),
            room,
        }
    }
}

impl Replay {
    /// Copies the steps at `places`, items of [`transitions`](Replay::transitions), to `out` until it is full.
    ///
    /// Returns the number of steps copied.
    pub fn steps_of(&self, places: &mut impl Iterator<Item = (u64, usize)>, out: &mut Steps) -> usize {
        let places = places.take(out.room).enumerate();
        places.map(|(row, place)| self.put_step(place, out, row)).count()
    }

    /// Agent steps since the reset in a row that is still present.
    pub fn age(&self, (row, seat): (u64, usize)) -> u32 {
        self.age[(self.slot(row), seat)]
    }

    fn put_step(&self, (at, seat): (u64, usize), out: &mut Steps, row: usize) {
        let slot = self.slot(at);
        self.observe(at, seat, &mut out.obs, row);
        out.discrete.copy_row(row, self.discrete.at(slot, seat));
        out.continuous.copy_row(row, self.continuous.at(slot, seat));
    }
}
