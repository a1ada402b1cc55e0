//! The learner against its own promises: what it was shown is what it does, whoever's seats are grouped how.

use candle_core::Device;
use rl_core::{Bound, End};
use rl_nn::Precision;

use super::*;
use crate::Mode;
use crate::testing::{load, save};

fn spec(continuous: bool) -> Spec {
    let spec = Spec { vector: 2, ..Spec::none() };
    match continuous {
        true => Spec { continuous: [Bound { low: -2.0, high: 2.0 }].into(), ..spec },
        false => Spec { discrete: [3].into(), mask: true, ..spec },
    }
}

fn config() -> Config {
    Config {
        demonstrations: String::new(),
        capacity: 1000,
        held_out: 0.25,
        lr: 1e-2,
        lr_end: 0.0,
        lr_steps: 0,
        adam_eps: 1e-8,
        grad_clip: 0.0,
        batch: 32,
        update_period: 8,
        updates: 4,
        check_period: 16,
        normalise_observations: true,
        trunk: Trunk::Nature,
        hidden: vec![24],
        activation: Activation::Tanh,
    }
}

fn learner(spec: &Spec, config: &Config, seats: u32) -> Result<Bc> {
    let table = toml::Table::try_from(config).unwrap();
    let (device, precision) = (&Device::Cpu, Precision::F32);
    Bc::new(&Context { spec, config: &table, seats, seed: 7, device, precision })
}

/// What is seen in step `t` of game `g`.
fn sight(g: usize, t: usize) -> [f32; 2] {
    let angle = (g * 37 + t * 11) as f32 * 0.1;
    [angle.sin(), 0.01 * angle.cos()]
}

/// What was done there: an action of three, and one between -2 and 2.
fn deed([x, y]: [f32; 2]) -> (u32, f32) {
    (if x > 0.3 { 0 } else { 1 + u32::from(y > 0.0) }, (1.5 * x).clamp(-2.0, 2.0))
}

/// Games of `lengths` steps in one seat, block by block of one step, a rest at the end, in which everything is legal.
fn show(learner: &mut dyn Learner, spec: &Spec, lengths: &[usize]) -> Result<()> {
    show_where(learner, spec, lengths, |_| [1; 3])
}

/// The games of [`show`], in which what is legal follows from what is seen.
fn show_where(learner: &mut dyn Learner, spec: &Spec, lengths: &[usize], legal: fn([f32; 2]) -> [u8; 3]) -> Result<()> {
    let mut rows = Vec::new();
    for (g, &length) in lengths.iter().enumerate() {
        rows.extend((0..=length).map(|t| (sight(g, t), t as u32, if t == length { End::Terminated } else { End::No })));
    }
    rows.push(([0.0; 2], 0, End::Terminated));
    let mut block = Rollout::new(spec, 1, 1, 0);
    let put = |block: &mut Rollout, row: usize, at: usize| {
        block.vector.row_mut(row).copy_from_slice(&rows[at].0);
        let width = block.legal.row(row).len();
        block.legal.row_mut(row).copy_from_slice(&legal(rows[at].0)[..width]);
        (block.age[(row, 0)], block.end[(row, 0)]) = (rows[at].1, rows[at].2);
    };
    put(&mut block, 0, 0);
    for at in 1..rows.len() {
        put(&mut block, 1, at);
        let (discrete, continuous) = deed(rows[at - 1].0);
        block.discrete.row_mut(0).fill(discrete);
        block.continuous.row_mut(0).fill(continuous);
        learner.add_demonstrations(std::slice::from_ref(&block))?;
        block.carry();
    }
    Ok(())
}

/// A block of `seats` seats that play on and on.
fn playing(spec: &Spec, horizon: usize, seats: usize) -> Rollout {
    let mut block = Rollout::new(spec, horizon, seats, 0);
    for t in 0..=horizon {
        block.age.row_mut(t).fill(1 + t as u32);
        block.legal.row_mut(t).fill(1);
        (0..seats).for_each(|e| block.vector.at_mut(t, e).copy_from_slice(&sight(e, t)));
    }
    block
}

fn learn(learner: &mut Bc, rounds: usize, log: &mut Log) -> Result<()> {
    let block = playing(&learner.spec, learner.plan().horizon, learner.seats as usize);
    (0..rounds).try_for_each(|_| learner.learn(std::slice::from_ref(&block), &mut Solo, log))
}

#[test]
fn what_was_done_is_what_is_done_and_foreseen_in_games_that_were_held_out() {
    for continuous in [false, true] {
        let spec = spec(continuous);
        let mut bc = learner(&spec, &config(), 2).unwrap();
        show(&mut bc, &spec, &[40, 30, 50, 20, 40, 1, 60, 30]).unwrap();
        // Every fourth game: of 20 steps and of 30.
        assert_eq!((bc.shown.learned().len(), bc.shown.held().len()), (221, 50));
        let mut log = Log::default();
        learn(&mut bc, 2, &mut log).unwrap();
        let before = log.drain();
        learn(&mut bc, 300, &mut log).unwrap();
        log.drain();
        learn(&mut bc, 2, &mut log).unwrap();
        let after = log.drain();
        let of =
            |log: &[(&str, f64)], name: &str| log.iter().find(|(known, _)| *known == name).map(|&(_, value)| value);
        for name in ["loss", "held_out_loss"] {
            let (before, after) = (of(&before, name).unwrap(), of(&after, name).unwrap());
            assert!(after < before - 0.5, "{name}: {before} before, {after} after");
        }
        assert_eq!(of(&after, "held_out_accuracy").is_some(), !continuous);
        assert!(continuous || of(&after, "held_out_accuracy").unwrap() > 0.9, "{after:?}");

        let mut block = [playing(&spec, 1, 20)];
        let mut policy = bc.policy(0..20).unwrap();
        policy.act(&mut block, 0, Mode::Evaluate { epsilon: 0.0, greedy: true }).unwrap();
        let mut asked = [playing(&spec, 1, 20)];
        asked[0].record_outputs();
        policy.act(&mut asked, 0, Mode::Evaluate { epsilon: 0.0, greedy: true }).unwrap();
        let deeds = |block: &Rollout| (block.discrete.row(0).to_vec(), block.continuous.row(0).to_vec());
        assert_eq!(deeds(&asked[0]), deeds(&block[0]), "asked what it thinks, it does the same");
        for e in 0..20 {
            let (value, probabilities) = asked[0].outputs.at(0, e).split_first().unwrap();
            assert!(value.is_nan(), "it knows none");
            if !continuous {
                let most = (0..3).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b])).unwrap();
                assert!(
                    most as u32 == asked[0].discrete[(0, e)] && (probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5
                );
            }
        }
        let right = (0..20).filter(|&e| {
            let (discrete, number) = deed(sight(e, 0));
            match continuous {
                true => (block[0].continuous[(0, e)] - number).abs() < 0.2,
                false => block[0].discrete[(0, e)] == discrete,
            }
        });
        assert!(right.count() >= 18);
    }
}

#[test]
fn a_fresh_policy_is_nearly_uniform_and_keeps_the_length_of_what_it_sees() {
    let bc = learner(&spec(false), &config(), 1).unwrap();
    let mut seen = Vec::new();
    for (name, var) in bc.params.iter() {
        let values: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
        let squares = values.iter().map(|value| value * value).sum::<f32>();
        // Orthogonal: as many rows of the gain's length as the shorter side has.
        let expected = match name {
            "policy_head.weight" => 3.0 * 0.01f32.powi(2),
            _ if name.ends_with("weight") => 2.0 * 2.0,
            _ => 0.0,
        };
        assert!((squares - expected).abs() <= 1e-4 * expected, "{name}: {squares}, not {expected}");
        seen.push(name.to_owned());
    }
    assert!(seen.len() == 4 && seen.contains(&"policy_head.weight".to_owned()), "{seen:?}");
}

#[test]
fn the_loss_is_the_cross_entropy_and_its_gradient_the_difference() {
    let spec = spec(false);
    let mut bc = learner(&spec, &Config { batch: 2, normalise_observations: false, ..config() }, 1).unwrap();
    show(&mut bc, &spec, &[2]).unwrap();
    let rows = bc.shown.learned().to_vec();
    assert_eq!(bc.shown.take(rows.into_iter(), &mut bc.steps), 2);
    let logits = [0.3f32, -1.2, 2.0, 0.7, 0.1, -0.4];
    let mut loss = |logits: &[f32]| bc.likelihood.of(logits, &bc.steps, 2).loss;
    let exp = logits.map(|z| f64::from(z).exp());
    let chosen = [0, 1].map(|t| deed(sight(0, t)).0 as usize);
    let expected: f64 = (0..2)
        .map(|row| -(exp[row * 3 + chosen[row]] / exp[row * 3..row * 3 + 3].iter().sum::<f64>()).ln() / 2.0)
        .sum();
    assert!((loss(&logits) - expected).abs() < 1e-6);
    let slopes: Vec<f64> = (0..6)
        .map(|i| {
            let at = |step: f32, loss: &mut dyn FnMut(&[f32]) -> f64| {
                let mut moved = logits;
                moved[i] += step;
                loss(&moved)
            };
            (at(0.01, &mut loss) - at(-0.01, &mut loss)) / 0.02
        })
        .collect();
    loss(&logits);
    let got = bc.likelihood.by_outputs();
    got.iter().zip(slopes).for_each(|(&got, slope)| assert!((f64::from(got) - slope).abs() < 1e-4, "{got} {slope}"));
}

#[test]
fn an_action_that_is_not_legal_is_neither_learned_nor_done() {
    let legal = |[x, _]: [f32; 2]| [u8::from(x <= 0.6), 1, u8::from(x <= 0.3)];
    let (spec, lengths) = (spec(false), [40, 30, 50, 20]);
    let mut bc = learner(&spec, &Config { batch: 64, normalise_observations: false, ..config() }, 2).unwrap();
    show_where(&mut bc, &spec, &lengths, legal).unwrap();
    let steps = lengths.iter().enumerate().flat_map(|(g, &length)| (0..length).map(move |t| sight(g, t)));
    let (fine, wrong): (Vec<_>, Vec<_>) = steps.partition(|&seen| legal(seen)[deed(seen).0 as usize] == 1);
    assert_eq!(bc.shown.learned().len() + bc.shown.held().len(), fine.len());
    assert!(wrong.len() > 30, "{} of {}", wrong.len(), fine.len());
    learn(&mut bc, 20, &mut Log::default()).unwrap();

    let rows = bc.shown.learned().to_vec();
    let count = bc.shown.take(rows.into_iter(), &mut bc.steps);
    let loss = bc.likelihood.of(&[0.5; 64 * 3][..count * 3], &bc.steps, count).loss;
    let slopes = bc.likelihood.by_outputs().iter().zip(bc.steps.obs.legal.all());
    let forbidden: Vec<f32> = slopes.filter(|&(_, &legal)| legal == 0).map(|(&slope, _)| slope).collect();
    assert!(loss.is_finite() && forbidden.len() > 5 && forbidden.iter().all(|&slope| slope == 0.0), "{forbidden:?}");

    let (mut policy, mut block) = (bc.policy(0..140).unwrap(), [playing(&spec, 1, 140)]);
    (0..140).for_each(|e| block[0].legal.at_mut(0, e).copy_from_slice(&legal(sight(e, 0))));
    policy.act(&mut block, 0, Mode::Explore).unwrap();
    assert!((0..140).all(|e| legal(sight(e, 0))[block[0].discrete[(0, e)] as usize] == 1));
}

#[test]
fn a_loaded_learner_goes_on_as_the_saved_one() {
    for continuous in [false, true] {
        let spec = spec(continuous);
        let mut first = learner(&spec, &config(), 2).unwrap();
        show(&mut first, &spec, &[20, 20, 20, 20, 7]).unwrap();
        learn(&mut first, 9, &mut Log::default()).unwrap();
        let saved = save(&mut first);
        let mut second = learner(&spec, &config(), 2).unwrap();
        load(&mut second, &saved);
        assert_eq!(first.shown.held(), second.shown.held());
        learn(&mut first, 9, &mut Log::default()).unwrap();
        learn(&mut second, 9, &mut Log::default()).unwrap();
        assert!(save(&mut first) == save(&mut second));
    }
}

#[test]
fn choices_do_not_depend_on_how_seats_are_grouped() {
    for continuous in [false, true] {
        let spec = spec(continuous);
        let bc = learner(&spec, &config(), 6).unwrap();
        let run = |sizes: &[usize]| {
            let mut policy = bc.policy(0..6).unwrap();
            let whole = playing(&spec, 30, 6);
            let mut blocks: Vec<Rollout> = sizes.iter().map(|&size| playing(&spec, 30, size)).collect();
            let mut from = 0;
            for block in &mut blocks {
                let seats = block.seats();
                for (t, e) in (0..=30).flat_map(|t| (0..seats).map(move |e| (t, e))) {
                    block.copy_row((t, e), &whole, (t, from + e));
                    // Over in some seats at some times, where nothing is drawn.
                    block.end[(t, e)] = if (t + from + e) % 5 == 0 { End::Truncated } else { End::No };
                }
                from += seats;
            }
            let mut chosen = Vec::new();
            for t in 0..30 {
                policy.act(&mut blocks, t, Mode::Explore).unwrap();
                chosen.extend(blocks.iter().flat_map(|b| b.discrete.row(t).to_vec()));
                chosen.extend(
                    blocks.iter().flat_map(|b| b.continuous.row(t).iter().map(|x| x.to_bits()).collect::<Vec<_>>()),
                );
            }
            chosen
        };
        assert_eq!(run(&[6]), run(&[1, 2, 3]));
    }
}

#[test]
fn what_cannot_be_learned_from_is_refused_in_one_line() {
    let spec = spec(false);
    let refused = |config: Config| learner(&spec, &config, 1).err().unwrap().to_string();
    assert_eq!(refused(Config { batch: 0, ..config() }), "agent.batch: must be at least 1");
    assert_eq!(refused(Config { held_out: 1.5, ..config() }), "agent.held_out: 1.5 is not between 0 and 1");
    assert_eq!(refused(Config { held_out: 1.0, ..config() }), "agent.held_out: 1 leaves no game to learn from");
    let mut bc = learner(&spec, &Config { capacity: 20, ..config() }, 1).unwrap();
    let nothing = learn(&mut bc, 1, &mut Log::default()).unwrap_err().to_string();
    assert!(nothing.starts_with("agent.demonstrations: no legal step to learn from"), "{nothing}");
    let full = show(&mut bc, &spec, &[30]).unwrap_err().to_string();
    assert!(full.starts_with("agent.capacity: is full before agent.demonstrations end"), "{full}");
    let none = Spec { discrete: [].into(), ..spec.clone() };
    assert_eq!((ENTRY.refuses)(&none).unwrap(), "bc needs an action to choose; this environment has none");
}

#[test]
fn the_learning_rate_falls_by_agent_steps() {
    let spec = spec(false);
    let mut bc = learner(&spec, &Config { lr_steps: 64, ..config() }, 2).unwrap();
    show(&mut bc, &spec, &[9; 8]).unwrap();
    for round in 0..10u32 {
        let mut log = Log::default();
        learn(&mut bc, 1, &mut log).unwrap();
        let steps = bc.progress.steps() as f64 - 8.0; // before the round: the first learns by lr, and none by lr_end
        let rate = log.drain().into_iter().find(|(name, _)| *name == "lr").unwrap().1;
        assert!((rate - 1e-2 * (1.0 - steps / 64.0).max(0.0)).abs() < 1e-12, "round {round}: {rate} after {steps}");
    }
}
