//! The replay ring as a stream, with frames, priorities and sequences, whole or in segments: what it takes can be drawn
//! from and appended to, and a block that it refuses leaves it as it was.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use rl_core::{End, LifeLoss, Result, Rng, Saved, Segmented as _, Spec, Stream};
use rl_fuzz::edited;
use rl_replays::{NStepReturns, Replay, RewardTransform, Rollout, Sample, Sequence, Sequences};

const SEATS: usize = 2;
const SEQUENCE: Sequence = Sequence { burn_in: 1, steps: 2, period: 2, state: 3 };
const TARGETS: NStepReturns = NStepReturns { n_step: 2, gamma: 0.5, life_loss: LifeLoss::Terminal };

fn spec() -> Spec {
    Spec {
        frame: [2, 1, 1],
        stack: 3,
        vector: 2,
        symbols: [5].into(),
        mask: true,
        discrete: [4].into(),
        ..Spec::none()
    }
}

fn empty(kind: u8) -> Replay {
    let ring = match kind % 4 {
        0 => Replay::new(&spec(), SEATS, 12, TARGETS),
        1 => Replay::new(&spec(), SEATS, 12, TARGETS).prioritised(),
        2 => Replay::of_sequences(&spec(), SEATS, 12, TARGETS, SEQUENCE),
        _ => Replay::of_sequences(&spec(), SEATS, 12, TARGETS, SEQUENCE).prioritised(),
    };
    if kind & 32 == 0 { ring } else { ring.with_segments_of(1) }
}

/// Episodes of five steps, one of which loses a life.
fn append(replay: &mut Replay, block: &mut Rollout, ages: &mut u32) -> Result<()> {
    for t in 1..=block.horizon() {
        *ages = if *ages == 5 { 0 } else { *ages + 1 };
        block.age.row_mut(t).fill(*ages);
        block.end.row_mut(t).fill(match *ages {
            3 => End::LifeLost,
            5 => End::Terminated,
            _ => End::No,
        });
        block.reward.row_mut(t).fill(1.0);
        block.legal.row_mut(t).fill(1);
    }
    let done = replay.append(std::slice::from_ref(block));
    block.carry();
    done
}

fuzz_target!(|data: &[u8]| {
    let Some((&[kind], edits)) = data.split_first_chunk() else { return };
    let (mut replay, mut block, mut ages) = (empty(kind), Rollout::new(&spec(), 3, SEATS, SEQUENCE.state), 0);
    for _ in 0..kind >> 2 & 7 {
        append(&mut replay, &mut block, &mut ages).expect("blocks follow each other");
    }
    let mut bytes = Vec::new();
    replay.save(&mut bytes).expect("it can be saved");
    // Of a segment the number is right, and the rest is what the edits leave.
    let segment = |number: u64| -> Result<Box<dyn Read>> {
        let bytes = edited(&[&b"rlsegmt1"[..], &number.to_le_bytes(), &bytes[bytes.len() / 2..]].concat(), edits);
        Ok(Box::new(Cursor::new(bytes)))
    };
    let rest = edited(&bytes, edits);
    let loaded = match kind & 64 {
        0 => replay.load(&mut rest.as_slice()),
        _ => replay.load_rest(&mut rest.as_slice(), &mut { segment }),
    };
    if loaded.is_err() {
        assert!(replay.is_empty(), "after an error it is empty");
    }
    let mut rng = Rng::new(0, Stream::Tool(0));
    for _ in 0..2 {
        if kind & 2 == 0 {
            let mut sample = Sample::new(&spec(), 4);
            if replay.sample(&mut rng, RewardTransform::Raw, &mut sample).is_ok() && kind & 1 == 1 {
                replay.set_priorities(&sample.places.clone(), &[0.5; 4]);
            }
        } else {
            let mut sequences = Sequences::new(&spec(), 4, SEQUENCE.rows(TARGETS.n_step), SEQUENCE.state);
            if replay.sample_sequences(&mut rng, RewardTransform::Raw, &mut sequences).is_ok() && kind & 1 == 1 {
                replay.set_priorities(&sequences.places.clone(), &[0.5; 4]);
            }
        }
        let rows = replay.len();
        if append(&mut replay, &mut block, &mut ages).is_err() {
            assert_eq!(replay.len(), rows, "a refused block leaves nothing");
        }
    }
});
