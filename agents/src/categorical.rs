//! Categorical policy: one independent categorical distribution per discrete action, over its legal values.
//!
//! Computed on the host and in double precision, as `softmax` is.
//! The derivatives are closed forms, for δ the one-hot of the action taken, p the probabilities and H the entropy:
//! ∂ ln p(a) / ∂z = δ - p, and ∂H / ∂z = -p (ln p + H).

use rl_core::{Rng, Spec};

use crate::legal;
use crate::softmax::softmax;

/// Categorical distributions of the discrete actions of one row; the buffers are reused from row to row.
#[derive(Clone, Debug)]
pub(crate) struct Categorical {
    /// Cardinality of each action.
    counts: Box<[u32]>,
    /// Log-probabilities of all values, `[A]`, action after action; -∞ for illegal values.
    log_probs: Vec<f64>,
    /// Probabilities of all values, `[A]`, action after action; 0 for illegal values.
    probs: Vec<f64>,
}

impl Categorical {
    /// Creates distributions for the discrete actions of `spec`.
    pub(crate) fn new(spec: &Spec) -> Self {
        let counts = spec.discrete.clone();
        let width = counts.iter().map(|&count| count as usize).sum();
        Self { counts, log_probs: vec![0.0; width], probs: vec![0.0; width] }
    }

    /// Logits per row, `A`: one per value of each action.
    pub(crate) fn width(&self) -> usize {
        self.probs.len()
    }

    /// Sets the distributions from the logits of a row, `[A]`, and its action mask `legal`, `[A]` or empty.
    ///
    /// # Panics
    /// If an action has no legal value.
    pub(crate) fn set(&mut self, logits: &[f32], legal: &[u8]) {
        let mut at = 0;
        for &count in &self.counts {
            let range = at..at + count as usize;
            at = range.end;
            let legal = legal.get(range.clone()).unwrap_or_default();
            legal::check(legal);
            let (logits, log_probs) = (&logits[range.clone()], &mut self.log_probs[range.clone()]);
            for (i, (log_prob, &logit)) in log_probs.iter_mut().zip(logits).enumerate() {
                *log_prob = if legal::allows(legal, i) { f64::from(logit) } else { f64::NEG_INFINITY };
            }
            let probs = &mut self.probs[range];
            probs.copy_from_slice(log_probs);
            let log_sum = softmax(probs);
            log_probs.iter_mut().for_each(|z| *z -= log_sum);
        }
    }

    /// Samples every action, with one uniform random number for each.
    pub(crate) fn sample(&self, rng: &mut Rng, out: &mut [u32]) {
        for (action, probs) in out.iter_mut().zip(self.parts(&self.probs)) {
            let mut left = rng.f64();
            // The sum of all may fall short of 1 by rounding: then it is the last that can be.
            let mut chosen = 0;
            for (i, &p) in probs.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                chosen = i;
                left -= p;
                if left < 0.0 {
                    break;
                }
            }
            *action = chosen as u32;
        }
    }

    /// Draws every action uniformly among its legal values.
    pub(crate) fn uniform(&self, legal: &[u8], rng: &mut Rng, out: &mut [u32]) {
        let mut at = 0;
        for (action, &count) in out.iter_mut().zip(&self.counts) {
            let range = at..at + count as usize;
            at = range.end;
            *action = legal::random(count, legal.get(range).unwrap_or_default(), rng);
        }
    }

    /// Writes the most probable value of every action, the first of equal ones.
    pub(crate) fn mode(&self, out: &mut [u32]) {
        for (action, probs) in out.iter_mut().zip(self.parts(&self.probs)) {
            let better = |best: usize, next: usize| if probs[next] > probs[best] { next } else { best };
            *action = (0..probs.len()).reduce(better).unwrap_or(0) as u32;
        }
    }

    /// Probabilities of all values of all actions, `[A]`.
    pub(crate) fn probabilities(&self) -> &[f64] {
        &self.probs
    }

    /// Joint log-probability of `actions`, one value per action.
    pub(crate) fn log_prob(&self, actions: &[u32]) -> f64 {
        let each = actions.iter().zip(self.parts(&self.log_probs)).map(|(&action, logs)| logs[action as usize]);
        each.sum()
    }

    /// Sum of the entropies of all actions, in nats.
    pub(crate) fn entropy(&self) -> f64 {
        self.parts(&self.probs).zip(self.parts(&self.log_probs)).map(|(probs, logs)| entropy(probs, logs)).sum()
    }

    /// Writes the gradient of `by · ln p(actions) + entropy_by · H` by the logits, `[A]`.
    pub(crate) fn slopes(&self, actions: &[u32], by: f64, entropy_by: f64, out: &mut [f32]) {
        let mut outs = out;
        for ((&action, probs), logs) in actions.iter().zip(self.parts(&self.probs)).zip(self.parts(&self.log_probs)) {
            let (out, rest) = std::mem::take(&mut outs).split_at_mut(probs.len());
            outs = rest;
            let entropy = entropy(probs, logs);
            for (i, ((out, &p), &log)) in out.iter_mut().zip(probs).zip(logs).enumerate() {
                let one = if i == action as usize { 1.0 } else { 0.0 };
                let bend = if p > 0.0 { p * (log + entropy) } else { 0.0 };
                *out = (by * (one - p) - entropy_by * bend) as f32;
            }
        }
    }

    /// The parts of `all`, one per action.
    fn parts<'a>(&self, all: &'a [f64]) -> impl Iterator<Item = &'a [f64]> {
        let mut rest = all;
        self.counts.iter().map(move |&count| {
            let (head, tail) = rest.split_at(count as usize);
            rest = tail;
            head
        })
    }
}

/// -Σ p ln p, in which nothing impossible counts.
fn entropy(probs: &[f64], logs: &[f64]) -> f64 {
    -probs.iter().zip(logs).filter(|(p, _)| **p > 0.0).map(|(p, log)| p * log).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use rl_core::Stream;

    use super::*;

    fn of(counts: &[u32]) -> Categorical {
        let (symbols, discrete, continuous) = ([].into(), counts.into(), [].into());
        Categorical::new(&Spec { frame: [0; 3], stack: 1, vector: 1, symbols, mask: true, discrete, continuous })
    }

    const LOGITS: [f32; 5] = [0.3, -1.2, 2.0, 0.7, 0.1];

    #[test]
    fn probabilities_are_those_of_each_action_over_what_is_legal() {
        let mut dist = of(&[3, 2]);
        dist.set(&LOGITS, &[1, 1, 0, 1, 1]);
        let exp = LOGITS.map(|z| f64::from(z).exp());
        let expected = [exp[0] / (exp[0] + exp[1]), exp[1] / (exp[0] + exp[1]), 0.0];
        dist.probs.iter().zip(expected).for_each(|(p, e)| assert!((p - e).abs() < 1e-15, "{p} {e}"));
        let second = exp[4] / (exp[3] + exp[4]);
        let log_prob = expected[0].ln() + second.ln();
        assert!((dist.log_prob(&[0, 1]) - log_prob).abs() < 1e-14);
        let entropy = |p: f64| -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
        assert!((dist.entropy() - entropy(expected[0]) - entropy(second)).abs() < 1e-14);
        let mut actions = [9; 2];
        dist.mode(&mut actions);
        assert_eq!(actions, [0, 0]);
    }

    #[test]
    #[should_panic(expected = "promises an action that is legal")]
    fn of_every_action_some_value_is_legal() {
        of(&[3, 2]).set(&LOGITS, &[0, 0, 0, 1, 0]);
    }

    #[test]
    fn draws_come_as_often_as_they_are_probable_and_never_if_illegal() {
        let mut dist = of(&[3, 2]);
        let mut rng = Rng::new(1, Stream::Tool(0));
        for legal in [vec![], vec![1, 0, 1, 1, 1]] {
            dist.set(&LOGITS, &legal);
            let (mut counts, rounds) = ([0u32; 5], 40_000);
            for _ in 0..rounds {
                let mut actions = [0; 2];
                dist.sample(&mut rng, &mut actions);
                counts[actions[0] as usize] += 1;
                counts[3 + actions[1] as usize] += 1;
            }
            for (&count, &p) in counts.iter().zip(&dist.probs) {
                let share = f64::from(count) / f64::from(rounds);
                assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / f64::from(rounds)).sqrt() + 1e-12, "{share} {p}");
            }
        }
    }

    #[test]
    fn slopes_are_differences() {
        let mut dist = of(&[3, 2]);
        for legal in [vec![], vec![1, 1, 0, 1, 1]] {
            let (by, entropy_by, actions) = (1.7, -0.4, [1, 0]);
            let mut slopes = [0.0; 5];
            dist.set(&LOGITS, &legal);
            dist.slopes(&actions, by, entropy_by, &mut slopes);
            let mut at = |i: usize, step: f32| {
                let mut logits = LOGITS;
                logits[i] += step;
                dist.set(&logits, &legal);
                by * dist.log_prob(&actions) + entropy_by * dist.entropy()
            };
            for (i, &slope) in slopes.iter().enumerate() {
                let difference = (at(i, 0.01) - at(i, -0.01)) / 0.02;
                assert!((f64::from(slope) - difference).abs() < 1e-4, "logit {i}: {slope} {difference}");
            }
        }
    }

    #[test]
    fn logits_far_apart_stay_finite() {
        let mut dist = of(&[3]);
        dist.set(&[-1e30, 0.0, 1e30], &[]);
        let mut slopes = [0.0; 3];
        dist.slopes(&[2], 1.0, 1.0, &mut slopes);
        assert_eq!((dist.entropy(), dist.log_prob(&[2]), slopes), (0.0, 0.0, [0.0; 3]));
    }
}
