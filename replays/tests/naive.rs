//! The ring against the obvious implementation: whole episodes kept as lists, stacks copied, nothing overwritten in place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rl_core::{End, LifeLoss, Rng, Saved, Spec, Stream};
use rl_replays::{NStepReturns, Replay, RewardTransform, Rollout, Sample};

#[path = "naive/cases.rs"]
mod cases;

use cases::{Case, append, cases, fill, play, spec};

/// Rows that are kept: the capacity, the steps that await the end of their return, and the history of a stack.
fn kept(case: &Case) -> usize {
    case.capacity.div_ceil(case.seats.len()) + case.targets.n_step + case.stack - 1
}

fn expected(case: &Case, seat: usize, at: usize) -> Option<cases::Drawn> {
    cases::expected(case, kept(case), seat, at)
}

fn filled(case: &Case) -> Replay {
    fill_up(Replay::new(&spec(case.stack), case.seats.len(), case.capacity, case.targets), case)
}

fn fill_up(mut replay: Replay, case: &Case) -> Replay {
    append(&mut replay, case);
    replay
}

/// `1000 · seat + row` of a drawn transition.
fn id(sample: &Sample, b: usize) -> usize {
    let symbol = sample.obs.symbols.row(b)[0];
    (symbol >> 8 | (symbol & 0xff) << 8) as usize
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn exactly_the_naive_transitions_can_be_drawn(case in cases()) {
        let replay = filled(&case);
        let ours: Vec<(u64, usize)> = replay.transitions().collect();
        let oldest = case.seats[0].len().saturating_sub(kept(&case));
        let naive: Vec<(u64, usize)> = (oldest..case.seats[0].len())
            .flat_map(|at| (0..case.seats.len()).map(move |seat| (at, seat)))
            .filter(|&(at, seat)| expected(&case, seat, at).is_some())
            .map(|(at, seat)| (at as u64, seat))
            .collect();
        prop_assert_eq!(ours, naive);
    }

    #[test]
    fn every_drawn_transition_equals_the_naive_one(case in cases(), seed in 0..1000u64) {
        let empty = || Replay::new(&spec(case.stack), case.seats.len(), case.capacity, case.targets);
        let replay = fill_up(if seed % 2 == 0 { empty() } else { empty().prioritised() }, &case);
        let mut sample = Sample::new(&spec(case.stack), 32);
        let drawn = replay.sample(&mut Rng::new(seed, Stream::Learn), case.transform, &mut sample);
        prop_assert_eq!(drawn.is_ok(), replay.transitions().next().is_some());
        if drawn.is_err() {
            return Ok(());
        }
        for b in 0..sample.rows() {
            let (symbol, id) = (sample.obs.symbols.row(b)[0], id(&sample, b));
            let (frames, next, action, ret, discount) = expected(&case, id / 1000, id % 1000).expect("a legal draw");
            prop_assert_eq!(sample.obs.frames.row(b), &frames[..]);
            prop_assert_eq!(sample.next.frames.row(b), &next[..]);
            prop_assert_eq!(sample.discrete.row(b), &[action]);
            prop_assert_eq!(sample.continuous.row(b), &[action as f32 + 0.5]);
            prop_assert_eq!((sample.reward[b], sample.discount[b]), (ret, discount));
            prop_assert_eq!(sample.obs.vector.row(b), &[(symbol >> 8) as f32]);
            prop_assert_eq!(sample.obs.legal.row(b), &[(symbol >> 8) as u8 & 1; 5]);
        }
    }

    /// Weights are whole numbers, and as many are drawn as they add up to: each share of the sum is one unit of one of them.
    #[test]
    fn a_prioritised_ring_draws_each_transition_as_often_as_it_weighs(
        case in cases(), weights in prop::collection::vec(1..5u32, 50), seed in 0..1000u64,
    ) {
        let spec = spec(case.stack);
        let mut replay = Replay::new(&spec, case.seats.len(), case.capacity, case.targets).prioritised();
        let mut block = Rollout::new(&spec, case.horizon, case.seats.len(), 1);
        let mut rng = Rng::new(seed, Stream::Learn);
        let (mut given, mut largest, mut weights) = (BTreeMap::new(), 1, weights.into_iter().cycle());
        for from in (0..case.seats[0].len() - 1).step_by(case.horizon) {
            fill(&mut block, &case, from);
            replay.append(std::slice::from_ref(&block)).unwrap();
            let rows = from + case.horizon + 1;
            let seats = case.seats.iter().map(|seat| seat[..rows].to_vec()).collect();
            let seen = Case { seats, ..case.clone() };
            given = (0..rows)
                .flat_map(|at| (0..case.seats.len()).map(move |seat| (seat, at)))
                .filter(|&(seat, at)| at >= rows.saturating_sub(kept(&case)) && expected(&seen, seat, at).is_some())
                .map(|(seat, at)| (1000 * seat + at, given.get(&(1000 * seat + at)).copied().unwrap_or(largest)))
                .collect();
            let mut sample = Sample::new(&spec, given.values().sum::<u32>().max(1) as usize);
            let drawn = replay.sample(&mut rng, case.transform, &mut sample);
            prop_assert_eq!(drawn.is_ok(), !given.is_empty());
            if drawn.is_err() {
                continue;
            }
            let mut counts = BTreeMap::new();
            (0..sample.rows()).for_each(|b| *counts.entry(id(&sample, b)).or_insert(0) += 1);
            prop_assert_eq!(&counts, &given);
            let mut few = Sample::new(&spec, 3);
            replay.sample(&mut rng, case.transform, &mut few).unwrap();
            let new: Vec<u32> = weights.by_ref().take(3).collect();
            for (b, &weight) in new.iter().enumerate() {
                prop_assert_eq!(few.priorities[b], f64::from(given[&id(&few, b)]));
                largest = largest.max(weight);
            }
            new.iter().enumerate().for_each(|(b, &weight)| *given.get_mut(&id(&few, b)).unwrap() = weight);
            replay.set_priorities(&few.places, &new.iter().copied().map(f64::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_loaded_ring_draws_what_the_saved_one_draws(case in cases(), prioritised: bool) {
        let spec = spec(case.stack);
        let empty = || {
            let replay = Replay::new(&spec, case.seats.len(), case.capacity, case.targets);
            if prioritised { replay.prioritised() } else { replay }
        };
        let mut replay = fill_up(empty(), &case);
        let mut few = Sample::new(&spec, 4);
        if prioritised && replay.sample(&mut Rng::new(2, Stream::Learn), case.transform, &mut few).is_ok() {
            replay.set_priorities(&few.places, &[0.1, 7.3, 0.4, 1e-3]);
        }
        let mut bytes = Vec::new();
        replay.save(&mut bytes).unwrap();
        let mut loaded = empty();
        loaded.load(&mut &bytes[..]).unwrap();
        let (mut a, mut b) = (Sample::new(&spec, 16), Sample::new(&spec, 16));
        let drawn = replay.sample(&mut Rng::new(1, Stream::Learn), case.transform, &mut a).is_ok();
        prop_assert_eq!(drawn, loaded.sample(&mut Rng::new(1, Stream::Learn), case.transform, &mut b).is_ok());
        prop_assert_eq!(a, b);
        let mut again = Vec::new();
        loaded.save(&mut again).unwrap();
        prop_assert!(bytes == again);
    }

    #[test]
    fn damaged_bytes_are_refused_or_harmless(case in cases(), cut in any::<prop::sample::Index>(), flip in any::<u8>()) {
        let mut bytes = Vec::new();
        let spec = spec(case.stack);
        let empty = || {
            let replay = Replay::new(&spec, case.seats.len(), case.capacity, case.targets);
            if flip % 2 == 0 { replay } else { replay.prioritised() }
        };
        fill_up(empty(), &case).save(&mut bytes).unwrap();
        let at = cut.index(bytes.len());
        let mut loaded = empty();
        prop_assert!(loaded.load(&mut &bytes[..at]).is_err());
        bytes[at] ^= flip;
        if loaded.load(&mut &bytes[..]).is_ok() {
            let _ = loaded.sample(&mut Rng::new(1, Stream::Learn), case.transform, &mut Sample::new(&spec, 16));
        }
    }
}

#[test]
fn every_transition_is_drawn_equally_often() {
    let script: Vec<(End, i8, u32)> =
        (0..40).map(|t| (if t % 7 == 6 { End::Terminated } else { End::No }, 1, t % 5)).collect();
    let targets = NStepReturns { n_step: 3, gamma: 0.9, life_loss: LifeLoss::Ignore };
    let seats = vec![play(0, &script), play(1, &script)];
    let case = Case { stack: 4, capacity: 20, horizon: 3, targets, transform: RewardTransform::Raw, seats };
    let replay = filled(&case);
    let places = replay.transitions().count();
    let mut sample = Sample::new(&spec(4), 1000 * places);
    replay.sample(&mut Rng::new(0, Stream::Learn), case.transform, &mut sample).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for b in 0..sample.rows() {
        *counts.entry(sample.obs.symbols.row(b)[0]).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), places);
    assert!(counts.values().all(|&count| (870..1130).contains(&count)), "{counts:?}");
}

#[test]
fn a_million_kung_fu_master_transitions_fit_into_7_3_gb() {
    let kungfu = |stack| Spec {
        frame: [84, 84, 1],
        stack,
        vector: 0,
        symbols: [].into(),
        mask: false,
        discrete: [14].into(),
        continuous: [].into(),
    };
    let targets = NStepReturns { n_step: 3, gamma: 0.99, life_loss: LifeLoss::Ignore };
    assert!(Replay::bytes_for(&kungfu(4), 1, 1_000_000, targets.n_step, None) <= 7_300_000_000);
    for seats in [1, 8] {
        let replay = Replay::new(&kungfu(4), seats, 10_000, targets);
        assert_eq!(
            replay.bytes(),
            Replay::bytes_for(&kungfu(4), seats, 10_000, targets.n_step, None),
            "the figure is the allocation"
        );
        let weights = Replay::priority_bytes_for(&kungfu(4), seats, 10_000, targets.n_step, None);
        assert_eq!(replay.bytes() + weights, replay.prioritised().bytes());
    }
}
