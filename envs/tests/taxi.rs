//! Taxi against Gymnasium's transition tables and its fickle passengers, and what can be earned by driving one.

#[path = "support/seated.rs"]
mod seated;

use std::collections::BTreeMap;

use rl_core::{Env, FiniteMdp};
use rl_envs::grid::taxi::Taxi;
use seated::{Outcome, assert_equals, with};
use serde_json::Value;

const SHOWN: u32 = 500;
const ABOARD: u32 = 4;

fn golden() -> Value {
    let golden: Value = serde_json::from_str(include_str!("../../tests/golden/taxi/tables.json")).unwrap();
    assert_eq!(golden["gymnasium"], "1.4.0");
    golden
}

fn built(config: &Value, mask: bool) -> FiniteMdp {
    let mut config = config.clone();
    (config["mask"], config["max_steps"]) = (mask.into(), 200.into());
    Taxi::new(&serde_json::from_value(config).unwrap()).unwrap().tabular().unwrap()
}

#[test]
fn transition_tables_starts_and_masks_equal_gymnasiums() {
    let golden = golden();
    for (case, rainy) in [false, true].into_iter().enumerate() {
        let case = &golden["cases"][case];
        assert_eq!((&case["config"]["rainy"], &case["config"]["fickle"]), (&rainy.into(), &false.into()));
        let ours = built(&case["config"], true);
        let theirs: Vec<Vec<Vec<Outcome>>> = serde_json::from_value(case["table"].clone()).unwrap();
        assert_equals(&ours, &theirs, &case["config"].to_string());
        let start: Vec<f64> = serde_json::from_value(case["start"].clone()).unwrap();
        let mask: Vec<Vec<u8>> = serde_json::from_value(case["mask"].clone()).unwrap();
        assert_eq!((ours.start(), ours.legal()), (&*start, &*mask.concat()));
        assert_eq!(ours.symbols(), (0..SHOWN).collect::<Vec<_>>());
        assert_eq!(start.iter().filter(|&&p| p == 1.0 / 300.0).count(), 300);
    }
}

/// Probability of each state that is shown, reward (as an integer) and end.
fn merged(outcomes: impl Iterator<Item = Outcome>) -> BTreeMap<(u32, i32, bool), f64> {
    let mut sum = BTreeMap::new();
    for (probability, next, reward, terminated) in outcomes {
        *sum.entry((next % SHOWN, reward as i32, terminated)).or_default() += probability;
    }
    sum.retain(|_, p| *p > 0.0);
    sum
}

fn ours(table: &FiniteMdp, state: u32, action: u32) -> impl Iterator<Item = Outcome> {
    table.outcomes(state, action).iter().map(|way| (way.probability, way.next, way.reward, way.terminated))
}

#[test]
fn fickle_passengers_change_their_minds_as_gymnasiums_do() {
    let golden = golden();
    for case in [2, 3] {
        let case = &golden["cases"][case];
        assert_eq!(case["config"]["fickle"], true);
        let fickle = built(&case["config"], false);
        let mut config = case["config"].clone();
        config["fickle"] = false.into();
        let plain = built(&config, false);
        assert_eq!((fickle.states() as u32, plain.states() as u32), (2 * SHOWN, SHOWN));
        let theirs: BTreeMap<u32, Vec<Vec<Outcome>>> = serde_json::from_value(case["fickle"].clone()).unwrap();
        assert_eq!(theirs.len(), 100);
        for (state, action) in (0..2 * SHOWN).flat_map(|state| (0..6).map(move |action| (state, action))) {
            let expected = match theirs.get(&state) {
                Some(actions) => merged(actions[action as usize].iter().copied()),
                None => merged(ours(&plain, state % SHOWN, action)),
            };
            let found = merged(ours(&fickle, state, action));
            let place = format!("{}, state {state}, action {action}", case["config"]);
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{place}");
            assert!(found.iter().all(|(key, p)| (p - expected[key]).abs() < 1e-12), "{place}: {found:?}");
            // A mind is made up by the first move with the passenger aboard, and stays so.
            for (_, next, ..) in ours(&fickle, state, action) {
                let moved = state / 4 % 5 == ABOARD && next % SHOWN / 20 != state % SHOWN / 20;
                assert_eq!(next >= SHOWN, state >= SHOWN || moved, "{place}");
            }
        }
        assert_eq!(fickle.symbols(), (0..2 * SHOWN).map(|state| state % SHOWN).collect::<Vec<_>>());
        assert_eq!(&fickle.start()[..SHOWN as usize], plain.start());
    }
}

#[test]
fn four_hundred_and_four_states_can_be_reached() {
    let table = with("taxi", "").unwrap().tabular().unwrap();
    let mut open: Vec<u32> = (0..SHOWN).filter(|&state| table.start()[state as usize] > 0.0).collect();
    let mut seen = vec![false; SHOWN as usize];
    open.iter().for_each(|&state| seen[state as usize] = true);
    while let Some(state) = open.pop() {
        for way in (0..6).flat_map(|action| table.outcomes(state, action)) {
            if !std::mem::replace(&mut seen[way.next as usize], true) && !way.terminated {
                open.push(way.next);
            }
        }
    }
    assert_eq!(seen.iter().filter(|&&seen| seen).count(), 404);
}

#[test]
fn constants_follow_from_our_own_table() {
    let table = with("taxi", "").unwrap().tabular().unwrap();
    let best = table.optimum();
    assert!((best - 2379.0 / 300.0).abs() < 1e-9, "{best}"); // 7.93
    let exact = table.evaluate(&table.policy(&table.greedy(&table.value_iteration(1.0), 1.0), 0.0));
    assert!((exact.mean - best).abs() < 1e-9 && (exact.steps - (21.0 - best)).abs() < 1e-9, "{exact:?}");
    let masked = with("taxi", "mask = true").unwrap().tabular().unwrap();
    assert_eq!(masked.optimum(), best, "nothing is gained by what changes nothing");
    // In the rain as by value iteration over Gymnasium's table. Whoever changes their mind may want back to where they just were.
    let both = "rainy = true\nfickle = true";
    for (change, expected) in [("rainy = true", 3.954_575), ("fickle = true", 8.38), (both, 4.575_646)] {
        let found = with("taxi", change).unwrap().tabular().unwrap().optimum();
        assert!((found - expected).abs() < 1e-6, "{change}: {found}");
    }
}

#[test]
fn bad_values_are_refused() {
    let check = |change: &str, expected: &str| {
        let error = with("taxi", change).err().unwrap_or_else(|| panic!("{change} was taken")).to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{change}: {error}");
    };
    check("rainy_probability = 1.5", "env.rainy_probability: 1.5 is not a probability");
    check("fickle_probability = -0.1", "env.fickle_probability: -0.1 is not a probability");
    check("max_steps = 0", "env.max_steps: must be at least 1");
}
