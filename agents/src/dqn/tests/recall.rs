//! Learning from sequences against PyTorch, which unrolls them cell by cell (`tests/golden/dqn/recall.py`).

use super::family::{Step, constant, hand_over, proportional};
use super::*;
use crate::testing::forgets_earlier_episodes;

#[derive(Deserialize)]
struct Golden {
    every: usize,
    beta: f64,
    rows: usize,
    units: usize,
    burn_in: usize,
    length: usize,
    period: usize,
    eta: f64,
    n_step: usize,
    gamma: f64,
    age: Vec<[u32; SEATS]>,
    end: Vec<[End; SEATS]>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    memory: String,
    values: Values,
    bootstrap: Bootstrap,
    double: bool,
    dueling: bool,
    rescale: bool,
    weighed: bool,
    sequences: usize,
    taken: usize,
    steps: Vec<Step>,
}

const SEATS: usize = 2;

/// The rows of `recall.py`, for a policy that remembers `state` numbers.
fn world(golden: &Golden, spec: &Spec, state: usize) -> Rollout {
    let mut block = Rollout::new(spec, golden.rows - 1, SEATS, state);
    let count = golden.rows * SEATS;
    let [obs, reward, action, kept] =
        [(count * 4, 401), (count, 402), (count, 404), (count * state, 405)].map(|(count, salt)| draws(count, salt));
    for t in 0..golden.rows {
        let fill = |to: &mut [f32], from: &[f64], scale: f64| {
            let from = &from[t * to.len()..][..to.len()];
            to.iter_mut().zip(from).for_each(|(to, draw)| *to = (draw * 2.0 * scale - scale) as f32);
        };
        fill(block.vector.row_mut(t), &obs, 2.0);
        fill(block.reward.row_mut(t), &reward, 20.0);
        block.age.row_mut(t).copy_from_slice(&golden.age[t]);
        block.end.row_mut(t).copy_from_slice(&golden.end[t]);
        if t + 1 < golden.rows {
            fill(block.extra.row_mut(t), &kept, 1.0);
            let actions = action[t * SEATS..][..SEATS].iter().map(|draw| (draw * 3.0) as u32);
            block.discrete.row_mut(t).iter_mut().zip(actions).for_each(|(to, action)| *to = action);
        }
    }
    block
}

#[test]
fn updates_on_sequences_equal_a_naive_unroll_in_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/dqn/recall.json")).unwrap();
    let spec = spec([0, 0, 0], 1, 4, 3);
    let Golden { units, burn_in, length: steps, period, eta, n_step, gamma, .. } = golden;
    let unroll = Unroll { units, burn_in, steps, period, eta };
    for case in &golden.cases {
        let &Case { values, bootstrap, double, dueling, rescale, .. } = case;
        let memory = if case.memory == "gru" { Recall::Gru(unroll) } else { Recall::Lstm(unroll) };
        let (priorities, batch) = (proportional(golden.beta), case.sequences);
        let config = Config {
            values,
            bootstrap,
            double,
            dueling,
            rescale,
            memory,
            n_step,
            gamma,
            priorities,
            batch,
            ..config()
        };
        let mut dqn = learner(&spec, &config, SEATS as u32).unwrap();
        fill(&dqn.params, 1);
        fill(&dqn.target_params, 51);
        dqn.replay.append(&[world(&golden, &spec, dqn.net.state_width())]).unwrap();
        assert_eq!(dqn.replay.transitions().count(), case.sequences, "{}", case.name);
        let mut batch = Minibatch::new(&spec, &config);
        // Equal weights and as many draws as sequences: each is drawn once, in the order of the ring.
        batch.draw(&dqn.replay, RewardTransform::Raw, &mut dqn.progress.rng).unwrap();
        assert_eq!(batch.len(), case.taken, "{}", case.name);
        if let (true, Minibatch::Sequences(unrolled)) = (case.weighed, &mut batch) {
            unrolled.sample.priorities = draws(case.sequences, 420).iter().map(|draw| 0.25 + draw).collect();
        }
        for (number, step) in case.steps.iter().enumerate() {
            let what = |name: &str| format!("{name} of step {number}, {}", case.name);
            hand_over(&mut dqn, batch.rows(), number as u32);
            let mut log = Log::default();
            dqn.fit(&mut batch, 0, &mut Solo, &mut log).unwrap();
            let log = log.drain();
            let logged = |name: &str| log.iter().find(|(known, _)| *known == name).unwrap().1 as f32;
            let kept = |flat: &[f32]| flat.iter().step_by(golden.every).copied().collect::<Vec<_>>();
            close(&what("target"), &dqn.targets, &step.target);
            close(&what("loss"), &[logged("loss")], &[step.loss]);
            close(&what("norm"), &[logged("grad_norm")], &[step.norm]);
            let errors: Vec<f32> = batch.errors(&dqn.losses.errors).iter().map(|&error| error as f32).collect();
            close(&what("errors"), &errors, &step.errors);
            close(&what("gradient"), &kept(&dqn.grad), &step.grad);
            close(&what("parameters"), &kept(&flat(&dqn.params)), &step.params);
        }
    }
}

#[test]
fn an_episode_is_played_as_if_there_had_been_none_before_it() {
    let unroll = Unroll { units: 5, burn_in: 0, steps: 4, period: 1, eta: 0.9 };
    for memory in [Recall::Gru(unroll), Recall::Lstm(unroll)] {
        let spec = spec([0, 0, 0], 1, 4, 3);
        let dqn = learner(&spec, &Config { memory, ..config() }, 1).unwrap();
        for mode in [Mode::Explore, Mode::Evaluate { epsilon: 0.0, greedy: true }] {
            forgets_earlier_episodes(&dqn, &spec, mode);
        }
    }
}

/// What a policy keeps of each step is what the learner's network remembers when it reads the rows from the first on: over the
/// ends of episodes, and whether actions were random or not.
#[test]
fn kept_states_are_those_of_the_network_on_the_same_rows() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/dqn/recall.json")).unwrap();
    let unroll = Unroll { units: 5, burn_in: 0, steps: 4, period: 1, eta: 0.9 };
    for (memory, epsilon) in [(Recall::Gru(unroll), 0.5), (Recall::Lstm(unroll), 0.0), (Recall::Lstm(unroll), 1.0)] {
        let config = Config { memory, epsilon: constant(epsilon), ..config() };
        let dqn = learner(&spec, &config, SEATS as u32).unwrap();
        let (width, mut policy) = (dqn.net.state_width(), dqn.policy(0..SEATS as u32).unwrap());
        let mut block = [world(&golden, &spec, width)];
        (0..golden.rows - 1).for_each(|t| policy.act(&mut block, t, Mode::Explore).unwrap());
        let block = &block[0];
        let mut pass = crate::q_net::Pass::default();
        let mut distinct = 0;
        for t in 1..golden.rows - 1 {
            let vector: Vec<f32> = (0..t).flat_map(|row| block.vector.row(row).to_vec()).collect();
            let starts: Vec<f32> = (0..t).flat_map(|row| golden.age[row].map(|age| f32::from(age == 0))).collect();
            let obs = rl_perception::ObsBatch { rows: t * SEATS, frames: &[], vector: &vector, symbols: &[] };
            let states = dqn.net.remember(&obs, &starts, &vec![0.0; SEATS * width], &mut pass).unwrap();
            for (e, state) in states.chunks_exact(width).enumerate() {
                // The last observation of an episode is not acted on, so that it is not remembered, nor asked for.
                let (over, start) = (golden.end[t - 1][e].over(), golden.age[t][e] == 0);
                assert!(over || start || block.extra.at(t, e) == state, "row {t} of seat {e}");
                assert!(!start || block.extra.at(t, e).iter().all(|&x| x == 0.0));
                distinct += usize::from(!over && !start);
            }
        }
        assert!(distinct > golden.rows, "{distinct}");
    }
}
