//! Search, experience, loss and learning on a game whose values are known.

mod golden;
mod nim;

use candle_core::Device;
use rl_core::{End, GameResult, Solo};
use rl_nn::Precision;

use super::net::Flows;
use super::planner::Planner;
use super::*;
use crate::Mode;
use crate::softmax::softmax;
use crate::testing::{load, save};
use nim::{MOST, Nim};

const SEATS: usize = 16;

fn config() -> Config {
    Config {
        lr: 4e-3,
        lr_end: 0.0,
        lr_steps: 4000,
        adam_eps: 1e-8,
        grad_clip: 1.0,
        value_coef: 1.0,
        search_value: 0.25,
        horizon: 4,
        updates: 4,
        batch: 64,
        replay_capacity: 1000,
        learning_starts: 128,
        simulations: 8,
        eval_simulations: 8,
        considered: 3,
        sigma_visit: 50.0,
        sigma_scale: 0.5,
        channels: 8,
        blocks: 1,
        hidden: 16,
    }
}

fn spec() -> Spec {
    Spec { vector: 2 * (MOST + 1), mask: true, discrete: [3].into(), ..Spec::none() }
}

fn learner(config: &Config, seed: u64) -> AlphaZero<Nim> {
    let (spec, table) = (spec(), toml::Table::try_from(config).unwrap());
    let (seats, device, precision) = (SEATS as u32, &Device::Cpu, Precision::F32);
    AlphaZero::new(&Context { spec: &spec, config: &table, seats, seed, device, precision }).unwrap()
}

fn at(left: usize) -> Nim {
    Nim { left, plies: 0 }
}

/// A search of `simulations` by a fresh network, from each of these positions.
fn plan(simulations: usize, roots: &[Nim], noise: f64) -> Vec<(usize, Vec<f32>, f32)> {
    let learner = learner(&config(), 1);
    let mut planner = Planner::new(learner.search(simulations), roots.len());
    planner.clear();
    let mut rng = Rng::new(1, Stream::Tool(0));
    for root in roots {
        planner.push(root, || noise * rng.normal());
    }
    planner.run(&learner.net).unwrap();
    let tell = |tree| {
        let mut policy = vec![0.0; 3];
        let value = planner.improved(tree, &mut policy);
        (planner.choice(tree), policy, value)
    };
    (0..roots.len()).map(tell).collect()
}

#[test]
fn a_search_by_an_untrained_network_finds_what_wins_where_it_sees_the_end() {
    let heaps: Vec<Nim> = (1..8).map(at).collect();
    for (heap, (choice, policy, value)) in heaps.iter().zip(plan(200, &heaps, 0.0)) {
        let left = heap.left;
        assert!((policy.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{left}: {policy:?}");
        assert!((0..3).all(|action| heap.legal(action) || policy[action] == 0.0), "{left}: {policy:?}");
        if left % 4 > 0 {
            assert_eq!(choice, left % 4 - 1, "{left}: {policy:?}");
            assert!(policy[choice] > 0.9 && value > 0.5, "{left}: {policy:?}, {value}");
        } else {
            assert!(value < -0.5, "{left}: {value}");
        }
    }
}

#[test]
fn a_fresh_network_prefers_nothing_and_its_blocks_are_the_identity() {
    let learner = learner(&config(), 1);
    for (name, var) in learner.params.iter() {
        let values: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
        let none = name.ends_with("bias") || name.ends_with("conv2.weight");
        assert_eq!(values.iter().all(|&value| value == 0.0), none, "{name}");
    }
    let mut planes = vec![0.0; 2 * (MOST + 1) * MOST];
    planes.chunks_exact_mut(2 * (MOST + 1)).zip(1..).for_each(|(planes, left)| at(left).observe(planes));
    let (logits, values) = learner.net.forward(&planes).unwrap();
    let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
    assert!(logits.iter().chain(&values.to_vec1().unwrap()).all(|value| value.abs() < 0.1), "{logits:?}");
}

#[test]
fn a_search_by_a_network_that_is_at_its_end_is_refused() {
    let learner = learner(&config(), 1);
    learner.params.write(&vec![f32::MAX; learner.params.len()]).unwrap();
    let mut planner = Planner::new(learner.search(learner.config.simulations), 1);
    planner.clear();
    planner.push(&at(5), || 0.0);
    let error = planner.run(&learner.net).unwrap_err().to_string();
    assert!(error.contains("row 0 is"), "{error}");
}

#[test]
fn a_search_does_not_know_of_those_beside_it() {
    let heaps: Vec<Nim> = (1..=MOST).map(at).collect();
    let together = plan(12, &heaps, 0.0);
    for (heap, together) in heaps.iter().zip(together) {
        assert_eq!(plan(12, std::slice::from_ref(heap), 0.0)[0], together, "{heap:?}");
    }
}

#[test]
fn a_policy_that_is_judged_searches_as_far_as_it_is_told_and_then_learns_as_before() {
    let choices = |mode, eval_simulations| {
        let learner = learner(&Config { eval_simulations, ..config() }, 1);
        let mut block = Rollout::new(&spec(), 1, MOST, 4);
        let heaps: Vec<Nim> = (1..=MOST).map(at).collect();
        heaps.iter().enumerate().for_each(|(e, heap)| heap.observe(block.vector.at_mut(0, e)));
        let mut policy = learner.policy(0..MOST as u32).unwrap();
        policy.act(std::slice::from_mut(&mut block), 0, Mode::Explore).unwrap();
        let explored = block.clone();
        policy.act(std::slice::from_mut(&mut block), 0, mode).unwrap();
        assert!(
            mode == Mode::Explore || block.extra.row(0) == explored.extra.row(0),
            "nobody learns from an evaluation"
        );
        (explored, (0..MOST).map(|e| block.discrete[(0, e)] as usize).collect::<Vec<_>>())
    };
    let judged = Mode::Evaluate { epsilon: 0.0, greedy: true };
    let right = |choices: &[usize]| (1..8).filter(|left| left % 4 > 0 && choices[left - 1] == left % 4 - 1).count();
    let ((explored, far), (same, near)) = (choices(judged, 200), choices(judged, 1));
    assert_eq!(right(&far), 6, "{far:?}");
    assert!(right(&near) < 6, "{near:?}");
    assert!(explored.discrete.row(0) == same.discrete.row(0) && explored.extra.row(0) == same.extra.row(0));
    assert!(choices(Mode::Explore, 200).1 == choices(Mode::Explore, 1).1);
}

#[test]
fn only_a_policy_that_explores_is_moved_by_chance() {
    let config = Config { simulations: 1, eval_simulations: 1, ..config() };
    let moves = |mode, extra| {
        let learner = learner(&config, 1);
        let mut block = Rollout::new(&spec(), 1, 200, extra);
        (0..200).for_each(|e| at(MOST).observe(block.vector.at_mut(0, e)));
        learner.policy(0..200).unwrap().act(std::slice::from_mut(&mut block), 0, mode).unwrap();
        let mut counts = [0; 3];
        block.discrete.row(0).iter().for_each(|&choice| counts[choice as usize] += 1);
        counts
    };
    // A fresh network finds all three about equally good: the noise chooses.
    let (explored, judged) = (moves(Mode::Explore, 4), moves(Mode::Evaluate { epsilon: 0.0, greedy: false }, 0));
    assert!(explored.iter().all(|count| (40..95).contains(count)), "{explored:?}");
    assert!(judged.contains(&200), "{judged:?}");
}

#[test]
fn values_of_moves_that_were_not_tried_are_filled_in() {
    let sigma = Sigma { visit: 10.0, scale: 0.2 };
    let mut forest = Forest::<Nim>::new(1, 8, sigma);
    let root = forest.plant(0, &at(5));
    forest.grow(root, &[0.0, 1.0, -1.0], 0.4);
    let child = forest.descend(0, 0).unwrap();
    forest.grow(child, &[0.0; 3], 0.6); // worth -0.6 here
    let second = forest.descend(0, 1).unwrap();
    forest.grow(second, &[0.0; 3], -0.2); // and 0.2
    // Below a heap of three the search takes what is best by the improved policy of what it knows: any, once.
    let third = forest.descend(0, 1).unwrap();
    forest.grow(third, &[0.0; 3], 0.0);
    assert_eq!([0, 1, 2].map(|action| forest.visits(root, action)), [1, 2, 0]);

    let mut prior = [0.0, 1.0, -1.0];
    softmax(&mut prior);
    let values = [-0.6, 0.1]; // of the second, the mean of 0.2 and of 0 above
    let expected = (prior[0] * values[0] + prior[1] * values[1]) / (prior[0] + prior[1]);
    let mixed = (0.4 + 3.0 * expected) / 4.0;
    let slope = (10.0 + 2.0) * 0.2;
    let mut improved = [0.0; 3];
    forest.completed(root, &mut improved);
    forest.improve(root, &mut improved);
    for (action, value) in [values[0], values[1], mixed].into_iter().enumerate() {
        let wanted = prior[action].ln() + slope * (value + 1.0) / 2.0;
        assert!((improved[action] - wanted).abs() < 1e-6, "{action}: {} {wanted}", improved[action]);
    }
}

#[test]
fn the_host_has_the_bits_of_the_graph_in_any_batch() {
    let learner = learner(&Config { blocks: 2, ..config() }, 1);
    let mut flat = vec![0.0; learner.params.len()];
    let mut rng = Rng::new(2, Stream::Tool(0));
    flat.iter_mut().for_each(|value| *value = 0.2 * rng.normal() as f32); // blocks that are not the identity
    learner.params.write(&flat).unwrap();
    let mut flows = Flows::default();
    for rows in (1..=9).rev() {
        let planes: Vec<f32> = (0..rows * spec().vector).map(|_| rng.normal() as f32).collect();
        flows.begin().extend_from_slice(&planes);
        learner.net.run(&mut flows).unwrap();
        let (logits, values) = learner.net.forward(&planes).unwrap();
        assert_eq!(flows.logits(), logits.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        assert_eq!(flows.values(), values.to_vec1::<f32>().unwrap());
        let last = planes[(rows - 1) * spec().vector..].to_vec();
        let (logits, _) = learner.net.forward(&last).unwrap();
        assert_eq!(flows.logits()[(rows - 1) * 3..], logits.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }
}

#[test]
fn a_position_is_worth_what_its_side_got_and_partly_what_was_thought() {
    let mut experience = Experience::<Nim>::new(3, 0.25, 1);
    // Three moves of one game: the first side takes the last stone.
    let mut block = Rollout::new(&spec(), 3, 1, 4);
    let heaps = [Nim { left: 5, plies: 0 }, Nim { left: 4, plies: 1 }, Nim { left: 1, plies: 2 }];
    for (t, heap) in heaps.iter().enumerate() {
        heap.observe(block.vector.at_mut(t, 0));
        block.age[(t + 1, 0)] = t as u32 + 1;
        block.extra.at_mut(t, 0).copy_from_slice(&[0.1 * t as f32, 0.5, 0.5, 0.2]);
    }
    experience.append(std::slice::from_ref(&block)).unwrap();
    assert_eq!(experience.len(), 0, "the game goes on");
    let going = block.clone();
    block.end[(1, 0)] = End::Terminated;
    block.reward[(1, 0)] = 1.0;
    let mut last = block.clone();
    last.age[(0, 0)] = 3;
    (1..3).for_each(|t| last.age[(t + 1, 0)] = 0); // nothing follows
    experience.append(&[last]).unwrap();
    assert_eq!(experience.len(), 3, "of four positions the oldest was overwritten");
    let mut bytes = Vec::new();
    experience.save(&mut bytes).unwrap();
    let mut other = Experience::<Nim>::new(3, 0.25, 1);
    other.load(&mut bytes.as_slice()).unwrap();
    let mut rng = Rng::new(1, Stream::Tool(0));
    let mut seen = [false; 3];
    for _ in 0..60 {
        let drawn = other.draw(&mut rng);
        let outcome = if drawn.position.to_move() == rl_core::Side::First { 1.0 } else { -1.0 };
        assert!((drawn.value - (0.75 * outcome + 0.25 * 0.2)).abs() < 1e-6, "{:?}: {}", drawn.position, drawn.value);
        seen[(drawn.policy[0] * 10.0).round() as usize] = true;
    }
    assert_eq!(seen, [true; 3], "two of the first block's, and the one that ended it");
    // Of a game that was lost with its engine nobody knows what its positions were worth.
    let mut lost = Experience::<Nim>::new(9, 0.25, 1);
    lost.append(&[going]).unwrap();
    lost.append(&[block]).unwrap(); // which begins with a new game
    assert_eq!(lost.len(), 1, "the one move of the second game");
    assert!(Experience::<Nim>::new(4, 0.25, 1).load(&mut bytes.as_slice()).is_err(), "another capacity");
    assert!(Experience::<Nim>::new(3, 0.25, 2).load(&mut bytes.as_slice()).is_err(), "other seats");
}

#[test]
fn gradients_of_the_loss_are_differences() {
    let (logits, values) = ([0.4f32, -1.0, 0.7, 2.0, 0.1, -0.3], [0.3f32, -0.8]);
    let targets = [Target { policy: &[0.7, 0.3, 0.0], value: 1.0 }, Target { policy: &[0.0, 0.1, 0.9], value: -0.5 }];
    let of = |logits: &[f32], values: &[f32]| {
        let (mut by_logits, mut by_values) = (Vec::new(), Vec::new());
        let legal = |row, action| (row, action) != (0, 2);
        let terms = loss((logits, values), targets.into_iter(), legal, 0.7, (&mut by_logits, &mut by_values));
        (terms.loss, by_logits, by_values)
    };
    let (_, by_logits, by_values) = of(&logits, &values);
    assert_eq!(by_logits[2], 0.0, "what the rules forbid");
    let step = 0.01;
    for i in 0..6 {
        let [mut up, mut down] = [logits; 2];
        (up[i], down[i]) = (up[i] + step, down[i] - step);
        let slope = (of(&up, &values).0 - of(&down, &values).0) / f64::from(2.0 * step);
        assert!((slope - f64::from(by_logits[i])).abs() < 1e-4, "logit {i}");
    }
    for i in 0..2 {
        let [mut up, mut down] = [values; 2];
        (up[i], down[i]) = (up[i] + step, down[i] - step);
        let slope = (of(&logits, &up).0 - of(&logits, &down).0) / f64::from(2.0 * step);
        assert!((slope - f64::from(by_values[i])).abs() < 1e-4, "value {i}");
    }
}

/// Games against itself, a block at a time.
struct Table {
    seats: Vec<Nim>,
    block: Rollout,
}

impl Table {
    fn new() -> Self {
        let mut block = Rollout::new(&spec(), config().horizon, SEATS, 4);
        let seats: Vec<Nim> = (0..SEATS).map(|seat| at(1 + seat % MOST)).collect();
        seats.iter().enumerate().for_each(|(e, heap)| heap.observe(block.vector.at_mut(0, e)));
        Self { seats, block }
    }

    fn play(&mut self, policy: &mut dyn Policy) {
        let block = &mut self.block;
        for t in 0..block.horizon() {
            policy.act(std::slice::from_mut(block), t, Mode::Explore).unwrap();
            for (e, heap) in self.seats.iter_mut().enumerate() {
                let (mut reward, mut end, mut age) = (0.0, End::No, block.age[(t, e)] + 1);
                if block.end[(t, e)].over() {
                    (*heap, age) = (at(1 + (e + t) % MOST), 0);
                } else {
                    heap.play(block.discrete[(t, e)] as usize);
                    if heap.outcome() == Some(GameResult::Lost) {
                        (reward, end) = (1.0, End::Terminated);
                    }
                }
                heap.observe(block.vector.at_mut(t + 1, e));
                (block.reward[(t + 1, e)], block.end[(t + 1, e)], block.age[(t + 1, e)]) = (reward, end, age);
            }
        }
    }
}

fn train(learner: &mut AlphaZero<Nim>, policy: &mut dyn Policy, table: &mut Table, rounds: usize) {
    for _ in 0..rounds {
        table.play(policy);
        learner.learn(std::slice::from_ref(&table.block), &mut Solo, &mut Log::default()).unwrap();
        table.block.carry();
    }
}

#[test]
fn a_network_learns_the_moves_and_values_of_every_heap() {
    let mut learner = learner(&config(), 1);
    let mut policy = learner.policy(0..SEATS as u32).unwrap();
    train(&mut learner, policy.as_mut(), &mut Table::new(), 60);
    let mut planes = vec![0.0; spec().vector];
    for left in 1..=MOST {
        at(left).observe(&mut planes);
        let (logits, value) = learner.net.forward(&planes).unwrap();
        let (logits, value) =
            (logits.flatten_all().unwrap().to_vec1::<f32>().unwrap(), value.to_vec1::<f32>().unwrap());
        if left % 4 > 0 {
            let best = (0..left.min(3)).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            assert_eq!(best, left % 4 - 1, "{left}: {logits:?}");
        }
        assert_eq!(value[0] > 0.0, left % 4 > 0, "{left}: {value:?}");
    }
}

#[test]
fn a_saved_learner_and_policy_go_on_alike() {
    let mut whole = learner(&config(), 1);
    let mut policy = whole.policy(0..SEATS as u32).unwrap();
    let mut table = Table::new();
    train(&mut whole, policy.as_mut(), &mut table, 8);
    let parts = save(&mut whole);
    let mut acting = Vec::new();
    policy.state()[0].1.save(&mut acting).unwrap();

    let mut other = learner(&config(), 2);
    load(&mut other, &parts);
    let mut resumed = other.policy(0..SEATS as u32).unwrap();
    resumed.state()[0].1.load(&mut acting.as_slice()).unwrap();
    let mut again = Table { seats: table.seats.clone(), block: table.block.clone() };
    train(&mut whole, policy.as_mut(), &mut table, 3);
    train(&mut other, resumed.as_mut(), &mut again, 3);
    assert!(whole.updates() > 12, "it learns");
    assert_eq!(save(&mut whole), save(&mut other));
}

#[test]
fn another_environment_is_refused_in_a_line() {
    assert_eq!(refuses::<Nim>(&spec()), None);
    let said = refuses::<Nim>(&Spec { vector: 4, discrete: [2].into(), ..Spec::none() }).unwrap();
    assert_eq!(said, "it plays the board game alone whose rules it is built with, of 1 x 12 x 2 features and 3 moves");
    let context_of = |config: &Config| {
        let (spec, table) = (spec(), toml::Table::try_from(config).unwrap());
        let (seats, device, precision) = (1, &Device::Cpu, Precision::F32);
        let built = AlphaZero::<Nim>::new(&Context { spec: &spec, config: &table, seats, seed: 1, device, precision });
        built.err().map(|error| error.to_string())
    };
    assert_eq!(context_of(&Config { simulations: 0, ..config() }).unwrap(), "agent.simulations: must be at least 1");
    let said = context_of(&Config { search_value: 1.5, ..config() }).unwrap();
    assert_eq!(said, "agent.search_value: 1.5 is not between 0 and 1");
    let said = context_of(&Config { sigma_visit: 1e200, sigma_scale: 1e200, ..config() }).unwrap();
    assert_eq!(said, "agent.sigma_scale: values scaled by it are beyond what a number can hold");
}

/// A board of three cells in a row, which looks the same from behind; who takes the last cell wins.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Row {
    taken: [bool; 3],
}

impl Game for Row {
    const PLANES: [usize; 3] = [1, 3, 1];
    const ACTIONS: usize = 3;
    const SYMMETRIES: usize = 2;

    fn start() -> Self {
        Self { taken: [false; 3] }
    }

    fn to_move(&self) -> rl_core::Side {
        rl_core::Side::after(self.taken.iter().filter(|&&taken| taken).count() as u32)
    }

    fn legal(&self, action: usize) -> bool {
        !self.taken[action]
    }

    fn play(&mut self, action: usize) {
        self.taken[action] = true;
    }

    fn outcome(&self) -> Option<GameResult> {
        (self.taken == [true; 3]).then_some(GameResult::Lost)
    }

    fn observe(&self, planes: &mut [f32]) {
        planes.iter_mut().zip(self.taken).for_each(|(plane, taken)| *plane = f32::from(u8::from(taken)));
    }

    fn recognise(planes: &[f32]) -> Option<Self> {
        Some(Self { taken: [0, 1, 2].map(|cell| planes[cell] == 1.0) })
    }

    fn image(&self, symmetry: usize) -> Self {
        Self { taken: [0, 1, 2].map(|cell| self.taken[Self::image_of(cell, symmetry)]) }
    }

    fn image_of(action: usize, symmetry: usize) -> usize {
        if symmetry == 0 { action } else { 2 - action }
    }
}

#[test]
fn an_image_of_a_position_has_the_image_of_its_policy() {
    let spec = Spec { vector: 3, mask: true, discrete: [3].into(), ..Spec::none() };
    let (table, device, precision) = (toml::Table::try_from(config()).unwrap(), &Device::Cpu, Precision::F32);
    let context = Context { spec: &spec, config: &table, seats: 1, seed: 1, device, precision };
    let mut learner = AlphaZero::<Row>::new(&context).unwrap();
    // The one game: its last move but one, with the first cell taken.
    let mut block = Rollout::new(&spec, 1, 1, 4);
    block.vector.row_mut(0).copy_from_slice(&[1.0, 0.0, 0.0]);
    block.extra.row_mut(0).copy_from_slice(&[0.0, 0.25, 0.75, 0.0]);
    (block.age[(1, 0)], block.end[(1, 0)], block.reward[(1, 0)]) = (1, End::Terminated, 1.0);
    learner.experience.append(&[block]).unwrap();
    learner.draw();
    let Batch { planes, policies, legal, .. } = &learner.batch;
    let mut seen = [0; 2];
    for ((planes, policy), legal) in planes.chunks(3).zip(policies.chunks(3)).zip(legal.chunks(3)) {
        let turned = planes[2] == 1.0;
        assert_eq!(policy, if turned { [0.75, 0.25, 0.0] } else { [0.0, 0.25, 0.75] });
        assert_eq!(legal, [planes[0] == 0.0, true, !turned]);
        seen[usize::from(turned)] += 1;
    }
    assert!(seen[0] > 10 && seen[1] > 10, "{seen:?}");
}
