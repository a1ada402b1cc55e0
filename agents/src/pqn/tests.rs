//! The learner against PyTorch (`tests/golden/pqn/make.py`), and against its own promises.

use std::collections::BTreeMap;

use candle_core::Device;
use rl_core::{End, Solo, Spec};
use rl_nn::Precision;

use super::*;
use crate::Mode;
use crate::testing::{Pair, close, draws, fill, flat, load, save};

#[derive(Deserialize)]
struct Golden {
    every: BTreeMap<String, usize>,
    cases: Vec<Case>,
    returns: Vec<Returns>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    optimiser: Kind,
    clip: f64,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    q: f64,
    norm: f64,
    grad: Vec<f64>,
    params: Vec<f64>,
}

#[derive(Deserialize)]
struct Returns {
    gamma: f64,
    lambda: f64,
    life_terminal: bool,
    age: Vec<u32>,
    end: Vec<End>,
    reward: Vec<f32>,
    best: Vec<f32>,
    returns: Vec<Option<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/pqn/golden.json")).unwrap()
}

fn spec(frame: [usize; 3], vector: usize, actions: u32) -> Spec {
    Spec { frame, vector, discrete: [actions].into(), ..Spec::none() }
}

fn config() -> Config {
    Config {
        lr: 1e-3,
        lr_end: 0.0,
        lr_steps: 0,
        optimiser: Kind::RAdam,
        eps: 1e-8,
        grad_clip: 0.5,
        gamma: 0.99,
        lambda: 0.65,
        horizon: 6,
        epochs: 2,
        minibatches: 3,
        normalise_observations: false,
        reward_scale: RewardScale::None,
        life_loss: LifeLoss::Ignore,
        layer_norm: true,
        hidden: vec![16, 12],
        epsilon: Schedule { start: 0.5, end: 0.1, steps: 100, delay: 0 },
    }
}

fn learner(spec: &Spec, config: &Config, seats: u32, seed: u64) -> Result<Pqn> {
    let table = toml::Table::try_from(config).unwrap();
    Pqn::new(&Context { spec, config: &table, seats, seed, device: &Device::Cpu, precision: Precision::F32 })
}

#[test]
fn loss_gradient_and_optimiser_steps_equal_pytorch() {
    let golden = golden();
    for case in &golden.cases {
        let nature = case.kind == "nature";
        let spec = if nature { spec([36, 44, 2], 0, 3) } else { spec([0; 3], 4, 3) };
        let hidden = if nature { vec![20] } else { vec![16, 12] };
        let config = Config { optimiser: case.optimiser, grad_clip: case.clip, hidden, ..config() };
        let mut pqn = learner(&spec, &config, 1, 1).unwrap();
        fill(&pqn.params, 1);
        let rows = 8;
        let mut block = Rollout::new(&spec, rows, 1, 1);
        let (mut vector, mut frames) = (draws(rows * 4, 101).into_iter(), draws(rows * 36 * 44 * 2, 102).into_iter());
        for (t, action) in draws(rows, 103).into_iter().enumerate() {
            block.vector.row_mut(t).iter_mut().zip(&mut vector).for_each(|(v, d)| *v = (d * 4.0 - 2.0) as f32);
            block.frame.row_mut(t).iter_mut().zip(&mut frames).for_each(|(v, d)| *v = (d * 256.0) as u8);
            block.discrete[(t, 0)] = (action * 3.0) as u32;
        }
        let target =
            |(t, d)| AdvantageStep { block: 0, t: t as u32, e: 0, advantage: 0.0, target: (d * 6.0 - 3.0) as f32 };
        pqn.batch.steps = draws(rows, 104).into_iter().enumerate().map(target).collect();
        let part: Vec<u32> = (0..rows as u32).collect();
        for (number, step) in case.steps.iter().enumerate() {
            let what = |name: &str| format!("{name} of step {number}, {} by {:?}", case.kind, case.optimiser);
            let mut log = Log::default();
            pqn.update(std::slice::from_ref(&block), &part, 1e-3, &mut Solo, &mut log).unwrap();
            let log = log.drain();
            let logged = |name: &str| log.iter().find(|(known, _)| *known == name).unwrap().1 as f32;
            close(&what("loss"), &[logged("loss")], &[step.loss]);
            close(&what("value"), &[logged("q")], &[step.q]);
            close(&what("norm"), &[logged("grad_norm")], &[step.norm]);
            let every = golden.every[&case.kind];
            let kept = |flat: &[f32]| flat.iter().step_by(every).copied().collect::<Vec<_>>();
            close(&what("gradient"), &kept(&pqn.grad), &step.grad);
            close(&what("parameters"), &kept(&flat(&pqn.params)), &step.params);
        }
    }
}

#[test]
fn targets_are_the_lambda_returns_of_their_definition() {
    for returns in &golden().returns {
        let rows = returns.reward.len();
        let mut block = Rollout::new(&spec([0; 3], 1, 2), rows - 1, 1, 1);
        for t in 0..rows {
            (block.age[(t, 0)], block.end[(t, 0)]) = (returns.age[t], returns.end[t]);
            block.reward[(t, 0)] = returns.reward[t];
            if t + 1 < rows {
                block.extra[(t, 0)] = returns.best[t];
            }
        }
        let life_loss = if returns.life_terminal { LifeLoss::Terminal } else { LifeLoss::Ignore };
        let config = Config { gamma: returns.gamma, lambda: returns.lambda, life_loss, ..config() };
        let (mut room, mut steps) = (Scratch::default(), Vec::new());
        let value = |block: &Rollout, t, e| block.extra[(t, e)];
        let last = [returns.best[rows - 1]];
        rounds::estimate(&config.gae(), &[block], RewardTransform::Raw, &last, value, &mut room, &mut steps);
        let expected: Vec<(u32, f64)> =
            returns.returns.iter().enumerate().filter_map(|(t, &ret)| Some((t as u32, ret?))).collect();
        assert!(expected.len() < rows - 1, "there is a reset");
        assert_eq!(
            steps.iter().map(|step| step.t).collect::<Vec<_>>(),
            expected.iter().map(|e| e.0).collect::<Vec<_>>()
        );
        let targets: Vec<f32> = steps.iter().map(|step| step.target).collect();
        close("returns", &targets, &expected.iter().map(|e| e.1).collect::<Vec<_>>());
    }
}

/// Steps a made-up world, whose seats are numbered from 0 over all blocks: what happens hangs on seat, time and action.
fn step(blocks: &mut [Rollout], from: usize, t: usize) {
    let mut seat = 0;
    for block in blocks {
        for e in 0..block.seats() {
            let chance = draws(6, (1000 * (from + t) + seat) as u32);
            let over = block.end[(t, e)].over();
            block.age[(t + 1, e)] = if over { 0 } else { block.age[(t, e)] + 1 };
            block.end[(t + 1, e)] = match chance[4] {
                _ if over => End::No,
                d if d < 0.1 => End::Terminated,
                d if d < 0.2 => End::Truncated,
                _ => End::No,
            };
            block.reward[(t + 1, e)] =
                if over { 0.0 } else { (f64::from(block.discrete[(t, e)]) * chance[0] + chance[5]) as f32 };
            let seen = block.vector.at_mut(t + 1, e);
            seen.iter_mut().zip(&chance).for_each(|(v, d)| *v = (d * 4.0 - 2.0) as f32);
            block
                .legal
                .at_mut(t + 1, e)
                .iter_mut()
                .enumerate()
                .for_each(|(i, flag)| *flag = u8::from(i != 1 + seat % 2));
            seat += 1;
        }
    }
}

/// Rounds in groups of these sizes; returns the last blocks, and every action.
fn rounds_of(
    pqn: &mut Pqn,
    spec: &Spec,
    sizes: &[usize],
    count: usize,
    reduce: &mut dyn Reduce,
) -> (Vec<Rollout>, Vec<u32>) {
    let mut policy = pqn.policy(0..sizes.iter().sum::<usize>() as u32).unwrap();
    let mut blocks: Vec<_> = sizes.iter().map(|&size| Rollout::new(spec, 6, size, 1)).collect();
    blocks.iter_mut().for_each(|block| block.legal.row_mut(0).fill(1));
    let mut actions = Vec::new();
    for round in 0..count {
        for t in 0..6 {
            policy.act(&mut blocks, t, Mode::Explore).unwrap();
            step(&mut blocks, round * 6, t);
            actions.extend(blocks.iter().flat_map(|block| block.discrete.row(t).to_vec()));
        }
        pqn.learn(&blocks, reduce, &mut Log::default()).unwrap();
        if round + 1 < count {
            blocks.iter_mut().for_each(Rollout::carry);
        }
    }
    (blocks, actions)
}

#[test]
fn bits_follow_the_seed_and_not_how_seats_are_grouped() {
    let spec = Spec { mask: true, ..spec([0; 3], 4, 3) };
    let scaled = Config { normalise_observations: true, reward_scale: RewardScale::Std, ..config() };
    let run = |sizes: &[usize], seed| {
        let mut pqn = learner(&spec, &scaled, 4, seed).unwrap();
        let actions = rounds_of(&mut pqn, &spec, sizes, 5, &mut Solo).1;
        (actions, save(&mut pqn))
    };
    let one = run(&[4], 1);
    for sizes in [&[1, 3][..], &[2, 2], &[1, 1, 1, 1]] {
        assert!(run(sizes, 1) == one, "{sizes:?}");
    }
    assert!(run(&[4], 2) != one);
    // Seat e lacks action 1 + e % 2, and a seat that resets has action 0.
    let done = || one.0.iter().skip(4).enumerate();
    assert!(done().all(|(i, &action)| action as usize != 1 + i % 2));
    assert!((0..3).all(|action| done().any(|(_, &taken)| taken == action)));
}

#[test]
fn what_is_kept_is_the_greatest_legal_value_of_every_step_and_of_truncated_ends() {
    let spec = Spec { mask: true, ..spec([0; 3], 4, 3) };
    let mut pqn = learner(&spec, &Config { lr: 0.0, ..config() }, 16, 1).unwrap();
    let (blocks, _) = rounds_of(&mut pqn, &spec, &[7, 9], 3, &mut Solo);
    let (mut seen, mut pass, mut truncated) = (Gathered::default(), Pass::default(), 0);
    for block in &blocks {
        for (t, e) in (0..6).flat_map(|t| (0..block.seats()).map(move |e| (t, e))) {
            if block.end[(t, e)] == End::Terminated {
                continue;
            }
            seen.clear();
            seen.push(block, t, e);
            let values = pqn.net.run(&seen.seen(), &Draws::default(), &mut [], &mut pass).unwrap();
            let legal = |action: usize| block.legal.at(t, e)[action] != 0;
            let best = (0..3).filter(|&action| legal(action)).map(|action| values[action]).fold(f32::MIN, f32::max);
            assert_eq!(block.extra[(t, e)], best, "row {t} of seat {e}");
            truncated += usize::from(block.end[(t, e)] == End::Truncated);
        }
    }
    assert!(truncated > 0);
    // An evaluation keeps nothing.
    let mut block = blocks[0].clone();
    (0..6).for_each(|t| block.extra.row_mut(t).fill(7.0));
    pqn.policy(0..7)
        .unwrap()
        .act(std::slice::from_mut(&mut block), 3, Mode::Evaluate { epsilon: 0.0, greedy: true })
        .unwrap();
    assert_eq!(block.extra.row(3), [7.0; 7]);
}

#[test]
fn every_step_is_learned_from_once_an_epoch_and_the_rate_falls() {
    let spec = spec([0; 3], 4, 3);
    let mut pqn = learner(&spec, &Config { lr_steps: 100, ..config() }, 4, 1).unwrap();
    let (blocks, _) = rounds_of(&mut pqn, &spec, &[4], 8, &mut Solo);
    assert_eq!(pqn.updates(), 8 * 6);
    assert_eq!(pqn.batch.steps.len(), rl_replays::played(&blocks).count());
    let mut order = pqn.batch.order.clone();
    order.sort_unstable();
    assert!(order.iter().copied().eq(0..pqn.batch.steps.len() as u32));
    let mut log = Log::default();
    pqn.learn(&blocks, &mut Solo, &mut log).unwrap();
    let lr = log.drain().into_iter().find(|(name, _)| *name == "lr").unwrap().1;
    assert_eq!(lr, 0.0, "{} steps", pqn.progress.steps());
}

#[test]
fn a_loaded_learner_goes_on_as_the_saved_one() {
    let spec = spec([0; 3], 4, 3);
    let config = Config { normalise_observations: true, reward_scale: RewardScale::Std, ..config() };
    let mut first = learner(&spec, &config, 4, 1).unwrap();
    let (blocks, _) = rounds_of(&mut first, &spec, &[4], 4, &mut Solo);
    let mut second = learner(&spec, &config, 4, 1).unwrap();
    load(&mut second, &save(&mut first));
    for pqn in [&mut first, &mut second] {
        pqn.learn(&blocks, &mut Solo, &mut Log::default()).unwrap();
    }
    assert!(save(&mut first) == save(&mut second));
}

#[test]
fn members_with_different_resets_end_with_equal_weights() {
    let spec = spec([0; 3], 4, 3);
    let member = |seats: usize, mut pair: Pair| {
        let mut pqn = learner(&spec, &config(), seats as u32, 1).unwrap();
        rounds_of(&mut pqn, &spec, &[seats], 4, &mut pair);
        (pqn.updates(), flat(&pqn.params))
    };
    let (left, right) = Pair::run(|pair| member(1, pair), |pair| member(3, pair));
    assert_eq!(left, right);
}

#[test]
fn values_and_environments_that_do_not_fit_are_refused_in_one_line() {
    let good = spec([0; 3], 4, 3);
    let refused = |config: Config, spec: &Spec| learner(spec, &config, 1, 1).err().unwrap().to_string();
    assert_eq!(refused(Config { epochs: 0, ..config() }, &good), "agent.epochs: must be at least 1");
    assert_eq!(refused(Config { lambda: -0.5, ..config() }, &good), "agent.lambda: -0.5 is not between 0 and 1");
    let two = Spec { discrete: [2, 2].into(), ..good.clone() };
    assert!(refused(config(), &two).contains("pqn needs exactly one discrete action; this environment has 2"));
    let mut pqn = learner(&good, &config(), 1, 1).unwrap();
    let mut block = Rollout::new(&good, 6, 1, 1);
    (1..=6).for_each(|t| block.age[(t, 0)] = t as u32);
    block.reward[(4, 0)] = f32::NAN;
    let error = pqn.learn(&[block], &mut Solo, &mut Log::default()).unwrap_err().to_string();
    assert!(error.starts_with("update 1: the loss is NaN (targets: row"), "{error}");
}

/// Mean and deviation by their definition, but for what is added to every variance.
fn of(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64 + 1e-8).sqrt())
}

#[test]
fn a_scaled_round_is_that_of_a_plain_learner_on_steps_that_were_scaled_by_hand() {
    let spec = spec([0; 3], 4, 3);
    let plain = config();
    let scaled = Config { normalise_observations: true, reward_scale: RewardScale::Std, ..plain.clone() };
    let mut pqn = learner(&spec, &scaled, 4, 1).unwrap();
    let (first, _) = rounds_of(&mut pqn, &spec, &[4], 1, &mut Solo);
    // Values that were acted on are those of features as they were seen.
    let mut second = first.clone();
    second[0].carry();
    let mut policy = pqn.policy(0..4).unwrap();
    for t in 0..6 {
        policy.act(&mut second, t, Mode::Explore).unwrap();
        step(&mut second, 6, t);
    }
    let feature = |i| {
        let seen = rl_replays::played(&first).map(|(block, t, e)| f64::from(block.vector.at(t, e)[i]));
        of(&seen.collect::<Vec<_>>())
    };
    let features = [0, 1, 2, 3].map(feature);
    let mut returns = Vec::new();
    for e in 0..4 {
        let mut open = 0.0;
        for (block, t) in [&first[0], &second[0]].into_iter().flat_map(|block| (0..6).map(move |t| (block, t))) {
            open = if block.valid(t, e) { scaled.gamma * open + f64::from(block.reward[(t + 1, e)]) } else { 0.0 };
            returns.extend(block.valid(t, e).then_some(open));
            open = if block.end[(t + 1, e)].over() { 0.0 } else { open };
        }
    }
    let deviation = of(&returns).1;
    let mut by_hand = second.clone();
    for t in 0..=6 {
        for (x, (mean, deviation)) in by_hand[0].vector.row_mut(t).iter_mut().zip(features.iter().cycle()) {
            *x = ((f64::from(*x) - mean) / deviation) as f32;
        }
        by_hand[0].reward.row_mut(t).iter_mut().for_each(|x| *x = (f64::from(*x) / deviation) as f32);
    }
    let mut other = learner(&spec, &plain, 4, 1).unwrap();
    other.params.write(&flat(&pqn.params)).unwrap();
    let saved = save(&mut pqn);
    for ((_, part), bytes) in other.state().into_iter().zip(&saved[1..3]) {
        part.load(&mut bytes.as_slice()).unwrap();
    }
    // What the network says of features by hand is what the policy kept.
    let (mut seen, mut pass) = (Gathered::default(), Pass::default());
    (0..4).for_each(|e| seen.push(&by_hand[0], 3, e));
    let values = other.net.run(&seen.seen(), &Draws::default(), &mut [], &mut pass).unwrap();
    for (e, row) in values.chunks_exact(3).enumerate().filter(|(e, _)| second[0].end[(3, *e)] != End::Terminated) {
        assert!((second[0].extra[(3, e)] - row.iter().copied().fold(f32::MIN, f32::max)).abs() < 1e-4);
    }
    pqn.learn(&second, &mut Solo, &mut Log::default()).unwrap();
    other.learn(&by_hand, &mut Solo, &mut Log::default()).unwrap();
    assert_eq!((pqn.updates(), other.updates()), (12, 12));
    let wide: Vec<f64> = flat(&other.params).into_iter().map(f64::from).collect();
    close("parameters", &flat(&pqn.params), &wide);
    let names: Vec<String> = pqn.state().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["optimiser", "progress", "features", "rewards"]);
}

#[test]
fn a_round_has_the_learning_rate_of_its_first_step_and_an_order_of_its_own_in_every_epoch() {
    let spec = spec([0; 3], 4, 3);
    let mut pqn = learner(&spec, &Config { lr_steps: 100, ..config() }, 4, 1).unwrap();
    for round in 0..3 {
        let before = pqn.progress.steps();
        let (blocks, _) = rounds_of(&mut learner(&spec, &config(), 4, 1).unwrap(), &spec, &[4], round + 1, &mut Solo);
        let mut log = Log::default();
        pqn.learn(&blocks, &mut Solo, &mut log).unwrap();
        let rate = log.drain().into_iter().find(|(name, _)| *name == "lr").unwrap().1;
        assert!((rate - 1e-3 * (1.0 - before as f64 / 100.0)).abs() < 1e-12, "{rate} after {before} steps");
    }
    let order = |epochs| {
        let mut pqn = learner(&spec, &Config { epochs, ..config() }, 4, 1).unwrap();
        rounds_of(&mut pqn, &spec, &[4], 1, &mut Solo);
        pqn.batch.order.clone()
    };
    let (one, two) = (order(1), order(2));
    assert!(!one.is_sorted() && one != two, "{one:?} {two:?}");
}

#[test]
fn the_last_value_is_the_greatest_of_the_legal_actions() {
    let spec = Spec { mask: true, ..spec([0; 3], 4, 3) };
    let mut pqn = learner(&spec, &Config { lr: 0.0, ..config() }, 16, 1).unwrap();
    let (blocks, _) = rounds_of(&mut pqn, &spec, &[7, 9], 2, &mut Solo);
    let (mut seen, mut pass, mut forbidden) = (Gathered::default(), Pass::default(), 0);
    let seats = blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
    for ((block, e), last) in seats.zip(&pqn.batch.last) {
        seen.clear();
        seen.push(block, 6, e);
        let values = pqn.net.run(&seen.seen(), &Draws::default(), &mut [], &mut pass).unwrap();
        let best = values[legal::argmax(values, block.legal.at(6, e))];
        assert_eq!(*last, best, "seat {e}");
        forbidden += usize::from(best != values[legal::argmax(values, &[])]);
    }
    assert!(forbidden > 0, "somewhere the best of all is not legal");
}
