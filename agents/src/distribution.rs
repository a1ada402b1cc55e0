//! Action distribution of a stochastic policy: a categorical distribution per discrete action and a Gaussian per
//! continuous one, all independent.

use rl_core::{Rng, Spec};

use crate::Mode;
use crate::categorical::Categorical;
use crate::gaussian::Gaussian;

/// The actions of one step as a policy chose them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actions<'a> {
    /// Discrete actions, `[discrete]`.
    pub(crate) discrete: &'a [u32],
    /// Continuous actions, `[continuous]`, in units of their intervals and not clipped.
    pub(crate) continuous: &'a [f32],
}

/// Joint distribution of all actions of one row; the buffers are reused from row to row.
#[derive(Clone, Debug)]
pub(crate) struct ActionDistribution {
    discrete: Categorical,
    continuous: Gaussian,
}

impl ActionDistribution {
    /// Creates a distribution over the actions of `spec`.
    pub(crate) fn new(spec: &Spec) -> Self {
        Self { discrete: Categorical::new(spec), continuous: Gaussian::new(spec) }
    }

    /// Network outputs per row, `W`: logits, means and log standard deviations.
    pub(crate) fn width(&self) -> usize {
        self.discrete.width() + self.continuous.width()
    }

    /// Sets the distribution from the network outputs of a row, `[W]`, and its action mask `legal`, `[A]` or empty.
    ///
    /// # Panics
    /// If a discrete action has no legal value.
    pub(crate) fn set(&mut self, outputs: &[f32], legal: &[u8]) {
        let (logits, gaussian) = outputs.split_at(self.discrete.width());
        self.discrete.set(logits, legal);
        self.continuous.set(gaussian);
    }

    /// Chooses every action by `mode`: samples it, takes the most probable one in a greedy evaluation, or with
    /// probability ε of an evaluation draws uniformly among `legal` ones.
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

    /// Writes the most probable value of every action.
    pub(crate) fn mode(&self, discrete: &mut [u32], continuous: &mut [f32]) {
        self.discrete.mode(discrete);
        self.continuous.mode(continuous);
    }

    /// Converts continuous actions to the environment's units, clipped to its intervals.
    pub(crate) fn give(&self, continuous: &[f32], out: &mut [f32]) {
        self.continuous.give(continuous, out);
    }

    /// Converts continuous actions `given` to the environment back to units of their intervals.
    pub(crate) fn undo(&self, given: &[f32], out: &mut [f32]) {
        self.continuous.undo(given, out);
    }

    /// Writes the probabilities of all values of the discrete actions, `[A]`.
    pub(crate) fn probabilities(&self, out: &mut [f32]) {
        out.iter_mut().zip(self.discrete.probabilities()).for_each(|(out, &p)| *out = p as f32);
    }

    /// Joint log-probability of `actions`; an `f32`, so that a stored one equals one that is computed again.
    pub(crate) fn log_prob(&self, actions: Actions<'_>) -> f32 {
        (self.discrete.log_prob(actions.discrete) + self.continuous.log_prob(actions.continuous)) as f32
    }

    /// Sum of the entropies of all actions, in nats.
    pub(crate) fn entropy(&self) -> f64 {
        self.discrete.entropy() + self.continuous.entropy()
    }

    /// Writes the gradient of `by · ln p(actions) + entropy_by · H` by the network outputs, `[W]`.
    pub(crate) fn slopes(&self, actions: Actions<'_>, by: f64, entropy_by: f64, out: &mut [f32]) {
        let (logits, gaussian) = out.split_at_mut(self.discrete.width());
        self.discrete.slopes(actions.discrete, by, entropy_by, logits);
        self.continuous.slopes(actions.continuous, by, entropy_by, gaussian);
    }
}
