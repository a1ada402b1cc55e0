//! The ring against the obvious implementation: whole episodes kept as lists, stacks copied, nothing overwritten in place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rl_core::{End, Rng, Saved, Spec, Stream};
use rl_replays::{Replay, Rollout, Sample, Targets};

/// One row as an environment would write it.
#[derive(Clone, Debug)]
struct Row {
    frame: [u8; 4],
    age: u32,
    reward: f32,
    end: End,
    action: u32,
}

#[derive(Clone, Debug)]
struct Case {
    stack: usize,
    capacity: usize,
    horizon: usize,
    targets: Targets,
    seats: Vec<Vec<Row>>,
}

impl Case {
    /// Rows that are kept: the capacity, the steps that await the end of their return, and the history of a stack.
    fn rows(&self) -> usize {
        self.capacity.div_ceil(self.seats.len()) + self.targets.n_step + self.stack - 1
    }
}

fn spec(stack: usize) -> Spec {
    Spec {
        frame: [2, 1, 2],
        stack,
        vector: 1,
        symbols: [1 << 20].into(),
        mask: true,
        discrete: [5].into(),
        continuous: [].into(),
    }
}

/// Rows of one seat under next-step autoreset, every frame different from every other.
fn play(seat: usize, script: &[(End, i8, u32)]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (t, &(end, reward, action)) in script.iter().enumerate() {
        let fresh = rows.last().is_none_or(|row| row.end.over());
        let age = if fresh { 0 } else { rows[t - 1].age + 1 };
        let (end, reward) = if fresh { (End::No, 0.0) } else { (end, f32::from(reward) * 0.5) };
        let id = (seat * 1000 + t) as u16;
        rows.push(Row { frame: [id as u8, (id >> 8) as u8, id as u8 ^ 0x55, 7], age, reward, end, action });
    }
    rows
}

fn cases() -> impl Strategy<Value = Case> {
    let end = prop_oneof![
        6 => Just(End::No),
        1 => Just(End::LifeLost),
        1 => Just(End::Truncated),
        1 => Just(End::Terminated)
    ];
    let targets = (1..6usize, any::<bool>(), any::<bool>()).prop_map(|(n_step, reward_clip, life_loss_terminal)| {
        Targets { n_step, gamma: 0.9, reward_clip, life_loss_terminal }
    });
    (1..5usize, 1..4usize, 1..20usize, 1..5usize, 1..12usize, targets).prop_flat_map(
        move |(stack, seats, capacity, horizon, blocks, targets)| {
            let script = prop::collection::vec((end.clone(), -3..4i8, 0..5u32), horizon * blocks + 1);
            prop::collection::vec(script, seats).prop_map(move |scripts| Case {
                stack,
                capacity,
                horizon,
                targets,
                seats: scripts.iter().enumerate().map(|(seat, script)| play(seat, script)).collect(),
            })
        },
    )
}

/// Writes rows `from..` of the case into rows 0.. of a block.
fn fill(block: &mut Rollout, case: &Case, from: usize) {
    for t in 0..=block.horizon() {
        for (e, rows) in case.seats.iter().enumerate() {
            let row = &rows[from + t];
            block.frame.row_mut(case.stack - 1 + t)[e * 4..(e + 1) * 4].copy_from_slice(&row.frame);
            block.vector.row_mut(t)[e] = row.frame[0].into();
            block.symbols.row_mut(t)[e] = u32::from(row.frame[0]) << 8 | u32::from(row.frame[1]);
            block.legal.row_mut(t)[e * 5..(e + 1) * 5].fill(row.frame[0] & 1);
            (block.age[(t, e)], block.reward[(t, e)], block.end[(t, e)]) = (row.age, row.reward, row.end);
            if t < block.horizon() {
                block.discrete.row_mut(t)[e] = row.action;
            }
        }
    }
}

fn filled(case: &Case) -> Replay {
    fill_up(Replay::new(&spec(case.stack), case.seats.len(), case.capacity, case.targets), case)
}

fn fill_up(mut replay: Replay, case: &Case) -> Replay {
    let spec = spec(case.stack);
    let mut block = Rollout::new(&spec, case.horizon, case.seats.len(), 0);
    for from in (0..case.seats[0].len() - 1).step_by(case.horizon) {
        fill(&mut block, case, from);
        replay.append(std::slice::from_ref(&block));
    }
    replay
}

/// `1000 · seat + row` of a drawn transition.
fn id(sample: &Sample, b: usize) -> usize {
    let symbol = sample.obs.symbols.row(b)[0];
    (symbol >> 8 | (symbol & 0xff) << 8) as usize
}

fn stacked(rows: &[Row], at: usize, stack: usize) -> Vec<u8> {
    let first = at - rows[at].age as usize;
    let frames: Vec<&[u8; 4]> =
        (0..stack).map(|s| &rows[(at + s + 1).saturating_sub(stack).max(first)].frame).collect();
    [[0, 1], [2, 3]].iter().flat_map(|pixel| frames.iter().flat_map(move |f| pixel.map(|c| f[c]))).collect()
}

/// Frames, next frames, action, return, discount.
type Drawn = (Vec<u8>, Vec<u8>, u32, f32, f32);

/// What a draw must show, or nothing where no transition may be drawn.
fn expected(case: &Case, seat: usize, at: usize) -> Option<Drawn> {
    let rows = &case.seats[seat];
    let kept = case.rows();
    let oldest = rows.len().saturating_sub(kept);
    let first = at - rows[at].age as usize;
    if rows[at].end.over() || (at + 1).saturating_sub(case.stack).max(first) < oldest {
        return None;
    }
    let (mut ret, mut discount) = (0.0f32, 1.0f32);
    let mut last = at;
    for k in 1..=case.targets.n_step {
        last = at + k;
        let row = rows.get(last)?;
        let reward = if case.targets.reward_clip && row.reward != 0.0 { row.reward.signum() } else { row.reward };
        ret += discount * reward;
        discount *= case.targets.gamma;
        if row.end == End::Terminated || (row.end == End::LifeLost && case.targets.life_loss_terminal) {
            discount = 0.0;
        }
        if row.end.over() || discount == 0.0 {
            break;
        }
    }
    Some((stacked(rows, at, case.stack), stacked(rows, last, case.stack), rows[at].action, ret, discount))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn exactly_the_naive_transitions_can_be_drawn(case in cases()) {
        let replay = filled(&case);
        let ours: Vec<(u64, usize)> = replay.transitions().collect();
        let oldest = case.seats[0].len().saturating_sub(case.rows());
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
        let drawn = replay.sample(&mut Rng::new(seed, Stream::Learn), &mut sample);
        prop_assert_eq!(drawn.is_ok(), replay.transitions().next().is_some());
        if drawn.is_err() {
            return Ok(());
        }
        for b in 0..sample.rows() {
            let (symbol, id) = (sample.obs.symbols.row(b)[0], id(&sample, b));
            let (frames, next, action, ret, discount) = expected(&case, id / 1000, id % 1000).expect("a legal draw");
            prop_assert_eq!(sample.obs.frames.row(b), &frames[..]);
            prop_assert_eq!(sample.next.frames.row(b), &next[..]);
            prop_assert_eq!(sample.action.row(b), &[action]);
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
        let mut block = Rollout::new(&spec, case.horizon, case.seats.len(), 0);
        let mut rng = Rng::new(seed, Stream::Learn);
        let (mut given, mut largest, mut weights) = (BTreeMap::new(), 1, weights.into_iter().cycle());
        for from in (0..case.seats[0].len() - 1).step_by(case.horizon) {
            fill(&mut block, &case, from);
            replay.append(std::slice::from_ref(&block));
            let rows = from + case.horizon + 1;
            let seats = case.seats.iter().map(|seat| seat[..rows].to_vec()).collect();
            let seen = Case { seats, ..case.clone() };
            given = (0..rows)
                .flat_map(|at| (0..case.seats.len()).map(move |seat| (seat, at)))
                .filter(|&(seat, at)| at >= rows.saturating_sub(case.rows()) && expected(&seen, seat, at).is_some())
                .map(|(seat, at)| (1000 * seat + at, given.get(&(1000 * seat + at)).copied().unwrap_or(largest)))
                .collect();
            let mut sample = Sample::new(&spec, given.values().sum::<u32>().max(1) as usize);
            let drawn = replay.sample(&mut rng, &mut sample);
            prop_assert_eq!(drawn.is_ok(), !given.is_empty());
            if drawn.is_err() {
                continue;
            }
            let mut counts = BTreeMap::new();
            (0..sample.rows()).for_each(|b| *counts.entry(id(&sample, b)).or_insert(0) += 1);
            prop_assert_eq!(&counts, &given);
            let mut few = Sample::new(&spec, 3);
            replay.sample(&mut rng, &mut few).unwrap();
            let new: Vec<u32> = weights.by_ref().take(3).collect();
            for (b, &weight) in new.iter().enumerate() {
                prop_assert_eq!(few.weights[b], f64::from(given[&id(&few, b)]));
                largest = largest.max(weight);
            }
            new.iter().enumerate().for_each(|(b, &weight)| *given.get_mut(&id(&few, b)).unwrap() = weight);
            replay.weigh(&few, &new.iter().copied().map(f64::from).collect::<Vec<_>>());
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
        if prioritised && replay.sample(&mut Rng::new(2, Stream::Learn), &mut few).is_ok() {
            replay.weigh(&few, &[0.1, 7.3, 0.4, 1e-3]);
        }
        let mut bytes = Vec::new();
        replay.save(&mut bytes).unwrap();
        let mut loaded = empty();
        loaded.load(&mut &bytes[..]).unwrap();
        let (mut a, mut b) = (Sample::new(&spec, 16), Sample::new(&spec, 16));
        let drawn = replay.sample(&mut Rng::new(1, Stream::Learn), &mut a).is_ok();
        prop_assert_eq!(drawn, loaded.sample(&mut Rng::new(1, Stream::Learn), &mut b).is_ok());
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
            let _ = loaded.sample(&mut Rng::new(1, Stream::Learn), &mut Sample::new(&spec, 16));
        }
    }
}

#[test]
fn every_transition_is_drawn_equally_often() {
    let script: Vec<(End, i8, u32)> =
        (0..40).map(|t| (if t % 7 == 6 { End::Terminated } else { End::No }, 1, t % 5)).collect();
    let targets = Targets { n_step: 3, gamma: 0.9, reward_clip: false, life_loss_terminal: false };
    let case = Case { stack: 4, capacity: 20, horizon: 3, targets, seats: vec![play(0, &script), play(1, &script)] };
    let replay = filled(&case);
    let places = replay.transitions().count();
    let mut sample = Sample::new(&spec(4), 1000 * places);
    replay.sample(&mut Rng::new(0, Stream::Learn), &mut sample).unwrap();
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
    let targets = Targets { n_step: 3, gamma: 0.99, reward_clip: true, life_loss_terminal: false };
    assert!(Replay::bytes_for(&kungfu(4), 1, 1_000_000, targets.n_step) <= 7_300_000_000);
    for seats in [1, 8] {
        let replay = Replay::new(&kungfu(4), seats, 10_000, targets);
        assert_eq!(
            replay.bytes(),
            Replay::bytes_for(&kungfu(4), seats, 10_000, targets.n_step),
            "the figure is the allocation"
        );
        let weights = Replay::priority_bytes_for(&kungfu(4), seats, 10_000, targets.n_step);
        assert_eq!(replay.bytes() + weights, replay.prioritised().bytes());
    }
}
