//! Mean and variance of what is left of an episode, put together from those of what may follow.

/// Moments of the rest of an episode.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    /// Expectation of the return.
    pub(super) mean: f64,
    /// Variance of the return. It is a sum of squares, and no difference of two of them, which would cancel where the
    /// mean is far larger than the deviation.
    pub(super) variance: f64,
    /// Expectation of the number of steps.
    pub(super) steps: f64,
    /// The mean if no reward were negative: its rounding errors are in proportion to it.
    size: f64,
}

impl Moments {
    /// Returns the moments with one step of this reward put before the rest.
    pub(super) fn behind(self, reward: f64) -> Self {
        Self {
            mean: reward + self.mean,
            steps: 1.0 + self.steps,
            size: reward.abs() + self.size,
            variance: self.variance,
        }
    }

    /// Returns the moments where each of `parts` follows with its probability, the first of the two: by the law of
    /// total variance `V = Σ p (Vᵢ + (mᵢ − m)²)`.
    pub(super) fn mixed(parts: impl Iterator<Item = (f64, Self)> + Clone) -> Self {
        let mut all = Self::default();
        for (probability, part) in parts.clone() {
            all.mean += probability * part.mean;
            all.steps += probability * part.steps;
            all.size += probability * part.size;
        }
        all.variance =
            parts.map(|(probability, part)| probability * (part.variance + (part.mean - all.mean).powi(2))).sum();
        all
    }

    /// Whether these differ from those of a sweep `before` by no more than this share of what they are made of.
    pub(super) fn is_near(&self, before: &Self, share: f64) -> bool {
        let (rounding, std) = (share * self.size, self.variance.sqrt());
        (self.mean - before.mean).abs() <= rounding
            && (std - before.variance.sqrt()).abs() <= rounding + share * std
            && (self.steps - before.steps).abs() <= share * self.steps
    }
}
