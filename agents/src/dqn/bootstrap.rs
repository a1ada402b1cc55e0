//! Targets of the DQN family: n-step returns with a bootstrap from the target network.
//! Source: Mnih et al. 2015; van Hasselt et al. 2016 (double); Bellemare et al. 2017 and Dabney et al. 2018 for what takes the
//! value's place; Vieillard et al. 2020, "Munchausen reinforcement learning", eq. 1 and, for quantiles, appendix.

use rl_core::Result;
use serde::{Deserialize, Serialize};

use super::config::{Config, Taus};
use super::distribution::ReturnDistribution;
use super::minibatch::{Minibatch, Taken};
use super::passes::Passes;
use super::rescale::Rescale;
use crate::q_net::{Draws, Pass, QNet};
use crate::softmax::softmax;
use crate::{config, legal};

/// Bootstrap of the targets: in a preset a table whose key `kind` is `greedy` or `munchausen`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Bootstrap {
    /// Bootstraps from the value of the best action, as Q-learning does.
    Greedy {}, // a struct, since only of those are unknown keys refused
    /// Bootstraps from the soft value of a softmax policy π, and adds `alpha` τ ln π(a | s) to the reward.
    ///
    /// Of an n-step return only the first step gets the added term.
    Munchausen {
        /// Weight of the log-probability that is added to the reward, 0 to 1.
        alpha: f64,
        /// Temperature τ of the softmax, in units of value; positive.
        temperature: f64,
        /// Lower bound of `τ ln π` in the added term, at most 0.
        floor: f64,
    },
}

impl Bootstrap {
    /// Checks the settings, given those of double Q-learning and of value rescaling.
    ///
    /// # Errors
    /// If a value is out of range, or Munchausen targets are combined with `double` or `rescale`.
    pub(crate) fn check(&self, double: bool, rescale: bool) -> Result<()> {
        let Self::Munchausen { alpha, temperature, floor } = *self else { return Ok(()) };
        let bad = |key: &str, message: String| Err(config::bad(key, message));
        if double {
            return bad("double", "Munchausen targets choose no action: set it to false".to_owned());
        }
        if rescale {
            return bad(
                "rescale",
                "Munchausen's logarithms are in units of unscaled values: set it to false".to_owned(),
            );
        }
        config::fractions(&[("bootstrap.alpha", alpha)])?;
        if !(temperature > 0.0 && temperature.is_finite()) {
            return bad("bootstrap.temperature", format!("{temperature} is not a positive number"));
        }
        if !(floor <= 0.0 && floor.is_finite()) {
            return bad("bootstrap.floor", format!("{floor} is not a number up to 0"));
        }
        Ok(())
    }
}

/// Computes targets; its buffers are reused from update to update.
pub(crate) struct TdTargets {
    distribution: ReturnDistribution,
    taus: Taus,
    bootstrap: Bootstrap,
    double: bool,
    rescale: Rescale,
    next: Pass,
    choice: Pass,
    here: Pass,
    next_means: Vec<f32>,
    here_means: Vec<f32>,
    options: Vec<Choice>,
    probs: Vec<f64>,
    masses: Vec<f64>,
}

/// An action of the bootstrap policy.
#[derive(Clone, Copy)]
struct Choice {
    action: usize,
    prob: f64,
    /// Entropy term of the action, -τ ln π, added to its value; 0 for greedy targets.
    bonus: f64,
}

impl TdTargets {
    /// Creates empty buffers for the targets that `config` asks for.
    pub(crate) fn new(config: &Config) -> Self {
        let Config { values, bootstrap, double, rescale, .. } = *config;
        Self {
            distribution: values.distribution(),
            taus: values.taus(),
            bootstrap,
            double,
            rescale: Rescale(rescale),
            next: Pass::default(),
            choice: Pass::default(),
            here: Pass::default(),
            next_means: Vec::new(),
            here_means: Vec::new(),
            options: Vec::new(),
            probs: Vec::new(),
            masses: Vec::new(),
        }
    }

    /// Quantiles per observation for each forward pass; `None` for a pass that is not made.
    ///
    /// A target network that both evaluates and chooses is run once, on the quantiles of both, those to evaluate first.
    pub(crate) fn taus(&self) -> Passes<Option<usize>> {
        let Taus { online, target, act } = self.taus;
        Passes {
            next: Some(target + if self.double { 0 } else { act }),
            choice: self.double.then_some(act),
            here: matches!(self.bootstrap, Bootstrap::Munchausen { .. }).then_some(act),
            online: Some(online),
        }
    }

    /// Replaces `out` by the targets of a minibatch, `[M, W']`: values, probabilities of the atoms, or quantiles.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub(crate) fn of(
        &mut self,
        batch: &Minibatch,
        [online, target]: [&QNet; 2],
        drawn: &Passes<Draws>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let (rows, actions) = (batch.rows().next, target.actions());
        let z = batch.ahead(target, &drawn.next, &mut self.next)?; // [R, W, A]
        let width = z.len() / (rows * actions);
        let taken = if self.taus.target > 0 { self.taus.target } else { width };
        let means = if self.double {
            let all = batch.ahead(online, &drawn.choice, &mut self.choice)?;
            let width = all.len() / (rows * actions);
            self.distribution.means(all, [width, actions], 0..width, &mut self.next_means)
        } else {
            let from = if taken < width { taken } else { 0 };
            self.distribution.means(z, [width, actions], from..width, &mut self.next_means)
        }; // [R, A]
        let here = if let Bootstrap::Munchausen { .. } = self.bootstrap {
            match batch.here(target, &drawn.here, &mut self.here)? {
                None => means,
                Some(all) => {
                    let width = all.len() / (rows * actions);
                    self.distribution.means(all, [width, actions], 0..width, &mut self.here_means)
                }
            }
        } else {
            &[]
        }; // [R, A]
        out.clear();
        for m in 0..batch.len() {
            let Taken { next, here: at, action, mut reward, discount, legal_next, legal_here } = batch.taken(m);
            let (z, means) = (part(z, next, rows), part(means, next, rows));
            self.options.clear();
            match self.bootstrap {
                Bootstrap::Greedy {} => {
                    self.options.push(Choice { action: legal::argmax(means, legal_next), prob: 1.0, bonus: 0.0 });
                }
                Bootstrap::Munchausen { alpha, temperature, floor } => {
                    let log = |value: f32, sum: f64| f64::from(value) / temperature - sum;
                    let sum = policy(means, legal_next, temperature, &mut self.probs);
                    let taken = self.probs.iter().zip(means).enumerate().filter(|(_, (prob, _))| **prob > 0.0);
                    self.options.extend(taken.map(|(action, (&prob, &value))| Choice {
                        action,
                        prob,
                        bonus: -temperature * log(value, sum),
                    }));
                    let here = part(here, at, rows);
                    let sum = policy(here, legal_here, temperature, &mut self.probs);
                    let bonus = match legal::allows(legal_here, action) {
                        true => (temperature * log(here[action], sum)).clamp(floor, 0.0),
                        false => floor, // π never takes it, but a person may have
                    };
                    reward += (alpha * bonus) as f32;
                }
            }
            let choices = Choices { z: &z[..taken * actions], actions, options: &self.options, rescale: self.rescale };
            choices.back_up(self.distribution, [reward, discount], &mut self.probs, &mut self.masses, out);
        }
        Ok(())
    }
}

/// The part of `all`, which holds `rows` equal rows, that belongs to one row.
fn part(all: &[f32], row: usize, rows: usize) -> &[f32] {
    let each = all.len() / rows;
    &all[row * each..][..each]
}

/// Outputs of the target network for one observation, with the bootstrap policy on its actions.
struct Choices<'a> {
    /// Outputs of the target network, `[W', A]`.
    z: &'a [f32],
    actions: usize,
    options: &'a [Choice],
    rescale: Rescale,
}

impl Choices<'_> {
    /// Appends the target of one transition, `[W']`. A terminal one ignores the next values, even if not finite.
    fn back_up(
        &self,
        distribution: ReturnDistribution,
        [reward, discount]: [f32; 2],
        probs: &mut Vec<f64>,
        masses: &mut Vec<f64>,
        out: &mut Vec<f32>,
    ) {
        let ReturnDistribution::Categorical(support) = distribution else {
            return out.extend(self.z.chunks_exact(self.actions).map(|z| {
                let worth = |choice: &Choice| self.rescale.undo(f64::from(z[choice.action])) + choice.bonus;
                let each = |choice: &Choice| choice.prob * worth(choice);
                let future = || discount * self.options.iter().map(each).sum::<f64>() as f32;
                let target = reward + if discount == 0.0 { 0.0 } else { future() };
                self.rescale.apply(f64::from(target)) as f32
            }));
        };
        let [reward, discount] = [reward, discount].map(f64::from);
        masses.clear();
        masses.resize(support.atoms, 0.0);
        if discount == 0.0 {
            support.project(self.rescale.apply(reward), 1.0, masses);
        } else {
            for &Choice { action, prob, bonus } in self.options {
                probs.clear();
                probs.extend((0..support.atoms).map(|atom| f64::from(self.z[atom * self.actions + action])));
                softmax(probs);
                for (atom, p) in probs.iter().enumerate() {
                    let at = reward + discount * (self.rescale.undo(support.at(atom)) + bonus);
                    support.project(self.rescale.apply(at), prob * p, masses);
                }
            }
        }
        out.extend(masses.iter().map(|&mass| mass as f32));
    }
}

/// Writes π, the softmax of legal values / temperature, to `probs`, and returns its log-sum-exp: `ln π` is the quotient
/// minus that.
fn policy(values: &[f32], legal: &[u8], temperature: f64, probs: &mut Vec<f64>) -> f64 {
    legal::check(legal);
    let logit = |(action, &value): (usize, &f32)| match legal::allows(legal, action) {
        true => f64::from(value) / temperature,
        false => f64::NEG_INFINITY,
    };
    probs.clear();
    probs.extend(values.iter().enumerate().map(logit));
    softmax(probs)
}
