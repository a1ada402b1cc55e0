//! Updates by hand, what is saved, and what is refused.

use candle_core::Device;
use rl_core::{End, Solo};
use rl_nn::Precision;

use super::*;
use crate::testing::{Pair, explores_less_and_less, load, save};

const GAMMA: f64 = 0.5;

fn spec() -> Spec {
    let (symbols, discrete, continuous) = ([3, 2].into(), [2].into(), [].into());
    Spec { frame: [0; 3], stack: 1, vector: 0, symbols, mask: false, discrete, continuous }
}

fn config(rate_power: f64) -> Config {
    let epsilon = Schedule { start: 0.0, end: 0.0, steps: 0, delay: 0 };
    Config { rate_power, gamma: GAMMA, initial: 4.0, horizon: 2, epsilon, reward_scale: RewardScale::None }
}

fn learner(config: &Config) -> Tabular {
    let (spec, table) = (spec(), toml::Table::try_from(config).unwrap());
    let precision = Precision::F32;
    Tabular::new(&Context { spec: &spec, config: &table, seats: 1, seed: 1, device: &Device::Cpu, precision }).unwrap()
}

/// Two steps of one seat: from state (0, 1) by action 1 to (2, 0), reward 3; from there by action 0 to (1, 1), reward -1.
fn block(end: End) -> Rollout {
    let mut block = Rollout::new(&spec(), 2, 1, 0);
    for (t, symbols) in [[0, 1], [2, 0], [1, 1]].iter().enumerate() {
        block.symbols.row_mut(t).copy_from_slice(symbols);
        block.age[(t, 0)] = t as u32;
    }
    (block.discrete[(0, 0)], block.discrete[(1, 0)]) = (1, 0);
    (block.reward[(1, 0)], block.reward[(2, 0)]) = (3.0, -1.0);
    block.end[(2, 0)] = end;
    block
}

#[test]
fn a_value_moves_towards_its_reward_and_the_best_that_follows() {
    for (end, last) in [(End::No, -1.0 + 0.5 * 4.0), (End::Truncated, -1.0 + 0.5 * 4.0), (End::Terminated, -1.0)] {
        let mut learner = learner(&config(0.0));
        learner.learn(&[block(end)], &mut Solo, &mut Log::default()).unwrap();
        let values = learner.table.values().clone();
        let changed: Vec<(usize, f32)> =
            values.iter().copied().enumerate().filter(|(_, value)| *value != 4.0).collect();
        // State (0, 1) is number 1, state (2, 0) number 4; a state has two values.
        assert_eq!(changed, [(3, 3.0 + 0.5 * 4.0), (8, last)], "{end:?}");
    }
}

#[test]
fn rewards_are_scaled_before_they_are_learned() {
    let mut learner = learner(&Config { reward_scale: RewardScale::Sign, ..config(0.0) });
    learner.learn(&[block(End::No)], &mut Solo, &mut Log::default()).unwrap();
    assert_eq!(learner.table.values()[3], 1.0 + 0.5 * 4.0, "the reward was 3");
    let mut learner = self::learner(&Config { reward_scale: RewardScale::Std, ..config(0.0) });
    let parts: Vec<String> = learner.state().into_iter().map(|(name, _)| name).collect();
    assert_eq!(parts, ["visits", "progress", "rewards"]);
}

#[test]
fn the_nth_step_is_smaller_and_the_table_becomes_the_mean() {
    let mut learner = learner(&config(1.0));
    for reward in [1.0, 2.0, 6.0] {
        let mut block = block(End::Terminated);
        block.reward[(2, 0)] = reward;
        learner.learn(&[block], &mut Solo, &mut Log::default()).unwrap();
    }
    assert!((learner.table.values()[8] - 3.0).abs() < 1e-6);
    assert_eq!(learner.visits.0[8], 3);
}

#[test]
fn a_policy_explores_less_as_steps_pass() {
    let epsilon = Schedule { start: 1.0, end: 0.0, steps: 400, delay: 0 };
    explores_less_and_less(&learner(&Config { epsilon, ..config(0.0) }), &spec());
}

#[test]
fn members_have_equal_tables() {
    let member = |mut pair: Pair, reward: f32| {
        let mut learner = learner(&config(0.0));
        let mut block = block(End::Terminated);
        block.reward[(2, 0)] = reward;
        learner.learn(&[block], &mut pair, &mut Log::default()).unwrap();
        learner.table.values().clone()
    };
    let (left, right) = Pair::run(|pair| member(pair, 1.0), |pair| member(pair, 5.0));
    assert_eq!((left[8], left[3]), (3.0, 3.0 + 0.5 * 4.0), "the mean of 1 and 5, and what both saw");
    assert_eq!(left, right);
}

#[test]
fn the_best_legal_action_is_taken_and_a_saved_learner_goes_on_alike() {
    let mut learner = learner(&config(0.6));
    learner.learn(&[block(End::No)], &mut Solo, &mut Log::default()).unwrap();
    let act = |learner: &Tabular| {
        let mut policy = learner.policy(0..1).unwrap();
        let mut block = block(End::No);
        (0..2)
            .map(|t| {
                policy.act(std::slice::from_mut(&mut block), t, Mode::Evaluate { epsilon: 0.0, greedy: true }).unwrap();
                block.discrete[(t, 0)]
            })
            .collect::<Vec<_>>()
    };
    let values = learner.table.values().clone();
    let best = |at: usize| u32::from(values[at + 1] > values[at]);
    assert_eq!(act(&learner), [best(2), best(8)]);
    assert_ne!(values[2], values[3]);

    let bytes = save(&mut learner);
    let mut other = self::learner(&config(0.6));
    load(&mut other, &bytes);
    for learner in [&mut learner, &mut other] {
        learner.learn(&[block(End::Truncated)], &mut Solo, &mut Log::default()).unwrap();
    }
    assert_eq!(*learner.table.values(), *other.table.values());
}

#[test]
fn what_a_table_cannot_hold_is_refused_in_a_line() {
    let refused = |spec: Spec| refuses(&spec).unwrap();
    assert!(refuses(&spec()).is_none());
    assert!(refused(Spec { vector: 4, ..spec() }).contains("symbols alone"));
    assert!(refused(Spec { symbols: [].into(), ..spec() }).contains("symbols alone"));
    assert!(refused(Spec { discrete: [2, 2].into(), ..spec() }).contains("one discrete action"));
    assert!(refused(Spec { symbols: [1 << 20, 1 << 20].into(), ..spec() }).contains("values at most"));
}

#[test]
fn what_is_not_legal_is_worth_nothing_to_the_state_before() {
    let (spec, table) = (Spec { mask: true, ..spec() }, toml::Table::try_from(config(0.0)).unwrap());
    let context =
        Context { spec: &spec, config: &table, seats: 1, seed: 1, device: &Device::Cpu, precision: Precision::F32 };
    let mut learner = Tabular::new(&context).unwrap();
    let plain = block(End::No);
    let mut block = Rollout::new(&spec, 2, 1, 0);
    for t in 0..=2 {
        block.symbols.row_mut(t).copy_from_slice(plain.symbols.row(t));
        block.legal.row_mut(t).copy_from_slice(if t == 2 { &[0, 1] } else { &[1, 1] });
        (block.age[(t, 0)], block.reward[(t, 0)]) = (plain.age[(t, 0)], plain.reward[(t, 0)]);
    }
    (block.discrete[(0, 0)], block.discrete[(1, 0)]) = (1, 0);
    // State (1, 1), in which the first action is forbidden, is number 3.
    learner.table.values()[6..8].copy_from_slice(&[9.0, 2.0]);
    learner.learn(&[block], &mut Solo, &mut Log::default()).unwrap();
    assert_eq!(learner.table.values()[8], -1.0 + 0.5 * 2.0);
}
