//! Environments small enough to write down whole, and the dynamic programming that answers for them exactly.
//!
//! A table is what a policy is judged by without playing: the expected return within the step limit, to some
//! 12 digits (fewer, the longer episodes last without one), instead of the mean over some episodes. Rewards are
//! undiscounted unless a discount is asked for, and may have any unit: what counts as converged or equal is in
//! proportion to them.
//! Source: Bellman 1957; Sutton and Barto 2018, chapter 4.

mod moments;
#[cfg(test)]
mod tests;

use crate::{Error, Result};
use moments::Moments;

/// One possible outcome of an action in a state of a [`FiniteMdp`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// Probability of this outcome, in `[0, 1]`.
    pub probability: f64,
    /// State that the outcome leads to, below [`FiniteMdp::states`].
    pub next: u32,
    /// Raw reward.
    pub reward: f64,
    /// Whether the episode terminates with this outcome.
    pub terminated: bool,
}

/// A finite Markov decision process: all `S` states of an environment that takes one discrete action out of `A`, with
/// their transition probabilities and rewards.
///
/// State `s` is observed as `symbols == [s]` unless [`showing`](FiniteMdp::showing) says otherwise. Where several
/// states have the same observation, [`optimum`](FiniteMdp::optimum) is that of an agent who knows the state.
#[derive(Clone, Debug, PartialEq)]
pub struct FiniteMdp {
    start: Vec<f64>,
    limit: Option<u32>,
    outcomes: Vec<Vec<Vec<Transition>>>,
    symbols: Vec<u32>,
    legal: Vec<u8>,
}

/// Exact evaluation of a policy by dynamic programming: moments of the return of one episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact {
    /// Expected undiscounted return.
    pub mean: f64,
    /// Standard deviation of the return of one episode.
    pub std: f64,
    /// Expected number of agent steps.
    pub steps: f64,
}

/// Sweeps after which an iteration without a step limit gives up waiting for its tolerance.
const SWEEPS: usize = 1_000_000;
/// Largest change of a value between two sweeps that counts as converged, as a share of [`Backup::size`]: rounding, and
/// no more, since a value that comes nearer by a ten-thousandth in a sweep is ten thousand such changes away.
const CONVERGED: f64 = 4.0 * f64::EPSILON;

/// Value of a state or of an action in it.
#[derive(Clone, Copy, Debug, Default)]
struct Backup {
    value: f64,
    /// The value if no reward were negative, by the same actions: rounding errors are in proportion to it, though the
    /// value itself may be near zero.
    size: f64,
}

impl FiniteMdp {
    /// Difference up to which [`greedy`](FiniteMdp::greedy) takes two action values for equal, so that rounding decides
    /// no tie, as a share of what they are the sums of.
    pub const TIE: f64 = 1e-10;

    /// Makes an MDP from the probability of each initial state, `start [S]`, and the outcomes of every action,
    /// `outcomes [S][A][..]`; `limit` is the number of steps after which an episode is truncated.
    ///
    /// # Errors
    /// If there is no state or action, the number of actions varies, an outcome leads out of the table, a reward is not
    /// finite, or probabilities are not in `[0, 1]` or do not sum to 1.
    pub fn new(start: Vec<f64>, limit: Option<u32>, outcomes: Vec<Vec<Vec<Transition>>>) -> Result<Self> {
        let refuse = |message: String| Err(Error::Config { key: "transition table".to_owned(), message });
        let (states, actions) = (outcomes.len(), outcomes.first().map_or(0, Vec::len));
        if actions == 0 {
            return refuse("needs at least one state and one action".to_owned());
        }
        let probable = |probability: f64| (0.0..=1.0).contains(&probability);
        if start.len() != states || !start.iter().all(|&p| probable(p)) || !is_one(start.iter().sum()) {
            return refuse(format!("start must hold {states} probabilities that sum to 1"));
        }
        for (s, row) in outcomes.iter().enumerate() {
            if row.len() != actions {
                return refuse(format!("state {s} has {} actions, state 0 has {actions}", row.len()));
            }
            for (a, ways) in row.iter().enumerate() {
                let sum: f64 = ways.iter().map(|way| way.probability).sum();
                if !is_one(sum) || !ways.iter().all(|way| probable(way.probability)) {
                    return refuse(format!(
                        "probabilities of state {s}, action {a} sum to {sum}, or one is not in [0, 1]"
                    ));
                }
                if let Some(way) = ways.iter().find(|way| !way.reward.is_finite()) {
                    return refuse(format!("state {s}, action {a} has a reward of {}", way.reward));
                }
                if let Some(way) = ways.iter().find(|way| way.next as usize >= states) {
                    return refuse(format!(
                        "state {s}, action {a} leads to {}, but there are {states} states",
                        way.next
                    ));
                }
            }
        }
        let symbols = (0..states as u32).collect();
        Ok(Self { start, limit, outcomes, symbols, legal: Vec::new() })
    }

    /// Sets what is observed in each state: `symbols`, `[S, symbols]`, and `legal`, the action mask `[S, A]`, or empty
    /// without one.
    ///
    /// # Panics
    /// If the length of `symbols` is no multiple of `S`, or that of `legal` is neither 0 nor `S · A`.
    pub fn showing(self, symbols: Vec<u32>, legal: Vec<u8>) -> Self {
        assert!(symbols.len().is_multiple_of(self.states()), "{} symbols of {} states", symbols.len(), self.states());
        let flags = self.states() * self.actions();
        assert!(legal.is_empty() || legal.len() == flags, "{} flags of {flags} actions", legal.len());
        Self { symbols, legal, ..self }
    }

    /// Returns the number of states, `S`.
    pub fn states(&self) -> usize {
        self.outcomes.len()
    }

    /// Returns the number of actions, `A`, which is the same in every state.
    pub fn actions(&self) -> usize {
        self.outcomes[0].len()
    }

    /// Returns the distribution of the initial state, `[S]`.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// Returns the number of steps after which an episode is truncated; `None` if episodes only terminate.
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// Returns the discrete observation of each state, `[S, symbols]`.
    pub fn symbols(&self) -> &[u32] {
        &self.symbols
    }

    /// Returns the action mask of each state, `[S, A]`, 1 where an action is legal; empty without a mask.
    pub fn legal(&self) -> &[u8] {
        &self.legal
    }

    /// Returns the possible outcomes of `action` in `state`, whose probabilities sum to 1.
    ///
    /// # Panics
    /// If `state` or `action` is out of range.
    pub fn outcomes(&self, state: u32, action: u32) -> &[Transition] {
        &self.outcomes[state as usize][action as usize]
    }

    /// Returns the action probabilities, `[S, A]`, of the ε-greedy policy that takes `actions[s]` in state `s`, or with
    /// probability `epsilon` a uniformly random action, of the legal ones where there is a mask.
    ///
    /// # Panics
    /// If there is not exactly one action per state, or one is out of range.
    pub fn policy(&self, actions: &[u32], epsilon: f64) -> Vec<f64> {
        assert_eq!(actions.len(), self.states(), "one action per state");
        let mut policy = vec![0.0; self.states() * self.actions()]; // [S, A]
        for (s, row) in policy.chunks_exact_mut(self.actions()).enumerate() {
            let legal = self.choices(s).count() as f64;
            self.choices(s).for_each(|a| row[a] = epsilon / legal);
            row[actions[s] as usize] += 1.0 - epsilon;
        }
        policy
    }

    /// The actions that are legal in state `s`: all of them without a mask.
    fn choices(&self, s: usize) -> impl Iterator<Item = usize> + '_ {
        let actions = self.actions();
        (0..actions).filter(move |a| self.legal.get(s * actions + a).is_none_or(|&flag| flag != 0))
    }

    /// Returns a state that an episode may come to by this policy and never ends from; `None` if there is none, or a step
    /// limit ends every episode.
    ///
    /// # Panics
    /// If `policy` is not `[S, A]`.
    pub fn endless(&self, policy: &[f64]) -> Option<u32> {
        assert_eq!(policy.len(), self.states() * self.actions(), "one probability per state and action");
        if self.limit.is_some() {
            return None;
        }
        let ways = |s: usize| {
            let chosen =
                self.outcomes[s].iter().zip(&policy[s * self.actions()..]).filter(|&(_, &chosen)| chosen > 0.0);
            chosen.flat_map(|(ways, _)| ways).filter(|way| way.probability > 0.0)
        };
        let mut ends = vec![false; self.states()];
        let mut met: Vec<bool> = self.start.iter().map(|&probability| probability > 0.0).collect();
        loop {
            let mut changed = false;
            for s in 0..self.states() {
                for way in ways(s) {
                    let next = way.next as usize;
                    if !ends[s] && (way.terminated || ends[next]) {
                        (ends[s], changed) = (true, true);
                    }
                    if met[s] && !way.terminated && !met[next] {
                        (met[next], changed) = (true, true);
                    }
                }
            }
            if !changed {
                return (0..self.states()).find(|&s| met[s] && !ends[s]).map(|s| s as u32);
            }
        }
    }

    /// Computes the optimal state values, `[S]`, under a discount and without a step limit. At a discount of 1 they
    /// converge only where every policy terminates, or where rewards before the end are zero; after 1,000,000 sweeps
    /// the present values are returned.
    pub fn value_iteration(&self, discount: f64) -> Vec<f64> {
        self.sweeps(SWEEPS, discount)
    }

    /// The largest expected sums of rewards over this many steps, `[S]`, or over all steps once they have converged.
    fn sweeps(&self, steps: usize, discount: f64) -> Vec<f64> {
        let mut value = vec![Backup::default(); self.states()];
        for _ in 0..steps {
            let next: Vec<Backup> = (0..self.states()).map(|s| self.best(s, discount, &value)).collect();
            let near = |(old, new): (&Backup, &Backup)| (new.value - old.value).abs() <= CONVERGED * new.size;
            let done = value.iter().zip(&next).all(near);
            value = next;
            if done {
                break; // not only without a limit: the rest of the sweeps would change no digit that counts
            }
        }
        value.iter().map(|state| state.value).collect()
    }

    /// Returns the greedy action of every state, `[S]`, with respect to the state values `value`, `[S]`: the lowest
    /// action number among those whose value is the best but for a share of [`TIE`](Self::TIE).
    ///
    /// # Panics
    /// If there is not one value per state.
    pub fn greedy(&self, value: &[f64], discount: f64) -> Vec<u32> {
        assert_eq!(value.len(), self.states(), "one value per state");
        let value: Vec<Backup> = value.iter().map(|&value| Backup { value, size: value.abs() }).collect();
        // Of rewards that cancel, the values say nothing of what they are the sums of.
        let rounding = 16.0 * f64::EPSILON * self.largest_reward();
        let first = |s| {
            let best = self.best(s, discount, &value);
            let ties = |other: Backup| {
                best.value == other.value
                    || best.value - other.value <= rounding.max(Self::TIE * best.size.max(other.size))
            };
            let action = self.choices(s).find(|&a| ties(self.backup(s, a, discount, &value)));
            action.expect("the best action is among the actions") as u32
        };
        (0..self.states()).map(first).collect()
    }

    /// Returns the optimal expected undiscounted return of an episode, by a policy that knows the state and, where
    /// there is a step limit, the number of steps left.
    pub fn optimum(&self) -> f64 {
        self.at_start(&self.sweeps(self.limit.map_or(SWEEPS, |limit| limit as usize), 1.0))
    }

    /// Evaluates a policy, given by its action probabilities `[S, A]`, over an episode from the initial distribution
    /// that is truncated at the step limit. Without a limit the policy must end every episode, see
    /// [`endless`](Self::endless): else this returns what 1,000,000 steps come to.
    ///
    /// # Panics
    /// If `policy` is not `[S, A]`.
    pub fn evaluate(&self, policy: &[f64]) -> Exact {
        let states = self.all_moments(policy);
        let total = Moments::mixed(self.start.iter().copied().zip(states.iter().copied()));
        Exact { mean: total.mean, std: total.variance.sqrt(), steps: total.steps }
    }

    /// Returns the expected undiscounted return of a policy, `[S, A]`, from each state as the start of an episode:
    /// `[S]`.
    ///
    /// # Panics
    /// If `policy` is not `[S, A]`.
    pub fn expected_returns(&self, policy: &[f64]) -> Vec<f64> {
        self.all_moments(policy).iter().map(|state| state.mean).collect()
    }

    /// Returns the expectation of the state values `value`, `[S]`, over the initial state.
    ///
    /// # Panics
    /// If there is not one value per state.
    pub fn at_start(&self, value: &[f64]) -> f64 {
        assert_eq!(value.len(), self.states(), "one value per state");
        self.start.iter().zip(value).map(|(probability, value)| probability * value).sum()
    }

    fn all_moments(&self, policy: &[f64]) -> Vec<Moments> {
        assert_eq!(policy.len(), self.states() * self.actions(), "one probability per state and action");
        let mut moments = vec![Moments::default(); self.states()];
        for _ in 0..self.limit.map_or(SWEEPS, |limit| limit as usize) {
            let next: Vec<Moments> = (0..self.states()).map(|s| self.moments(s, policy, &moments)).collect();
            let done = moments.iter().zip(&next).all(|(before, now)| now.is_near(before, CONVERGED));
            moments = next;
            if done {
                break; // as in `sweeps`
            }
        }
        moments
    }

    fn best(&self, s: usize, discount: f64, value: &[Backup]) -> Backup {
        let none = Backup { value: f64::NEG_INFINITY, size: 0.0 };
        let backups = self.choices(s).map(|a| self.backup(s, a, discount, value));
        backups.fold(none, |best, backup| if backup.value > best.value { backup } else { best })
    }

    fn backup(&self, s: usize, a: usize, discount: f64, value: &[Backup]) -> Backup {
        let mut sum = Backup::default();
        for way in &self.outcomes[s][a] {
            let Backup { value, size } = if way.terminated { Backup::default() } else { value[way.next as usize] };
            sum.value += way.probability * (way.reward + discount * value);
            sum.size += way.probability * (way.reward.abs() + discount * size);
        }
        sum
    }

    fn largest_reward(&self) -> f64 {
        let ways = self.outcomes.iter().flatten().flatten();
        ways.fold(0.0, |largest, way| way.reward.abs().max(largest))
    }

    fn moments(&self, s: usize, policy: &[f64], after: &[Moments]) -> Moments {
        let rest = |way: &Transition| if way.terminated { Moments::default() } else { after[way.next as usize] };
        let chosen = self.outcomes[s].iter().zip(&policy[s * self.actions()..]);
        Moments::mixed(chosen.flat_map(|(ways, &chosen)| {
            ways.iter().map(move |way| (chosen * way.probability, rest(way).behind(way.reward)))
        }))
    }
}

fn is_one(sum: f64) -> bool {
    (sum - 1.0).abs() < 1e-9
}
