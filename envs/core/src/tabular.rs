//! Environments small enough to write down whole, and the dynamic programming that answers for them exactly.
//!
//! A table is what a policy is judged by without playing: the expected return within the step limit, to some
//! 14 digits, instead of the mean over some episodes. Rewards are undiscounted unless a discount is asked for, and may
//! have any unit: what counts as converged or equal is in proportion to them.
//! Source: Bellman 1957; Sutton and Barto 2018, chapter 4.

mod moments;

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
/// Largest change of a value between two sweeps that counts as converged, as a share of [`Backup::size`].
const CONVERGED: f64 = 1e-14;

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
        let first = |s| {
            let best = self.best(s, discount, &value);
            let ties = |other: Backup| best.value - other.value <= Self::TIE * best.size.max(other.size);
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
            let kept = if way.terminated { 0.0 } else { discount };
            let Backup { value, size } = value[way.next as usize];
            sum.value += way.probability * (way.reward + kept * value);
            sum.size += way.probability * (way.reward.abs() + kept * size);
        }
        sum
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
    fn the_unit_of_rewards_changes_no_policy_and_no_digit_that_counts() {
        for unit in [1e-11, 1.0, 1e9] {
            let flip = vec![way(0.5, 0, 3.0 * unit, true), way(0.5, 0, 0.0, false)];
            let sure = vec![way(1.0, 0, unit, true)];
            let coin = FiniteMdp::new(vec![1.0], None, vec![vec![sure, flip]]).unwrap();
            let value = coin.value_iteration(1.0);
            assert!((value[0] / unit - 3.0).abs() < 1e-12 && coin.greedy(&value, 1.0) == [1], "{unit}: {value:?}");
            // It flips until it is paid: nothing varies but the number of steps.
            let exact = coin.evaluate(&coin.policy(&[1], 0.0));
            assert!((exact.mean / unit - 3.0).abs() < 1e-12 && exact.std / unit < 1e-12, "{unit}: {exact:?}");
        }
        // A large mean hides no small deviation.
        let flip = vec![way(0.5, 0, 1e9 - 1.0, true), way(0.5, 0, 1e9 + 1.0, true)];
        let coin = FiniteMdp::new(vec![1.0], Some(1), vec![vec![flip]]).unwrap();
        assert_eq!(coin.evaluate(&[1.0]), Exact { mean: 1e9, std: 1.0, steps: 1.0 });
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
