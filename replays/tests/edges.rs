//! The edges of the ring that random episodes reach seldom: groups of seats, a start amid an episode, foreign and huge states.

use rl_core::{Bound, End, LifeLoss, Rng, Saved, Spec, Stream};
use rl_replays::{NStepReturns, Replay, RewardTransform, Rollout, Sample, Sequence, Steps};

const TARGETS: NStepReturns = NStepReturns { n_step: 2, gamma: 0.5, life_loss: LifeLoss::Ignore };

fn spec(stack: usize) -> Spec {
    Spec {
        frame: [1, 1, 1],
        stack,
        vector: 0,
        symbols: [256].into(),
        mask: false,
        discrete: [256].into(),
        continuous: [].into(),
    }
}

/// Rows `from..=from + horizon` of an unbroken episode; the frame, symbol, action and reward of a row are its number.
fn block(stack: usize, seats: usize, horizon: usize, from: u32) -> Rollout {
    let mut block = Rollout::new(&spec(stack), horizon, seats, 0);
    for t in 0..=horizon {
        let number = from + t as u32;
        block.frame.row_mut(stack - 1 + t).fill(number as u8);
        block.symbols.row_mut(t).fill(number);
        block.age.row_mut(t).fill(number);
        block.reward.row_mut(t).fill(number as f32);
        if t < horizon {
            block.discrete.row_mut(t).fill(number);
        }
    }
    block
}

fn drawn(replay: &Replay) -> Sample {
    let mut sample = Sample::new(&spec(4), 64);
    replay.sample(&mut Rng::new(3, Stream::Learn), RewardTransform::Raw, &mut sample).unwrap();
    sample
}

#[test]
fn nothing_to_draw_is_an_error_and_not_a_hang() {
    let mut replay = Replay::new(&spec(4), 1, 8, TARGETS);
    let mut sample = Sample::new(&spec(4), 1);
    let mut refuse =
        |replay: &Replay| replay.sample(&mut Rng::new(0, Stream::Learn), RewardTransform::Raw, &mut sample).is_err();
    assert!(refuse(&replay));
    replay.append(&[block(4, 1, 1, 0)]).unwrap();
    assert!(refuse(&replay), "one step of two");
    replay.append(&[block(4, 1, 1, 1)]).unwrap();
    assert!(!refuse(&replay));
}

/// Values are copied by seat, so that those of other widths would be taken for other seats'.
#[test]
fn blocks_of_another_spec_and_sequences_without_their_states_are_refused() {
    let refused = |mut replay: Replay, block: Rollout| {
        let append = std::panic::AssertUnwindSafe(|| replay.append(&[block]));
        let why = std::panic::catch_unwind(append).unwrap_err();
        why.downcast_ref::<String>().cloned().unwrap_or_else(|| (*why.downcast::<&str>().unwrap()).to_owned())
    };
    let narrow = Spec { symbols: [].into(), ..spec(4) };
    let narrow = Rollout::new(&narrow, 6, 2, 0);
    let said = refused(Replay::new(&spec(4), 2, 8, TARGETS), narrow);
    assert!(said.contains("blocks of the spec of this replay"), "{said}");
    let sequence = Sequence { burn_in: 0, steps: 2, period: 2, state: 3 };
    let said = refused(Replay::of_sequences(&spec(4), 2, 8, TARGETS, sequence), block(4, 2, 6, 0));
    assert!(said.contains("a state of 3 numbers"), "{said}");
}

#[test]
fn a_lane_gives_one_value_of_a_seat_that_it_has() {
    let block = block(4, 2, 6, 0);
    let refused = |e: usize| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block.age[(0, e)])).is_err();
    assert_eq!([0, 1, 2].map(refused), [false, false, true], "the third would be the next row's first");
    let wide = Rollout::new(&Spec { discrete: [2, 2].into(), ..spec(4) }, 6, 2, 0);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wide.discrete[(0, 0)])).is_err());
}

#[test]
fn groups_of_seats_are_seats_in_their_order() {
    let (mut groups, mut whole) = (Replay::new(&spec(4), 3, 30, TARGETS), Replay::new(&spec(4), 3, 30, TARGETS));
    let (mut left, mut right) = (block(4, 1, 6, 0), block(4, 2, 6, 0));
    let mut all = block(4, 3, 6, 0);
    for t in 0..=6 {
        (left.end[(t, 0)], right.end[(t, 1)]) = (End::LifeLost, End::No);
        right.symbols.row_mut(t).copy_from_slice(&[100 + t as u32, 200 + t as u32]);
        all.symbols.row_mut(t).copy_from_slice(&[t as u32, 100 + t as u32, 200 + t as u32]);
        all.end[(t, 0)] = End::LifeLost;
    }
    groups.append(&[left, right]).unwrap();
    whole.append(&[all]).unwrap();
    let bytes = |replay: &Replay| {
        let mut bytes = Vec::new();
        replay.save(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(bytes(&groups), bytes(&whole));
    assert_eq!(drawn(&groups), drawn(&whole));
}

#[test]
fn an_episode_that_was_running_before_is_drawn_from_where_its_stack_is_whole() {
    let mut replay = Replay::new(&spec(4), 1, 20, TARGETS);
    replay.append(&[block(4, 1, 8, 50)]).unwrap();
    let rows: Vec<u64> = replay.transitions().map(|(row, _)| row).collect();
    assert_eq!(rows, [3, 4, 5, 6]);
    let sample = drawn(&replay);
    for b in 0..sample.rows() {
        let number = sample.obs.symbols.row(b)[0];
        assert!((53..=56).contains(&number));
        let stack: Vec<u8> = (number as u8 - 3..=number as u8).collect();
        assert_eq!(sample.obs.frames.row(b), stack);
        assert_eq!(sample.reward[b], (number + 1) as f32 + 0.5 * (number + 2) as f32);
        assert_eq!((sample.discrete.row(b), sample.discount[b]), (&[number][..], 0.25));
    }
}

#[test]
fn priorities_are_kept_only_of_what_can_still_be_drawn() {
    let mut replay = Replay::new(&spec(4), 1, 8, TARGETS).prioritised();
    replay.append(&[block(4, 1, 8, 0)]).unwrap();
    let sample = drawn(&replay);
    for from in (8..80).step_by(8) {
        replay.append(&[block(4, 1, 8, from)]).unwrap();
    }
    // All rows of the sample were overwritten: their priorities would be those of others.
    replay.set_priorities(&sample.places, &vec![1e9; sample.rows()]);
    assert!(drawn(&replay).priorities.iter().all(|&priority| priority == 1.0), "nobody else has them now");
    let numbers: Vec<u32> = (0..64).map(|b| drawn(&replay).obs.symbols.row(b)[0]).collect();
    assert!(numbers.iter().all(|number| (70..=78).contains(number)), "{numbers:?}");
}

#[test]
fn a_state_of_another_kind_of_draws_is_refused() {
    let mut uniform = Replay::new(&spec(4), 1, 8, TARGETS);
    let mut prioritised = Replay::new(&spec(4), 1, 8, TARGETS).prioritised();
    let bytes = |replay: &mut Replay| {
        replay.append(&[block(4, 1, 6, 0)]).unwrap();
        let mut bytes = Vec::new();
        replay.save(&mut bytes).unwrap();
        bytes
    };
    let (plain, mut weighed) = (bytes(&mut uniform), bytes(&mut prioritised));
    let error = |replay: &mut Replay, bytes: &[u8]| replay.load(&mut &bytes[..]).unwrap_err().to_string();
    assert!(error(&mut prioritised, &plain).contains("too early"));
    assert!(error(&mut uniform, &weighed).contains("too many"));
    // The last transition has no whole return yet: a priority of its own is a damaged file.
    let at = weighed.len() - 16;
    weighed[at..at + 8].copy_from_slice(&0.5f64.to_le_bytes());
    assert!(error(&mut prioritised, &weighed).contains("a priority that is none of its transitions'"));
    assert!(prioritised.is_empty());
    // Before the first whole return no priority is above the largest, whatever that is; new transitions enter with it.
    let mut young = Replay::new(&spec(4), 1, 8, TARGETS).prioritised();
    young.append(&[block(4, 1, 1, 0)]).unwrap();
    let mut none = Vec::new();
    young.save(&mut none).unwrap();
    let at = none.len() - 8;
    none[at..].copy_from_slice(&0f64.to_le_bytes());
    assert!(error(&mut prioritised, &none).contains("a priority that is none of its transitions'"));
    prioritised.append(&[block(4, 1, 6, 0)]).unwrap();
    assert_eq!(drawn(&prioritised).priorities, [1.0; 64], "nothing of the refused state is left");
}

#[test]
fn a_reset_that_no_end_announced_is_not_crossed() {
    let mut cut = block(4, 1, 6, 0);
    for t in 3..=6 {
        cut.age[(t, 0)] = t as u32 - 3; // rows 3 and on are another episode
    }
    let mut replay = Replay::new(&spec(4), 1, 20, TARGETS);
    replay.append(&[cut]).unwrap();
    let rows: Vec<u64> = replay.transitions().map(|(row, _)| row).collect();
    assert_eq!(rows, [0, 3, 4]);
}

#[test]
fn a_full_ring_holds_its_capacity_of_whole_transitions() {
    for (stack, n_step, seats) in [(1, 1, 1), (4, 1, 2), (4, 3, 2), (1, 5, 3)] {
        let mut replay = Replay::new(&spec(stack), seats, 12, NStepReturns { n_step, ..TARGETS });
        for from in (0..60).step_by(3) {
            replay.append(&[block(stack, seats, 3, from)]).unwrap(); // of an episode that does not end
        }
        assert_eq!(replay.transitions().count(), 12, "stack {stack}, {n_step} steps, {seats} seats");
    }
}

#[test]
fn drawing_and_appending_keep_their_buffers() {
    let mut replay = Replay::new(&spec(4), 2, 10, TARGETS);
    let (bytes, mut sample) = (replay.bytes(), Sample::new(&spec(4), 8));
    let places = |sample: &Sample| (sample.obs.frames.all().as_ptr(), sample.next.frames.all().as_ptr());
    let before = places(&sample);
    for from in (0..90).step_by(3) {
        replay.append(&[block(4, 2, 3, from)]).unwrap();
        replay.sample(&mut Rng::new(0, Stream::Learn), RewardTransform::Raw, &mut sample).unwrap();
    }
    assert_eq!((replay.bytes(), places(&sample)), (bytes, before));
}

#[test]
fn a_resumed_ring_goes_on_as_the_uninterrupted_one() {
    let mut whole = Replay::new(&spec(4), 2, 10, TARGETS);
    (0..4).for_each(|i| whole.append(&[block(4, 2, 3, 3 * i)]).unwrap());
    let mut bytes = Vec::new();
    whole.save(&mut bytes).unwrap();
    let mut resumed = Replay::new(&spec(4), 2, 10, TARGETS);
    resumed.load(&mut &bytes[..]).unwrap();
    for i in 4..9 {
        whole.append(&[block(4, 2, 3, 3 * i)]).unwrap();
        resumed.append(&[block(4, 2, 3, 3 * i)]).unwrap();
        assert_eq!(drawn(&whole), drawn(&resumed));
    }
}

#[test]
fn foreign_and_damaged_states_are_refused_and_leave_nothing_half_read() {
    let mut replay = Replay::new(&spec(4), 1, 8, TARGETS);
    replay.append(&[block(4, 1, 6, 0)]).unwrap();
    let mut bytes = Vec::new();
    replay.save(&mut bytes).unwrap();
    let refuse = |bytes: &[u8], replay: &mut Replay| replay.load(&mut &bytes[..]).unwrap_err().to_string();

    for cut in 0..bytes.len() {
        let error = refuse(&bytes[..cut], &mut replay);
        assert!(error.starts_with("saved state of replay"), "{cut}: {error}");
    }
    assert!(replay.is_empty(), "a state of which a part is missing is not half a replay");
    let longer = [&bytes[..], &[0]].concat();
    assert!(refuse(&longer, &mut replay).contains("too many"));
    assert!(refuse(&bytes, &mut Replay::new(&spec(4), 1, 9, TARGETS)).contains("other shapes"));
    assert!(refuse(&bytes, &mut Replay::new(&spec(3), 1, 9, TARGETS)).contains("other shapes"));

    // The count of rows is the number behind the magic and the nine of the shape.
    for written in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 40] {
        let mut huge = bytes.clone();
        huge[80..88].copy_from_slice(&written.to_le_bytes());
        refuse(&huge, &mut replay);
        assert!(replay.is_empty());
    }
    replay.load(&mut &bytes[..]).unwrap();
    assert_eq!(replay.transitions().count(), 5);
}

#[test]
fn every_value_that_cannot_have_been_saved_is_refused_for_what_it_is() {
    let ring = || Replay::new(&spec(4), 1, 8, TARGETS);
    let (mut replay, mut bytes) = (ring(), Vec::new());
    replay.append(&[block(4, 1, 6, 0)]).unwrap(); // seven rows
    replay.save(&mut bytes).unwrap();
    // Behind the header of 12 numbers stands a byte of frame for each row, then four bytes of each of these.
    let [symbol, age, _, action, end] =
        [0, 1, 2, 3, 4].map(|array| move |row: usize| 8 * 12 + 7 + 4 * (7 * array + row));
    assert_eq!(bytes.len(), end(7));
    let load = |at: usize, value: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + value.len()].copy_from_slice(value);
        ring().load(&mut &changed[..]).map_err(|error| error.to_string())
    };
    let number = |value: u32| value.to_le_bytes();
    for (at, value, why) in [
        (0, number(0), "is not a replay"),
        (88, number(1), "begins with a row that it cannot begin with"),
        (symbol(6), number(256), "holds a symbol or an action that does not exist"),
        (action(2), number(256), "holds a symbol or an action that does not exist"),
        (age(3), number(9), "has a gap in an episode"),
        (end(5), number(99), "holds a value that does not exist"),
    ] {
        let said = load(at, &value).expect_err(why);
        assert!(said.contains(why), "{said}, not: {why}");
    }
    load(age(6), &number(0)).unwrap(); // an episode may begin at any row
    load(symbol(6), &number(255)).unwrap();
}

/// An episode that begins anew follows no step, whatever stands before it; continuous actions are kept as they were given.
#[test]
fn steps_are_what_was_seen_and_done_across_new_beginnings_and_a_saved_state() {
    let continuous = [Bound { low: -1.0, high: 1.0 }; 2].into();
    let spec = Spec { continuous, ..spec(2) };
    // The number and the age of each row: of two episodes, the first of which nothing ends.
    let seen: [(u32, u32); 7] = [(10, 0), (11, 1), (12, 2), (13, 3), (20, 0), (21, 1), (22, 2)];
    let mut block = Rollout::new(&spec, seen.len() - 1, 1, 0);
    for (t, &(number, age)) in seen.iter().enumerate() {
        block.frame.row_mut(1 + t).fill(number as u8);
        block.symbols.row_mut(t).fill(number);
        block.age.row_mut(t).fill(age);
        if t < block.horizon() {
            block.discrete.row_mut(t).fill(number);
            block.continuous.row_mut(t).copy_from_slice(&[0.5 * number as f32, -1.0]);
        }
    }
    let mut replay = Replay::new(&spec, 1, 16, NStepReturns { n_step: 1, ..TARGETS });
    replay.append(&[block]).unwrap();
    let mut bytes = Vec::new();
    replay.save(&mut bytes).unwrap();
    let mut loaded = Replay::new(&spec, 1, 16, NStepReturns { n_step: 1, ..TARGETS });
    loaded.load(&mut bytes.as_slice()).unwrap();
    for replay in [&replay, &loaded] {
        let rows: Vec<u64> = replay.transitions().map(|(row, _)| row).collect();
        assert_eq!(rows, [0, 1, 2, 4, 5], "the last row of the first episode begins no step");
        assert_eq!(replay.transitions_from(2).count(), 3);
        let (mut places, mut steps) = (replay.transitions(), Steps::new(&spec, 4));
        assert_eq!(replay.steps_of(&mut places, &mut steps), 4);
        assert_eq!(steps.discrete.all(), [10, 11, 12, 20]);
        assert_eq!(steps.continuous.row(3), [10.0, -1.0]);
        assert_eq!((steps.obs.frames.row(2), steps.obs.frames.row(3)), (&[11, 12][..], &[20, 20][..]));
        assert_eq!(replay.steps_of(&mut places, &mut steps), 1);
        assert_eq!((steps.discrete.row(0), steps.obs.symbols.row(0)), (&[21][..], &[21][..]));
        assert_eq!((replay.age((4, 0)), replay.age((5, 0))), (0, 1));
    }
    let mut other = Replay::new(&Spec { continuous: [].into(), ..spec.clone() }, 1, 16, TARGETS);
    assert!(other.load(&mut bytes.as_slice()).is_err(), "a ring of other actions");
}

/// A learner may come back with the priority of a transition whose first frames were overwritten meanwhile.
#[test]
fn what_lost_a_frame_of_its_stack_gets_no_priority_any_more() {
    let mut replay = Replay::new(&spec(4), 1, 8, TARGETS).prioritised();
    replay.append(&[block(4, 1, 12, 0)]).unwrap();
    let sample = drawn(&replay);
    assert!((3..6).any(|row| sample.places.contains(&row)), "rows 3 to 5 are there later, but not their stacks");
    replay.append(&[block(4, 1, 3, 12)]).unwrap();
    replay.set_priorities(&sample.places, &vec![5.0; sample.rows()]);
    let rows: Vec<u32> = (0..8).flat_map(|_| drawn(&replay).obs.symbols.all().to_vec()).collect();
    assert!(rows.iter().all(|row| (6..=13).contains(row)), "{rows:?}");
    let (mut bytes, mut loaded) = (Vec::new(), Replay::new(&spec(4), 1, 8, TARGETS).prioritised());
    replay.save(&mut bytes).unwrap();
    loaded.load(&mut bytes.as_slice()).unwrap();
}

/// So few that most draws are not found by trying places at random, but counted.
#[test]
fn of_few_transitions_among_many_rows_each_is_drawn_equally_often() {
    let mut long = block(1, 1, 2000, 0);
    for t in 0..=2000 {
        long.age[(t, 0)] = u32::from([500, 1500].contains(&t)); // all other rows are resets
    }
    let mut replay = Replay::new(&spec(1), 1, 2000, NStepReturns { n_step: 1, ..TARGETS });
    replay.append(&[long]).unwrap();
    assert_eq!(replay.transitions().map(|(row, _)| row).collect::<Vec<_>>(), [499, 1499]);
    let mut sample = Sample::new(&spec(1), 400);
    replay.sample(&mut Rng::new(3, Stream::Learn), RewardTransform::Raw, &mut sample).unwrap();
    let first = sample.places.iter().filter(|&&place| place == 499).count();
    assert!((160..240).contains(&first), "{first} of 400");
}

/// Transitions would join steps that do not follow each other.
#[test]
fn a_block_that_does_not_begin_with_the_newest_row_is_refused() {
    let refused = |change: fn(&mut Rollout)| {
        let mut replay = Replay::new(&spec(4), 2, 30, TARGETS);
        replay.append(&[block(4, 2, 6, 0)]).unwrap();
        let (rows, mut next) = (replay.len(), block(4, 2, 6, 6));
        change(&mut next);
        let refused = replay.append(&[next]).is_err();
        assert_eq!(replay.len() == rows, refused, "it is appended whole or not at all");
        refused
    };
    assert!(!refused(|_| ()));
    assert!(refused(|next| next.age[(0, 1)] += 1));
    assert!(refused(|next| next.end[(0, 1)] = End::Truncated));
    assert!(refused(|next| next.reward[(0, 1)] += 1.0));
}

/// A checkpoint whose parts were mixed up is refused and does not end the program.
#[test]
fn a_ring_that_was_loaded_refuses_a_block_of_another_state() {
    let ring = || Replay::new(&spec(4), 2, 30, TARGETS);
    let saved = |replay: &Replay| {
        let mut bytes = Vec::new();
        replay.save(&mut bytes).unwrap();
        bytes
    };
    let (mut before, mut loaded) = (ring(), ring());
    before.append(&[block(4, 2, 6, 0)]).unwrap();
    let bytes = saved(&before);
    loaded.load(&mut &bytes[..]).unwrap();
    let mut other = block(4, 2, 6, 6);
    other.reward[(0, 1)] += 1.0;
    let error = loaded.append(&[other]).unwrap_err().to_string();
    let why = "row 0 of the steps is not its newest row, so that the saved parts are not of one state";
    assert_eq!(error, format!("saved state of replay: {why}"));
    assert!(saved(&loaded) == bytes, "nothing of the block is left");
    loaded.append(&[block(4, 2, 6, 6)]).unwrap();
}

#[test]
fn there_is_room_until_the_oldest_row_would_be_overwritten() {
    let mut replay = Replay::new(&spec(1), 2, 8, TARGETS); // 4 + 2 rows
    assert_eq!(replay.room_in_rows(), 6);
    replay.append(&[block(1, 2, 3, 0)]).unwrap();
    assert_eq!((replay.room_in_rows(), replay.transitions().next()), (2, Some((0, 0))));
    replay.append(&[block(1, 2, 2, 3)]).unwrap();
    assert_eq!((replay.room_in_rows(), replay.transitions().next()), (0, Some((0, 0))));
    replay.append(&[block(1, 2, 1, 5)]).unwrap();
    assert_eq!((replay.room_in_rows(), replay.transitions().next()), (0, Some((1, 0))));
}

/// Where all else fits: counts that would overflow, and a priority that no transition can have been given.
#[test]
fn counts_and_priorities_beyond_what_a_run_can_give_are_refused() {
    let ring = || Replay::new(&spec(4), 1, 8, TARGETS).prioritised(); // of 13 rows
    let (mut full, mut bytes) = (ring(), Vec::new());
    full.append(&[block(4, 1, 12, 0)]).unwrap();
    full.save(&mut bytes).unwrap();
    ring().load(&mut &bytes[..]).unwrap();
    let refused = |bytes: &[u8]| ring().load(&mut &bytes[..]).map_err(|error| error.to_string()).unwrap_err();
    let mut huge = bytes.clone();
    let first = 13 * (1u64 << 50);
    huge[80..88].copy_from_slice(&(first + 13).to_le_bytes());
    huge[88..96].copy_from_slice(&first.to_le_bytes());
    assert!(refused(&huge).contains("counts more rows than a run can write"));
    // Before the largest stand the priorities of all rows.
    let leaf = bytes.len() - 8 * (13 + 1);
    bytes[leaf..leaf + 8].copy_from_slice(&1.5f64.to_le_bytes());
    assert!(refused(&bytes).contains("a priority that is none of its transitions'"), "the largest is 1");
}
