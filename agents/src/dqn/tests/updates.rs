//! What an update of the learner reads and leaves: exponents, priorities, legal actions, the scale of rewards.

use super::*;

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
    let grows = |end| Schedule { start: 0.0, end, steps: 10, delay: 0 };
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
    let (alpha, temperature, floor) = (0.9, 0.5, -100.0);
    let munchausen = Bootstrap::Munchausen { alpha, temperature, floor };
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
            // What would be best is forbidden; where the action was taken, another, or that action itself if it was shown.
            let best = |values: &[f32], without: usize| {
                let rest = (0..3).filter(|&action| action != without);
                rest.max_by(|&a, &b| of(values, a).total_cmp(&of(values, b))).unwrap()
            };
            let (forbidden, taken) = (best(chooser, 3), sample.discrete.row(row)[0] as usize);
            let (shown, not_taken) = (row == 0, (taken + usize::from(row > 0)) % 3);
            let all_but = |without: u32| [0, 1, 2].map(|action| u8::from(action != without));
            sample.next.legal.row_mut(row).copy_from_slice(&all_but(forbidden as u32));
            sample.obs.legal.row_mut(row).copy_from_slice(&all_but(not_taken as u32));
            let soft = |values: &[f32], without: usize| {
                let rest = (0..3).filter(|&action| action != without);
                temperature * rest.map(|action| (of(values, action) / temperature).exp()).sum::<f64>().ln()
            };
            let (future, more) = match bootstrap {
                Bootstrap::Greedy {} => (of(&next, best(chooser, forbidden)), 0.0),
                _ if shown => (soft(&next, forbidden), alpha * floor),
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
    let falls = Config { epsilon: Schedule { start: 1.0, end: 0.0, steps: 80, delay: 0 }, ..config() };
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

#[test]
fn steps_that_do_not_begin_with_the_newest_row_are_an_error() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let mut dqn = learner(&spec, &config(), 1).unwrap();
    dqn.learn(&[rows(&spec, 1, 2, 0, 0)], &mut Solo, &mut Log::default()).unwrap();
    let later = [rows(&spec, 1, 2, 3, 0)];
    let learned = dqn.learn(&later, &mut Solo, &mut Log::default());
    for refused in [learned, dqn.add_demonstrations(&later)] {
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with("saved state of replay: row 0 "), "{error}");
    }
}
