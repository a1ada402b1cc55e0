//! What a policy remembers of each seat, seat by seat however they are grouped, and zeros where an episode starts.

use std::io::{Read, Write};

use rl_core::{Error, Result, Saved, read_postcard, write_postcard};

/// States of some seats, and those of the seats that take part in a pass.
pub(crate) struct States {
    /// Numbers of a state, `S`; 0 where nothing is remembered.
    width: usize,
    /// `[seats, S]`.
    values: Vec<f32>,
    /// The seat that is asked for next.
    seat: usize,
    /// Seats of the pass, and their states, `[B, S]`.
    seats: Vec<usize>,
    taken: Vec<f32>,
}

impl States {
    /// Of seats that remember nothing yet.
    pub(crate) fn new(width: usize, seats: usize) -> Self {
        Self { width, values: vec![0.0; width * seats], seat: 0, seats: Vec::new(), taken: Vec::new() }
    }

    /// Begins with the first seat, and with a pass of none.
    pub(crate) fn begin(&mut self) {
        self.seat = 0;
        self.seats.clear();
        self.taken.clear();
    }

    /// The state of the next seat, forgotten where an episode starts; it joins the pass if it `looks`.
    pub(crate) fn next(&mut self, starts: bool, looks: bool) -> &[f32] {
        let state = &mut self.values[self.seat * self.width..][..self.width];
        if starts {
            state.fill(0.0);
        }
        if looks {
            self.seats.push(self.seat);
            self.taken.extend_from_slice(state);
        }
        self.seat += 1;
        state
    }

    /// The states of the pass, `[B, S]`, to be changed by it.
    pub(crate) fn taken(&mut self) -> &mut [f32] {
        &mut self.taken
    }

    /// Gives the seats of the pass what became of their states.
    pub(crate) fn finish(&mut self) {
        for (i, &seat) in self.seats.iter().enumerate() {
            let width = self.width;
            self.values[seat * width..][..width].copy_from_slice(&self.taken[i * width..][..width]);
        }
    }
}

impl Saved for States {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(&self.values, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let values: Vec<f32> = read_postcard("policy", from)?;
        if values.len() != self.values.len() {
            let message = format!("remembers {} numbers, expected {}", values.len(), self.values.len());
            return Err(Error::State { part: "policy".to_owned(), message });
        }
        self.values = values;
        Ok(())
    }
}
