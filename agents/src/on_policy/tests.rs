//! The learner against its own promises; against PyTorch in `golden`.

use candle_core::Device;
use rl_core::{Bound, End, LifeLoss, Solo};
use rl_nn::{Activation, AdamConfig, EpsPlace, Precision, RmsPropConfig};

use super::*;
use crate::a2c::{Config as A2cConfig, Kind as A2cOptimiser};
use crate::gather::Gathered;
use crate::ppo::Config as PpoConfig;
use crate::testing::{Pair, close, draws, fill, flat, load, save};
use crate::{AGENTS, AgentEntry, Mode};

mod golden;
mod lagging;
mod remembering;
mod scales;
mod settings;

fn spec(counts: &[u32]) -> Spec {
    let (symbols, discrete, continuous) = ([].into(), counts.into(), [].into());
    Spec { frame: [0; 3], stack: 1, vector: 4, symbols, mask: false, discrete, continuous }
}

fn ppo() -> PpoConfig {
    PpoConfig {
        lr: 1e-3,
        lr_end: 0.0,
        lr_steps: 0,
        adam_eps: 1e-5,
        grad_clip: 0.5,
        gamma: 0.99,
        lambda: 0.95,
        horizon: 6,
        epochs: 2,
        minibatches: 3,
        clip: 0.2,
        clip_end: 0.2,
        value_clip: false,
        normalise_advantage: true,
        entropy_coef: 0.01,
        value_coef: 0.7,
        target_kl: 0.0,
        normalise_observations: false,
        reward_scale: RewardScale::None,
        life_loss: LifeLoss::Ignore,
        trunk: Trunk::Nature,
        hidden: vec![16, 12],
        activation: Activation::Relu,
        memory: Memory::None {},
    }
}

fn a2c() -> A2cConfig {
    A2cConfig {
        lr: 1e-3,
        lr_end: 0.0,
        lr_steps: 0,
        optimiser: A2cOptimiser::RmsProp,
        rms_decay: 0.99,
        eps: 1e-5,
        grad_clip: 0.5,
        gamma: 0.99,
        lambda: 0.95,
        horizon: 6,
        normalise_advantage: false,
        entropy_coef: 0.01,
        value_coef: 0.7,
        normalise_observations: false,
        reward_scale: RewardScale::None,
        life_loss: LifeLoss::Ignore,
        trunk: Trunk::Nature,
        hidden: vec![16, 12],
        activation: Activation::Relu,
        memory: Memory::None {},
    }
}

fn learner(spec: &Spec, settings: Settings, seats: u32, seed: u64) -> OnPolicy {
    let config = toml::Table::new();
    OnPolicy::new(
        "ppo",
        &Context { spec, config: &config, seats, seed, device: &Device::Cpu, precision: Precision::F32 },
        settings,
    )
    .unwrap()
}

/// Steps a made-up world of `blocks`, whose seats are numbered from 0: rewards, ends and what is seen hang on the seat,
/// the time and the actions alone.
fn step(blocks: &mut [Rollout], from: usize, t: usize) {
    let mut seat = 0;
    for block in blocks {
        for e in 0..block.seats() {
            let chance = draws(6, (1000 * (from + t) + seat) as u32);
            let over = block.end[(t, e)].over();
            let age = if over { 0 } else { block.age[(t, e)] + 1 };
            let end = match chance[4] {
                _ if over => End::No,
                d if d < 0.1 => End::Terminated,
                d if d < 0.2 => End::Truncated,
                d if d < 0.3 => End::LifeLost,
                _ => End::No,
            };
            let good = match block.discrete.at(t, e) {
                [first, ..] => f64::from(*first) - 1.0,
                [] => f64::from(block.continuous.at(t, e)[0]),
            };
            (block.age[(t + 1, e)], block.end[(t + 1, e)]) = (age, end);
            block.reward[(t + 1, e)] = if over { 0.0 } else { (good * chance[0] + chance[5]) as f32 };
            let seen = &mut block.vector.row_mut(t + 1)[e * 4..][..4];
            seen.iter_mut().zip(chance).for_each(|(v, d)| *v = (d * 4.0 - 2.0) as f32);
            let width = block.legal.width();
            let legal = &mut block.legal.row_mut(t + 1)[e * width..][..width];
            legal.iter_mut().enumerate().for_each(|(i, flag)| *flag = u8::from(i != 1 + seat % 2));
            seat += 1;
        }
    }
}

/// A run of rounds in groups of these sizes, from time `from` on.
struct World {
    blocks: Vec<Rollout>,
    policy: Box<dyn Policy>,
    from: usize,
}

impl World {
    fn new(learner: &OnPolicy, sizes: &[usize]) -> Self {
        let plan = learner.plan();
        let mut blocks: Vec<_> =
            sizes.iter().map(|&size| Rollout::new(&learner.spec, plan.horizon, size, plan.extra)).collect();
        blocks.iter_mut().for_each(|block| block.legal.row_mut(0).fill(1));
        Self { blocks, policy: learner.policy(0..sizes.iter().sum::<usize>() as u32).unwrap(), from: 0 }
    }

    fn collect(&mut self) {
        for t in 0..self.blocks[0].horizon() {
            self.policy.act(&mut self.blocks, t, Mode::Explore).unwrap();
            step(&mut self.blocks, self.from, t);
        }
        self.from += self.blocks[0].horizon();
    }

    fn rounds(&mut self, learner: &mut OnPolicy, count: usize) -> Vec<u32> {
        let mut actions = Vec::new();
        for _ in 0..count {
            self.collect();
            for t in 0..self.blocks[0].horizon() {
                actions.extend(self.blocks.iter().flat_map(|block| block.discrete.row(t).to_vec()));
                actions.extend(self.blocks.iter().flat_map(|block| block.continuous.row(t)).map(|a| a.to_bits()));
            }
            learner.learn(&self.blocks, &mut Solo, &mut Log::default()).unwrap();
            self.blocks.iter_mut().for_each(Rollout::carry);
        }
        actions
    }
}

#[test]
fn a2c_is_ppo_with_one_epoch_a_full_batch_and_neither_clipping_nor_normalisation() {
    let spec = spec(&[3, 2]);
    for memory in [Memory::None {}, Memory::Gru { units: 5, steps: 6 }] {
        is_ppo(&spec, memory);
    }
}

fn is_ppo(spec: &Spec, memory: Memory) {
    let a2c = A2cConfig { optimiser: A2cOptimiser::Adam, memory, ..a2c() };
    let ppo = PpoConfig { epochs: 1, minibatches: 1, normalise_advantage: false, memory, ..ppo() };
    let run = |settings: Settings| {
        let mut learner = learner(spec, settings, 4, 1);
        World::new(&learner, &[4]).rounds(&mut learner, 5);
        (flat(&learner.params), learner.updates())
    };
    let mut unclipped = ppo.clone().settings();
    unclipped.clip = Schedule::annealed(f64::INFINITY, f64::INFINITY, 0);
    assert_eq!(run(a2c.clone().settings()), run(unclipped));
    // The range is never left in one epoch of a full batch. With two it is another algorithm.
    assert_eq!(run(a2c.clone().settings()), run(ppo.clone().settings()));
    assert_ne!(run(a2c.clone().settings()).0, run(PpoConfig { epochs: 2, ..ppo }.settings()).0);
    let normalised = A2cConfig { normalise_advantage: true, ..a2c.clone() };
    assert_ne!(run(a2c.settings()).0, run(normalised.settings()).0);
}

#[test]
fn bits_follow_the_seed_and_not_how_seats_are_grouped() {
    let spec = Spec { mask: true, ..spec(&[3, 2]) };
    let run = |sizes: &[usize], seed, memory| {
        let mut learner = learner(&spec, PpoConfig { memory, ..ppo() }.settings(), 4, seed);
        let actions = World::new(&learner, sizes).rounds(&mut learner, 4);
        (actions, save(&mut learner))
    };
    for memory in [Memory::None {}, Memory::Gru { units: 5, steps: 3 }, Memory::Lstm { units: 4, steps: 2 }] {
        let one = run(&[4], 1, memory);
        for sizes in [&[4][..], &[1, 3], &[2, 2], &[1, 1, 1, 1]] {
            assert!(run(sizes, 1, memory) == one, "{sizes:?} with {memory:?}");
        }
    }
    let run = |sizes: &[usize], seed| run(sizes, seed, Memory::None {});
    let one = run(&[4], 1);
    let other = run(&[4], 2);
    assert!(other.0 != one.0 && other.1[0] != one.1[0]);
    // All that is legal is done, and nothing else: seat e lacks value 1 + e % 2 of the first action, which resets leave 0.
    let first = one.0.chunks_exact(2).skip(4).enumerate();
    assert!(first.clone().all(|(i, actions)| actions[0] as usize != 1 + i % 2));
    assert!((0..3).all(|action| first.clone().any(|(_, actions)| actions[0] == action)));
}

#[test]
fn a_loaded_learner_goes_on_as_the_saved_one() {
    let spec = spec(&[3]);
    let remembering = PpoConfig { memory: Memory::Lstm { units: 4, steps: 3 }, ..ppo() };
    for settings in [PpoConfig { lr_steps: 300, ..ppo() }.settings(), a2c().settings(), remembering.settings()] {
        let mut first = learner(&spec, settings.clone(), 4, 1);
        let mut world = World::new(&first, &[4]);
        world.rounds(&mut first, 3);
        let mut second = learner(&spec, settings, 4, 1);
        load(&mut second, &save(&mut first));
        let mut again = World { blocks: world.blocks.clone(), policy: second.policy(0..4).unwrap(), from: world.from };
        for ((_, from), (_, to)) in world.policy.state().into_iter().zip(again.policy.state()) {
            let mut bytes = Vec::new();
            from.save(&mut bytes).unwrap();
            to.load(&mut bytes.as_slice()).unwrap();
        }
        assert_eq!(world.rounds(&mut first, 3), again.rounds(&mut second, 3));
        assert!(save(&mut first) == save(&mut second));
        let mut bytes = Vec::new();
        world.policy.state()[0].1.save(&mut bytes).unwrap();
        let mut fewer = second.policy(0..3).unwrap();
        let error = fewer.state()[0].1.load(&mut bytes.as_slice()).unwrap_err().to_string();
        assert!(error.contains("holds 4 seats, expected 3"), "{error}");
    }
}

#[test]
fn only_steps_that_were_played_are_learned_from_each_once_an_epoch() {
    for count in 1..20 {
        for minibatches in 1..=count {
            let parts: Vec<_> = parts(count, minibatches).collect();
            assert_eq!((parts[0].start, parts.last().unwrap().end, parts.len()), (0, count, minibatches));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].len() - pair[1].len() <= 1));
            assert!(parts.iter().all(|part| !part.is_empty()));
        }
    }
    let mut learner = learner(&spec(&[3]), ppo().settings(), 4, 1);
    let mut world = World::new(&learner, &[1, 3]);
    let mut steps = 0;
    for round in 1..=20 {
        world.collect();
        learner.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap();
        let place = |played: &AdvantageStep| (played.t, played.block, played.e);
        let learned: Vec<_> = learner.batch.steps.iter().map(place).collect();
        let expected: Vec<_> = (0..6)
            .flat_map(|t| [(t, 0, 0), (t, 1, 0), (t, 1, 1), (t, 1, 2)])
            .filter(|&(t, b, e)| world.blocks[b as usize].age[(t as usize + 1, e as usize)] != 0)
            .collect();
        assert_eq!(learned, expected);
        steps += learned.len() as u64;
        assert_eq!((learner.progress.steps(), learner.updates()), (steps, round * 6));
        let mut order = learner.batch.order.clone();
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..learned.len() as u32), "an order holds every step once");
        world.blocks.iter_mut().for_each(Rollout::carry);
    }
    assert!(steps < 20 * 24, "there were resets");
}

#[test]
fn a_truncated_step_aims_at_the_value_of_its_true_last_observation() {
    let learner = || {
        let learner = learner(&spec(&[3]), PpoConfig { lambda: 0.0, ..ppo() }.settings(), 1, 1);
        fill(&learner.params, 1); // values that differ from row to row
        learner
    };
    let value = |learner: &OnPolicy, block: &Rollout, t: usize| {
        let (mut seen, mut flows) = (Gathered::default(), Flows::default());
        seen.push(block, t, 0);
        learner.net.run(&seen.seen(), true, &mut [], &mut flows).unwrap();
        flows.values()[0]
    };
    // The last step of the block is truncated, or one within it.
    for at in [6, 3] {
        let mut learner = learner();
        let mut world = World::new(&learner, &[1]);
        for t in 0..6 {
            world.policy.act(&mut world.blocks, t, Mode::Explore).unwrap();
            step(&mut world.blocks, 0, t);
            let block = &mut world.blocks[0];
            let over = block.end[(t, 0)].over();
            block.age[(t + 1, 0)] = if over { 0 } else { block.age[(t, 0)] + 1 };
            block.end[(t + 1, 0)] = if t + 1 == at { End::Truncated } else { End::No };
        }
        learner.estimate(&world.blocks, RewardTransform::Raw).unwrap();
        let block = &world.blocks[0];
        let played = learner.batch.steps.iter().find(|played| played.t as usize == at - 1).unwrap();
        let expected = block.reward[(at, 0)] + 0.99 * value(&learner, block, at);
        assert!((played.target - expected).abs() < 1e-5, "{} {expected}", played.target);
        assert_eq!(learner.batch.steps.len(), if at == 6 { 6 } else { 5 });
    }
}

#[test]
fn rates_follow_agent_steps_and_a_round_ends_at_its_divergence() {
    let spec = spec(&[3]);
    let annealed = PpoConfig { lr_steps: 48, ..ppo() };
    let mut first = learner(&spec, annealed.settings(), 4, 1);
    let mut world = World::new(&first, &[4]);
    let mut rates: Vec<f64> = Vec::new();
    while rates.last() != Some(&0.0) {
        world.collect();
        let before = first.progress.steps() as f64;
        let mut log = Log::default();
        first.learn(&world.blocks, &mut Solo, &mut log).unwrap();
        let rate = log.drain().iter().find(|(name, _)| *name == "lr").unwrap().1;
        assert!((rate - 1e-3 * (1.0 - before / 48.0).max(0.0)).abs() < 1e-12);
        rates.push(rate);
        world.blocks.iter_mut().for_each(Rollout::carry);
    }
    assert!(rates[0] == 1e-3 && rates.len() > 2);
    // The first update of a round is made by the policy that acted; a large step leaves it far behind.
    let bold = PpoConfig { lr: 0.1, target_kl: 0.01, ..ppo() };
    let mut learner = learner(&spec, bold.settings(), 4, 1);
    let mut world = World::new(&learner, &[4]);
    world.rounds(&mut learner, 4);
    let mut log = Log::default();
    world.collect();
    learner.learn(&world.blocks, &mut Solo, &mut log).unwrap();
    assert!((5..15).contains(&learner.updates()), "{} of 30 updates", learner.updates());
    // The mean holds the minibatch that ended the round.
    let kl = log.drain().into_iter().find(|(name, _)| *name == "approx_kl").unwrap().1;
    assert!(kl > 0.01, "{kl}");
    assert!(learner.plan().pace.is_none());
}

#[test]
fn members_with_different_resets_make_the_same_updates() {
    let spec = spec(&[3]);
    let member = |dead: bool, mut pair: Pair| {
        let mut learner = learner(&spec, PpoConfig { minibatches: 5, ..ppo() }.settings(), 1, 1);
        let mut world = World::new(&learner, &[1]);
        let mut own = 0;
        for round in 0..6 {
            world.collect();
            if dead && round == 3 {
                (1..=6).for_each(|t| world.blocks[0].age[(t, 0)] = 0); // nothing but resets
            }
            own += (0..6).filter(|&t| world.blocks[0].valid(t, 0)).count();
            learner.learn(&world.blocks, &mut pair, &mut Log::default()).unwrap();
            world.blocks[0].carry();
        }
        (own, learner.updates(), flat(&learner.params))
    };
    let (left, right) = Pair::run(|pair| member(false, pair), |pair| member(true, pair));
    assert!(left.0 > right.0 && left.1 > 40, "{} {} {}", left.0, right.0, left.1);
    assert_eq!((left.1, left.2), (right.1, right.2));
}

#[test]
fn a_value_that_is_not_finite_is_named_with_its_update() {
    let mut learner = learner(&spec(&[3]), PpoConfig { minibatches: 1, ..ppo() }.settings(), 4, 1);
    let mut world = World::new(&learner, &[4]);
    world.collect();
    let (t, e) = (0..6).flat_map(|t| (0..4).map(move |e| (t, e))).find(|&(t, e)| world.blocks[0].valid(t, e)).unwrap();
    world.blocks[0].reward[(t + 1, e)] = f32::NAN;
    let before = flat(&learner.params);
    let error = learner.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap_err().to_string();
    assert!(error.starts_with("update ") && error.contains(": the loss is NaN (targets: row "), "{error}");
    assert_eq!((learner.updates(), before), (0, flat(&learner.params)), "nothing was learned from it");
    let error = learner.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap_err();
    let rl_core::Error::NotFinite { batch, .. } = error else { panic!("{error}") };
    let reward = batch.iter().find(|column| column.name == "reward").unwrap();
    let rl_core::Values::F32(rewards) = &reward.values else { panic!("{reward:?}") };
    assert!(rewards.iter().any(|reward| reward.is_nan()) && reward.shape == [rewards.len()], "{reward:?}");
    let broken = vec![f32::INFINITY; learner.params.len()];
    learner.params.write(&broken).unwrap();
    let mut world = World::new(&learner, &[4]);
    world.collect();
    let error = learner.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap_err().to_string();
    assert!(error.contains("the loss is NaN (outputs of the policy: row 0 is"), "{error}");
}

fn entry(id: &str) -> &'static AgentEntry {
    AGENTS.iter().find(|entry| entry.id == id).unwrap()
}

#[test]
fn an_evaluation_samples_takes_the_most_probable_or_acts_at_random() {
    let learner = learner(&spec(&[3]), ppo().settings(), 64, 1);
    // A policy that says: 2 with e / (e + 2), else 0 or 1.
    let mut weights = vec![0.0; learner.params.len()];
    let at = (0..weights.len()).find(|&i| learner.params.name_at(i) == "policy_head.bias").unwrap();
    weights[at + 2] = 1.0;
    learner.params.write(&weights).unwrap();
    let share = |mode: Mode| {
        let mut block = Rollout::new(&learner.spec, 50, 64, Behaviour::width(&learner.spec, 0));
        block.age.row_mut(0).fill(1);
        let mut policy = learner.policy(0..64).unwrap();
        let mut blocks = [block];
        (0..50).for_each(|t| policy.act(&mut blocks, t, mode).unwrap());
        assert!(mode == Mode::Explore || (0..50).all(|t| blocks[0].extra.row(t).iter().all(|&kept| kept == 0.0)));
        let twos = (0..50).flat_map(|t| blocks[0].discrete.row(t).to_vec()).filter(|&action| action == 2).count();
        twos as f64 / (50.0 * 64.0)
    };
    let evaluate = |epsilon, greedy| Mode::Evaluate { epsilon, greedy };
    let e = 1f64.exp();
    for (mode, expected) in [
        (Mode::Explore, e / (e + 2.0)),
        (evaluate(0.0, false), e / (e + 2.0)),
        (evaluate(0.0, true), 1.0),
        (evaluate(1.0, true), 1.0 / 3.0),
        (evaluate(0.5, true), 0.5 + 0.5 / 3.0),
    ] {
        let share = share(mode);
        assert!((share - expected).abs() < 0.04, "{mode:?}: {share}, expected {expected}");
    }
    assert!(entry("ppo").stochastic && entry("a2c").stochastic);
}

#[test]
fn environments_and_values_that_do_not_fit_are_refused_in_one_line() {
    let good = spec(&[3, 2]);
    let continuous = Spec { continuous: [Bound { low: -1.0, high: 1.0 }].into(), ..good.clone() };
    let nothing = spec(&[]);
    for id in ["ppo", "a2c"] {
        let refuses = entry(id).refuses;
        let reason = format!("{id} needs an action to choose; this environment has none");
        assert_eq!([&good, &continuous, &nothing].map(refuses), [None, None, Some(reason)]);
    }
    let refused = |id: &str, config: toml::Table, spec: &Spec| {
        let context =
            Context { spec, config: &config, seats: 2, seed: 1, device: &Device::Cpu, precision: Precision::F32 };
        (entry(id).build)(&context).err().unwrap().to_string()
    };
    let of = |config: PpoConfig| refused("ppo", toml::Table::try_from(config).unwrap(), &good);
    assert_eq!(of(PpoConfig { epochs: 0, ..ppo() }), "agent.epochs: must be at least 1");
    let flat = PpoConfig { hidden: vec![64, 0], ..ppo() };
    assert_eq!(of(flat), "agent.hidden: layer 2: must be at least 1 wide");
    assert_eq!(of(PpoConfig { lambda: 1.5, ..ppo() }), "agent.lambda: 1.5 is not between 0 and 1");
    let memory = Memory::Gru { units: 8, steps: 4 };
    let steps =
        "agent.memory.steps: sequences of 4 steps do not divide a horizon of 6: take a divisor of it, such as 6, ";
    assert_eq!(of(PpoConfig { memory, ..ppo() }), format!("{steps}or change agent.horizon"));
    let memory = Memory::Gru { units: 8, steps: 3 };
    assert_eq!(
        of(PpoConfig { memory, minibatches: 5, ..ppo() }),
        "agent.minibatches: a round has 4 sequences of 3 steps, 2 of each of 2 seats: expected at most as many"
    );
    assert_eq!(
        of(PpoConfig { memory: Memory::Lstm { units: 0, steps: 3 }, ..ppo() }),
        "agent.memory.units: must be at least 1"
    );
    assert_eq!(of(PpoConfig { clip: -0.1, ..ppo() }), "agent.clip: -0.1 is not a number from 0 on");
    let of = |config: A2cConfig, spec: &Spec| refused("a2c", toml::Table::try_from(config).unwrap(), spec);
    assert_eq!(of(A2cConfig { horizon: 0, ..a2c() }, &good), "agent.horizon: must be at least 1");
    assert_eq!(of(A2cConfig { rms_decay: 2.0, ..a2c() }, &good), "agent.rms_decay: 2 is not between 0 and 1");
    assert!(of(a2c(), &nothing).contains("a2c needs an action to choose"));
    let symbols = Spec { vector: 0, symbols: [4].into(), ..good.clone() };
    let blind = of(A2cConfig { normalise_observations: true, ..a2c() }, &symbols);
    assert_eq!(blind, "agent.normalise_observations: this environment shows no features to normalise: set it to false");
    let mut unknown = toml::Table::try_from(ppo()).unwrap();
    unknown.insert("activation".to_owned(), "gelu".into());
    assert!(refused("ppo", unknown.clone(), &good).contains("unknown variant `gelu`"));
    unknown.insert("activation".to_owned(), "none".into());
    assert!(refused("ppo", unknown.clone(), &good).contains("expected `relu` or `tanh`"));
    unknown.insert("activation".to_owned(), "tanh".into());
    unknown.insert("reward_scale".to_owned(), "deviation".into());
    assert!(refused("ppo", unknown.clone(), &good).contains("expected one of `none`, `sign`, `std`"));
    unknown.insert("reward_scale".to_owned(), "std".into());
    unknown.insert("optimiser".to_owned(), "adam".into());
    assert!(refused("ppo", unknown, &good).contains("unknown field `optimiser`"));
}

#[test]
fn explained_variance_is_one_for_perfect_values_and_zero_for_a_constant() {
    // (value, target); the advantage is the target less the value.
    let of = |steps: &[(f32, f32)]| {
        let step =
            |&(value, target): &(f32, f32)| AdvantageStep { block: 0, t: 0, e: 0, advantage: target - value, target };
        explained_variance(&steps.iter().map(step).collect::<Vec<_>>())
    };
    assert_eq!(of(&[(1.0, 1.0), (2.0, 2.0), (4.0, 4.0)]), Some(1.0));
    assert_eq!(of(&[(3.0, 1.0), (3.0, 2.0), (3.0, 4.0)]), Some(0.0));
    assert_eq!(of(&[(2.0, 1.0), (2.0, 3.0), (2.0, 1.0), (4.0, 3.0)]), Some(0.25), "3 of 4 are left");
    assert_eq!(of(&[(1.0, 2.0), (5.0, 2.0)]), None, "targets that are all alike leave nothing to explain");
}
