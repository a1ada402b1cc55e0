//! The learner against PyTorch (`tests/golden/dqn/make.py`), and against its own promises.

use candle_core::Device;
use rl_core::{End, Solo};
use rl_nn::{Precision, Start};
use rl_perception::Trunk;
use rl_replays::Sample;
use serde::Deserialize;

use super::augment::Augment;
use super::bootstrap::Bootstrap;
use super::config::Values;
use super::priorities::Prioritisation;
use super::recall::{Recall, Unroll};
use super::*;
use crate::testing::{Pair, close, draws, fill, flat, load, save};
use crate::{LifeLoss, Mode, RewardScale};

mod augment;
mod corridor;
mod family;
mod recall;
mod scales;

#[derive(Deserialize)]
struct Golden {
    every: std::collections::BTreeMap<String, usize>,
    cases: Vec<Case>,
    returns: Vec<Returns>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    double: bool,
    clip: f64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    target: Vec<f64>,
    loss: f64,
    norm: f64,
    grad: Vec<f64>,
    params: Vec<f64>,
}

#[derive(Deserialize)]
struct Returns {
    n: usize,
    gamma: f64,
    clip: bool,
    life_terminal: bool,
    age: Vec<u32>,
    end: Vec<End>,
    reward: Vec<f32>,
    transitions: Vec<Transition>,
}

#[derive(Deserialize)]
struct Transition {
    start: usize,
    #[serde(rename = "return")]
    ret: f64,
    discount: f64,
    next: usize,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/dqn/golden.json")).unwrap()
}

fn spec(frame: [usize; 3], stack: usize, vector: usize, actions: u32) -> Spec {
    let (symbols, discrete, continuous) = ([].into(), [actions].into(), [].into());
    Spec { frame, stack, vector, symbols, mask: false, discrete, continuous }
}

fn config() -> Config {
    Config {
        lr: 1e-3,
        lr_end: 0.0,
        lr_steps: 0,
        adam_eps: 1.5e-4,
        grad_clip: 0.0,
        gamma: 0.99,
        n_step: 1,
        double: false,
        batch: 8,
        replay_capacity: 64,
        learning_starts: 8,
        update_period: 2,
        updates: 1,
        target_period: 10,
        epsilon: Schedule { start: 1.0, end: 0.1, steps: 20 },
        normalise_observations: false,
        reward_scale: RewardScale::None,
        life_loss: LifeLoss::Ignore,
        trunk: Trunk::Nature,
        hidden: vec![16, 12],
        init: Start::Torch,
        dueling: false,
        noisy: 0.0,
        values: Values::Expected {},
        bootstrap: Bootstrap::Greedy {},
        priorities: Prioritisation::Uniform {},
        rescale: false,
        memory: Recall::None {},
        augment: Augment::None {},
        demonstrations: String::new(),
    }
}

fn learner(spec: &Spec, config: &Config, seats: u32) -> Result<Dqn> {
    let table = toml::Table::try_from(config).unwrap();
    Dqn::new("dqn", &Context { spec, config: &table, seats, seed: 1, device: &Device::Cpu, precision: Precision::F32 })
}

/// The minibatch of `make.py`.
fn sample(spec: &Spec) -> Sample {
    let rows = 8;
    let mut sample = Sample::new(spec, rows);
    for (seen, salts) in [(&mut sample.obs, [101, 103]), (&mut sample.next, [102, 104])] {
        let mut vector = draws(rows * spec.vector, salts[0]).into_iter();
        let mut frames = draws(rows * spec.frame_len() * spec.stack, salts[1]).into_iter();
        for row in 0..rows {
            seen.vector.row_mut(row).iter_mut().zip(&mut vector).for_each(|(v, d)| *v = (d * 4.0 - 2.0) as f32);
            seen.frames.row_mut(row).iter_mut().zip(&mut frames).for_each(|(v, d)| *v = (d * 256.0) as u8);
        }
    }
    for (row, draw) in draws(rows, 105).into_iter().enumerate() {
        sample.discrete.row_mut(row)[0] = (draw * 3.0) as u32;
    }
    sample.reward = draws(rows, 106).iter().map(|d| (d * 6.0 - 3.0) as f32).collect();
    let discount = |(end, steps): (f64, f64)| if end < 0.25 { 0.0 } else { 0.99f64.powi((1.0 + 3.0 * steps) as i32) };
    sample.discount = draws(rows, 107).into_iter().zip(draws(rows, 108)).map(|pair| discount(pair) as f32).collect();
    sample
}

#[test]
fn targets_loss_gradient_and_adam_steps_equal_pytorch() {
    let golden = golden();
    for case in &golden.cases {
        let nature = case.kind == "nature";
        let spec = if nature { spec([36, 44, 1], 2, 0, 3) } else { spec([0, 0, 0], 1, 4, 3) };
        let hidden = if nature { vec![20] } else { vec![16, 12] };
        let config = Config { double: case.double, grad_clip: case.clip, hidden, ..config() };
        let mut dqn = learner(&spec, &config, 1).unwrap();
        fill(&dqn.params, 1);
        fill(&dqn.target_params, 51);
        let mut batch = Minibatch::Transitions(Box::new(sample(&spec)));
        for (number, step) in case.steps.iter().enumerate() {
            let what = |name: &str| format!("{name} of step {number}, {} double {}", case.kind, case.double);
            let mut log = Log::default();
            dqn.update(&mut batch, 0, &mut Solo, &mut log).unwrap();
            close(&what("target"), &dqn.targets, &step.target);
            let log = log.drain();
            let logged = |name: &str| log.iter().find(|(known, _)| *known == name).unwrap().1 as f32;
            close(&what("loss"), &[logged("loss")], &[step.loss]);
            close(&what("norm"), &[logged("grad_norm")], &[step.norm]);
            let every = golden.every[&case.kind];
            let kept = |flat: &[f32]| flat.iter().step_by(every).copied().collect::<Vec<_>>();
            close(&what("gradient"), &kept(&dqn.grad), &step.grad);
            close(&what("parameters"), &kept(&flat(&dqn.params)), &step.params);
        }
    }
}

/// A block of one seat whose observation is its row's number; the action is that modulo 2.
fn block(returns: &Returns) -> Rollout {
    let rows = returns.reward.len();
    let mut block = Rollout::new(&spec([0, 0, 0], 1, 1, 2), rows - 1, 1, 0);
    for t in 0..rows {
        block.vector.row_mut(t)[0] = t as f32;
        block.age.row_mut(t)[0] = returns.age[t];
        block.end.row_mut(t)[0] = returns.end[t];
        block.reward.row_mut(t)[0] = if returns.age[t] == 0 { 0.0 } else { returns.reward[t] };
        if t + 1 < rows {
            block.discrete.row_mut(t)[0] = t as u32 % 2;
        }
    }
    block
}

#[test]
fn sampled_transitions_are_the_n_step_returns_of_their_definition() {
    for returns in &golden().returns {
        let life_loss = if returns.life_terminal { LifeLoss::Terminal } else { LifeLoss::Ignore };
        let config = Config { n_step: returns.n, gamma: returns.gamma, life_loss, batch: 512, ..config() };
        let mut dqn = learner(&spec([0, 0, 0], 1, 1, 2), &config, 1).unwrap();
        dqn.replay.append(&[block(returns)]);
        let mut sample = Sample::new(&dqn.spec, config.batch);
        let counted = if returns.clip { RewardTransform::Sign } else { RewardTransform::Raw };
        dqn.replay.sample(&mut dqn.progress.rng, counted, &mut sample).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for row in 0..sample.rows() {
            let start = sample.obs.vector.row(row)[0] as usize;
            let expected = returns.transitions.iter().find(|t| t.start == start).expect("no transition begins there");
            close("return", &[sample.reward[row]], &[expected.ret]);
            close("discount", &[sample.discount[row]], &[expected.discount]);
            // What follows a terminal step is never looked at.
            assert!(expected.discount == 0.0 || sample.next.vector.row(row)[0] as usize == expected.next);
            assert_eq!(sample.discrete.row(row)[0] as usize, start % 2);
            seen.insert(start);
        }
        assert_eq!(seen.len(), returns.transitions.len(), "every transition is drawn");
    }
}

#[test]
fn a_value_that_is_not_finite_is_named_with_its_update() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let mut dqn = learner(&spec, &config(), 1).unwrap();
    let mut infinite = sample(&spec);
    infinite.reward[3] = f32::NAN;
    let mut update =
        |sample| dqn.update(&mut Minibatch::Transitions(Box::new(sample)), 0, &mut Solo, &mut Log::default());
    let error = update(infinite).unwrap_err().to_string();
    assert_eq!(error, "update 1: the loss is NaN (targets: row 3 is NaN)");
    let mut infinite = sample(&spec);
    infinite.obs.vector.row_mut(0)[0] = f32::INFINITY;
    let error = update(infinite).unwrap_err().to_string();
    assert!(error.starts_with("update 1: the loss is"), "{error}");
    assert_eq!(dqn.updates(), 0);
}

/// Rows `from` and on of `seats` seats whose episodes never end, for a learner whose policy keeps `extra` numbers of a step.
fn rows(spec: &Spec, seats: usize, horizon: usize, from: usize, extra: usize) -> Rollout {
    let mut block = Rollout::new(spec, horizon, seats, extra);
    for t in 0..=horizon {
        let row = (from + t) as u32;
        block.age.row_mut(t).fill(row);
        let values = draws(seats * spec.vector, 7 + row);
        block.vector.row_mut(t).iter_mut().zip(values).for_each(|(v, d)| *v = d as f32);
    }
    block
}

#[test]
fn updates_follow_agent_steps_whatever_the_seats() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    for (seats, horizon) in [(1, 2), (2, 1), (4, 1)] {
        let mut dqn = learner(&spec, &config(), seats).unwrap();
        assert_eq!(dqn.plan().horizon, horizon);
        for from in (0..40 / seats as usize).step_by(horizon) {
            let block = rows(&spec, seats as usize, horizon, from, 0);
            dqn.learn(&[block], &mut Solo, &mut Log::default()).unwrap();
        }
        // One per 2 agent steps after the first 8.
        assert_eq!(dqn.updates(), 16, "{seats} seats");
    }
}

#[test]
fn an_update_has_the_learning_rate_of_its_step_whatever_the_seats() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let expected: f64 = (10..=40).step_by(2).map(|step| 1e-3 * (1.0 - f64::from(step) / 40.0)).sum();
    for (seats, horizon) in [(1, 2), (2, 1), (4, 1), (8, 1)] {
        let mut dqn = learner(&spec, &Config { lr_steps: 40, ..config() }, seats).unwrap();
        let mut sum = 0.0;
        for from in (0..40 / seats as usize).step_by(horizon) {
            let (before, mut log) = (dqn.updates(), Log::default());
            dqn.learn(&[rows(&spec, seats as usize, horizon, from, 0)], &mut Solo, &mut log).unwrap();
            let mean = log.drain().into_iter().find_map(|(name, value)| (name == "lr").then_some(value));
            sum += mean.unwrap_or_default() * (dqn.updates() - before) as f64;
        }
        assert!((sum - expected).abs() < 1e-12, "{seats} seats: {sum}, expected {expected}");
    }
}

#[test]
fn the_target_is_copied_at_its_step_whatever_the_seats() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let mut dqn = learner(&spec, &Config { update_period: 1, target_period: 3, ..config() }, 4).unwrap();
    let mut learned = |steps: usize| {
        let before = flat(&dqn.target_params);
        dqn.learn(&[rows(&spec, 4, 1, steps / 4 - 1, 0)], &mut Solo, &mut Log::default()).unwrap();
        let target = flat(&dqn.target_params);
        (target != before, target == flat(&dqn.params))
    };
    assert_eq!(learned(4), (false, true), "nothing is learned yet");
    assert_eq!(learned(8), (false, true));
    assert_eq!(learned(12), (true, true), "a copy at step 9, and one at step 12 after the last update");
    assert_eq!(learned(16), (true, false), "a copy at step 15, before the last update");
}

#[test]
fn members_with_different_resets_owe_the_same_updates() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    // Row `every` of an episode is its last: the step from it is a reset, which is no step.
    let member = |every: u32, mut pair: Pair| {
        let mut dqn = learner(&spec, &config(), 1).unwrap();
        let mut own = 0;
        for from in (0..120).step_by(2) {
            let mut block = rows(&spec, 1, 2, from, 0);
            for t in 0..=2 {
                let age = (from + t) as u32 % (every + 1);
                block.age.row_mut(t)[0] = age;
                block.end.row_mut(t)[0] = if age == every { End::Terminated } else { End::No };
            }
            own += (0..2).filter(|&t| block.valid(t, 0)).count();
            dqn.learn(&[block], &mut pair, &mut Log::default()).unwrap();
        }
        (own, dqn.updates(), flat(&dqn.params))
    };
    let (left, right) = Pair::run(|pair| member(3, pair), |pair| member(19, pair));
    assert_eq!((left.0, right.0), (90, 114));
    // One per 2 of the mean of both, after the first 8.
    assert_eq!((left.1, right.1), (47, 47));
    assert_eq!(left.2, right.2);
}

#[test]
fn a_loaded_learner_goes_on_as_the_saved_one() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let learn = |dqn: &mut Dqn, from: usize| {
        for row in from..from + 20 {
            let block = rows(&spec, 2, 1, row, dqn.plan().extra);
            dqn.learn(&[block], &mut Solo, &mut Log::default()).unwrap();
        }
    };
    for (name, config) in family::compositions(&config()) {
        let mut first = learner(&spec, &config, 2).unwrap();
        learn(&mut first, 0);
        let saved = save(&mut first);
        let mut second = learner(&spec, &config, 2).unwrap();
        load(&mut second, &saved);
        learn(&mut first, 20);
        learn(&mut second, 20);
        assert!(save(&mut first) == save(&mut second), "{name}");
    }
}

#[test]
fn choices_do_not_depend_on_how_seats_are_grouped() {
    let half = Config { epsilon: Schedule { start: 0.5, end: 0.5, steps: 0 }, ..config() };
    family::compositions(&half).iter().for_each(|(_, config)| check_grouping(config));
}

fn check_grouping(config: &Config) {
    let spec = Spec { mask: true, ..spec([0, 0, 0], 1, 4, 3) };
    let dqn = learner(&spec, config, 6).unwrap();
    let extra = dqn.plan().extra;
    let whole = || {
        let mut block = rows(&spec, 6, 30, 0, extra);
        for t in 0..=30 {
            (0..6).for_each(|e| block.legal.row_mut(t)[e * 3..][..3].copy_from_slice(&[1, u8::from(e % 2 == 0), 1]));
        }
        block.end.row_mut(4)[2] = End::Terminated;
        block
    };
    let run = |sizes: &[usize]| {
        let whole = whole();
        let mut policy = dqn.policy(0..6).unwrap();
        let mut at = 0;
        let mut blocks: Vec<Rollout> = Vec::new();
        for &size in sizes {
            let mut part = Rollout::new(&spec, 30, size, extra);
            for t in 0..=30 {
                part.vector.row_mut(t).copy_from_slice(&whole.vector.row(t)[at * 4..(at + size) * 4]);
                part.legal.row_mut(t).copy_from_slice(&whole.legal.row(t)[at * 3..(at + size) * 3]);
                part.end.row_mut(t).copy_from_slice(&whole.end.row(t)[at..at + size]);
                part.age.row_mut(t).copy_from_slice(&whole.age.row(t)[at..at + size]);
            }
            blocks.push(part);
            at += size;
        }
        let (mut actions, mut kept) = (Vec::new(), Vec::new());
        for t in 0..30 {
            policy.act(&mut blocks, t, Mode::Explore).unwrap();
            actions.extend(blocks.iter().flat_map(|b| b.discrete.row(t).to_vec()));
            kept.extend(blocks.iter().flat_map(|b| b.extra.row(t).to_vec()));
        }
        (actions, kept)
    };
    let whole = run(&[6]);
    assert_eq!(whole, run(&[1, 2, 3]));
    let together = whole.0;
    assert!((0..30).all(|t| (1..6).step_by(2).all(|e| together[t * 6 + e] != 1)), "only legal actions");
    assert!((0..3).all(|action| together.contains(&action)));
}

#[test]
fn environments_and_values_that_do_not_fit_are_refused_in_one_line() {
    let continuous = Spec {
        discrete: [].into(),
        continuous: [rl_core::Bound { low: -1.0, high: 1.0 }].into(),
        ..spec([0, 0, 0], 1, 4, 3)
    };
    let reason = "dqn needs exactly one discrete action; this environment has 0, and 1 continuous";
    assert_eq!((DQN.refuses)(&continuous).unwrap(), reason);
    assert!((IQN.refuses)(&continuous).unwrap().starts_with("iqn needs"));
    let good = spec([0, 0, 0], 1, 4, 3);
    assert!((DQN.refuses)(&good).is_none());
    let refused = |config: Config| learner(&good, &config, 1).err().unwrap().to_string();
    assert_eq!(refused(Config { batch: 0, ..config() }), "agent.batch: must be at least 1");
    assert_eq!(refused(Config { hidden: vec![0], ..config() }), "agent.hidden: layer 1: must be at least 1 wide");
    assert_eq!(refused(Config { gamma: 1.5, ..config() }), "agent.gamma: 1.5 is not between 0 and 1");
    let epsilon = Schedule { start: 2.0, end: 0.0, steps: 1 };
    assert_eq!(refused(Config { epsilon, ..config() }), "agent.epsilon.start: 2 is not between 0 and 1");
    let small = learner(&spec([20, 20, 1], 4, 0, 3), &config(), 1).err().unwrap().to_string();
    assert!(small.contains("20 × 20 are too small"), "{small}");
}

#[test]
fn every_preset_is_a_complete_configuration() {
    for entry in [DQN, RAINBOW, C51, QRDQN, IQN, R2D2, DRQ] {
        for (name, text) in entry.presets {
            let table: toml::Table = text.parse().unwrap();
            let config = table["agent"].clone().try_into::<Config>();
            config.unwrap_or_else(|e| panic!("{}/{name}: {e}", entry.id)).check().unwrap();
            assert!(table["train"].is_table(), "{}/{name}", entry.id);
        }
    }
}

#[test]
fn a_round_makes_as_many_updates_as_it_is_told() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let mut dqn = learner(&spec, &Config { updates: 3, ..config() }, 2).unwrap();
    for from in 0..20 {
        dqn.learn(&[rows(&spec, 2, 1, from, 0)], &mut Solo, &mut Log::default()).unwrap();
    }
    assert_eq!(dqn.updates(), 3 * 16);
}

#[test]
fn the_exponents_of_an_update_are_those_of_its_step() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let grows = |end| Schedule { start: 0.0, end, steps: 10 };
    let priorities = Prioritisation::Proportional { eps: 0.25, alpha: grows(0.5), beta: grows(1.0) };
    let mut dqn = learner(&spec, &Config { priorities, ..config() }, 1).unwrap();
    let mut sample = sample(&spec);
    sample.priorities = (1..=8).map(f64::from).collect();
    let mut batch = Minibatch::Transitions(Box::new(sample));
    for (step, alpha, beta) in [(0, 0.0, 0.0), (5, 0.25, 0.5), (10, 0.5, 1.0), (99, 0.5, 1.0)] {
        dqn.draw(batch.rows());
        dqn.fit(&mut batch, step, &mut Solo, &mut Log::default()).unwrap();
        let weights: Vec<f64> = (1..=8).map(|drawn| libm::pow(1.0 / f64::from(drawn), beta)).collect();
        assert_eq!(dqn.importance, weights, "at step {step}");
        dqn.update(&mut batch, step, &mut Solo, &mut Log::default()).unwrap();
        let given: Vec<f64> = dqn.losses.errors.iter().map(|error| libm::pow(error + 0.25, alpha)).collect();
        assert_eq!(dqn.importance, given, "at step {step}");
    }
}

#[test]
fn what_was_learned_from_is_drawn_by_its_new_priority() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let compositions = family::compositions(&config()).into_iter();
    for (name, config) in compositions.filter(|(_, config)| !config.priorities.is_uniform()) {
        let mut dqn = learner(&spec, &Config { learning_starts: 1000, ..config }, 2).unwrap();
        let extra = dqn.plan().extra;
        dqn.learn(&[rows(&spec, 2, 25, 0, extra)], &mut Solo, &mut Log::default()).unwrap();
        let mut batch = Minibatch::new(&spec, &dqn.config);
        let draw = |dqn: &mut Dqn, batch: &mut Minibatch| {
            batch.draw(&dqn.replay, RewardTransform::Raw, &mut dqn.progress.rng).unwrap();
        };
        draw(&mut dqn, &mut batch);
        dqn.update(&mut batch, 0, &mut Solo, &mut Log::default()).unwrap();
        // Of a place that was drawn twice the last holds.
        let given: std::collections::BTreeMap<u64, f64> =
            batch.drawn().1.iter().copied().zip(dqn.importance.iter().copied()).collect();
        let mut met = 0;
        for _ in 0..100 {
            draw(&mut dqn, &mut batch);
            let (priorities, places) = batch.drawn();
            for (priority, place) in priorities.iter().zip(places) {
                let expected = given.get(place).copied();
                assert!(expected.is_none_or(|expected| expected == *priority), "{name}: {priority} {expected:?}");
                met += usize::from(expected.is_some_and(|expected| expected != 1.0));
            }
        }
        assert!(met > 0, "{name}");
    }
}

/// Outputs of a plain network on the observations that returns bootstrap from, and on those in which actions were taken.
fn values(net: &QNet, sample: &Sample) -> [Vec<f32>; 2] {
    [&sample.next, &sample.obs].map(|seen| {
        let mut pass = crate::q_net::Pass::default();
        net.run(&minibatch::seen(seen, sample.rows()), &Draws::default(), &mut [], &mut pass).unwrap().to_vec()
    })
}

#[test]
fn a_target_knows_legal_actions_alone() {
    let spec = Spec { mask: true, ..spec([0, 0, 0], 1, 4, 3) };
    let (alpha, temperature) = (0.9, 0.5);
    let munchausen = Bootstrap::Munchausen { alpha, temperature, floor: -100.0 };
    let cases = [(Bootstrap::Greedy {}, false), (Bootstrap::Greedy {}, true), (munchausen, false)];
    for (bootstrap, double) in cases {
        let mut dqn = learner(&spec, &Config { bootstrap, double, ..config() }, 1).unwrap();
        fill(&dqn.params, 1);
        fill(&dqn.target_params, 51);
        let mut sample = sample(&spec);
        let ([next, here], [own, _]) = (values(&dqn.target, &sample), values(&dqn.net, &sample));
        let chooser = if double { &own } else { &next };
        let mut expected = Vec::new();
        for row in 0..sample.rows() {
            let of = |values: &[f32], action: usize| f64::from(values[row * 3 + action]);
            // What would be best is forbidden; where the action was taken, one that was not.
            let best = |values: &[f32], without: usize| {
                let rest = (0..3).filter(|&action| action != without);
                rest.max_by(|&a, &b| of(values, a).total_cmp(&of(values, b))).unwrap()
            };
            let (forbidden, taken) = (best(chooser, 3), sample.discrete.row(row)[0] as usize);
            let not_taken = (taken + 1) % 3;
            let all_but = |without: u32| [0, 1, 2].map(|action| u8::from(action != without));
            sample.next.legal.row_mut(row).copy_from_slice(&all_but(forbidden as u32));
            sample.obs.legal.row_mut(row).copy_from_slice(&all_but(not_taken as u32));
            let soft = |values: &[f32], without: usize| {
                let rest = (0..3).filter(|&action| action != without);
                temperature * rest.map(|action| (of(values, action) / temperature).exp()).sum::<f64>().ln()
            };
            let (future, more) = match bootstrap {
                Bootstrap::Greedy {} => (of(&next, best(chooser, forbidden)), 0.0),
                _ => (soft(&next, forbidden), alpha * (of(&here, taken) - soft(&here, not_taken))),
            };
            expected.push(f64::from(sample.reward[row]) + more + f64::from(sample.discount[row]) * future);
        }
        let mut batch = Minibatch::Transitions(Box::new(sample));
        dqn.update(&mut batch, 0, &mut Solo, &mut Log::default()).unwrap();
        close(&format!("targets of {bootstrap:?}, double {double}"), &dqn.targets, &expected);
    }
}

#[test]
fn a_loaded_policy_goes_on_as_the_saved_one() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let falls = Config { epsilon: Schedule { start: 1.0, end: 0.0, steps: 80 }, ..config() };
    for (name, config) in family::compositions(&falls) {
        let dqn = learner(&spec, &config, 2).unwrap();
        let whole = rows(&spec, 2, 60, 0, dqn.plan().extra);
        let mut first = dqn.policy(0..2).unwrap();
        let mut begun = [whole.clone()];
        (0..20).for_each(|t| first.act(&mut begun, t, Mode::Explore).unwrap());
        let mut second = dqn.policy(0..2).unwrap();
        for ((_, from), (_, to)) in first.state().into_iter().zip(second.state()) {
            let mut bytes = Vec::new();
            from.save(&mut bytes).unwrap();
            to.load(&mut bytes.as_slice()).unwrap();
        }
        let [first, second] = [first, second].map(|mut policy| {
            let mut blocks = [whole.clone()];
            let mut act = |t| {
                policy.act(&mut blocks, t, Mode::Explore).unwrap();
                (blocks[0].discrete.row(t).to_vec(), blocks[0].extra.row(t).to_vec())
            };
            (20..60).map(&mut act).collect::<Vec<_>>()
        });
        assert!(first == second, "{name}");
    }
}

/// A lost life that ends a return ends it for the deviation of returns too.
#[test]
fn the_scale_of_rewards_knows_what_ends_a_return() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let scale = |life_loss| {
        let config = Config { life_loss, reward_scale: RewardScale::Std, ..config() };
        let mut dqn = learner(&spec, &config, 1).unwrap();
        let mut block = rows(&spec, 1, 6, 0, 0);
        for t in 1..=6 {
            block.reward[(t, 0)] = 1.0;
            block.end[(t, 0)] = if t % 2 == 0 { End::LifeLost } else { End::No };
        }
        let mut log = Log::default();
        dqn.learn(&[block], &mut Solo, &mut log).unwrap();
        log.drain().into_iter().find(|(name, _)| *name == "reward_scale").unwrap().1
    };
    // Returns so far of 1 and 1.99, and again: a deviation of 0.99 / 2.
    assert!((scale(LifeLoss::Terminal) * 0.495 - 1.0).abs() < 1e-4);
    assert!(scale(LifeLoss::Ignore) < 1.0, "returns that go on up to 5.85");
}

#[test]
fn demonstrations_that_would_overwrite_each_other_are_refused() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let mut dqn = learner(&spec, &config(), 1).unwrap(); // 64 + 1 rows
    dqn.add_demonstrations(&[rows(&spec, 1, 40, 0, 0)]).unwrap();
    dqn.add_demonstrations(&[rows(&spec, 1, 23, 40, 0)]).unwrap();
    let error = dqn.add_demonstrations(&[rows(&spec, 1, 1, 63, 0)]).unwrap_err().to_string();
    assert!(error.starts_with("agent.replay_capacity: "), "{error}");
}
