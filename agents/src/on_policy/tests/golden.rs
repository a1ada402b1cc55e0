//! The learner against PyTorch (`tests/golden/on_policy/make.py`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    every: BTreeMap<String, usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    agent: String,
    kind: String,
    counts: Vec<u32>,
    mask: bool,
    value_clip: bool,
    actions: Vec<Vec<u32>>,
    legal: Vec<Vec<u8>>,
    drawn: Vec<Vec<f32>>,
    log_prob: Vec<f32>,
    value: Vec<f32>,
    steps: Vec<GoldenStep>,
}

#[derive(Deserialize)]
struct GoldenStep {
    terms: BTreeMap<String, f64>,
    norm: f64,
    grad: Vec<f64>,
    params: Vec<f64>,
}

/// Steps of a sequence, and ages of the rows with a memory.
const LENGTH: usize = 4;
const AGES: [u32; 13] = [0, 1, 2, 3, 4, 5, 0, 1, 0, 1, 2, 3, 4];

/// The steps of `make.py` as a block of one seat, which remembers `state` numbers.
fn golden_block(case: &Case, spec: &Spec, state: usize) -> Rollout {
    let rows = case.actions.len();
    let mut block = Rollout::new(spec, rows, 1, Behaviour::width(spec, state));
    let (mut vector, mut frames) = (draws(rows * 4, 101).into_iter(), draws(rows * 36 * 44 * 2, 102).into_iter());
    let states = draws(rows / LENGTH * state, 112);
    for t in 0..rows {
        let ages = if state > 0 { [AGES[t], AGES[t + 1]] } else { [t as u32, t as u32 + 1] };
        (block.age.row_mut(t)[0], block.age.row_mut(t + 1)[0]) = (ages[0], ages[1]);
        block.vector.row_mut(t).iter_mut().zip(&mut vector).for_each(|(v, d)| *v = (d * 4.0 - 2.0) as f32);
        block.legal.row_mut(t).iter_mut().zip(&case.legal[t]).for_each(|(v, &legal)| *v = legal);
        block.discrete.row_mut(t).copy_from_slice(&case.actions[t]);
        block.extra.row_mut(t)[..2].copy_from_slice(&[case.log_prob[t], case.value[t]]);
        let (drawn, kept) = block.extra.row_mut(t)[2..].split_at_mut(case.drawn[t].len());
        drawn.copy_from_slice(&case.drawn[t]);
        if t % LENGTH == 0 {
            kept.iter_mut().zip(&states[t / LENGTH * state..]).for_each(|(v, d)| *v = (d * 2.0 - 1.0) as f32);
        }
        // Both frames of a pixel come from one image of two channels.
        block.frame.row_mut(t).iter_mut().zip(&mut frames).for_each(|(v, d)| *v = (d * 256.0) as u8);
    }
    block
}

#[test]
fn loss_gradient_and_optimiser_steps_equal_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/on_policy/golden.json")).unwrap();
    for case in &golden.cases {
        let continuous = vec![Bound { low: -1.0, high: 1.0 }; case.drawn[0].len()].into();
        let mut spec = Spec { mask: case.mask, continuous, ..spec(&case.counts) };
        let mut hidden = vec![16, 12];
        if case.kind == "nature" {
            (spec.frame, spec.vector, hidden) = ([36, 44, 2], 0, vec![12]);
        }
        let memory = match case.kind.as_str() {
            "gru" => Memory::Gru { units: 12, steps: LENGTH },
            "lstm" => Memory::Lstm { units: 12, steps: LENGTH },
            _ => Memory::None {},
        };
        hidden.truncate(if memory.state_width() > 0 { 1 } else { 2 });
        let settings = match case.agent.as_str() {
            "ppo" => PpoConfig { minibatches: 1, value_clip: case.value_clip, hidden, memory, ..ppo() }.settings(),
            _ => A2cConfig { hidden, memory, ..a2c() }.settings(),
        };
        let mut learner = learner(&spec, settings, 1, 1);
        fill(&learner.params, 1);
        let block = golden_block(case, &spec, learner.net.state_width());
        let rows = case.actions.len();
        let single = |salt, by: f64, less: f64| draws(rows, salt).into_iter().map(move |d| (d * by - less) as f32);
        let (advantages, targets) = (single(108, 4.0, 1.5), single(109, 6.0, 3.0));
        let step = |(t, (advantage, target))| AdvantageStep { block: 0, t: t as u32, e: 0, advantage, target };
        let played = |step: &AdvantageStep| block.valid(step.t as usize, 0);
        learner.batch.steps = advantages.zip(targets).enumerate().map(step).filter(played).collect();
        learner.batch.seats = vec![(0, 0)];
        let part: Vec<u32> = (0..memory.steps().map_or(rows, |length| rows / length) as u32).collect();
        let now = Now { rate: 1e-3, clip: learner.settings.clip.at(0) };
        for (number, step) in case.steps.iter().enumerate() {
            let what =
                |name: &str| format!("{name} of step {number}, {} on {} {:?}", case.agent, case.kind, case.counts);
            let mut log = Log::default();
            let blocks = std::slice::from_ref(&block);
            assert!(learner.update(blocks, &part, now, &mut Solo, &mut log).unwrap());
            let log = log.drain();
            let logged = |name: &str| log.iter().find(|(known, _)| *known == name).unwrap().1 as f32;
            for (name, &term) in &step.terms {
                close(&what(name), &[logged(name)], &[term]);
            }
            close(&what("norm"), &[logged("grad_norm")], &[step.norm]);
            let every = golden.every[&case.kind];
            let kept = |flat: &[f32]| flat.iter().step_by(every).copied().collect::<Vec<_>>();
            close(&what("gradient"), &kept(&learner.grad), &step.grad);
            close(&what("parameters"), &kept(&flat(&learner.params)), &step.params);
        }
    }
}
