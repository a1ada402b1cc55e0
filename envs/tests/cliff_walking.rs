//! CliffWalking against Gymnasium's transition tables, and what can be reached on it.

#[path = "support/seated.rs"]
mod seated;

use rl_core::FiniteMdp;
use seated::{Outcome, assert_equals, with};

fn table(id: &str) -> FiniteMdp {
    with(id, "").unwrap().tabular().expect("a cliff is a table")
}

#[test]
fn transition_tables_equal_gymnasiums() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/golden/cliff_walking/tables.json")).unwrap();
    assert_eq!(golden["gymnasium"], "1.4.0");
    for (cliff, (id, slippery)) in [("cliffwalking", false), ("cliffwalking-slippery", true)].into_iter().enumerate() {
        let cliff = &golden["cliffs"][cliff];
        assert_eq!(cliff["slippery"], slippery);
        let theirs: Vec<Vec<Vec<Outcome>>> = serde_json::from_value(cliff["table"].clone()).unwrap();
        let start: Vec<f64> = serde_json::from_value(cliff["start"].clone()).unwrap();
        assert_eq!(table(id).start(), start);
        assert_equals(&table(id), &theirs, id);
    }
}

#[test]
fn the_best_way_along_a_firm_cliff_is_its_edge() {
    let table = table("cliffwalking");
    assert_eq!(table.optimum(), -13.0);
    let greedy = table.policy(&table.greedy(&table.value_iteration(1.0), 1.0), 0.0);
    let exact = table.evaluate(&greedy);
    assert_eq!((exact.mean, exact.std, exact.steps), (-13.0, 0.0, 13.0));
}

#[test]
fn the_best_way_along_a_slippery_cliff_keeps_off_its_edge() {
    let table = table("cliffwalking-slippery");
    let exact = table.evaluate(&table.policy(&table.greedy(&table.value_iteration(1.0), 1.0), 0.0));
    assert!((table.optimum() - SLIPPERY).abs() < 1e-6, "{}", table.optimum());
    assert!(exact.mean <= table.optimum() && exact.mean > table.optimum() - 1e-3, "{exact:?}");
}

/// The best expected return within 500 steps, as by value iteration over Gymnasium's table.
const SLIPPERY: f64 = -64.709_176;

#[test]
fn without_a_limit_an_episode_ends_at_the_goal_alone() {
    let mut env = with("cliffwalking", "max_steps = 0").unwrap();
    assert_eq!(env.tabular().unwrap().limit(), None);
    let rows = seated::play(&mut *env, 20_000, 1, 0x55);
    let ends: Vec<_> = rows.iter().flat_map(|row| &row.end).filter(|end| end.over()).collect();
    assert!(!ends.is_empty() && ends.iter().all(|&&end| end == rl_core::End::Terminated), "{ends:?}");
    assert!(rows.iter().any(|row| row.age[0] > 500), "some episode is longer than the preset allows");
}
