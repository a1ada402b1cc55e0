//! A ring that is saved in segments, each once and while the ring goes on, against the same ring saved whole.

use std::collections::BTreeMap;
use std::io::Read;

use proptest::prelude::*;
use rl_core::{Error, LifeLoss, Result, Rng, Saved, Segmented, Spec, Stream};
use rl_replays::{Replay, RewardTransform, Rollout, Sample, Sequence};

#[allow(dead_code, reason = "the whole ring stands for what is expected")]
#[path = "naive/cases.rs"]
mod cases;

use cases::{Case, cases, fill, spec};

/// An empty ring with segments, if it has room for four of them.
fn empty(case: &Case, rows: usize, prioritised: bool, sequence: Option<Sequence>) -> Option<Replay> {
    let (spec, seats) = (spec(case.stack), case.seats.len());
    let ring = match sequence {
        None => Replay::new(&spec, seats, case.capacity, case.targets),
        Some(sequence) => Replay::of_sequences(&spec, seats, case.capacity, case.targets, sequence),
    };
    let room = case.capacity.div_ceil(seats); // at least
    let ring = if prioritised { ring.prioritised() } else { ring };
    (4 * rows <= room && case.horizon + rows <= room).then(|| ring.with_segments_of(rows))
}

fn saved(ring: &Replay) -> Vec<u8> {
    let mut bytes = Vec::new();
    ring.save(&mut bytes).unwrap();
    bytes
}

fn rest(ring: &Replay) -> Vec<u8> {
    let mut bytes = Vec::new();
    ring.save_rest(&mut bytes).unwrap();
    bytes
}

/// Loads what was saved in segments.
fn load(ring: &mut Replay, rest: &[u8], segments: &BTreeMap<u64, Vec<u8>>) -> Result<()> {
    let mut open = |number| -> Result<Box<dyn Read>> {
        let missing = || Error::State { part: "test".to_owned(), message: format!("no segment {number}") };
        Ok(Box::new(std::io::Cursor::new(segments.get(&number).cloned().ok_or_else(missing)?)))
    };
    ring.load_rest(&mut &rest[..], &mut open)
}

/// Hands `seen` the ring after every block, and every segment that was ever complete, as it was then.
fn played(case: &Case, mut ring: Replay, mut seen: impl FnMut(&mut Replay, &BTreeMap<u64, Vec<u8>>)) {
    let mut block = Rollout::new(&spec(case.stack), case.horizon, case.seats.len(), 1);
    let mut segments: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for from in (0..case.seats[0].len() - 1).step_by(case.horizon) {
        fill(&mut block, case, from);
        ring.append(std::slice::from_ref(&block)).unwrap();
        for number in ring.segments() {
            segments.entry(number).or_insert_with(|| {
                let mut bytes = Vec::new();
                ring.save_segment(number, &mut bytes).unwrap();
                bytes
            });
        }
        seen(&mut ring, &segments);
    }
}

fn of(state: u32, (burn_in, steps, period): (usize, usize, usize)) -> Sequence {
    Sequence { burn_in, steps, period, state: state as usize }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// After every block, whatever was overwritten since a segment was saved.
    #[test]
    fn segments_and_the_rest_are_the_whole_ring(
        case in cases(), rows in 1..4usize, prioritised: bool, sequences in prop::option::of((0..3usize, 1..4usize, 1..4usize)),
    ) {
        let sequence = sequences.map(|extent| of(1, extent));
        let Some(ring) = empty(&case, rows, prioritised, sequence) else { return Ok(()) };
        let mut weigh = Rng::new(5, Stream::Learn);
        played(&case, ring, |ring, segments| {
            let mut few = Sample::new(&spec(case.stack), 4);
            if prioritised && sequence.is_none() && ring.sample(&mut weigh, RewardTransform::Raw, &mut few).is_ok() {
                ring.set_priorities(&few.places, &[0.1, 7.3, 0.4, 1e-3]);
            }
            let mut loaded = empty(&case, rows, prioritised, sequence).unwrap();
            load(&mut loaded, &rest(ring), segments).unwrap();
            assert!(saved(&loaded) == saved(ring));
            assert_eq!((loaded.segments(), rest(&loaded) == rest(ring)), (ring.segments(), true));
            for number in ring.segments() {
                let mut again = Vec::new();
                // Of the first, the beginning may be overwritten.
                assert!(ring.save_segment(number, &mut again).is_err() || again == segments[&number]);
                assert!(number == ring.segments().start || !again.is_empty());
            }
            // Of the next, at least the newest action is missing: with one row per segment that alone.
            assert!(ring.save_segment(ring.segments().end, &mut std::io::sink()).is_err());
        });
    }

    #[test]
    fn damaged_segments_are_refused_or_harmless(
        case in cases(), rows in 1..4usize, cut in any::<prop::sample::Index>(), flip in 1..255u8,
    ) {
        let Some(ring) = empty(&case, rows, false, None) else { return Ok(()) };
        played(&case, ring, |ring, segments| {
            let (range, bytes) = (ring.segments(), rest(ring));
            let fresh = || empty(&case, rows, false, None).unwrap();
            if range.is_empty() {
                return;
            }
            assert!(fresh().load(&mut &bytes[..]).unwrap_err().to_string().contains("lacks its segment"));
            let number = range.start + cut.index((range.end - range.start) as usize) as u64;
            let segment = &segments[&number];
            let with = |changed: Option<Vec<u8>>| {
                let mut segments = segments.clone();
                match changed {
                    Some(bytes) => segments.insert(number, bytes),
                    None => segments.remove(&number),
                };
                let mut loaded = fresh();
                let done = load(&mut loaded, &bytes, &segments);
                assert!(done.is_ok() || loaded.is_empty());
                done.is_ok().then_some(loaded)
            };
            let at = cut.index(segment.len());
            assert!(with(None).is_none() && with(Some(segment[..at].to_vec())).is_none());
            assert!(with(Some([&segment[..], &[0]].concat())).is_none());
            let mut flipped = segment.clone();
            flipped[at] ^= flip;
            if let Some(loaded) = with(Some(flipped)) {
                let _ = loaded.sample(&mut Rng::new(1, Stream::Learn), RewardTransform::Raw, &mut Sample::new(&spec(case.stack), 16));
            }
            if range.end - range.start > 1 {
                let other = if number == range.start { number + 1 } else { range.start };
                assert!(with(Some(segments[&other].clone())).is_none(), "another segment is no replacement");
            }
        });
    }
}

#[test]
fn a_ring_of_frames_has_segments_and_a_small_one_has_none() {
    let targets = rl_replays::NStepReturns { n_step: 1, gamma: 0.9, life_loss: LifeLoss::Ignore };
    let ring = |frame: [usize; 3], capacity| {
        let spec = Spec { frame, discrete: Box::new([2]), ..Spec::none() };
        Replay::new(&spec, 1, capacity, targets).segmented().is_some()
    };
    assert!(ring([84, 84, 1], 1_000) && !ring([84, 84, 1], 400) && !ring([2, 2, 1], 10_000));
}
