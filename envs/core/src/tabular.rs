//! Environments small enough to write down whole, and the dynamic programming that answers for them exactly.
//!
//! A table is what a policy is judged by without playing: the expected return within the step limit, to some
//! 14 digits, instead of the mean over some episodes. Rewards are undiscounted unless a discount is asked for.
//! Source: Bellman 1957; Sutton and Barto 2018, chapter 4.

use crate::{Error, Result};

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
/// Largest change of a value between two sweeps that counts as converged.
const CONVERGED: f64 = 1e-14;

impl FiniteMdp {
    /// Difference up to which [`greedy`](FiniteMdp::greedy) takes two action values for equal, so that rounding decides
    /// no tie.
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
        let mut value = vec![0.0; self.states()];
        for _ in 0..SWEEPS {
            let next = self.sweep(&value, |s, value| self.best(s, discount, value));
            let change = distance(&value, &next);
            value = next;
            if change < CONVERGED {
                break;
            }
        }
        value
    }

    /// Returns the greedy action of every state, `[S]`, with respect to the state values `value`, `[S]`: the lowest
    /// action number among those whose value is within [`TIE`](Self::TIE) of the best.
    ///
    /// # Panics
    /// If there is not one value per state.
    pub fn greedy(&self, value: &[f64], discount: f64) -> Vec<u32> {
        assert_eq!(value.len(), self.states(), "one value per state");
        let first = |s| {
            let best = self.best(s, discount, value);
            let action = self.choices(s).find(|&a| self.backup(s, a, discount, value) >= best - Self::TIE);
            action.expect("the best action is among the actions") as u32
        };
        (0..self.states()).map(first).collect()
    }

    /// Returns the optimal expected undiscounted return of an episode, by a policy that knows the state and, where
    /// there is a step limit, the number of steps left.
    pub fn optimum(&self) -> f64 {
        let Some(limit) = self.limit else { return self.at_start(&self.value_iteration(1.0)) };
        let mut value = vec![0.0; self.states()];
        for _ in 0..limit {
            let next = self.sweep(&value, |s, value| self.best(s, 1.0, value));
            let change = value.iter().zip(&next).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            value = next;
            if change < CONVERGED {
                break; // as in `all_moments`
            }
        }
        self.at_start(&value)
    }

    /// Evaluates a policy, given by its action probabilities `[S, A]`, over an episode from the initial distribution
    /// that is truncated at the step limit. Without a limit the policy must end every episode, see
    /// [`endless`](Self::endless): else this returns what 1,000,000 steps come to.
    ///
    /// # Panics
    /// If `policy` is not `[S, A]`.
    pub fn evaluate(&self, policy: &[f64]) -> Exact {
        let mut total = Moments::default();
        for (&probability, state) in self.start.iter().zip(&self.all_moments(policy)) {
            total.add(probability, state);
        }
        Exact { mean: total.first, std: (total.second - total.first * total.first).max(0.0).sqrt(), steps: total.steps }
    }

    /// Returns the expected undiscounted return of a policy, `[S, A]`, from each state as the start of an episode:
    /// `[S]`.
    ///
    /// # Panics
    /// If `policy` is not `[S, A]`.
    pub fn expected_returns(&self, policy: &[f64]) -> Vec<f64> {
        self.all_moments(policy).iter().map(|state| state.first).collect()
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
            let change = moments.iter().zip(&next).map(|(a, b)| a.distance(b)).fold(0.0, f64::max);
            moments = next;
            if change < CONVERGED {
                break; // not only without a limit: the rest of the sweeps would change no digit that counts
            }
        }
        moments
    }

    fn sweep(&self, value: &[f64], update: impl Fn(usize, &[f64]) -> f64) -> Vec<f64> {
        (0..self.states()).map(|s| update(s, value)).collect()
    }

    fn best(&self, s: usize, discount: f64, value: &[f64]) -> f64 {
        self.choices(s).map(|a| self.backup(s, a, discount, value)).fold(f64::NEG_INFINITY, f64::max)
    }

    fn backup(&self, s: usize, a: usize, discount: f64, value: &[f64]) -> f64 {
        let worth =
            |way: &Transition| way.reward + if way.terminated { 0.0 } else { discount * value[way.next as usize] };
        self.outcomes[s][a].iter().map(|way| way.probability * worth(way)).sum()
    }

    fn moments(&self, s: usize, policy: &[f64], after: &[Moments]) -> Moments {
        let mut sum = Moments::default();
        for (ways, &chosen) in self.outcomes[s].iter().zip(&policy[s * self.actions()..]) {
            for way in ways {
                let rest = if way.terminated { Moments::default() } else { after[way.next as usize] };
                sum.add(chosen * way.probability, &rest.behind(way.reward));
            }
        }
        sum
    }
}

/// Expectations over the rest of an episode.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    /// Expectation of the return.
    first: f64,
    /// Expectation of the squared return.
    second: f64,
    /// Expectation of the number of steps.
    steps: f64,
}

impl Moments {
    /// Returns the moments with one step of this reward put before the rest: `(r + g)² = r² + 2rg + g²`.
    fn behind(self, reward: f64) -> Self {
        Self {
            first: reward + self.first,
            second: reward * (reward + 2.0 * self.first) + self.second,
            steps: 1.0 + self.steps,
        }
    }

    fn add(&mut self, weight: f64, other: &Self) {
        self.first += weight * other.first;
        self.second += weight * other.second;
        self.steps += weight * other.steps;
    }

    fn distance(&self, other: &Self) -> f64 {
        let moments = [self.first - other.first, self.second - other.second, self.steps - other.steps];
        moments.into_iter().fold(0.0, |worst, change| worst.max(change.abs()))
    }
}

fn is_one(sum: f64) -> bool {
    (sum - 1.0).abs() < 1e-9
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_from_each_state_agree_with_the_expectation_at_the_start() {
        let stay = vec![way(1.0, 0, -1.0, false)];
        let go = vec![way(1.0, 1, 0.0, false)];
        let end = vec![way(1.0, 1, 5.0, true)];
        let table =
            FiniteMdp::new(vec![0.25, 0.75], Some(3), vec![vec![stay, go.clone()], vec![end.clone(), end]]).unwrap();
        let policy = table.policy(&[0, 0], 0.0);
        let returns = table.expected_returns(&policy);
        assert_eq!(returns, [-3.0, 5.0]);
        assert_eq!(table.at_start(&returns), table.evaluate(&policy).mean);
    }

    fn way(probability: f64, next: u32, reward: f64, terminated: bool) -> Transition {
        Transition { probability, next, reward, terminated }
    }

    /// One state: action 0 ends with 1, action 1 flips a coin between ending with 3 and staying for nothing.
    fn coin(limit: Option<u32>) -> FiniteMdp {
        let flip = vec![way(0.5, 0, 3.0, true), way(0.5, 0, 0.0, false)];
        FiniteMdp::new(vec![1.0], limit, vec![vec![vec![way(1.0, 0, 1.0, true)], flip]]).unwrap()
    }

    #[test]
    fn a_reward_that_is_not_finite_is_refused() {
        for reward in [f64::NAN, f64::INFINITY] {
            let refused = FiniteMdp::new(vec![1.0], None, vec![vec![vec![way(1.0, 0, reward, true)]]]).unwrap_err();
            assert!(refused.to_string().contains("state 0, action 0 has a reward of"), "{refused}");
        }
    }

    #[test]
    fn evaluation_gives_mean_deviation_and_steps_of_a_geometric_episode() {
        let coin = coin(None);
        let exact = coin.evaluate(&coin.policy(&[1], 0.0));
        assert!((exact.mean - 3.0).abs() < 1e-12 && exact.std < 1e-6 && (exact.steps - 2.0).abs() < 1e-12, "{exact:?}");
    }

    #[test]
    fn a_limit_cuts_what_would_have_followed() {
        let coin = coin(Some(2));
        let exact = coin.evaluate(&coin.policy(&[1], 0.0));
        assert_eq!((exact.mean, exact.steps), (2.25, 1.5)); // 3 with probability ¾; the second step half of the time
        assert!((exact.std - 3.0 * (0.75f64 * 0.25).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_optimum_counts_its_steps() {
        // With one step left the coin is worth 1.5, more than the sure 1; with two 2.25.
        assert_eq!(coin(Some(1)).optimum(), 1.5);
        assert_eq!(coin(Some(2)).optimum(), 2.25);
        assert!((coin(None).optimum() - 3.0).abs() < 1e-12);
    }

    #[test]
    fn epsilon_mixes_every_action_in() {
        let coin = coin(Some(1));
        assert_eq!(coin.policy(&[1], 0.5), [0.25, 0.75]);
        assert_eq!(coin.evaluate(&coin.policy(&[0], 0.5)).mean, 0.75 * 1.0 + 0.25 * 1.5);
    }

    #[test]
    fn of_a_mask_only_legal_actions_are_drawn_and_best() {
        let coin = coin(Some(1)).showing(vec![0], vec![1, 0]);
        assert_eq!(coin.policy(&[0], 0.5), [1.0, 0.0]);
        assert_eq!(
            (coin.optimum(), coin.greedy(&[0.0], 1.0)),
            (1.0, vec![0]),
            "the coin is worth more, and not allowed"
        );
    }

    #[test]
    fn a_policy_that_never_ends_is_found() {
        // From 0 to 1 or to the end; from 1 nowhere else.
        let (stay, end) = (vec![way(1.0, 1, -1.0, false)], vec![way(1.0, 0, 0.0, true)]);
        let table = |limit| {
            FiniteMdp::new(
                vec![1.0, 0.0],
                limit,
                vec![vec![stay.clone(), end.clone()], vec![stay.clone(), stay.clone()]],
            )
            .unwrap()
        };
        let endless = |limit, actions: [u32; 2], epsilon| {
            let table = table(limit);
            table.endless(&table.policy(&actions, epsilon))
        };
        assert_eq!(endless(None, [0, 0], 0.0), Some(0));
        assert_eq!(endless(None, [1, 0], 0.0), None, "it never comes there");
        assert_eq!(endless(None, [1, 0], 0.1), Some(1));
        assert_eq!(endless(Some(9), [0, 0], 0.0), None);
    }

    #[test]
    fn discounted_values_and_greedy_actions_agree() {
        let coin = coin(None);
        let value = coin.value_iteration(0.9);
        assert!((value[0] - 1.5 / (1.0 - 0.45)).abs() < 1e-12, "{value:?}");
        assert_eq!(coin.greedy(&value, 0.9), [1]);
        assert_eq!(coin.greedy(&[0.0], 0.0), [1]);
    }

    #[test]
    fn states_show_themselves_unless_it_is_said_what_they_show() {
        let coin = coin(None);
        assert_eq!((coin.symbols(), coin.legal()), (&[0][..], &[][..]));
        let shown = coin.clone().showing(vec![7, 8], vec![1, 1]);
        assert_eq!((shown.symbols(), shown.legal()), (&[7, 8][..], &[1, 1][..]));
        assert_eq!(shown.optimum(), coin.optimum());
    }

    #[test]
    #[should_panic(expected = "1 flags of 2 actions")]
    fn flags_are_one_per_action() {
        let _ = coin(None).showing(vec![0], vec![1]);
    }

    #[test]
    fn tables_that_do_not_close_are_refused() {
        let bad = |start: Vec<f64>, outcomes| FiniteMdp::new(start, None, outcomes).unwrap_err().to_string();
        assert!(bad(vec![], vec![]).contains("at least one state"));
        assert!(bad(vec![0.5], vec![vec![vec![way(1.0, 0, 0.0, true)]]]).contains("start"));
        assert!(bad(vec![1.0], vec![vec![vec![way(0.9, 0, 0.0, true)]]]).contains("sum to 0.9"));
        assert!(bad(vec![1.0], vec![vec![vec![way(1.0, 1, 0.0, true)]]]).contains("leads to 1"));
        let ragged = vec![vec![vec![way(1.0, 0, 0.0, true)]], vec![]];
        assert!(bad(vec![1.0, 0.0], ragged).contains("state 1 has 0 actions"));
    }
}
