//! A ring of sequences against the obvious implementation: windows cut out of whole episodes that are kept as lists.

use proptest::prelude::*;
use rl_core::{LifeLoss, Rng, Saved, Stream};
use rl_replays::{Replay, Sequence, Sequences};

#[path = "naive/cases.rs"]
mod cases;

use cases::{Case, append, cases, expected, spec, stacked, state};

fn sequences() -> impl Strategy<Value = Sequence> {
    (0..3usize, 1..5usize, 1..5usize).prop_map(|(burn_in, steps, period)| Sequence { burn_in, steps, period, state: 1 })
}

fn empty(case: &Case, sequence: Sequence) -> Replay {
    Replay::of_sequences(&spec(case.stack), case.seats.len(), case.capacity, case.targets, sequence)
}

/// Rows that are kept: as many as hold the capacity of beginnings, rounded up to whole periods.
fn kept(case: &Case, sequence: Sequence) -> usize {
    let own = case.capacity.div_ceil(case.seats.len()).max(sequence.period);
    let rest = sequence.burn_in + sequence.steps - 1 + case.targets.n_step + case.stack - 1;
    (own + rest).div_ceil(sequence.period) * sequence.period
}

/// The beginnings of all sequences, by row, then by seat.
fn beginnings(case: &Case, sequence: Sequence) -> Vec<(u64, usize)> {
    let (all, kept) = (case.seats[0].len(), kept(case, sequence));
    let learned = |at: usize| at + sequence.burn_in..at + sequence.burn_in + sequence.steps;
    let begins = |at: usize, seat: usize| {
        let (rows, oldest) = (&case.seats[seat], all.saturating_sub(kept));
        let stack = (at + 1).saturating_sub(case.stack).max(at - rows[at].age as usize);
        stack >= oldest
            && at + sequence.rows(case.targets.n_step) <= all
            && learned(at).any(|row| expected(case, kept, seat, row).is_some())
    };
    let rows = (0..all).step_by(sequence.period).filter(|at| *at >= all.saturating_sub(kept));
    rows.flat_map(|at| (0..case.seats.len()).map(move |seat| (at, seat)))
        .filter(|&(at, seat)| begins(at, seat))
        .map(|(at, seat)| (at as u64, seat))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn exactly_the_naive_sequences_can_be_drawn(case in cases(), sequence in sequences()) {
        let mut replay = empty(&case, sequence);
        append(&mut replay, &case);
        prop_assert_eq!(replay.transitions().collect::<Vec<_>>(), beginnings(&case, sequence));
    }

    #[test]
    fn sequences_from_a_row_on_are_those_that_begin_there_or_later(case in cases(), sequence in sequences()) {
        let mut replay = empty(&case, sequence);
        append(&mut replay, &case);
        let begun = beginnings(&case, sequence);
        for from in 0..=case.seats[0].len() as u64 {
            let later: Vec<(u64, usize)> = begun.iter().copied().filter(|(at, _)| *at >= from).collect();
            prop_assert_eq!(replay.transitions_from(from).collect::<Vec<_>>(), later);
        }
    }

    /// By weights that are all equal and as many draws as sequences, each is drawn once.
    #[test]
    fn a_drawn_sequence_is_the_naive_window(case in cases(), sequence in sequences(), prioritised: bool, seed in 0..1000u64) {
        let mut replay = if prioritised { empty(&case, sequence).prioritised() } else { empty(&case, sequence) };
        append(&mut replay, &case);
        let begun = beginnings(&case, sequence);
        let (rows, count) = (sequence.rows(case.targets.n_step), begun.len().max(1));
        let mut sample = Sequences::new(&spec(case.stack), count, rows, 1);
        let drawn = replay.sample_sequences(&mut Rng::new(seed, Stream::Learn), case.transform, &mut sample);
        prop_assert_eq!(drawn.is_ok(), !begun.is_empty());
        if drawn.is_err() {
            return Ok(());
        }
        let mut taken = (0..sample.here.len()).peekable();
        // Which is which: every row of every seat has a symbol of its own.
        let id = |row: usize| {
            let symbol = sample.obs.symbols.row(row)[0];
            ((symbol >> 8 | (symbol & 0xff) << 8) % 1000, (symbol >> 8 | (symbol & 0xff) << 8) / 1000)
        };
        let firsts: Vec<(u64, usize)> = (0..count).map(|b| (u64::from(id(b).0), id(b).1 as usize)).collect();
        if prioritised {
            let mut once = firsts.clone();
            once.sort_unstable();
            prop_assert_eq!(&once, &begun);
        }
        for t in 0..rows {
            for (b, &(first, seat)) in firsts.iter().enumerate() {
                prop_assert!(begun.contains(&(first, seat)));
                let (at, row) = (first as usize + t, t * count + b);
                let naive = &case.seats[seat][at];
                prop_assert_eq!(id(row), (at as u32, seat as u32));
                prop_assert_eq!(sample.obs.frames.row(row), &stacked(&case.seats[seat], at, case.stack)[..]);
                prop_assert_eq!(sample.starts[row], if naive.age == 0 { 1.0 } else { 0.0 });
                if t == 0 {
                    prop_assert_eq!(sample.states[b], state(naive));
                }
                let learned = (sequence.burn_in..sequence.burn_in + sequence.steps).contains(&t);
                let kept = kept(&case, sequence);
                let Some((_, next, action, ret, discount)) = expected(&case, kept, seat, at).filter(|_| learned) else {
                    prop_assert!(taken.peek().is_none_or(|&m| sample.here[m] as usize != row));
                    continue;
                };
                let m = taken.next().expect("a step that can be learned from");
                prop_assert_eq!((sample.here[m] as usize, sample.discrete[m]), (row, action));
                prop_assert_eq!(sample.continuous[m], action as f32 + 0.5);
                prop_assert_eq!((sample.reward[m], sample.discount[m]), (ret, discount));
                let leads = sample.next[m] as usize;
                prop_assert_eq!((leads % count, sample.obs.frames.row(leads)), (b, &next[..]));
            }
        }
        prop_assert!(taken.next().is_none());
        // New weights are those of the sequences that were drawn, as long as they are there.
        if prioritised {
            let weights: Vec<f64> = (0..count).map(|b| 1.0 + b as f64).collect();
            replay.set_priorities(&sample.places, &weights);
            let (places, mut again) = (sample.places.clone(), sample);
            replay.sample_sequences(&mut Rng::new(seed, Stream::Learn), case.transform, &mut again).unwrap();
            let given = |place| weights[places.iter().position(|known| known == place).unwrap()];
            prop_assert!(again.places.iter().map(given).eq(again.priorities.iter().copied()));
        }
    }

    #[test]
    fn a_loaded_ring_draws_what_the_saved_one_draws(case in cases(), sequence in sequences(), prioritised: bool) {
        let ring = || if prioritised { empty(&case, sequence).prioritised() } else { empty(&case, sequence) };
        let mut replay = ring();
        append(&mut replay, &case);
        let mut bytes = Vec::new();
        replay.save(&mut bytes).unwrap();
        let mut loaded = ring();
        loaded.load(&mut &bytes[..]).unwrap();
        let mut samples = [&replay, &loaded].map(|ring| {
            let mut sample = Sequences::new(&spec(case.stack), 8, sequence.rows(case.targets.n_step), 1);
            let drawn = ring.sample_sequences(&mut Rng::new(1, Stream::Learn), case.transform, &mut sample).is_ok();
            (drawn, sample)
        });
        let [first, second] = &mut samples;
        prop_assert_eq!(first, second);
        let mut again = Vec::new();
        loaded.save(&mut again).unwrap();
        prop_assert!(bytes == again);
        let longer = Sequence { burn_in: sequence.burn_in + sequence.period, ..sequence };
        prop_assert!(empty(&case, longer).load(&mut &bytes[..]).is_err());
        prop_assert!(loaded.load(&mut &bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn the_figure_for_memory_is_the_allocation() {
    let sequence = Sequence { burn_in: 3, steps: 5, period: 4, state: 1 };
    let targets = rl_replays::NStepReturns { n_step: 3, gamma: 0.99, life_loss: LifeLoss::Ignore };
    for seats in [1, 8] {
        let replay = Replay::of_sequences(&spec(4), seats, 1000, targets, sequence);
        assert_eq!(replay.bytes(), Replay::bytes_for(&spec(4), seats, 1000, 3, Some(sequence)));
        let weights = Replay::priority_bytes_for(&spec(4), seats, 1000, 3, Some(sequence));
        assert_eq!(replay.bytes() + weights, replay.prioritised().bytes());
    }
}
