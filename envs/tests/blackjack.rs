//! Blackjack against every way in which Gymnasium's cards can fall, and what can be earned at its table.

#[path = "support/seated.rs"]
mod seated;

use std::collections::BTreeMap;

use rl_core::{Act, Env, FiniteMdp, Obs, Rng, Stream, Transition};
use rl_envs::cards::blackjack::Blackjack;
use seated::with;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    gymnasium: String,
    start: Vec<(f64, [u32; 3])>,
    hit: Vec<Hand>,
    stick: Vec<Rules>,
}

#[derive(Deserialize)]
struct Rules {
    config: serde_json::Value,
    hands: Vec<Hand>,
}

#[derive(Deserialize)]
struct Hand {
    hand: String,
    first: u32,
    /// Probability, observation, reward, end.
    outcomes: Vec<(f64, [u32; 3], f64, bool)>,
}

/// What is shown, reward (times two, to be an integer) and end.
type Answer = ([u32; 3], i32, bool);

fn answer(shown: [u32; 3], reward: f64, end: bool) -> Answer {
    (shown, (2.0 * reward) as i32, end)
}

fn shown(table: &FiniteMdp, state: u32) -> [u32; 3] {
    table.symbols()[state as usize * 3..][..3].try_into().unwrap()
}

/// The state of a hand and a first card: of two that look alike the natural is the one that episodes start in.
fn state(table: &FiniteMdp, hand: &str, first: u32) -> u32 {
    let (kind, total) = hand.split_once(' ').unwrap_or((hand, "21"));
    let seen = [total.parse().unwrap(), first, u32::from(kind != "hard")];
    let alike = (0..table.states() as u32).filter(|&state| shown(table, state) == seen);
    let starts = |&state: &u32| table.start()[state as usize] > 0.0;
    let alike: Vec<u32> =
        alike.filter(|state| hand != "natural" && hand != "soft 21" || starts(state) == (hand == "natural")).collect();
    assert_eq!(alike.len(), 1, "{hand}");
    alike[0]
}

fn distribution<'a>(table: &FiniteMdp, ways: impl IntoIterator<Item = &'a Transition>) -> BTreeMap<Answer, f64> {
    let mut sum = BTreeMap::new();
    for way in ways {
        *sum.entry(answer(shown(table, way.next), way.reward, way.terminated)).or_default() += way.probability;
    }
    sum
}

#[track_caller]
fn assert_close<K: Ord + std::fmt::Debug>(found: &BTreeMap<K, f64>, expected: &BTreeMap<K, f64>, what: &str) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
    assert!(found.iter().all(|(key, p)| (p - expected[key]).abs() < 1e-12), "{what}: {found:?}, expected {expected:?}");
}

#[test]
fn hands_and_outcomes_have_gymnasiums_probabilities() {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/blackjack/outcomes.json")).unwrap();
    assert_eq!((golden.gymnasium.as_str(), golden.stick.len()), ("1.4.0", 3));
    for Rules { config, hands } in &golden.stick {
        let table = Blackjack::new(&serde_json::from_value(config.clone()).unwrap()).unwrap().tabular().unwrap();
        assert_eq!(hands.len(), 290); // totals of 4 to 21 and of 12 to 21 with a usable ace, naturals: by ten cards
        for (action, hands) in [hands, &golden.hit].into_iter().enumerate() {
            for Hand { hand, first, outcomes } in hands {
                let found = distribution(&table, table.outcomes(state(&table, hand, *first), action as u32));
                let expected =
                    outcomes.iter().map(|&(p, shown, reward, end)| (answer(shown, reward, end), p)).collect();
                assert_close(&found, &expected, &format!("{config}, {hand} against {first}, action {action}"));
            }
        }
        let mut start = BTreeMap::new();
        for (state, p) in (0..).zip(table.start()).filter(|(_, p)| **p > 0.0) {
            *start.entry(shown(&table, state)).or_default() += p;
        }
        assert_close(&start, &golden.start.iter().map(|&(p, shown)| (shown, p)).collect(), "start");
    }
}

fn obs(symbols: &mut [u32]) -> Obs<'_> {
    Obs { frame: &mut [], vector: &mut [], symbols, legal: &mut [] }
}

#[test]
fn what_is_played_has_the_frequencies_of_the_table() {
    let config = toml::toml! { sab = true
    natural = false };
    let mut env = Blackjack::new(&config.try_into().unwrap()).unwrap();
    let table = env.tabular().unwrap();
    let mut rng = Rng::new(0, Stream::Env(0));
    let (mut starts, mut dealt, mut hits, mut sticks) = (BTreeMap::new(), 0u32, 0u32, BTreeMap::new());
    let twelve = [12, 10, 0];
    for episode in 0..600_000 {
        let (mut seen, mut next) = ([0; 3], [0; 3]);
        env.reset(rng.u64(), obs(&mut seen)).unwrap();
        *starts.entry(seen).or_insert(0u32) += 1;
        dealt += 1;
        if seen != twelve {
            continue;
        }
        let action = episode % 2;
        let step = env.step(Act { discrete: &[action], continuous: &[] }, obs(&mut next)).unwrap();
        let key = (action, answer(next, f64::from(step.reward), step.end.over()));
        hits += action;
        *sticks.entry(key).or_insert(0u32) += 1;
    }
    let total = sticks.values().sum::<u32>();
    let close = |count: u32, of: u32, p: f64, what: &str| {
        let (share, tolerance) = (f64::from(count) / f64::from(of), 5.0 * (p * (1.0 - p) / f64::from(of)).sqrt());
        assert!((share - p).abs() <= tolerance, "{what}: {share} of {of}, expected {p}");
    };
    for state in 0..table.states() as u32 {
        let (p, seen) = (table.start()[state as usize], shown(&table, state));
        if p > 0.0 {
            close(starts.get(&seen).copied().unwrap_or(0), dealt, p, &format!("start {seen:?}"));
        }
    }
    let twelve = state(&table, "hard 12", 10);
    for (action, of) in [(0, total - hits), (1, hits)] {
        for (answer, p) in distribution(&table, table.outcomes(twelve, action)) {
            close(sticks.get(&(action, answer)).copied().unwrap_or(0), of, p, &format!("{answer:?}"));
        }
    }
}

#[test]
fn constants_follow_from_our_own_table() {
    for (change, expected) in [
        ("sab = true\nnatural = false", -0.043_113_1),
        ("sab = false\nnatural = false", -0.046_556_0),
        ("sab = false\nnatural = true", -0.025_729_2),
        ("sab = true\nnatural = true", -0.043_113_1), // where sab is true, natural is ignored
    ] {
        let table = with("blackjack", change).unwrap().tabular().unwrap();
        let best = table.optimum();
        assert!((best - expected).abs() < 1e-6, "{change}: {best}");
        let exact = table.evaluate(&table.policy(&table.greedy(&table.value_iteration(1.0), 1.0), 0.0));
        assert!((exact.mean - best).abs() < 1e-12, "{change}: {exact:?}");
    }
}

#[test]
fn the_best_player_sticks_on_hard_seventeen_and_hits_soft_seventeen() {
    let table = with("blackjack", "").unwrap().tabular().unwrap();
    let greedy = table.greedy(&table.value_iteration(1.0), 1.0);
    for first in 1..=10 {
        let action = |hand: &str| greedy[state(&table, hand, first) as usize];
        assert_eq!(
            (action("hard 17"), action("hard 11"), action("soft 17"), action("natural")),
            (0, 1, 1, 0),
            "{first}"
        );
        assert_eq!(action("hard 16"), u32::from(!(2..=6).contains(&first)), "{first}"); // Sutton and Barto, figure 5.2
    }
}
