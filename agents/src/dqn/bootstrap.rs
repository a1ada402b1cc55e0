//! What the value of each transition should be: its return, and what the target network says of where it leads.
//! Source: Mnih et al. 2015; van Hasselt et al. 2016 (double); Bellemare et al. 2017 and Dabney et al. 2018 for what takes the
//! value's place; Vieillard et al. 2020, "Munchausen reinforcement learning", eq. 1 and, for quantiles, appendix.

use rl_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::config::{Config, Taus};
use super::distribution::Distribution;
use super::minibatch::{Minibatch, Taken};
use super::passes::Passes;
use super::rescale::Rescale;
use crate::q_net::{Draws, Pass, QNet};
use crate::softmax::softmax;
use crate::{config, legal};

/// What a target looks ahead to: in a preset a table whose key `kind` is `greedy` or `munchausen`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Bootstrap {
    /// The best action.
    Greedy {}, // a struct, since only of those are unknown keys refused
    /// All actions as often as a softmax of their values takes them, with its entropy; and the reward is raised by the
    /// logarithm of the probability of the action taken. Of several steps only the first is: what was taken later is not its.
    Munchausen {
        /// Weight of that logarithm, 0 to 1.
        alpha: f64,
        /// Temperature τ of the softmax, in units of value.
        temperature: f64,
        /// Lowest value of `τ ln π` that counts.
        floor: f64,
    },
}

impl Bootstrap {
    pub(crate) fn check(&self, double: bool, rescale: bool) -> Result<()> {
        let Self::Munchausen { alpha, temperature, floor } = *self else { return Ok(()) };
        let bad = |key: &str, message: String| Err(Error::Config { key: format!("agent.{key}"), message });
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

/// Makes targets; the memory serves update after update.
pub(crate) struct Targets {
    distribution: Distribution,
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

/// An action that is looked ahead to.
#[derive(Clone, Copy)]
struct Choice {
    action: usize,
    prob: f64,
    /// What taking it is worth besides what follows.
    bonus: f64,
}

impl Targets {
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

    /// Quantiles per observation that each pass takes; none of a pass that is not made. A network that both values and chooses
    /// is run once, on those to value by and then those to choose by.
    pub(crate) fn taus(&self) -> Passes<Option<usize>> {
        let Taus { online, target, act } = self.taus;
        Passes {
            next: Some(target + if self.double { 0 } else { act }),
            choice: self.double.then_some(act),
            here: matches!(self.bootstrap, Bootstrap::Munchausen { .. }).then_some(act),
            online: Some(online),
        }
    }

    /// Replaces `out` by the targets, `[B, W']`: values, masses of the atoms, or quantiles.
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
                    reward += (alpha * (temperature * log(here[action], sum)).clamp(floor, 0.0)) as f32;
                }
            }
            let choices = Choices { z: &z[..taken * actions], actions, options: &self.options, rescale: self.rescale };
            choices.back_up(self.distribution, [reward, discount], &mut self.probs, &mut self.masses, out);
        }
        Ok(())
    }
}

/// The values of one row of `rows`.
fn part(all: &[f32], row: usize, rows: usize) -> &[f32] {
    let each = all.len() / rows;
    &all[row * each..][..each]
}

/// What the target network says of the actions that are looked ahead to.
struct Choices<'a> {
    /// `[W', A]`.
    z: &'a [f32],
    actions: usize,
    options: &'a [Choice],
    rescale: Rescale,
}

impl Choices<'_> {
    /// Appends the target of one transition. A terminal one does not look at what follows, be it infinite.
    fn back_up(
        &self,
        distribution: Distribution,
        [reward, discount]: [f32; 2],
        probs: &mut Vec<f64>,
        masses: &mut Vec<f64>,
        out: &mut Vec<f32>,
    ) {
        let Distribution::Categorical(support) = distribution else {
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

/// Leaves π, a softmax of the legal values over the temperature, in `probs`; returns what makes `ln π` of their quotient when
/// it is subtracted.
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
