//! Recurrent states of a policy, one per seat; zeros where an episode starts.

use std::io::{Read, Write};

use rl_core::{Error, Result, Saved, read_postcard, write_postcard};

/// Recurrent states of some seats, and the states of those seats that take part in a forward pass.
pub(crate) struct States {
    /// Width of a state, `S`; 0 without a recurrent layer.
    width: usize,
    /// States of all seats, `[N, S]`.
    values: Vec<f32>,
    /// Index of the seat that [`next`](Self::next) visits.
    seat: usize,
    /// Indices of the seats of the pass, `[B]`.
    seats: Vec<usize>,
    /// States of the seats of the pass, `[B, S]`.
    taken: Vec<f32>,
}

impl States {
    /// States of zeros for `seats` seats.
    pub(crate) fn new(width: usize, seats: usize) -> Self {
        Self { width, values: vec![0.0; width * seats], seat: 0, seats: Vec::new(), taken: Vec::new() }
    }

    /// Begins a forward pass without seats, to which [`next`](Self::next) adds them in their order.
    pub(crate) fn begin(&mut self) {
        self.seat = 0;
        self.seats.clear();
        self.taken.clear();
    }

    /// Visits the next seat and returns its state, reset to zeros if an episode `starts`; adds the seat to the pass if
    /// it `looks`.
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

    /// States of the seats of the pass, `[B, S]`, for the network to update.
    pub(crate) fn taken(&mut self) -> &mut [f32] {
        &mut self.taken
    }

    /// Ends the pass: stores the updated states with their seats.
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
