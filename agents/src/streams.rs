//! One random stream per seat, so that what a seat draws does not depend on how seats are grouped.

use std::io::{Read, Write};
use std::ops::Range;

use rl_core::{Error, Result, Rng, Saved, Stream, read_postcard, write_postcard};
use serde::{Deserialize, Serialize};

/// Random streams of a policy, one per seat; loading refuses those of another number of seats.
#[derive(Serialize, Deserialize)]
pub struct Streams(Vec<Rng>);

impl Streams {
    /// Streams of `seats` (global numbers) at the beginning of a run.
    pub fn new(seed: u64, seats: Range<u32>) -> Self {
        Self(seats.map(|seat| Rng::new(seed, Stream::Act(seat))).collect())
    }

    /// Iterates over the streams in the order of the seats.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Rng> {
        self.0.iter_mut()
    }

    /// Returns these loaded streams if they can replace `here`.
    ///
    /// # Errors
    /// If the numbers of seats differ.
    pub(crate) fn instead_of(self, here: &Self) -> Result<Self> {
        if self.0.len() == here.0.len() {
            return Ok(self);
        }
        let message = format!("holds {} seats, expected {}", self.0.len(), here.0.len());
        Err(Error::State { part: "policy".to_owned(), message })
    }
}

impl Saved for Streams {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(self, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        *self = read_postcard::<Self>("policy", from)?.instead_of(self)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_draws_by_its_number_in_the_run_whatever_the_policy_it_belongs_to() {
        let draws = |seats: Range<u32>| Streams::new(1, seats).iter_mut().map(Rng::u64).collect::<Vec<u64>>();
        let all = draws(0..5);
        assert_eq!((&draws(0..2)[..], &draws(2..5)[..]), all.split_at(2));
        assert!((1..5).all(|seat| !all[..seat].contains(&all[seat])));
    }
}
