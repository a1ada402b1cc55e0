//! What a policy says of one row: a categorical distribution per discrete action and a Gaussian per continuous one, all
//! independent of each other.

use rl_core::{Rng, Spec};

use crate::Mode;
use crate::categorical::Categorical;
use crate::gaussian::Gaussian;

/// The actions of one step as a policy chose them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actions<'a> {
    /// One of each discrete action.
    pub(crate) discrete: &'a [u32],
    /// One of each continuous action, in units of its interval and not clipped to it.
    pub(crate) continuous: &'a [f32],
}

/// The distributions of one row; the memory serves row after row.
#[derive(Clone, Debug)]
pub(crate) struct Distribution {
    discrete: Categorical,
    continuous: Gaussian,
}

impl Distribution {
    /// For the actions of `spec`.
    pub(crate) fn new(spec: &Spec) -> Self {
        Self { discrete: Categorical::new(spec), continuous: Gaussian::new(spec) }
    }

    /// Outputs per row, `W`.
    pub(crate) fn width(&self) -> usize {
        self.discrete.width() + self.continuous.width()
    }

    /// Takes the outputs of a row, `[W]`: logits, means, logarithms of deviations. `legal` is as long as the logits or empty.
    pub(crate) fn set(&mut self, outputs: &[f32], legal: &[u8]) {
        let (logits, gaussian) = outputs.split_at(self.discrete.width());
        self.discrete.set(logits, legal);
        self.continuous.set(gaussian);
    }

    /// Chooses every action: draws them, or where an evaluation asks for it takes the most probable ones, or with its ε draws
    /// uniformly among those that are `legal`.
    pub(crate) fn choose(&self, mode: Mode, legal: &[u8], rng: &mut Rng, discrete: &mut [u32], continuous: &mut [f32]) {
        match mode {
            // Without ε nothing is drawn to ask.
            Mode::Evaluate { epsilon, .. } if epsilon > 0.0 && rng.f32() < epsilon => {
                self.discrete.uniform(legal, rng, discrete);
                self.continuous.uniform(rng, continuous);
            }
            Mode::Evaluate { greedy: true, .. } => self.mode(discrete, continuous),
            _ => {
                self.discrete.sample(rng, discrete);
                self.continuous.sample(rng, continuous);
            }
        }
    }

    /// The most probable value of every action.
    pub(crate) fn mode(&self, discrete: &mut [u32], continuous: &mut [f32]) {
        self.discrete.mode(discrete);
        self.continuous.mode(continuous);
    }

    /// What the environment gets of continuous actions: in its units, clipped to its intervals.
    pub(crate) fn give(&self, continuous: &[f32], out: &mut [f32]) {
        self.continuous.give(continuous, out);
    }

    /// The continuous actions that the environment got as `given`, as a policy would have chosen them.
    pub(crate) fn undo(&self, given: &[f32], out: &mut [f32]) {
        self.continuous.undo(given, out);
    }

    /// Probabilities of all values of the discrete actions, `[A]`.
    pub(crate) fn probabilities(&self, out: &mut [f32]) {
        out.iter_mut().zip(self.discrete.probabilities()).for_each(|(out, &p)| *out = p as f32);
    }

    /// Logarithm of the probability of `actions`. A single, so that one that was kept equals one made again.
    pub(crate) fn log_prob(&self, actions: Actions<'_>) -> f32 {
        (self.discrete.log_prob(actions.discrete) + self.continuous.log_prob(actions.continuous)) as f32
    }

    /// Sum of the entropies of all actions, in nats.
    pub(crate) fn entropy(&self) -> f64 {
        self.discrete.entropy() + self.continuous.entropy()
    }

    /// Writes the slopes by the outputs of `by · ln p(actions) + entropy_by · H`, `[W]`.
    pub(crate) fn slopes(&self, actions: Actions<'_>, by: f64, entropy_by: f64, out: &mut [f32]) {
        let (logits, gaussian) = out.split_at_mut(self.discrete.width());
        self.discrete.slopes(actions.discrete, by, entropy_by, logits);
        self.continuous.slopes(actions.continuous, by, entropy_by, gaussian);
    }
}
