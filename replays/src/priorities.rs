//! Prioritised sampling: a priority for each transition that can be drawn, 0 for the rest. In a ring of sequences, read
//! "sequence" for "transition".
//!
//! A transition enters when its return is complete, with the largest priority given so far, so that it is soon learned from
//! once; it leaves when a row that it needs is overwritten. Rows come and go one at a time, so that only those around the
//! two ends of the ring have to be looked at.
//! Source: Schaul et al. 2016, "Prioritized experience replay", algorithm 1, with draws from equal shares of the sum.

use rl_core::{Error, Result, Rng, Spec};

use crate::replay::rows_for;
use crate::sum_tree::SumTree;
use crate::{Replay, Sequence};

/// Priorities of the transitions or sequences of a ring.
#[derive(Clone, Debug)]
pub(crate) struct Priorities {
    /// Sum tree with one leaf per slot and seat: leaf `slot * seats + seat`; 0 where nothing can be drawn.
    pub(crate) tree: SumTree,
    /// Largest priority ever set, at first 1: the priority of new transitions.
    pub(crate) largest: f64,
}

impl Priorities {
    /// Priorities of `places` leaves, all 0.
    pub(crate) fn new(places: usize) -> Self {
        Self { tree: SumTree::new(places), largest: 1.0 }
    }
}

impl Replay {
    /// Turns an empty ring into a prioritised one, which draws each transition in proportion to its priority: what
    /// [`set_priorities`](Replay::set_priorities) gave it, or for a new one the largest so far (at first 1).
    ///
    /// # Panics
    /// If something was appended already.
    #[must_use]
    pub fn prioritised(mut self) -> Self {
        assert!(self.is_empty(), "a ring is prioritised before it is filled");
        self.priorities = Some(Priorities::new(self.rows * self.seats));
        self
    }

    /// Bytes that [`prioritised`](Replay::prioritised) allocates in addition to [`bytes_for`](Replay::bytes_for), which
    /// takes the same arguments.
    pub fn priority_bytes_for(
        spec: &Spec,
        seats: usize,
        capacity: usize,
        n_step: usize,
        sequence: Option<Sequence>,
    ) -> u64 {
        SumTree::bytes_for(rows_for(spec, seats, capacity, n_step, sequence).saturating_mul(seats))
    }

    /// Sets the priorities of transitions by their numbers, [`Sample::places`](crate::Sample::places).
    ///
    /// A transition is drawn in proportion to its priority, for example a power of its temporal-difference error.
    /// Transitions that were overwritten since they were drawn are skipped.
    ///
    /// # Panics
    /// If the ring is not prioritised, the two slices differ in length, or a priority is not positive and finite.
    pub fn set_priorities(&mut self, places: &[u64], priorities: &[f64]) {
        let (present, size, seats) = (self.oldest()..self.written, self.rows as u64, self.seats as u64);
        let ring = self.priorities.as_mut().expect("only a prioritised ring has priorities");
        assert_eq!(places.len(), priorities.len(), "a priority for each place");
        for (&place, &priority) in places.iter().zip(priorities) {
            assert!(priority > 0.0 && priority.is_finite(), "a priority of {priority}");
            let (row, seat) = (place / seats, place % seats);
            let leaf = (row % size * seats + seat) as usize;
            // What has left the ring since does not return.
            if present.contains(&row) && ring.tree.weight(leaf) > 0.0 {
                ring.tree.set(leaf, priority);
                ring.largest = ring.largest.max(priority);
            }
        }
    }

    /// Updates which transitions can be drawn after a row was written: new ones get the largest priority, lost ones 0.
    pub(crate) fn settle(&mut self) {
        let Some(mut priorities) = self.priorities.take() else { return };
        let (oldest, newest) = (self.oldest(), self.written - 1);
        // What stood where the new row stands is gone, and the stacks of the oldest rows have lost a frame.
        let out = oldest..(oldest + self.spec.stack as u64 - 1).min(newest);
        // Returns that end with the new row, or that an end in it cuts short; sequences that end with it.
        let whole = newest.saturating_sub(self.reach() as u64).max(oldest)..newest;
        for seat in 0..self.seats {
            let place = |row: u64| self.slot(row) * self.seats + seat;
            priorities.tree.set(place(newest), 0.0);
            for row in out.clone() {
                if priorities.tree.weight(place(row)) > 0.0 && !self.is_drawable(row, seat) {
                    priorities.tree.set(place(row), 0.0);
                }
            }
            for row in whole.clone() {
                if priorities.tree.weight(place(row)) == 0.0 && self.is_drawable(row, seat) {
                    priorities.tree.set(place(row), priorities.largest);
                }
            }
        }
        self.priorities = Some(priorities);
    }

    /// Draws `count` times, once from each of `count` equal shares of the sum of priorities (stratified sampling).
    ///
    /// Calls `put` with the number of the draw, its (row, seat) and its priority.
    ///
    /// # Errors
    /// If nothing can be drawn yet.
    pub(crate) fn draws_by_priority(
        &self,
        priorities: &Priorities,
        count: usize,
        rng: &mut Rng,
        mut put: impl FnMut(usize, (u64, usize), f64),
    ) -> Result<()> {
        let total = priorities.tree.total();
        if total == 0.0 {
            return Err(self.nothing_to_draw());
        }
        let share = total / count as f64;
        for number in 0..count {
            let place = priorities.tree.find((number as f64 + rng.f64()) * share);
            let (slot, seat) = (place / self.seats, place % self.seats);
            let oldest = self.oldest();
            let since = (slot as u64 + self.rows as u64 - oldest % self.rows as u64) % self.rows as u64;
            put(number, (oldest + since, seat), priorities.tree.weight(place));
        }
        Ok(())
    }

    /// Whether exactly the transitions that can be drawn have a priority, each finite and at most the largest.
    ///
    /// Checked after loading, so that a damaged file does not lead to a draw of an incomplete transition.
    pub(crate) fn priorities_fit(&self) -> bool {
        let Some(priorities) = &self.priorities else { return true };
        let right = |priority: f64| priority >= 0.0 && priority.is_finite() && priority <= priorities.largest;
        priorities.largest > 0.0
            && priorities.largest.is_finite()
            && (self.oldest()..self.written).all(|row| {
                (0..self.seats).all(|seat| {
                    let priority = priorities.tree.weight(self.slot(row) * self.seats + seat);
                    right(priority) && (priority > 0.0) == self.is_drawable(row, seat)
                })
            })
    }

    /// The error of a draw from a ring without a complete transition or sequence; it names the setting to change.
    pub(crate) fn nothing_to_draw(&self) -> Error {
        let message = match self.beginnings {
            None => "the replay holds no complete transition yet: learn later, or with fewer steps per return",
            Some(_) => "the replay holds no complete sequence yet: learn later, or from shorter ones",
        };
        Error::Config { key: "agent.learning_starts".to_owned(), message: message.to_owned() }
    }
}
