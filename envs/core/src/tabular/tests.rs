//! Tables of a few states whose answers are known on paper.

use super::*;

#[test]
fn returns_from_each_state_agree_with_the_expectation_at_the_start() {
    let stay = vec![way(1.0, 0, -1.0, false)];
    let go = vec![way(1.0, 1, 0.0, false)];
    let end = vec![way(1.0, 1, 5.0, true)];
    let table =
        FiniteMdp::new(vec![0.25, 0.75], Some(3), vec![vec![stay, go.clone()], vec![end.clone(), end]]).unwrap();
    let policy = table.policy(&[0, 0], 0.0);
    let returns = table.expected_returns(&policy);
    assert_eq!(returns, [-3.0, 5.0]);
    assert_eq!(table.at_start(&returns), table.evaluate(&policy).mean);
}

fn way(probability: f64, next: u32, reward: f64, terminated: bool) -> Transition {
    Transition { probability, next, reward, terminated }
}

/// One state: action 0 ends with 1, action 1 flips a coin between ending with 3 and staying for nothing.
fn coin(limit: Option<u32>) -> FiniteMdp {
    let flip = vec![way(0.5, 0, 3.0, true), way(0.5, 0, 0.0, false)];
    FiniteMdp::new(vec![1.0], limit, vec![vec![vec![way(1.0, 0, 1.0, true)], flip]]).unwrap()
}

#[test]
fn a_reward_that_is_not_finite_is_refused() {
    for reward in [f64::NAN, f64::INFINITY] {
        let refused = FiniteMdp::new(vec![1.0], None, vec![vec![vec![way(1.0, 0, reward, true)]]]).unwrap_err();
        assert!(refused.to_string().contains("state 0, action 0 has a reward of"), "{refused}");
    }
}

#[test]
fn evaluation_gives_mean_deviation_and_steps_of_a_geometric_episode() {
    let coin = coin(None);
    let exact = coin.evaluate(&coin.policy(&[1], 0.0));
    assert!((exact.mean - 3.0).abs() < 1e-12 && exact.std < 1e-6 && (exact.steps - 2.0).abs() < 1e-12, "{exact:?}");
}

#[test]
fn a_limit_cuts_what_would_have_followed() {
    let coin = coin(Some(2));
    let exact = coin.evaluate(&coin.policy(&[1], 0.0));
    assert_eq!((exact.mean, exact.steps), (2.25, 1.5)); // 3 with probability ¾; the second step half of the time
    assert!((exact.std - 3.0 * (0.75f64 * 0.25).sqrt()).abs() < 1e-12);
}

#[test]
fn the_optimum_counts_its_steps() {
    // With one step left the coin is worth 1.5, more than the sure 1; with two 2.25.
    assert_eq!(coin(Some(1)).optimum(), 1.5);
    assert_eq!(coin(Some(2)).optimum(), 2.25);
    assert!((coin(None).optimum() - 3.0).abs() < 1e-12);
}

#[test]
fn epsilon_mixes_every_action_in() {
    let coin = coin(Some(1));
    assert_eq!(coin.policy(&[1], 0.5), [0.25, 0.75]);
    assert_eq!(coin.evaluate(&coin.policy(&[0], 0.5)).mean, 0.75 * 1.0 + 0.25 * 1.5);
}

#[test]
fn of_a_mask_only_legal_actions_are_drawn_and_best() {
    let coin = coin(Some(1)).showing(vec![0], vec![1, 0]);
    assert_eq!(coin.policy(&[0], 0.5), [1.0, 0.0]);
    assert_eq!((coin.optimum(), coin.greedy(&[0.0], 1.0)), (1.0, vec![0]), "the coin is worth more, and not allowed");
}

#[test]
fn a_policy_that_never_ends_is_found() {
    // From 0 to 1 or to the end; from 1 nowhere else.
    let (stay, end) = (vec![way(1.0, 1, -1.0, false)], vec![way(1.0, 0, 0.0, true)]);
    let table = |limit| {
        FiniteMdp::new(vec![1.0, 0.0], limit, vec![vec![stay.clone(), end.clone()], vec![stay.clone(), stay.clone()]])
            .unwrap()
    };
    let endless = |limit, actions: [u32; 2], epsilon| {
        let table = table(limit);
        table.endless(&table.policy(&actions, epsilon))
    };
    assert_eq!(endless(None, [0, 0], 0.0), Some(0));
    assert_eq!(endless(None, [1, 0], 0.0), None, "it never comes there");
    assert_eq!(endless(None, [1, 0], 0.1), Some(1));
    assert_eq!(endless(Some(9), [0, 0], 0.0), None);
}

#[test]
fn discounted_values_and_greedy_actions_agree() {
    let coin = coin(None);
    let value = coin.value_iteration(0.9);
    assert!((value[0] - 1.5 / (1.0 - 0.45)).abs() < 1e-12, "{value:?}");
    assert_eq!(coin.greedy(&value, 0.9), [1]);
    assert_eq!(coin.greedy(&[0.0], 0.0), [1]);
}

#[test]
fn the_unit_of_rewards_changes_no_policy_and_no_digit_that_counts() {
    for unit in [1e-11, 1.0, 1e9] {
        let flip = vec![way(0.5, 0, 3.0 * unit, true), way(0.5, 0, 0.0, false)];
        let sure = vec![way(1.0, 0, unit, true)];
        let coin = FiniteMdp::new(vec![1.0], None, vec![vec![sure, flip]]).unwrap();
        let value = coin.value_iteration(1.0);
        assert!((value[0] / unit - 3.0).abs() < 1e-12 && coin.greedy(&value, 1.0) == [1], "{unit}: {value:?}");
        // It flips until it is paid: nothing varies but the number of steps.
        let exact = coin.evaluate(&coin.policy(&[1], 0.0));
        assert!((exact.mean / unit - 3.0).abs() < 1e-12 && exact.std / unit < 1e-12, "{unit}: {exact:?}");
    }
    // A large mean hides no small deviation.
    let flip = vec![way(0.5, 0, 1e9 - 1.0, true), way(0.5, 0, 1e9 + 1.0, true)];
    let coin = FiniteMdp::new(vec![1.0], Some(1), vec![vec![flip]]).unwrap();
    assert_eq!(coin.evaluate(&[1.0]), Exact { mean: 1e9, std: 1.0, steps: 1.0 });
}

#[test]
fn states_show_themselves_unless_it_is_said_what_they_show() {
    let coin = coin(None);
    assert_eq!((coin.symbols(), coin.legal()), (&[0][..], &[][..]));
    let shown = coin.clone().showing(vec![7, 8], vec![1, 1]);
    assert_eq!((shown.symbols(), shown.legal()), (&[7, 8][..], &[1, 1][..]));
    assert_eq!(shown.optimum(), coin.optimum());
}

#[test]
#[should_panic(expected = "1 flags of 2 actions")]
fn flags_are_one_per_action() {
    let _ = coin(None).showing(vec![0], vec![1]);
}

#[test]
fn tables_that_do_not_close_are_refused() {
    let bad = |start: Vec<f64>, outcomes| FiniteMdp::new(start, None, outcomes).unwrap_err().to_string();
    assert!(bad(vec![], vec![]).contains("at least one state"));
    assert!(bad(vec![0.5], vec![vec![vec![way(1.0, 0, 0.0, true)]]]).contains("start"));
    assert!(bad(vec![1.0], vec![vec![vec![way(0.9, 0, 0.0, true)]]]).contains("sum to 0.9"));
    assert!(bad(vec![1.0], vec![vec![vec![way(1.0, 1, 0.0, true)]]]).contains("leads to 1"));
    let ragged = vec![vec![vec![way(1.0, 0, 0.0, true)]], vec![]];
    assert!(bad(vec![1.0, 0.0], ragged).contains("state 1 has 0 actions"));
}

#[test]
fn rounding_decides_no_tie_of_rewards_that_cancel() {
    // 0.3 - 0.1 - 0.2 is not 0 in binary, and the other action is worth exactly that.
    let (fork, stop) = (vec![way(1.0, 1, 0.0, false)], vec![way(1.0, 0, 0.0, true)]);
    let only = |to: u32, reward: f64, terminated: bool| vec![vec![way(1.0, to, reward, terminated)]; 2];
    for unit in [2.0f64.powi(-40), 1.0, 2.0f64.powi(40)] {
        let rest = [only(2, 0.3 * unit, false), only(3, -0.1 * unit, false), only(0, -0.2 * unit, true)];
        let all = std::iter::once(vec![fork.clone(), stop.clone()]).chain(rest).collect();
        let table = FiniteMdp::new(vec![1.0, 0.0, 0.0, 0.0], None, all).unwrap();
        let values = table.value_iteration(1.0);
        assert_ne!(values[1], 0.0, "{unit}: the test needs a sum that rounds");
        assert_eq!(table.greedy(&values, 1.0)[0], 0, "{unit}");
    }
}

#[test]
fn a_slow_end_is_waited_for() {
    // Ends with a chance of one in ten thousand a step, each of which costs 1.
    let ways = vec![way(1e-4, 0, -1.0, true), way(1.0 - 1e-4, 0, -1.0, false)];
    let table = FiniteMdp::new(vec![1.0], None, vec![vec![ways]]).unwrap();
    let exact = table.evaluate(&[1.0]);
    assert!((exact.mean / -1e4 - 1.0).abs() < 3e-11 && (exact.steps / 1e4 - 1.0).abs() < 3e-11, "{exact:?}");
    assert!((table.optimum() / -1e4 - 1.0).abs() < 3e-11);
}

#[test]
fn the_value_of_a_state_that_ends_does_not_matter() {
    assert_eq!(coin(None).greedy(&[f64::NEG_INFINITY], 1.0), [0], "an end with 1 is better than what may go on");
}
