//! The switches and their compositions against PyTorch (`tests/golden/dqn/family.py`), and what they refuse.

use super::*;
use crate::testing::explores_less_and_less;

#[derive(Deserialize)]
struct Golden {
    every: usize,
    beta: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    values: Values,
    bootstrap: Bootstrap,
    double: bool,
    dueling: bool,
    noisy: bool,
    weighed: bool,
    steps: Vec<Step>,
}

/// What PyTorch makes of an update.
#[derive(Deserialize)]
pub(super) struct Step {
    pub(super) target: Vec<f64>,
    pub(super) loss: f64,
    pub(super) norm: f64,
    pub(super) errors: Vec<f64>,
    pub(super) grad: Vec<f64>,
    pub(super) params: Vec<f64>,
}

pub(super) fn constant(value: f64) -> Schedule {
    Schedule { start: value, end: value, steps: 0, delay: 0 }
}

pub(super) fn proportional(beta: f64) -> Prioritisation {
    Prioritisation::Proportional { eps: 1e-6, alpha: constant(0.6), beta: constant(beta) }
}

pub(super) fn implicit(mix: crate::q_net::Mix) -> Values {
    Values::Implicit { online: 4, target: 3, act: 5, cosines: 6, mix }
}

/// A memory of sequences that a short test can hold.
const SHORT: Unroll = Unroll { units: 8, burn_in: 1, steps: 3, period: 2, eta: 0.9 };

/// Every switch alone, and some together.
pub(super) fn compositions(base: &Config) -> Vec<(&'static str, Config)> {
    let base = || base.clone();
    let categorical = Values::Categorical { atoms: 11, low: 0.0, high: 1.0 };
    let quantiles = Values::Quantiles { count: 5 };
    let (late, early) = (implicit(crate::q_net::Mix::After), implicit(crate::q_net::Mix::Before));
    let munchausen = Bootstrap::Munchausen { alpha: 0.9, temperature: 0.03, floor: -1.0 };
    let priorities = proportional(0.5);
    let rainbow =
        Config { values: categorical, double: true, dueling: true, noisy: 0.5, n_step: 3, priorities, ..base() };
    // A sequence is longer than a return.
    let learning_starts = base().learning_starts.max(20);
    let later = || Config { learning_starts, ..base() };
    let memory = Recall::Lstm(SHORT);
    let r2d2 = Config { double: true, dueling: true, rescale: true, n_step: 3, priorities, memory, ..later() };
    vec![
        ("plain", base()),
        ("double", Config { double: true, ..base() }),
        ("dueling", Config { dueling: true, ..base() }),
        ("priorities", Config { priorities, ..base() }),
        ("noisy", Config { noisy: 0.5, ..base() }),
        ("munchausen", Config { bootstrap: munchausen, ..base() }),
        ("categorical", Config { values: categorical, ..base() }),
        ("quantiles", Config { values: quantiles, ..base() }),
        ("implicit, early", Config { values: early, ..base() }),
        ("implicit, late", Config { values: late, ..base() }),
        ("double quantiles with priorities", Config { values: quantiles, double: true, priorities, ..base() }),
        (
            "munchausen, implicit, n-step, noisy",
            Config { noisy: 0.5, values: late, bootstrap: munchausen, n_step: 2, ..base() },
        ),
        (
            "dueling implicit with priorities",
            Config { dueling: true, values: early, double: true, priorities, ..base() },
        ),
        ("munchausen, categorical", Config { values: categorical, bootstrap: munchausen, ..base() }),
        ("rainbow", rainbow.clone()),
        ("gru", Config { memory: Recall::Gru(SHORT), ..later() }),
        ("r2d2", r2d2),
        ("rainbow with a memory", Config { memory: Recall::Gru(SHORT), learning_starts, ..rainbow }),
    ]
}

#[test]
fn targets_losses_gradients_and_adam_steps_equal_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/dqn/family.json")).unwrap();
    let spec = spec([0, 0, 0], 1, 4, 3);
    for case in &golden.cases {
        let &Case { values, bootstrap, double, dueling, noisy, weighed, .. } = case;
        let priorities = if weighed { proportional(golden.beta) } else { Prioritisation::Uniform {} };
        let noisy = if noisy { 0.5 } else { 0.0 };
        let config = Config { values, bootstrap, double, dueling, noisy, priorities, ..config() };
        let mut dqn = learner(&spec, &config, 1).unwrap();
        fill(&dqn.params, 1);
        fill(&dqn.target_params, 51);
        let mut sample = sample(&spec);
        if weighed {
            sample.priorities = draws(sample.rows(), 120).iter().map(|draw| 0.25 + draw).collect();
        }
        let mut batch = Minibatch::Transitions(Box::new(sample));
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
            close(&what("errors"), &dqn.losses.errors.iter().map(|&e| e as f32).collect::<Vec<_>>(), &step.errors);
            close(&what("gradient"), &kept(&dqn.grad), &step.grad);
            close(&what("parameters"), &kept(&flat(&dqn.params)), &step.params);
        }
    }
}

/// After the same update: the divergence is the loss less the entropy of the target.
#[test]
fn priorities_follow_the_divergence_or_the_loss() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let values = Values::Categorical { atoms: 11, low: 0.0, high: 1.0 };
    let (eps, alpha, beta) = (0.25, constant(0.5), constant(0.0));
    let given = |priorities| {
        let mut dqn = learner(&spec, &Config { values, priorities, ..config() }, 1).unwrap();
        let mut batch = Minibatch::Transitions(Box::new(sample(&spec)));
        dqn.update(&mut batch, 0, &mut Solo, &mut Log::default()).unwrap();
        let of = |all: &[f64]| all.iter().map(|x| libm::pow(x + eps, 0.5)).collect::<Vec<_>>();
        (dqn.importance.clone(), of(&dqn.losses.errors), of(&dqn.losses.losses))
    };
    let (by_divergence, divergences, _) = given(Prioritisation::Proportional { eps, alpha, beta });
    let (by_loss, same, losses) = given(Prioritisation::Loss { eps, alpha, beta });
    assert_eq!((&by_divergence, &by_loss, &divergences), (&divergences, &losses, &same));
    assert!(by_loss.iter().zip(&by_divergence).any(|(loss, divergence)| *loss > divergence + 0.1), "{by_loss:?}");
}

/// The quantiles and the noise of `family.py`.
pub(super) fn hand_over(dqn: &mut Dqn, rows: Passes<usize>, step: u32) {
    let (taus, width) = (dqn.estimate.taus(), dqn.net.noise());
    let passes = dqn.drawn.each_mut().zip(rows).zip(taus).in_turn();
    for (which, ((draw, rows), taus)) in passes.into_iter().enumerate() {
        let Some(taus) = taus else { continue };
        let salt = 10 * step + which as u32;
        draw.taus = draws(rows * taus, 301 + salt).iter().map(|&draw| draw as f32).collect();
        draw.noise = draws(width, 305 + salt).iter().map(|draw| (draw * 4.0 - 2.0) as f32).collect();
    }
}

#[test]
fn each_update_draws_anew_and_each_pass_of_its_own() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let config = Config { values: implicit(crate::q_net::Mix::Before), noisy: 0.5, double: true, ..config() };
    let mut dqn = learner(&spec, &config, 1).unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        dqn.draw(Passes { next: 8, choice: 8, here: 8, online: 8 });
        let Passes { next, choice, here, online } = dqn.drawn.clone();
        assert!(here.taus.is_empty() && here.noise.is_empty(), "no pass, no draws");
        for (draws, taus) in [(next, 3), (choice, 5), (online, 4)] {
            assert_eq!((draws.taus.len(), draws.noise.len()), (8 * taus, dqn.net.noise()));
            assert!(draws.taus.iter().all(|tau| (0.0..1.0).contains(tau)));
            assert!(!seen.contains(&draws.noise[0]) && !seen.contains(&draws.taus[0]));
            seen.extend([draws.noise[0], draws.taus[0]]);
        }
    }
}

#[test]
fn a_policy_explores_less_as_steps_pass() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let epsilon = Schedule { start: 1.0, end: 0.0, steps: 400, delay: 0 };
    explores_less_and_less(&learner(&spec, &Config { epsilon, ..config() }, 8).unwrap(), &spec);
}

#[test]
fn an_action_is_chosen_by_quantiles_of_its_own_number() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let Values::Implicit { online, target, act, cosines, mix } = implicit(crate::q_net::Mix::After) else {
        unreachable!()
    };
    let chosen = |online, target, act| {
        let values = Values::Implicit { online, target, act, cosines, mix };
        let dqn = learner(&spec, &Config { values, ..config() }, 1).unwrap();
        let mut block = [rows(&spec, 1, 1, 0, 0)];
        block[0].record_outputs();
        dqn.policy(0..1).unwrap().act(&mut block, 0, Mode::Evaluate { epsilon: 0.0, greedy: true }).unwrap();
        block[0].outputs.row(0).to_vec()
    };
    let usual = chosen(online, target, act);
    assert_eq!(chosen(2 * online, 2 * target, act), usual, "the learner's numbers are not the policy's");
    assert_ne!(chosen(online, target, act + 1), usual);
}

#[test]
fn an_evaluation_takes_the_means_of_noisy_weights() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let noisy = Config { noisy: 5.0, epsilon: constant(0.0), ..config() };
    let dqn = learner(&spec, &noisy, 1).unwrap();
    let mut policy = dqn.policy(0..1).unwrap();
    let mut block = [rows(&spec, 1, 200, 0, 0)];
    block[0].vector.row_mut(0).fill(0.3);
    let mut actions = |mode| {
        let act = |_| {
            policy.act(&mut block, 0, mode).unwrap();
            block[0].discrete.row(0)[0]
        };
        (0..200).map(act).collect::<std::collections::BTreeSet<u32>>().len()
    };
    assert_eq!(actions(Mode::Evaluate { epsilon: 0.0, greedy: false }), 1);
    assert!(actions(Mode::Explore) > 1, "noise explores, drawn anew at every step");
}

#[test]
fn switches_that_do_not_fit_are_refused_in_one_line() {
    let spec = spec([0, 0, 0], 1, 4, 3);
    let refused = |config: Config| learner(&spec, &config, 1).err().unwrap().to_string();
    let values = |values| refused(Config { values, ..config() });
    let one = Values::Categorical { atoms: 1, low: 0.0, high: 1.0 };
    assert_eq!(values(one), "agent.values.atoms: must be at least 2");
    let none = Values::Categorical { atoms: 3, low: 1.0, high: 1.0 };
    assert_eq!(values(none), "agent.values.high: 1 is not a number above `low`, 1");
    for (low, high) in [(-1e308, 1e308), (0.0, 1e-323)] {
        let said = values(Values::Categorical { atoms: 51, low, high });
        assert!(said.starts_with("agent.values.high: 51 returns from ") && said.contains(" too far apart"), "{said}");
    }
    for adam_eps in [0.0, 1e-44, -1.0, f64::INFINITY] {
        let said = refused(Config { adam_eps, ..config() });
        assert!(said.starts_with("agent.adam_eps: ") && said.contains("is not a number from 1e-16 on"), "{said}");
    }
    assert_eq!(values(Values::Quantiles { count: 0 }), "agent.values.count: must be at least 1");
    assert_eq!(refused(Config { noisy: -1.0, ..config() }), "agent.noisy: -1 is not a number from 0 on");
    let munchausen = Bootstrap::Munchausen { alpha: 0.9, temperature: 0.0, floor: -1.0 };
    let bootstrap = |double| refused(Config { bootstrap: munchausen, double, ..config() });
    assert_eq!(bootstrap(false), "agent.bootstrap.temperature: 0 is not a positive number");
    assert_eq!(bootstrap(true), "agent.double: Munchausen targets choose no action: set it to false");
    let rescaled = refused(Config {
        bootstrap: Bootstrap::Munchausen { alpha: 0.9, temperature: 1.0, floor: -1.0 },
        rescale: true,
        ..config()
    });
    let reason = "agent.rescale: Munchausen's logarithms are in units of unscaled values: set it to false";
    assert_eq!(rescaled, reason);
    let memory = |unroll| refused(Config { memory: Recall::Gru(unroll), ..config() });
    assert_eq!(memory(Unroll { period: 0, ..SHORT }), "agent.memory.period: must be at least 1");
    let gaps = "agent.memory.period: steps between sequences of 3 steps would never be learned from";
    assert_eq!(memory(Unroll { period: 4, ..SHORT }), gaps);
    assert_eq!(memory(Unroll { burn_in: 1 << 20, ..SHORT }), "agent.memory.burn_in: 1048576 is more than 65536");
    assert_eq!(memory(Unroll { eta: 1.1, ..SHORT }), "agent.memory.eta: 1.1 is not between 0 and 1");
    let priorities = |eps, alpha| {
        let priorities = Prioritisation::Proportional { eps, alpha: constant(alpha), beta: constant(1.0) };
        refused(Config { priorities, ..config() })
    };
    assert_eq!(priorities(0.0, 0.5), "agent.priorities.eps: 0 is not a positive number");
    assert_eq!(priorities(1e-6, 2.0), "agent.priorities.alpha.start: 2 is not between 0 and 1");
    let read = |text: &str| {
        let mut table = toml::Table::try_from(config()).unwrap();
        table.extend(text.parse::<toml::Table>().unwrap());
        let context =
            Context { spec: &spec, config: &table, seats: 1, seed: 1, device: &Device::Cpu, precision: Precision::F32 };
        Dqn::new("dqn", &context).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(read("values = { kind = 'quantiles', count = 3 }"), "");
    assert!(read("values = { kind = 'quantiles', counts = 3 }").contains("`counts`"));
    assert!(read("values = { kind = 'expected', count = 3 }").contains("`count`"));
    let missing = "agent.values: missing field `count` (a table is given whole: docs/agents.md shows all kinds)";
    assert_eq!(read("values = { kind = 'quantiles' }"), missing);
    assert!(read("priorities = { kind = 'uniform', eps = 1 }").contains("`eps`"));
    assert!(read("bootstrap = { kind = 'softest' }").contains("`softest`"));
    assert!(read("memory = { kind = 'none', units = 3 }").contains("`units`"));
    let memory = "units = 3, burn_in = 1, steps = 2, period = 2, eta = 0.9";
    assert_eq!(read(&format!("memory = {{ kind = 'lstm', {memory} }}")), "");
    assert!(read(&format!("memory = {{ kind = 'gru', {memory}, layers = 2 }}")).contains("`layers`"));
}

#[test]
fn a_table_says_what_its_network_is() {
    let shape = Config { trunk: Trunk::Small, init: InitScheme::FanIn, ..config() }.shape(Precision::F32);
    assert_eq!((shape.trunk, shape.init), (Trunk::Small, InitScheme::FanIn));
}
