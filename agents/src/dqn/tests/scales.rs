//! Normalised features and scaled rewards, against what their definitions make of the same steps.

use super::*;

const SEATS: usize = 2;
/// Steps of a seat before the first update.
const BEFORE: usize = 20;

fn spec() -> Spec {
    super::spec([0, 0, 0], 1, 4, 3)
}

/// Everything that a scale can change is on; the first update is made at the step after `BEFORE` of both seats.
fn scaled(config: Config) -> Config {
    let (normalise_observations, reward_scale) = (true, RewardScale::Std);
    Config { normalise_observations, reward_scale, learning_starts: (SEATS * BEFORE) as u64 + 1, ..config }
}

/// Rows `from..=from + horizon` of seats whose episodes end every seventh step, with features far from 0 and of all sizes.
fn world(horizon: usize, from: usize, extra: usize) -> Rollout {
    let mut block = Rollout::new(&spec(), horizon, SEATS, extra);
    for t in 0..=horizon {
        let age = ((from + t) % 8) as u32;
        block.age.row_mut(t).fill(age);
        block.end.row_mut(t).fill(if age == 7 { End::Terminated } else { End::No });
        let features = draws(SEATS * 4, 900 + (from + t) as u32);
        let sizes = [0.01, 1.0, 30.0, 5.0].into_iter().cycle();
        let place = |(draw, size): (&f64, f64)| ((draw + 2.0) * size) as f32;
        block.vector.row_mut(t).iter_mut().zip(features.iter().zip(sizes)).for_each(|(v, pair)| *v = place(pair));
        let rewards = draws(2 * SEATS, 1900 + (from + t) as u32);
        for e in 0..SEATS {
            block.reward[(t, e)] = if age == 0 { 0.0 } else { (rewards[e] * 50.0 - 20.0) as f32 };
            if t < horizon {
                block.discrete[(t, e)] = (rewards[SEATS + e] * 3.0) as u32;
            }
        }
    }
    block
}

/// Mean and deviation by their definition, but for what is added to every variance.
fn of(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64 + 1e-8).sqrt())
}

/// Of each feature before the steps that were played.
fn features(block: &Rollout) -> Vec<(f64, f64)> {
    let of_feature = |i| {
        let steps = rl_replays::played(std::slice::from_ref(block));
        of(&steps.map(|(block, t, e)| f64::from(block.vector.at(t, e)[i])).collect::<Vec<_>>())
    };
    (0..4).map(of_feature).collect()
}

/// The deviation of the discounted returns of all steps of some blocks that follow each other.
fn deviation(blocks: &[&Rollout], gamma: f64) -> f64 {
    let mut returns = Vec::new();
    for e in 0..SEATS {
        let mut open = 0.0;
        for (block, t) in blocks.iter().flat_map(|block| (0..block.horizon()).map(move |t| (block, t))) {
            if block.valid(t, e) {
                open = gamma * open + f64::from(block.reward[(t + 1, e)]);
                returns.push(open);
            }
            if !block.valid(t, e) || block.end[(t + 1, e)].over() {
                open = 0.0;
            }
        }
    }
    of(&returns).1
}

/// The same rows as a learner without scales would have to see them.
fn prepared(block: &Rollout, features: &[(f64, f64)], deviation: f64) -> Rollout {
    let mut block = block.clone();
    for t in 0..=block.horizon() {
        for (x, (mean, deviation)) in block.vector.row_mut(t).iter_mut().zip(features.iter().cycle()) {
            *x = ((f64::from(*x) - mean) / deviation).clamp(-10.0, 10.0) as f32;
        }
        block.reward.row_mut(t).iter_mut().for_each(|x| *x = (f64::from(*x) / deviation).clamp(-10.0, 10.0) as f32);
    }
    block
}

/// What was stored before counts by the scales of today, whatever is learned from it.
#[test]
fn an_update_is_that_of_a_plain_learner_on_steps_that_were_scaled_by_hand() {
    for (name, config) in family::compositions(&config()) {
        let config = scaled(config);
        let plain = Config { normalise_observations: false, reward_scale: RewardScale::None, ..config.clone() };
        let mut dqn = learner(&spec(), &config, SEATS as u32).unwrap();
        let mut other = learner(&spec(), &plain, SEATS as u32).unwrap();
        let extra = dqn.plan().extra;
        let (first, last) = (world(BEFORE + 2, 0, extra), world(1, BEFORE + 2, extra));
        let (features, deviation) = (features(&first), deviation(&[&first, &last], config.gamma));
        for block in [&first, &last] {
            assert_eq!(dqn.updates(), 0, "{name}");
            dqn.learn(std::slice::from_ref(block), &mut Solo, &mut Log::default()).unwrap();
            let block = prepared(block, &features, deviation);
            other.learn(&[block], &mut Solo, &mut Log::default()).unwrap();
        }
        assert_eq!((dqn.updates(), other.updates()), (1, 1), "{name}");
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        close(&format!("targets, {name}"), &dqn.targets, &wide(&other.targets));
        close(&format!("parameters, {name}"), &flat(&dqn.params), &wide(&flat(&other.params)));
    }
}

fn statistics(dqn: &Dqn) -> Vec<f32> {
    dqn.params.buffers().flat_map(|(_, var)| var.to_vec1::<f32>().unwrap()).collect()
}

#[test]
fn a_policy_sees_by_the_statistics_of_earlier_blocks_and_an_evaluation_changes_none() {
    let config = Config { epsilon: family::constant(0.0), ..scaled(config()) };
    let mut dqn = learner(&spec(), &config, SEATS as u32).unwrap();
    assert_eq!(statistics(&dqn), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    let first = world(BEFORE, 0, 0);
    dqn.learn(std::slice::from_ref(&first), &mut Solo, &mut Log::default()).unwrap();
    let (after, features) = (statistics(&dqn), features(&first));
    for (i, (mean, deviation)) in features.iter().enumerate() {
        assert!((f64::from(after[i]) / mean - 1.0).abs() < 1e-6, "{after:?}");
        assert!((f64::from(after[4 + i]) * deviation - 1.0).abs() < 1e-5, "{after:?}");
    }
    let mut pass = crate::q_net::Pass::default();
    let mut choices = |block: &Rollout| -> Vec<u32> {
        let seen = |t| rl_perception::ObsBatch { rows: SEATS, frames: &[], vector: block.vector.row(t), symbols: &[] };
        let best = |values: &[f32]| crate::legal::argmax(values, &[]) as u32;
        let mut row = |t| -> Vec<u32> {
            let values = dqn.net.run(&seen(t), &crate::q_net::Draws::default(), &mut [], &mut pass).unwrap();
            values.chunks_exact(3).map(best).collect()
        };
        (0..block.horizon()).flat_map(&mut row).collect()
    };
    let mut block = world(60, 100, 0);
    (0..=60).for_each(|t| block.end.row_mut(t).fill(End::No));
    let (by_hand, raw) = (choices(&prepared(&block, &features, 1.0)), choices(&block));
    assert_ne!(by_hand, raw, "the statistics decide something");
    for mode in [Mode::Explore, Mode::Evaluate { epsilon: 0.0, greedy: true }] {
        let mut policy = dqn.policy(0..SEATS as u32).unwrap();
        (0..60).for_each(|t| policy.act(std::slice::from_mut(&mut block), t, mode).unwrap());
        let chosen: Vec<u32> = (0..60).flat_map(|t| block.discrete.row(t).to_vec()).collect();
        let agreed = chosen.iter().zip(&by_hand).filter(|(chosen, by_hand)| chosen == by_hand).count();
        assert!(agreed >= chosen.len() - 1, "{agreed}: a tie may fall to either side");
    }
    assert_eq!(statistics(&dqn), after);
    // Statistics are part of the weights.
    let mut other = learner(&spec(), &config, SEATS as u32).unwrap();
    load(&mut other, &save(&mut dqn)[..1]);
    assert_eq!(statistics(&other), after);
}

#[test]
fn what_is_shown_counts_in_the_scales_as_what_is_played() {
    let (first, last) = (world(BEFORE, 0, 0), world(1, BEFORE, 0));
    let scales = |begin: fn(&mut Dqn, &[Rollout]) -> Result<()>| {
        let mut dqn = learner(&spec(), &scaled(config()), SEATS as u32).unwrap();
        begin(&mut dqn, std::slice::from_ref(&first)).unwrap();
        let features = statistics(&dqn);
        let mut log = Log::default();
        dqn.learn(std::slice::from_ref(&last), &mut Solo, &mut log).unwrap();
        (features, log.drain().into_iter().find(|(name, _)| *name == "reward_scale"))
    };
    let played = scales(|dqn, blocks| dqn.learn(blocks, &mut Solo, &mut Log::default()));
    assert!(played.0[0] != 0.0 && played.1.is_some(), "{played:?}");
    assert_eq!(scales(|dqn, blocks| dqn.add_demonstrations(blocks)), played);
}

#[test]
fn a_loaded_learner_goes_on_with_its_scales() {
    let compositions = family::compositions(&config());
    for (name, config) in compositions.into_iter().filter(|(name, _)| ["plain", "r2d2"].contains(name)) {
        let config = scaled(config);
        let mut first = learner(&spec(), &config, SEATS as u32).unwrap();
        let extra = first.plan().extra;
        let learn = |dqn: &mut Dqn, from: usize| {
            for row in from..from + 30 {
                dqn.learn(&[world(1, row, extra)], &mut Solo, &mut Log::default()).unwrap();
            }
        };
        learn(&mut first, 0);
        let mut second = learner(&spec(), &config, SEATS as u32).unwrap();
        load(&mut second, &save(&mut first));
        let names: Vec<String> = second.state().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["target", "adam", "replay", "progress", "features", "rewards"]);
        learn(&mut first, 30);
        learn(&mut second, 30);
        assert!(second.updates() > 0 && save(&mut first) == save(&mut second), "{name}");
    }
}

#[test]
fn members_share_their_scales() {
    let member = |offset: usize, mut pair: Pair| {
        let mut dqn = learner(&spec(), &scaled(config()), SEATS as u32).unwrap();
        for row in 0..40 {
            dqn.learn(&[world(1, row + offset, 0)], &mut pair, &mut Log::default()).unwrap();
        }
        let mut weights = Vec::new();
        dqn.weights().save(&mut weights).unwrap();
        weights
    };
    let (left, right) = Pair::run(|pair| member(0, pair), |pair| member(400, pair));
    assert!(left == right, "weights and the statistics among them");
}

#[test]
fn features_that_are_not_shown_are_not_normalised() {
    let symbols = Spec { vector: 0, symbols: [4].into(), ..spec() };
    let error = learner(&symbols, &scaled(config()), 1).err().unwrap().to_string();
    let said = "agent.normalise_observations: this environment shows no features to normalise: set it to false";
    assert_eq!(error, said);
}
