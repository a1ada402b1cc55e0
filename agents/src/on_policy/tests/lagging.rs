//! Steps of older weights: actors, and what V-trace makes of theirs.

use super::*;
use crate::distribution::ActionDistribution;
use crate::impala::Config as ImpalaConfig;
use crate::vtrace::PolicyRatios;

pub(super) fn impala() -> ImpalaConfig {
    ImpalaConfig {
        lr: 1e-3,
        lr_end: 0.0,
        lr_steps: 0,
        optimiser: A2cOptimiser::Adam,
        rms_decay: 0.99,
        rms_first: 1.0,
        eps: 1e-5,
        grad_clip: 0.5,
        gamma: 0.99,
        lambda: 0.95,
        rho_clip: 1.0,
        c_clip: 1.0,
        max_lag: 2,
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
    }
}

pub(super) fn impala_of(
    activation: Activation,
    trunk: Trunk,
    reward_scale: RewardScale,
    normalise_observations: bool,
) -> Settings {
    ImpalaConfig { activation, trunk, reward_scale, normalise_observations, ..impala() }.settings()
}

#[test]
fn of_the_newest_weights_it_learns_what_a2c_learns() {
    let spec = spec(&[3, 2]);
    let after = |settings: Settings| {
        let mut learner = learner(&spec, settings, 4, 1);
        World::new(&learner, &[4]).rounds(&mut learner, 3);
        flat(&learner.params).into_iter().map(f64::from).collect::<Vec<f64>>()
    };
    let a2c = after(A2cConfig { optimiser: A2cOptimiser::Adam, ..a2c() }.settings());
    let ours: Vec<f32> = after(impala().settings()).into_iter().map(|x| x as f32).collect();
    close("parameters", &ours, &a2c);
    // A range below 1 counts steps for less even then.
    let less = after(ImpalaConfig { rho_clip: 0.5, ..impala() }.settings());
    assert!(less.iter().zip(&a2c).any(|(a, b)| (a - b).abs() > 1e-4));
}

#[test]
fn what_was_kept_and_what_is_asked_again_are_the_same_bits() {
    let continuous = Spec { continuous: [Bound { low: -1.0, high: 1.0 }; 2].into(), ..spec(&[3]) };
    let seeing = ImpalaConfig { normalise_observations: true, ..impala() };
    for (spec, config) in [(Spec { mask: true, ..spec(&[3, 2]) }, impala()), (continuous, seeing)] {
        let mut learner = learner(&spec, config.settings(), 4, 1);
        let mut world = World::new(&learner, &[1, 3]);
        world.rounds(&mut learner, 3);
        world.collect();
        let mut steps = |weights: u64| {
            world.blocks.iter_mut().for_each(|block| block.weights_version = weights);
            learner.estimate(&world.blocks, RewardTransform::Raw).unwrap();
            let bits =
                |step: &AdvantageStep| (step.t, step.block, step.e, step.advantage.to_bits(), step.target.to_bits());
            learner.batch.steps.iter().map(bits).collect::<Vec<_>>()
        };
        assert_eq!(steps(3), steps(1));
    }
}

#[test]
fn an_actor_acts_by_what_it_pulled_and_is_judged_by_what_there_is_now() {
    let spec = Spec { mask: true, ..spec(&[3, 2]) };
    let bold = ImpalaConfig { lr: 0.05, ..impala() };
    let mut learner = learner(&spec, bold.settings(), 4, 1);
    let Actor { policy, mut weights, max_lag } = learner.actor(0..4).unwrap().unwrap();
    let first = self::learner(&spec, impala().settings(), 4, 1);
    World::new(&learner, &[4]).rounds(&mut learner, 5);

    // Not pulled yet: it acts as the learner did at first.
    let mut old = World { policy, ..World::new(&learner, &[4]) };
    let mut same = World::new(&first, &[4]);
    assert_eq!((weights.pull().unwrap(), max_lag), (0, 2));
    old.collect();
    same.collect();
    assert!((0..6).all(|t| old.blocks[0].extra.row(t) == same.blocks[0].extra.row(t)));

    let (block, last) = (&old.blocks[0], [7.0, 8.0, 9.0, 10.0]);
    learner.evaluator.evaluate(&learner.net, block, &last).unwrap();
    let PolicyRatios { values, ratios } = &learner.evaluator.evaluated;
    assert_eq!((values.len(), ratios.len(), &values[24..]), (28, 24, &last[..]));
    let (mut seen, mut flows, mut dist) = (Gathered::default(), Flows::default(), ActionDistribution::new(&spec));
    let mut moved = 0;
    for (at, (t, e)) in (0..6).flat_map(|t| (0..4).map(move |e| (t, e))).enumerate() {
        seen.clear();
        seen.push(block, t, e);
        learner.net.run(&seen.seen(), true, &mut [], &mut flows).unwrap();
        assert_eq!(values[at], flows.values()[0]);
        if !block.valid(t, e) {
            continue;
        }
        dist.set(flows.outputs(), block.legal.at(t, e));
        let now = dist.log_prob(Actions { discrete: block.discrete.at(t, e), continuous: &[] });
        let ratio = f64::from(now - Behaviour::at(block, t, e).log_prob).exp();
        assert!((f64::from(ratios[at]) / ratio - 1.0).abs() < 1e-6);
        moved += usize::from((ratio - 1.0).abs() > 0.05);
    }
    assert!(moved > 5, "{moved} probabilities moved");

    let mut targets = |version| {
        old.blocks[0].weights_version = version;
        learner.estimate(&old.blocks, RewardTransform::Raw).unwrap();
        learner.batch.steps.iter().map(|step| step.target).collect::<Vec<_>>()
    };
    assert_ne!(targets(5), targets(0), "ratios that moved move the targets");

    // Learning from it says how old it was, and does not forget what the ratios were.
    let mut log = Log::default();
    learner.learn(&old.blocks, &mut Solo, &mut log).unwrap();
    let log = log.drain();
    let logged = |name: &str| log.iter().find(|(known, _)| *known == name).unwrap().1;
    assert!(logged("lag") == 5.0 && logged("approx_kl") > 1e-3, "{log:?}");

    learner.publish().unwrap();
    assert_eq!(weights.pull().unwrap(), 6);
    let mut new = World::new(&learner, &[4]);
    let greedy = Mode::Evaluate { epsilon: 0.0, greedy: true };
    for t in 0..6 {
        let chosen = [&mut old.policy, &mut new.policy].map(|policy| {
            policy.act(&mut old.blocks, t, greedy).unwrap();
            old.blocks[0].discrete.row(t).to_vec()
        });
        assert_eq!(chosen[0], chosen[1]);
    }
    assert!(self::learner(&spec, ppo().settings(), 4, 1).actor(0..4).unwrap().is_none());
}

#[test]
fn values_out_of_range_are_refused_in_one_line() {
    let refused = |config: ImpalaConfig| {
        let (spec, config) = (spec(&[3]), toml::Table::try_from(config).unwrap());
        let precision = Precision::F32;
        let context = Context { spec: &spec, config: &config, seats: 2, seed: 1, device: &Device::Cpu, precision };
        (entry("impala").build)(&context).err().unwrap().to_string()
    };
    assert_eq!(refused(ImpalaConfig { max_lag: 65, ..impala() }), "agent.max_lag: 65 is more than 64");
    assert_eq!(refused(ImpalaConfig { c_clip: -1.0, ..impala() }), "agent.c_clip: -1 is not a number from 0 on");
    assert_eq!(refused(ImpalaConfig { horizon: 0, ..impala() }), "agent.horizon: must be at least 1");
}

/// More rows than are evaluated in one batch.
#[test]
fn a_long_block_is_judged_row_by_row_as_a_short_one() {
    let mut learner = learner(&spec(&[3]), ImpalaConfig { horizon: 300, ..impala() }.settings(), 4, 1);
    let mut world = World::new(&learner, &[4]);
    world.collect();
    let block = &world.blocks[0];
    learner.evaluator.evaluate(&learner.net, block, &[0.0; 4]).unwrap();
    let PolicyRatios { values, ratios } = &learner.evaluator.evaluated;
    assert_eq!((values.len(), ratios.len()), (301 * 4, 300 * 4));
    let played = |&(t, e): &(usize, usize)| block.valid(t, e);
    for (t, e) in (0..300).flat_map(|t| (0..4).map(move |e| (t, e))).filter(played) {
        let at = t * 4 + e;
        assert_eq!((values[at], ratios[at]), (Behaviour::at(block, t, e).value, 1.0), "step {t} of seat {e}");
    }
}
