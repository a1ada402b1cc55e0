//! The learner against PyTorch (`tests/golden/dqn/make.py`), and against its own promises.

use candle_core::Device;
use rl_core::{End, LifeLoss, Solo};
use rl_nn::{InitScheme, Precision};
use rl_perception::Trunk;
use rl_replays::Sample;
use serde::Deserialize;

use super::allocation::allocation;
use super::augment::Augment;
use super::bootstrap::Bootstrap;
use super::config::Values;
use super::loss::ErrorLoss;
use super::priorities::Prioritisation;
use super::recall::{Recall, Unroll};
use super::*;
use crate::q_net::Mix;
use crate::testing::{Pair, close, draws, fill, flat, load, save};
use crate::{Mode, RewardScale};

mod augment;
mod corridor;
mod family;
mod recall;
mod scales;
mod updates;

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
        epsilon: Schedule { start: 1.0, end: 0.1, steps: 20, delay: 0 },
        normalise_observations: false,
        reward_scale: RewardScale::None,
        life_loss: LifeLoss::Ignore,
        trunk: Trunk::Nature,
        hidden: vec![16, 12],
        init: InitScheme::Torch,
        dueling: false,
        noisy: 0.0,
        values: Values::Expected { loss: ErrorLoss::Huber },
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
        dqn.replay.append(&[block(returns)]).unwrap();
        let mut sample = Sample::new(&dqn.spec, config.batch);
        let transform = if returns.clip { RewardTransform::Sign } else { RewardTransform::Raw };
        dqn.replay.sample(&mut dqn.progress.rng, transform, &mut sample).unwrap();
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
    let half = Config { epsilon: Schedule { start: 0.5, end: 0.5, steps: 0, delay: 0 }, ..config() };
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
    let epsilon = Schedule { start: 2.0, end: 0.0, steps: 1, delay: 0 };
    assert_eq!(refused(Config { epsilon, ..config() }), "agent.epsilon.start: 2 is not between 0 and 1");
    let small = learner(&spec([20, 20, 1], 4, 0, 3), &config(), 1).err().unwrap().to_string();
    assert!(small.contains("20 × 20 are too small"), "{small}");
}

#[test]
fn what_takes_most_memory_is_named() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let of = |config: &Config| {
        let (table, device) = (toml::Table::try_from(config).unwrap(), &Device::Cpu);
        allocation(&Context { spec: &spec, config: &table, seats: 2, seed: 1, device, precision: Precision::F32 })
            .unwrap()
    };
    let values = |online| Values::Implicit { online, target: 8, act: 8, cosines: 4, mix: Mix::After };
    let few = Config { values: values(8), hidden: vec![64], batch: 512, ..config() };
    let many = Config { values: values(1 << 14), ..few.clone() };
    // For each τ: a layer of 64, the answers for three actions, four cosines, and these taken to 64.
    let (layer, row, embedding) = (3 * 4 * 64, 3 * 4 * 3, 3 * 4 * (4 + 64));
    let more = of(&many).0 - of(&few).0;
    assert_eq!(more, 512 * ((1 << 14) - 16) * (layer + row + embedding), "of the most of 8 and 8 + 8");
    assert_eq!(of(&many).1, "agent.batch or numbers of agent.values");
    let wide = |cosines| {
        let values = Values::Implicit { online: 1, target: 1, act: 1, cosines, mix: Mix::After };
        Config { values, hidden: vec![1 << 14], batch: 1, ..config() }
    };
    // Two streams, with a mean and a spread of each weight.
    let layers = Config { hidden: vec![1 << 10; 2], ..config() };
    let head = of(&Config { dueling: true, noisy: 0.5, ..layers.clone() }).0 - of(&layers).0;
    assert_eq!(head, 3 * 5 * 4 * (1 << 20), "five numbers for each weight");
    for (config, key) in [
        (Config { replay_capacity: 1_000_000, ..config() }, "agent.replay_capacity"),
        (Config { n_step: 1_000_000, ..config() }, "agent.n_step"),
        (Config { batch: 1_000_000, ..config() }, "agent.batch"),
        (Config { hidden: vec![1 << 14; 2], ..config() }, "agent.hidden"),
        (wide(1 << 14), "agent.values.cosines or agent.hidden"),
    ] {
        let (bytes, named) = of(&config);
        assert!(named == key && bytes > 25_000_000, "{bytes} of {named}, not of {key}");
    }
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
