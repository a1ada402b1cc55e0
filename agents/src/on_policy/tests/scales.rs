//! Continuous actions, normalised observations and scaled rewards.

use super::*;

/// Two continuous actions, of which the first one's interval is from 0 to 4.
fn continuous() -> Spec {
    Spec { continuous: [Bound { low: 0.0, high: 4.0 }, Bound { low: -1.0, high: 1.0 }].into(), ..spec(&[]) }
}

/// Everything that a scale can change is on.
fn scaled() -> PpoConfig {
    PpoConfig { normalise_observations: true, reward_scale: RewardScale::Std, ..ppo() }
}

#[test]
fn the_environment_gets_what_fits_and_the_learner_what_was_drawn() {
    let learner = learner(&continuous(), ppo().settings(), 8, 1);
    let mut world = World::new(&learner, &[3, 5]);
    world.collect();
    let mut clipped = 0;
    for block in &world.blocks {
        for (t, e) in (0..6).flat_map(|t| (0..block.seats()).map(move |e| (t, e))).filter(|&(t, e)| block.valid(t, e)) {
            let (given, drawn) = (block.continuous.at(t, e), Behaviour::at(block, t, e).drawn);
            assert_eq!(given, [(2.0 + 2.0 * drawn[0]).clamp(0.0, 4.0), drawn[1].clamp(-1.0, 1.0)]);
            clipped += drawn.iter().filter(|drawn| drawn.abs() > 1.0).count();
        }
    }
    assert!(clipped > 10, "{clipped} draws lie outside");
    // The ratio of the first update is 1: what was drawn is what is learned from.
    let mut learner = learner;
    let mut log = Log::default();
    learner.settings.epochs = 1;
    learner.settings.minibatches = 1;
    learner.learn(&world.blocks, &mut Solo, &mut log).unwrap();
    let kl = log.drain().into_iter().find(|(name, _)| *name == "approx_kl").unwrap().1;
    assert_eq!(kl, 0.0);
}

#[test]
fn an_evaluation_takes_the_mean_or_acts_at_random_within_the_interval() {
    let learner = learner(&continuous(), ppo().settings(), 64, 1);
    let mut weights = vec![0.0; learner.params.len()];
    let at = (0..weights.len()).find(|&i| learner.params.name_at(i) == "policy_head.bias").unwrap();
    (weights[at], weights[at + 1]) = (0.5, -3.0);
    learner.params.write(&weights).unwrap();
    let act = |mode| {
        let mut blocks = [Rollout::new(&learner.spec, 20, 64, Behaviour::width(&learner.spec, 0))];
        blocks[0].age.row_mut(0).fill(1);
        let mut policy = learner.policy(0..64).unwrap();
        (0..20).for_each(|t| policy.act(&mut blocks, t, mode).unwrap());
        assert!(mode == Mode::Explore || (0..20).all(|t| blocks[0].extra.row(t).iter().all(|&kept| kept == 0.0)));
        (0..20).flat_map(|t| blocks[0].continuous.row(t).to_vec()).collect::<Vec<f32>>()
    };
    let evaluate = |epsilon, greedy| Mode::Evaluate { epsilon, greedy };
    assert!(act(evaluate(0.0, true)).chunks(2).all(|pair| pair == [3.0, -1.0]));
    let mean = |actions: &[f32]| actions.iter().step_by(2).sum::<f32>() / (actions.len() / 2) as f32;
    let random = act(evaluate(1.0, true));
    assert!((mean(&random) - 2.0).abs() < 0.15 && random.iter().step_by(2).any(|&action| action > 3.5));
    for mode in [Mode::Explore, evaluate(0.0, false)] {
        let drawn = act(mode);
        assert!(drawn.chunks(2).any(|pair| pair != [3.0, -1.0]) && (2.4..3.0).contains(&mean(&drawn)), "{mode:?}");
    }
}

#[test]
fn scaled_runs_have_the_same_bits_in_any_groups_and_follow_their_seed() {
    for spec in [continuous(), spec(&[3, 2])] {
        let run = |sizes: &[usize], seed| {
            let mut learner = learner(&spec, scaled().settings(), 4, seed);
            let actions = World::new(&learner, sizes).rounds(&mut learner, 4);
            (actions, save(&mut learner))
        };
        let one = run(&[4], 1);
        for sizes in [&[1, 3][..], &[2, 2], &[1, 1, 1, 1]] {
            assert!(run(sizes, 1) == one, "{sizes:?}");
        }
        assert!(run(&[4], 2) != one);
    }
}

#[test]
fn a_loaded_learner_goes_on_with_its_scales() {
    let settings = scaled().settings();
    let mut first = learner(&continuous(), settings.clone(), 4, 1);
    let mut world = World::new(&first, &[4]);
    world.rounds(&mut first, 3);
    let mut second = learner(&continuous(), settings, 4, 1);
    load(&mut second, &save(&mut first));
    let mut names: Vec<String> = second.state().into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["features", "optimiser", "progress", "rewards"]);
    world.collect();
    for learner in [&mut first, &mut second] {
        learner.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap();
    }
    assert!(save(&mut first) == save(&mut second));
}

#[test]
fn features_are_seen_by_the_statistics_of_earlier_rounds_and_evaluation_changes_none() {
    let mut learner = learner(&spec(&[3]), scaled().settings(), 4, 1);
    let mut world = World::new(&learner, &[4]);
    let statistics = |learner: &OnPolicy| -> Vec<f32> {
        learner.params.buffers().flat_map(|(_, var)| var.to_vec1::<f32>().unwrap()).collect()
    };
    assert_eq!(statistics(&learner), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    world.collect();
    let seen: Vec<&[f32]> = rl_replays::played(&world.blocks).map(|(block, t, e)| block.vector.at(t, e)).collect();
    let mean = seen.iter().map(|row| f64::from(row[2])).sum::<f64>() / seen.len() as f64;
    let variance = seen.iter().map(|row| (f64::from(row[2]) - mean).powi(2)).sum::<f64>() / seen.len() as f64;
    learner.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap();
    let after = statistics(&learner);
    assert!((f64::from(after[2]) - mean).abs() < 1e-6, "{after:?}");
    assert!((f64::from(after[6]) - 1.0 / variance.sqrt()).abs() < 1e-5, "{after:?}");
    // Statistics are part of the weights: what an evaluation loads, it does not change.
    let mut other = self::learner(&spec(&[3]), scaled().settings(), 4, 2);
    load(&mut other, &save(&mut learner)[..1]);
    assert_eq!(statistics(&other), after);
    let mut policy = other.policy(0..4).unwrap();
    policy.act(&mut world.blocks, 0, Mode::Evaluate { epsilon: 0.0, greedy: false }).unwrap();
    assert_eq!(statistics(&other), after);
}

#[test]
fn what_is_learned_from_is_seen_as_it_was_acted_on() {
    let once = PpoConfig { epochs: 1, minibatches: 1, ..scaled() };
    let mut learner = learner(&spec(&[3]), once.settings(), 4, 1);
    let mut world = World::new(&learner, &[1, 3]);
    for round in 0..4 {
        world.collect();
        let mut log = Log::default();
        learner.learn(&world.blocks, &mut Solo, &mut log).unwrap();
        // With other statistics than those of the act, the policy would be another one.
        let kl = log.drain().into_iter().find(|(name, _)| *name == "approx_kl").unwrap().1;
        assert_eq!(kl, 0.0, "round {round}");
        world.blocks.iter_mut().for_each(Rollout::carry);
    }
}

#[test]
fn members_share_their_scales() {
    let spec = spec(&[3]);
    let member = |seats: usize, mut pair: Pair| {
        let mut learner = learner(&spec, scaled().settings(), seats as u32, 1);
        let mut world = World::new(&learner, &[seats]);
        for _ in 0..4 {
            world.collect();
            learner.learn(&world.blocks, &mut pair, &mut Log::default()).unwrap();
            world.blocks[0].carry();
        }
        let mut weights = Vec::new();
        learner.weights().save(&mut weights).unwrap();
        weights
    };
    let (left, right) = Pair::run(|pair| member(1, pair), |pair| member(3, pair));
    assert!(left == right, "weights and the statistics among them");
}
