//! How often a transition is drawn by the error that it showed, and what its update counts for that.
//! Source: Schaul et al. 2016, eq. 1 and section 3.4.

use rl_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Schedule;

/// Which transitions are drawn: in a preset a table whose key `kind` is `uniform`, `proportional` or `loss`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Priorities {
    /// All equally often.
    Uniform {}, // a struct, since only of those are unknown keys refused
    /// In proportion to `(error + eps)^alpha`, the error being that of the last update: of a value its size, of atoms the
    /// divergence from their target (Hessel et al. 2018), of quantiles the loss. New transitions have the largest so far.
    Proportional {
        /// Added to every error, so that none is forgotten.
        eps: f64,
        /// Exponent at the update that gives the priority; 0 for draws as good as uniform.
        alpha: Schedule,
        /// Exponent β of the importance-sampling weights: 1 corrects for the uneven draws in full.
        beta: Schedule,
    },
    /// In proportion to `(loss + eps)^alpha`, as Dopamine has it: the cross-entropy of atoms is never far from that of their
    /// target alone, so that draws are nearly uniform at first.
    Loss {
        /// As above.
        eps: f64,
        /// As above.
        alpha: Schedule,
        /// As above.
        beta: Schedule,
    },
}

impl Priorities {
    pub(crate) fn is_uniform(&self) -> bool {
        matches!(self, Self::Uniform {})
    }

    /// Whether they follow what is minimised, and not the error or the divergence.
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

    pub(crate) fn check(&self) -> Result<()> {
        let Some((eps, alpha, beta)) = self.exponents() else { return Ok(()) };
        if !(eps > 0.0 && eps.is_finite()) {
            let message = format!("{eps} is not a positive number");
            return Err(Error::Config { key: "agent.priorities.eps".to_owned(), message });
        }
        alpha.check("agent.priorities.alpha", 0.0, 1.0)?;
        beta.check("agent.priorities.beta", 0.0, 1.0)
    }

    /// What each draw of a minibatch counts at `steps`, given what it was drawn in proportion to: `(N · P)^-β`, over the
    /// largest of the minibatch.
    pub(crate) fn importance(&self, priorities: &[f64], steps: u64, out: &mut Vec<f64>) {
        out.clear();
        let Some((_, _, beta)) = self.exponents() else { return out.resize(priorities.len(), 1.0) };
        let (least, beta) = (priorities.iter().copied().fold(f64::INFINITY, f64::min), beta.at(steps));
        out.extend(priorities.iter().map(|priority| libm::pow(least / priority, beta)));
    }

    /// What transitions of these errors are drawn in proportion to from `steps` on; nothing where draws are uniform.
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
        let alpha = Schedule { start: 0.5, end: 0.5, steps: 0 };
        let priorities =
            Priorities::Proportional { eps: 0.25, alpha, beta: Schedule { start: 0.0, end: 1.0, steps: 10 } };
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
        Priorities::Uniform {}.importance(&[1.0; 2], 5, &mut out);
        assert_eq!(out, [1.0; 2]);
    }
}
