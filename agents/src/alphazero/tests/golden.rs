//! The learner against PyTorch (`tests/golden/alphazero/make.py`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
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
