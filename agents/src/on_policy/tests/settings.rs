//! That every setting reaches what it is a setting of, and that presets have all of them.

use super::*;

/// What `name` was in the log of learning from the blocks of `world`.
fn told(learner: &mut OnPolicy, world: &World, name: &str) -> f64 {
    let mut log = Log::default();
    learner.learn(&world.blocks, &mut Solo, &mut log).unwrap();
    log.drain().into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// In a range of 0 every ratio is outside but those of the first update of a round, which are 1.
#[test]
fn the_clip_range_follows_agent_steps() {
    let falls = PpoConfig { lr_end: 1e-3, lr_steps: 48, clip_end: 0.0, ..ppo() };
    let mut learner = learner(&spec(&[3]), falls.settings(), 4, 1);
    let mut world = World::new(&learner, &[4]);
    let mut before = 0;
    for _ in 0..5 {
        world.collect();
        before = learner.progress.steps();
        let clipped = told(&mut learner, &world, "clip_fraction");
        assert!(before > 0 || clipped < 0.1, "{clipped} at first");
        assert!(before < 48 || clipped > 0.5, "{clipped} after {before} steps");
        world.blocks.iter_mut().for_each(Rollout::carry);
    }
    assert!(before >= 48, "{before} steps before the last round");
}

#[test]
fn every_epoch_has_an_order_of_its_own() {
    let order = |epochs| {
        let mut learner = learner(&spec(&[3]), PpoConfig { epochs, ..ppo() }.settings(), 4, 1);
        World::new(&learner, &[4]).rounds(&mut learner, 1);
        learner.batch.order.clone()
    };
    let (one, two) = (order(1), order(2));
    assert!(!one.is_sorted() && one != two, "{one:?} {two:?}");
}

#[test]
fn members_end_a_round_together_by_their_mean_divergence() {
    let mut ended = 0;
    for lr in [0.003, 0.01, 0.03] {
        let bold = PpoConfig { lr, target_kl: 0.01, ..ppo() };
        let member = |seats: usize, mut pair: Pair| {
            let mut learner = learner(&spec(&[3]), bold.clone().settings(), seats as u32, 1);
            let mut world = World::new(&learner, &[seats]);
            for _ in 0..8 {
                world.collect();
                learner.learn(&world.blocks, &mut pair, &mut Log::default()).unwrap();
                world.blocks[0].carry();
            }
            (learner.updates(), flat(&learner.params))
        };
        let (left, right) = Pair::run(|pair| member(1, pair), |pair| member(3, pair));
        assert!(left == right, "{} and {} updates", left.0, right.0);
        ended += usize::from((9..48).contains(&left.0));
    }
    assert!(ended > 1, "rounds of 6 updates end early, and not all with the first");
}

#[test]
fn tables_say_what_networks_and_rewards_are() {
    let (activation, trunk, reward_scale, normalise_observations) =
        (Activation::Tanh, Trunk::Small, RewardScale::Sign, true);
    for settings in [
        PpoConfig { activation, trunk, reward_scale, normalise_observations, ..ppo() }.settings(),
        A2cConfig { activation, trunk, reward_scale, normalise_observations, ..a2c() }.settings(),
        lagging::impala_of(activation, trunk, reward_scale, normalise_observations),
    ] {
        let told = (settings.activation, settings.trunk, settings.reward_scale, settings.normalise_observations);
        assert_eq!(told, (activation, trunk, reward_scale, normalise_observations));
    }
}

#[test]
fn targets_are_of_the_rewards_as_they_are_scaled() {
    for settings in [
        PpoConfig { reward_scale: RewardScale::Sign, ..ppo() }.settings(),
        lagging::impala_of(Activation::Relu, Trunk::Nature, RewardScale::Sign, false),
    ] {
        let of = || learner(&spec(&[3]), settings.clone(), 4, 1);
        let (mut one, mut other) = (of(), of());
        let mut world = World::new(&one, &[4]);
        world.collect();
        let targets = |of: &OnPolicy| of.batch.steps.iter().map(|step| step.target).collect::<Vec<_>>();
        one.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap();
        other.estimate(&world.blocks, RewardTransform::Sign).unwrap();
        assert_eq!(targets(&one), targets(&other));
        other.estimate(&world.blocks, RewardTransform::Raw).unwrap();
        assert_ne!(targets(&one), targets(&other));
    }
}

#[test]
fn advantages_are_normalised_by_the_deviation_of_a_sample() {
    let (mean, scale) = standard([1.0, 2.0, 6.0].into_iter());
    assert_eq!(mean, 3.0);
    assert!((scale - 1.0 / 7f64.sqrt()).abs() < 1e-8, "(4 + 1 + 9) / 2, not / 3: {scale}");
    assert_eq!(standard([5.0].into_iter()), (0.0, 1.0));
    assert_eq!(standard([5.0; 3].into_iter()), (5.0, 1e8));
}

#[test]
fn advantages_are_normalised_within_each_minibatch() {
    let mut learner = learner(&spec(&[3]), ppo().settings(), 4, 1);
    let mut world = World::new(&learner, &[4]);
    world.collect();
    learner.estimate(&world.blocks, RewardTransform::Raw).unwrap();
    let all: Vec<f64> = learner.batch.steps.iter().map(|step| f64::from(step.advantage)).collect();
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    for part in [0..7, 7..all.len()] {
        assert!((mean(&all[part.clone()]) - mean(&all)).abs() > 0.01, "parts of another mean than the whole");
        let (order, now, mut log) =
            (part.map(|i| i as u32).collect::<Vec<_>>(), Now { rate: 0.0, clip: 0.2 }, Log::default());
        learner.update(&world.blocks, &order, now, &mut Solo, &mut log).unwrap();
        // With the policy that acted the loss is the negative mean of the advantages, which is 0.
        let loss = log.drain().into_iter().find(|(name, _)| *name == "policy_loss").unwrap().1;
        assert!(loss.abs() < 1e-6, "{loss}");
    }
}

/// Every number of a table differs from every other, so that none can stand for another.
#[test]
fn settings_are_those_of_the_table() {
    let gae = |settings: &Settings| {
        let Gae { gamma, lambda, life_loss } = settings.gae;
        (gamma, lambda, life_loss)
    };
    let weights = |settings: &Settings| {
        let Weights { value_clip, entropy, value, .. } = settings.weights;
        (value_clip, entropy, value)
    };
    let falls = |start, end| Schedule { start, end, steps: 77, delay: 0 };
    let ppo = PpoConfig {
        lr: 0.5,
        lr_end: 0.25,
        lr_steps: 77,
        clip: 0.3,
        clip_end: 0.1,
        value_clip: true,
        life_loss: LifeLoss::Terminal,
        target_kl: 0.03,
        ..ppo()
    };
    let settings = ppo.settings();
    assert_eq!((settings.lr, settings.clip), (falls(0.5, 0.25), falls(0.3, 0.1)));
    assert_eq!(gae(&settings), (0.99, 0.95, LifeLoss::Terminal));
    assert_eq!(weights(&settings), (true, 0.01, 0.7));
    assert_eq!((settings.horizon, settings.epochs, settings.minibatches), (6, 2, 3));
    assert_eq!((settings.normalise, settings.target_kl, settings.lagging.is_none()), (true, 0.03, true));
    assert_eq!(settings.optimiser, OptimiserConfig::Adam(AdamConfig::new(1e-5, 0.5)));

    let rms = |first_square| {
        let (decay, eps, eps_place, centred, clip) = (0.97, 1e-5, EpsPlace::InsideRoot, false, 0.5);
        OptimiserConfig::RmsProp(RmsPropConfig { decay, eps, eps_place, first_square, centred, clip })
    };
    let (lr, lr_end, lr_steps, rms_decay, life_loss) = (0.5, 0.25, 77, 0.97, LifeLoss::Terminal);
    let a2c = A2cConfig { lr, lr_end, lr_steps, rms_decay, life_loss, normalise_advantage: true, ..a2c() };
    let settings = a2c.settings();
    assert_eq!((settings.lr, settings.optimiser), (falls(0.5, 0.25), rms(1.0)), "1 as in TensorFlow");
    assert_eq!(gae(&settings), (0.99, 0.95, LifeLoss::Terminal));
    assert_eq!(weights(&settings), (false, 0.01, 0.7));
    assert!(settings.normalise && settings.clip.at(0).is_infinite() && settings.target_kl == 0.0);
    assert_eq!((settings.epochs, settings.minibatches), (1, 1));

    let impala = lagging::impala();
    let impala = crate::impala::Config {
        lr,
        lr_end,
        lr_steps,
        rms_decay,
        life_loss,
        rms_first: 0.125,
        rho_clip: 1.5,
        c_clip: 0.75,
        max_lag: 3,
        optimiser: A2cOptimiser::RmsProp,
        normalise_advantage: true,
        ..impala
    };
    let settings = impala.settings();
    assert_eq!((settings.lr, settings.optimiser), (falls(0.5, 0.25), rms(0.125)));
    let Lagging { correction: Correction { rho, c }, most } = settings.lagging.unwrap();
    assert_eq!((rho, c, most), (1.5, 0.75, 3));
    assert_eq!(gae(&settings), (0.99, 0.95, LifeLoss::Terminal));
    assert!(settings.normalise && settings.clip.at(0).is_infinite());
}

/// A lost life that ends a return ends it for the deviation of returns too.
#[test]
fn the_scale_of_rewards_knows_what_ends_a_return() {
    let scale = |life_loss| {
        let config = PpoConfig { life_loss, reward_scale: RewardScale::Std, ..ppo() };
        let mut learner = learner(&spec(&[3]), config.settings(), 1, 1);
        let mut world = World::new(&learner, &[1]);
        world.collect();
        let block = &mut world.blocks[0];
        for t in 1..=6 {
            (block.age[(t, 0)], block.reward[(t, 0)]) = (t as u32, 1.0);
            block.end[(t, 0)] = if t % 2 == 0 { End::LifeLost } else { End::No };
        }
        told(&mut learner, &world, "reward_scale")
    };
    // Returns so far of 1 and 1.99, and again: a deviation of 0.99 / 2.
    assert!((scale(LifeLoss::Terminal) * 0.495 - 1.0).abs() < 1e-4);
    assert!(scale(LifeLoss::Ignore) < 1.0, "returns that go on up to 5.85");
}

#[test]
fn every_preset_is_a_complete_configuration() {
    for id in ["ppo", "a2c", "impala"] {
        for (name, text) in entry(id).presets {
            let tables: toml::Table = text.parse().unwrap();
            let config = tables["agent"].as_table().unwrap();
            let spec = if name.starts_with("atari") {
                Spec { frame: [84, 84, 1], stack: 4, vector: 0, ..spec(&[4]) }
            } else {
                spec(&[2])
            };
            let context =
                Context { spec: &spec, config, seats: 8, seed: 1, device: &Device::Cpu, precision: Precision::F32 };
            let memory = (entry(id).allocation)(&context).unwrap_or_else(|e| panic!("{id}/{name}: {e}"));
            assert!(memory.0 > 0 && memory.0 < 1 << 30, "{id}/{name}: {memory:?}");
            assert!(tables["train"].is_table(), "{id}/{name}");
        }
    }
}
