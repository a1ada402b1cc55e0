//! Prioritised experience replay: priorities from errors, and importance-sampling weights.
//! Source: Schaul et al. 2016, eq. 1 and section 3.4.

use rl_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Schedule;

/// Sampling of the replay: in a preset a table whose key `kind` is `uniform`, `proportional` or `loss`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Prioritisation {
    /// Draws all transitions equally often.
    Uniform {}, // a struct, since only of those are unknown keys refused
    /// Draws a transition in proportion to `(error + eps)^alpha`, with its error at its last update.
    ///
    /// The error is the absolute TD error for expected values, the KL divergence from the target for a categorical
    /// distribution (Hessel et al. 2018), and the loss for quantiles. New transitions have the largest priority so far, of
    /// whatever α it was given by: where α falls, new ones are drawn ever more often beside the others.
    Proportional {
        /// Positive number added to every error, so that every transition can be drawn again.
        eps: f64,
        /// Priority exponent α by agent steps, 0 to 1; 0 makes draws nearly uniform.
        alpha: Schedule,
        /// Exponent β of the importance-sampling weights by agent steps, 0 to 1; 1 corrects the bias in full.
        beta: Schedule,
    },
    /// Draws a transition in proportion to `(loss + eps)^alpha`, as in Dopamine, with its loss at its last update.
    ///
    /// The cross-entropy of a categorical distribution is never far from the entropy of its target, so that draws are
    /// nearly uniform at first.
    Loss {
        /// Positive number added to every loss, so that every transition can be drawn again.
        eps: f64,
        /// Priority exponent α by agent steps, 0 to 1; 0 makes draws nearly uniform.
        alpha: Schedule,
        /// Exponent β of the importance-sampling weights by agent steps, 0 to 1; 1 corrects the bias in full.
        beta: Schedule,
    },
}

impl Prioritisation {
    /// Whether all transitions are drawn equally often.
    pub(crate) fn is_uniform(&self) -> bool {
        matches!(self, Self::Uniform {})
    }

    /// Whether priorities are made of the losses, and not of the errors or divergences.
    pub(crate) fn follow_the_loss(&self) -> bool {
        matches!(self, Self::Loss { .. })
    }

    /// `eps`, `alpha` and `beta`, where draws are not uniform.
    fn exponents(&self) -> Option<(f64, Schedule, Schedule)> {
        match *self {
            Self::Uniform {} => None,
            Self::Proportional { eps, alpha, beta } | Self::Loss { eps, alpha, beta } => Some((eps, alpha, beta)),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If `eps` is not positive, or `alpha` or `beta` is not within 0 to 1 or has no steps to change in.
    pub(crate) fn check(&self) -> Result<()> {
        let Some((eps, alpha, beta)) = self.exponents() else { return Ok(()) };
        if !(eps > 0.0 && eps.is_finite()) {
            let message = format!("{eps} is not a positive number");
            return Err(Error::Config { key: "agent.priorities.eps".to_owned(), message });
        }
        alpha.check("agent.priorities.alpha", 0.0, 1.0)?;
        beta.check("agent.priorities.beta", 0.0, 1.0)
    }

    /// Writes the importance-sampling weights of a minibatch, `[B]`, to `out`: `(N · P)^-β`, divided by the largest of
    /// the minibatch; all 1 where draws are uniform. `priorities` are those of the draws, `steps` agent steps give β.
    pub(crate) fn importance(&self, priorities: &[f64], steps: u64, out: &mut Vec<f64>) {
        out.clear();
        let Some((_, _, beta)) = self.exponents() else { return out.resize(priorities.len(), 1.0) };
        let (least, beta) = (priorities.iter().copied().fold(f64::INFINITY, f64::min), beta.at(steps));
        out.extend(priorities.iter().map(|priority| libm::pow(least / priority, beta)));
    }

    /// Writes the new priorities of transitions with these errors, `[B]`, to `out`; none where draws are uniform.
    /// `steps` agent steps give α.
    pub(crate) fn of(&self, errors: &[f64], steps: u64, out: &mut Vec<f64>) {
        out.clear();
        let Some((eps, alpha, _)) = self.exponents() else { return };
        let alpha = alpha.at(steps);
        out.extend(errors.iter().map(|error| libm::pow(error + eps, alpha)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_more_often_counts_less_as_beta_grows() {
        let alpha = Schedule { start: 0.5, end: 0.5, steps: 0, delay: 0 };
        let priorities = Prioritisation::Proportional {
            eps: 0.25,
            alpha,
            beta: Schedule { start: 0.0, end: 1.0, steps: 10, delay: 0 },
        };
        let mut out = vec![7.0];
        priorities.of(&[0.0, 3.75, 8.75], 0, &mut out);
        assert_eq!(out, [0.5, 2.0, 3.0]);
        let drawn = out.clone();
        priorities.importance(&drawn, 0, &mut out);
        assert_eq!(out, [1.0; 3]);
        priorities.importance(&drawn, 5, &mut out);
        assert_eq!(out, [1.0, 0.5, (0.5f64 / 3.0).sqrt()]);
        priorities.importance(&drawn, 99, &mut out);
        assert_eq!(out, [1.0, 0.25, 0.5 / 3.0]);
        Prioritisation::Uniform {}.importance(&[1.0; 2], 5, &mut out);
        assert_eq!(out, [1.0; 2]);
    }
}
