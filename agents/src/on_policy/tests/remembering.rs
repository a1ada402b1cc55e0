//! What is remembered while acting is what is remembered while learning.

use super::*;
use crate::testing::forgets_earlier_episodes;

const MEMORIES: [Memory; 2] = [Memory::Gru { units: 5, steps: 3 }, Memory::Lstm { units: 4, steps: 2 }];

/// A learner with some rounds behind it, and the next round of the world, not learned from.
fn played(memory: Memory, seats: &[usize]) -> (OnPolicy, World) {
    let spec = spec(&[3]);
    let config = PpoConfig { memory, normalise_observations: true, ..ppo() };
    let mut learner = learner(&spec, config.settings(), seats.iter().sum::<usize>() as u32, 1);
    let mut world = World::new(&learner, seats);
    world.rounds(&mut learner, 3);
    world.collect();
    (learner, world)
}

/// Values of the steps of a minibatch by the network that acted.
fn values(learner: &OnPolicy, minibatch: &mut Minibatch) -> Vec<f32> {
    minibatch.seen.standardise(learner.net.standardise()).unwrap();
    let (_, values) = learner.net.forward(&minibatch.seen.seen(), minibatch.sequences.as_ref()).unwrap();
    values.to_vec1().unwrap()
}

#[test]
fn a_sequence_makes_the_values_again_to_the_bit_across_resets_and_edges() {
    for memory in MEMORIES {
        let (mut learner, world) = played(memory, &[1, 3]);
        learner.estimate(&world.blocks, RewardTransform::Raw).unwrap();
        let Batch { steps, seats, .. } = &learner.batch;
        let length = memory.steps().unwrap();
        let mut minibatch = Minibatch::default();
        let mut found = Vec::new();
        for part in [[7, 0, 3], [1, 6, 2], [4, 5, 5]] {
            minibatch.of_sequences(&world.blocks, seats, length, steps, &part);
            let values = values(&learner, &mut minibatch);
            assert_eq!(values.len(), minibatch.steps.len());
            for (step, value) in minibatch.steps.iter().zip(values) {
                let (block, t, e) = (&world.blocks[step.block as usize], step.t as usize, step.e as usize);
                assert!(block.valid(t, e));
                assert_eq!(value, Behaviour::at(block, t, e).value, "{memory:?}, step {t} of seat {e}");
                found.push((t, e));
            }
        }
        let blocks = || world.blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
        let resets = blocks().flat_map(|(block, e)| (1..6).map(move |t| block.age[(t, e)])).filter(|&age| age == 0);
        let carried = blocks().any(|(block, e)| Behaviour::at(block, 0, e).state.iter().any(|&x| x != 0.0));
        assert!(resets.count() > 2 && carried && found.len() > 15, "{} steps of 24 are tried", found.len());
    }
}

#[test]
fn an_episode_is_played_as_if_there_had_been_none_before_it() {
    for memory in MEMORIES {
        let (learner, _) = played(memory, &[1, 3]);
        for mode in [Mode::Explore, Mode::Evaluate { epsilon: 0.0, greedy: true }] {
            forgets_earlier_episodes(&learner, &learner.spec, mode);
        }
    }
}

#[test]
fn every_step_is_in_one_sequence_and_every_sequence_once_in_an_epoch() {
    for memory in MEMORIES {
        let (mut learner, world) = played(memory, &[2, 2]);
        learner.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap();
        let count = 6 / memory.steps().unwrap() * 4;
        let mut order = learner.batch.order.clone();
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..count as u32));
        let Batch { steps, seats, .. } = &learner.batch;
        let mut minibatch = Minibatch::default();
        minibatch.of_sequences(&world.blocks, seats, memory.steps().unwrap(), steps, &order);
        let places = |steps: &[AdvantageStep]| {
            let mut places: Vec<_> = steps.iter().map(|step| (step.t, step.block, step.e)).collect();
            places.sort_unstable();
            places
        };
        assert_eq!(places(&minibatch.steps), places(steps));
        assert_eq!(learner.updates(), 4 * 2 * 3, "rounds of 2 epochs of 3 minibatches");
    }
}

#[test]
fn the_value_after_a_block_is_that_which_the_next_act_keeps() {
    for memory in MEMORIES {
        let (mut learner, mut world) = played(memory, &[3, 1]);
        learner.estimate(&world.blocks, RewardTransform::Raw).unwrap();
        let last = learner.batch.last.clone();
        world.blocks.iter_mut().for_each(Rollout::carry);
        world.policy.act(&mut world.blocks, 0, Mode::Explore).unwrap();
        let rows = world.blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
        let mut compared = 0;
        for ((block, e), last) in rows.zip(last) {
            // The value of a start is not asked for; of a terminal observation none is kept.
            if block.age[(0, e)] > 0 && block.end[(0, e)] != End::Terminated {
                assert_eq!(Behaviour::at(block, 0, e).value, last, "{memory:?}");
                compared += 1;
            }
        }
        assert!(compared > 0);
    }
}

#[test]
fn nothing_is_remembered_across_the_start_of_an_episode() {
    for memory in MEMORIES {
        let (learner, world) = played(memory, &[4]);
        let block = &world.blocks[0];
        let mut starts = 0;
        for (t, e) in (0..6).flat_map(|t| (0..4).map(move |e| (t, e))) {
            let state = Behaviour::at(block, t, e).state;
            assert_eq!(state.len(), learner.net.state_width());
            if block.age[(t, e)] == 0 {
                assert!(state.iter().all(|&x| x == 0.0));
                starts += 1;
            } else {
                assert!(state.iter().any(|&x| x != 0.0), "{memory:?}, step {t} of seat {e}");
            }
        }
        assert!(starts > 0);
    }
}

#[test]
fn every_parameter_learns_and_the_past_reaches_the_present() {
    for memory in MEMORIES {
        let (mut learner, world) = played(memory, &[4]);
        let before = flat(&learner.params);
        learner.learn(&world.blocks, &mut Solo, &mut Log::default()).unwrap();
        let after = flat(&learner.params);
        let moved = |name: &str| (0..before.len()).any(|i| learner.params.name_at(i) == name && before[i] != after[i]);
        assert!(learner.params.iter().all(|(name, _)| moved(name)), "{memory:?}");
        // What was seen first in an episode changes what is thought of it later.
        let mut other = world.blocks[0].clone();
        let e = (0..4).find(|&e| (1..6).all(|t| other.age[(t, e)] > 0)).expect("an episode as long as the block");
        other.vector.at_mut(0, e).fill(0.0);
        learner.estimate(&world.blocks, RewardTransform::Raw).unwrap();
        let Batch { steps, seats, .. } = &learner.batch;
        let of = |block: &Rollout| {
            let (mut minibatch, length) = (Minibatch::default(), memory.steps().unwrap());
            minibatch.of_sequences(std::slice::from_ref(block), seats, length, steps, &[e as u32]);
            values(&learner, &mut minibatch)
        };
        let (one, two) = (of(&world.blocks[0]), of(&other));
        assert!(one.iter().zip(&two).all(|(a, b)| a != b), "{memory:?}: {one:?} {two:?}");
    }
}

#[test]
fn states_of_other_shapes_are_refused() {
    let (learner, mut world) = played(MEMORIES[0], &[4]);
    let mut bytes = Vec::new();
    let state = world.policy.state();
    assert_eq!(state[1].0, "memory");
    state[1].1.save(&mut bytes).unwrap();
    let mut fewer = learner.policy(0..3).unwrap();
    let error = fewer.state()[1].1.load(&mut bytes.as_slice()).unwrap_err().to_string();
    assert!(error.contains("remembers 40 numbers, expected 30"), "{error}");
}
