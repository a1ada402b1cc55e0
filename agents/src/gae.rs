//! Generalised advantage estimation on time-major blocks.
//! Source: Schulman et al. 2016, eq. 16, with the ends that it leaves open: a terminal step does not bootstrap; a
//! truncated one bootstraps from the value of the true last observation, which the row after it holds; a reset is no step.

use rl_core::{Future, LifeLoss};
use rl_replays::{RewardTransform, Rollout};

/// Settings of generalised advantage estimation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gae {
    /// Discount γ per agent step, 0 to 1.
    pub(crate) gamma: f32,
    /// Decay λ of later TD errors per agent step, 0 to 1.
    pub(crate) lambda: f32,
    /// Whether a lost life ends a return.
    pub(crate) life_loss: LifeLoss,
}

impl Gae {
    /// Appends the advantages of a block, `[T, N]`, to `out`; 0 where no step was played.
    ///
    /// `transform` transforms rewards. `value(t, e)` is the value of seat `e` at row `t`, from 0 to `T`; it is not called
    /// for the row after a terminal step. `carry` is scratch memory.
    pub(crate) fn append(
        &self,
        block: &Rollout,
        transform: RewardTransform,
        value: impl Fn(usize, usize) -> f32,
        carry: &mut Vec<f32>,
        out: &mut Vec<f32>,
    ) {
        let (horizon, envs, from) = (block.horizon(), block.seats(), out.len());
        out.resize(from + horizon * envs, 0.0);
        carry.clear();
        carry.resize(envs, 0.0);
        for (t, row) in out[from..].chunks_exact_mut(envs).enumerate().rev() {
            let (ages, ends, rewards) = (block.age.row(t + 1), block.end.row(t + 1), block.reward.row(t + 1));
            for e in 0..envs {
                if ages[e] == 0 {
                    // Nothing passes a reset, not even one that no end announced: an engine was lost.
                    carry[e] = 0.0;
                    continue;
                }
                let future = match self.life_loss.future(ends[e]) {
                    Future::Zero => 0.0,
                    Future::Bootstraps => self.gamma * value(t + 1, e),
                    Future::Continues => self.gamma * (value(t + 1, e) + self.lambda * carry[e]),
                };
                carry[e] = transform.of(rewards[e]) + future - value(t, e);
                row[e] = carry[e];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rl_core::{End, Spec};

    use super::*;

    /// What happens to a seat in one call: an end, or none and the episode is lost, a reward, and the value of what it sees then.
    type Event = (Option<End>, f32, f32);

    fn block(seats: &[Vec<Event>], begins_over: &[bool]) -> (Rollout, Vec<Vec<f32>>) {
        let (symbols, discrete, continuous) = ([].into(), [2].into(), [].into());
        let spec = Spec { frame: [0; 3], stack: 1, vector: 1, symbols, mask: false, discrete, continuous };
        let horizon = seats[0].len() - 1;
        let mut block = Rollout::new(&spec, horizon, seats.len(), 0);
        for (e, events) in seats.iter().enumerate() {
            let mut over = begins_over[e];
            block.age.row_mut(0)[e] = 5;
            block.end.row_mut(0)[e] = if over { End::Truncated } else { End::No };
            for (t, &(end, reward, _)) in events.iter().enumerate().skip(1) {
                // As environments do it: the call after an end resets, and is no step.
                let (age, end, reward) = match end {
                    Some(end) if !over => (block.age[(t - 1, e)] + 1, end, reward),
                    _ => (0, End::No, 0.0),
                };
                (block.age[(t, e)], block.end[(t, e)], block.reward[(t, e)]) = (age, end, reward);
                over = end.over();
            }
        }
        (block, seats.iter().map(|events| events.iter().map(|event| event.2).collect()).collect())
    }

    /// Σ (γλ)^k δ_{t+k} of one seat, by its definition: forward from each step, to the end of its episode or block.
    fn naive(gae: &Gae, transform: RewardTransform, block: &Rollout, values: &[Vec<f32>], t: usize, e: usize) -> f64 {
        let (mut sum, mut weight) = (0.0, 1.0);
        for s in (t..block.horizon()).take_while(|&s| block.valid(s, e)) {
            let end = block.end[(s + 1, e)];
            let dead = end == End::Terminated || (end == End::LifeLost && gae.life_loss == LifeLoss::Terminal);
            let reward = f64::from(transform.of(block.reward[(s + 1, e)]));
            let next = if dead { 0.0 } else { f64::from(values[e][s + 1]) };
            sum += weight * (reward + f64::from(gae.gamma) * next - f64::from(values[e][s]));
            if dead || end == End::Truncated {
                break;
            }
            weight *= f64::from(gae.gamma) * f64::from(gae.lambda);
        }
        sum
    }

    fn advantages(gae: &Gae, transform: RewardTransform, block: &Rollout, values: &[Vec<f32>]) -> Vec<f32> {
        let mut out = vec![7.0; 3]; // what stands there already stays
        gae.append(block, transform, |t, e| values[e][t], &mut vec![9.0], &mut out);
        assert_eq!(out[..3], [7.0; 3]);
        out.split_off(3)
    }

    fn events() -> impl Strategy<Value = Vec<(Vec<Event>, bool)>> {
        let end = prop_oneof![
            6 => Just(Some(End::No)),
            1 => Just(Some(End::LifeLost)),
            1 => Just(Some(End::Truncated)),
            1 => Just(Some(End::Terminated)),
            1 => Just(None),
        ];
        let event = (end, -2.0f32..2.0, -5.0f32..5.0);
        (2usize..20, 1usize..4).prop_flat_map(move |(rows, seats)| {
            let seat = (prop::collection::vec(event.clone(), rows), any::<bool>());
            prop::collection::vec(seat, seats)
        })
    }

    fn transform() -> impl Strategy<Value = RewardTransform> {
        prop_oneof![
            Just(RewardTransform::Raw),
            Just(RewardTransform::Sign),
            (0.1f32..20.0).prop_map(RewardTransform::Times)
        ]
    }

    proptest! {
        #[test]
        fn equals_the_sum_of_its_definition_whatever_ends(
            seats in events(), gamma in 0.0f32..=1.0, lambda in 0.0f32..=1.0, terminal: bool, transform in transform(),
        ) {
            let life_loss = if terminal { LifeLoss::Terminal } else { LifeLoss::Ignore };
            let gae = Gae { gamma, lambda, life_loss };
            let (seats, over): (Vec<_>, Vec<_>) = seats.into_iter().unzip();
            let (block, values) = block(&seats, &over);
            let got = advantages(&gae, transform, &block, &values);
            for t in 0..block.horizon() {
                for e in 0..block.seats() {
                    let got = f64::from(got[t * block.seats() + e]);
                    let expected = if block.valid(t, e) { naive(&gae, transform, &block, &values, t, e) } else { 0.0 };
                    prop_assert!((got - expected).abs() < 1e-4, "step {} of seat {}: {} {}", t, e, got, expected);
                }
            }
        }
    }

    const GAE: Gae = Gae { gamma: 0.5, lambda: 1.0, life_loss: LifeLoss::Ignore };

    #[test]
    fn truncation_bootstraps_from_the_true_last_observation_and_the_reset_counts_nothing() {
        let seat = vec![
            (Some(End::No), 0.0, 1.0),
            (Some(End::Truncated), 2.0, 8.0),
            (Some(End::No), 0.0, 100.0), // the reset, and what the new episode begins with
            (Some(End::No), 3.0, 4.0),
        ];
        let (block, values) = block(&[seat], &[false]);
        assert_eq!(advantages(&GAE, RewardTransform::Raw, &block, &values), [2.0 + 4.0 - 1.0, 0.0, 3.0 + 2.0 - 100.0]);
    }

    #[test]
    fn nothing_passes_a_reset_that_no_end_announced() {
        let seat =
            vec![(Some(End::No), 0.0, 1.0), (Some(End::No), 2.0, 4.0), (None, 0.0, 10.0), (Some(End::No), 3.0, 20.0)];
        let (block, values) = block(&[seat], &[false]);
        assert_eq!(advantages(&GAE, RewardTransform::Raw, &block, &values), [2.0 + 2.0 - 1.0, 0.0, 3.0 + 10.0 - 10.0]);
    }

    #[test]
    fn nothing_beyond_a_terminal_step_is_looked_at() {
        let seat = vec![(Some(End::No), 0.0, 1.0), (Some(End::Terminated), 2.0, f32::NAN)];
        let (ended, values) = block(&[seat], &[false]);
        assert_eq!(advantages(&GAE, RewardTransform::Raw, &ended, &values), [1.0]);
        let seat = vec![(Some(End::No), 0.0, 1.0), (Some(End::LifeLost), 2.0, 6.0)];
        let (lost, values) = block(&[seat], &[false]);
        assert_eq!(advantages(&GAE, RewardTransform::Raw, &lost, &values), [4.0]);
        assert_eq!(
            advantages(&Gae { life_loss: LifeLoss::Terminal, ..GAE }, RewardTransform::Raw, &lost, &values),
            [1.0]
        );
    }
}
