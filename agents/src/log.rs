//! What a learner tells about itself: named scalars, averaged until they are read.

/// Means of what was added since the last [`drain`](Log::drain).
#[derive(Clone, Debug, Default)]
pub struct Log {
    sums: Vec<(&'static str, f64, u64)>,
}

impl Log {
    /// Adds one value of `name`.
    pub fn add(&mut self, name: &'static str, value: f64) {
        match self.sums.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + value, *count + 1),
            None => self.sums.push((name, value, 1)),
        }
    }

    /// The means, in the order in which the names first came, and an empty log.
    pub fn drain(&mut self) -> Vec<(&'static str, f64)> {
        self.sums.drain(..).map(|(name, sum, count)| (name, sum / count as f64)).collect()
    }
}
