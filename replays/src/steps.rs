//! Steps without what came of them: what was seen and what was done, for whoever learns to do the same.

use rl_core::Spec;

use crate::Replay;
use crate::sample::{Observations, Table};

/// `B` steps, in memory that is filled again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// Where the actions were taken.
    pub obs: Observations,
    /// `[B, discrete]`.
    pub discrete: Table<u32>,
    /// As the environment got them, `[B, continuous]`.
    pub continuous: Table<f32>,
    room: usize,
}

impl Steps {
    /// Room for so many steps.
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
    /// Takes steps from `places`, which are some of [`transitions`](Replay::transitions), until `out` is full or none is left;
    /// says how many it took.
    pub fn steps_of(&self, places: &mut impl Iterator<Item = (u64, usize)>, out: &mut Steps) -> usize {
        let places = places.take(out.room).enumerate();
        places.map(|(row, place)| self.put_step(place, out, row)).count()
    }

    /// Steps since the reset in a row that is there.
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
