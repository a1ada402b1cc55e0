//! What a learner tells about itself: named scalars, averaged until they are read, and what its time went into.

use crate::{Clock, Part};

/// Means of what was added since the last [`drain`](Log::drain).
#[derive(Clone, Debug, Default)]
pub struct Log {
    sums: Vec<(&'static str, f64, u64)>,
    /// Where the time goes.
    pub clock: Clock,
}

impl Log {
    /// Adds one value of `name`.
    pub fn add(&mut self, name: &'static str, value: f64) {
        match self.sums.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + value, *count + 1),
            None => self.sums.push((name, value, 1)),
        }
    }

    /// What happened since the last call was `part`.
    pub fn lap(&mut self, part: Part) {
        self.clock.lap(part);
    }

    /// The means, in the order in which the names first came, and no more of them.
    pub fn drain(&mut self) -> Vec<(&'static str, f64)> {
        self.sums.drain(..).map(|(name, sum, count)| (name, sum / count as f64)).collect()
    }
}
