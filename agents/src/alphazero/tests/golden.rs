//! The learner against PyTorch (`tests/golden/alphazero/make.py`), and its search against mctx (`tests/golden/gumbel/make.py`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::alphazero::forest::Forest;
use crate::testing::{close, draws, fill, flat};

#[derive(Deserialize)]
struct Golden {
    every: usize,
    legal: Vec<u8>,
    policy: Vec<f32>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    terms: BTreeMap<String, f64>,
    norm: f64,
    grad: Vec<f64>,
    params: Vec<f64>,
}

#[test]
fn loss_gradient_and_optimiser_steps_equal_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/alphazero/golden.json")).unwrap();
    let settings = Config { channels: 6, blocks: 2, hidden: 8, value_coef: 0.7, grad_clip: 0.5, ..config() };
    let mut learner = learner(&settings, 1);
    fill(&learner.params, 1);
    let rows = golden.policy.len() / 3;
    let within_one = |count, salt| draws(count, salt).into_iter().map(|draw| (draw * 2.0 - 1.0) as f32).collect();
    learner.batch.planes = within_one(rows * spec().vector, 101);
    learner.batch.values = within_one(rows, 104);
    learner.batch.policies = golden.policy;
    learner.batch.legal = golden.legal.iter().map(|&flag| flag == 1).collect();
    let every = |values: &[f32]| values.iter().copied().step_by(golden.every).collect::<Vec<_>>();
    for (number, step) in golden.steps.iter().enumerate() {
        let mut log = Log::default();
        learner.fit(1e-3, &mut Solo, &mut log).unwrap();
        let told: BTreeMap<&str, f64> = log.drain().into_iter().collect();
        for (name, expected) in &step.terms {
            let off = (told[name.as_str()] - expected).abs();
            assert!(off < 2e-6 * expected.abs().max(0.1), "step {number}, {name}: {} {expected}", told[name.as_str()]);
        }
        assert!((told["grad_norm"] - step.norm).abs() < 1e-5 * step.norm, "step {number}: {}", told["grad_norm"]);
        close(&format!("step {number}, gradient"), &every(&learner.grad), &step.grad);
        close(&format!("step {number}, weights"), &every(&flat(&learner.params)), &step.params);
    }
}

#[derive(Deserialize)]
struct Searches {
    /// Of σ: what is added to the most visits, and the scale.
    sigma: [f64; 2],
    cases: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    left: usize,
    side: u32,
    simulations: usize,
    considered: usize,
    noise: Vec<f64>,
    visits: Vec<u32>,
    /// Values of moves that were visited.
    q: Vec<f64>,
    policy: Vec<f64>,
    choice: usize,
}

#[test]
fn a_search_tries_and_finds_what_mctx_does() {
    let golden: Searches = serde_json::from_str(include_str!("../../../../tests/golden/gumbel/golden.json")).unwrap();
    let table = |count: usize, salt, scale: f64| -> Vec<f32> {
        draws(count, salt).into_iter().map(|draw| (draw * 2.0 * scale - scale) as f32).collect()
    };
    let (logits, values) = (table((MOST + 1) * 2 * 3, 201, 2.0), table((MOST + 1) * 2, 202, 1.0));
    let [visit, scale] = golden.sigma;
    for (number, found) in golden.cases.iter().enumerate() {
        let &Found { left, side, simulations, considered, choice, .. } = found;
        let mut planner = Planner::new(Search { simulations, considered, sigma: Sigma { visit, scale } }, 1);
        planner.clear();
        let mut noise = found.noise.iter().copied();
        planner.push(&Nim { left, plies: side }, || noise.next().unwrap());
        let by = |forest: &mut Forest<Nim>, leaves: &[usize]| {
            for &leaf in leaves {
                let Nim { left, plies } = *forest.position(leaf);
                let row = 2 * left + plies as usize % 2;
                forest.grow(leaf, &logits[3 * row..][..3], values[row]);
            }
            Ok(())
        };
        planner.grow(by).unwrap();
        let visits: Vec<u32> = (0..3).map(|action| planner.visits(0, action)).collect();
        assert_eq!((&visits, planner.choice(0)), (&found.visits, choice), "search {number}: {found:?}");
        let mut policy = [0.0; 3];
        let value = planner.improved(0, &mut policy);
        for (action, (p, expected)) in policy.iter().zip(&found.policy).enumerate() {
            assert!((f64::from(*p) - expected).abs() < 2e-5, "search {number}, move {action}: {p} {expected}");
        }
        if found.visits.iter().enumerate().all(|(action, &visits)| visits > 0 || action >= left) {
            let expected: f64 = found.policy.iter().zip(&found.q).map(|(p, q)| p * q).sum();
            assert!((f64::from(value) - expected).abs() < 2e-5, "search {number}: {value} {expected}");
        }
    }
}
