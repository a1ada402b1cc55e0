//! Augmented frames against PyTorch (`tests/golden/dqn/augment.py`), against the definition pixel by pixel, and in the learner.

use rl_core::{Rng, Stream};
use rl_replays::Sequences;

use super::super::augment::Look;
use super::*;

#[derive(Deserialize)]
struct Golden {
    height: usize,
    width: usize,
    channels: usize,
    rows: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    pixels: usize,
    intensity: f64,
    salt: u32,
    hashes: Vec<u32>,
}

fn pictures(height: usize, width: usize, stack: usize) -> Spec {
    spec([height, width, 1], stack, 0, 3)
}

/// The hash of Fowler, Noll and Vo.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Random frames in `rows` rows.
fn noisy(spec: &Spec, rows: usize, salt: u32) -> Sample {
    let mut sample = Sample::new(spec, rows);
    let width = spec.frame_len() * spec.stack;
    let values = draws(rows * width, salt);
    for (row, values) in values.chunks_exact(width).enumerate() {
        for frames in [&mut sample.obs.frames, &mut sample.next.frames] {
            frames.row_mut(row).iter_mut().zip(values).for_each(|(byte, draw)| *byte = (draw * 256.0) as u8);
        }
    }
    sample
}

#[test]
fn moved_and_lit_frames_equal_pytorch() {
    let golden: Golden = serde_json::from_str(include_str!("../../../../tests/golden/dqn/augment.json")).unwrap();
    let spec = pictures(golden.height, golden.width, golden.channels);
    for case in &golden.cases {
        let &Case { pixels, intensity, salt, .. } = case;
        let mut augmenter = Augmenter::new(Augment::Shift { pixels, intensity }, &spec);
        let mut sample = noisy(&spec, golden.rows, salt);
        let places = draws(golden.rows * 2, salt + 1);
        let gains = draws(golden.rows, salt + 2);
        for (row, (places, gain)) in places.chunks_exact(2).zip(gains).enumerate() {
            let at = [places[0], places[1]].map(|draw| (draw * (2 * pixels + 1) as f64) as usize);
            let look = Look { at, gain: (1.0 + intensity * (gain * 4.0 - 2.0)) as f32 };
            augmenter.apply(look, [row], &mut sample.obs.frames);
        }
        let hashes: Vec<u32> = (0..golden.rows).map(|row| hash(sample.obs.frames.row(row))).collect();
        assert_eq!(hashes, case.hashes, "{pixels} pixels, intensity {intensity}");
    }
}

/// Which move and which light made `after` of `before`, by the definition: pixel (y, x) shows what was at (y + dy, x + dx), or
/// the nearest pixel of the edge.
fn looks(spec: &Spec, before: &[u8], after: &[u8], pixels: i32) -> Vec<[i32; 2]> {
    let ([height, width, _], stack) = (spec.frame.map(|n| n as i32), spec.stack as i32);
    let shows = |dy: i32, dx: i32| {
        (0..height * width * stack).all(|i| {
            let (y, x, s) = (i / stack / width, i / stack % width, i % stack);
            let (y, x) = ((y + dy).clamp(0, height - 1), (x + dx).clamp(0, width - 1));
            after[i as usize] == before[((y * width + x) * stack + s) as usize]
        })
    };
    let all = (-pixels..=pixels).flat_map(|dy| (-pixels..=pixels).map(move |dx| [dy, dx]));
    all.filter(|&[dy, dx]| shows(dy, dx)).collect()
}

#[test]
fn both_ends_of_every_transition_are_moved_by_themselves_and_everywhere() {
    let spec = pictures(9, 7, 2);
    let mut augmenter = Augmenter::new(Augment::Shift { pixels: 2, intensity: 0.0 }, &spec);
    let before = noisy(&spec, 400, 3);
    let mut sample = before.clone();
    augmenter.transitions(&mut sample, &mut Rng::new(1, Stream::Learn));
    let mut seen = std::collections::BTreeSet::new();
    let mut apart = 0;
    for row in 0..sample.rows() {
        let ends = [(&before.obs, &sample.obs), (&before.next, &sample.next)];
        let found = ends.map(|(was, is)| looks(&spec, was.frames.row(row), is.frames.row(row), 2));
        assert!(found.iter().all(|found| found.len() == 1), "row {row}: {found:?}");
        apart += usize::from(found[0] != found[1]);
        seen.extend(found.into_iter().flatten());
    }
    assert_eq!(seen.len(), 25, "every move is made");
    assert!(apart > 350, "{apart}");
}

#[test]
fn a_sequence_is_moved_as_a_whole() {
    let spec = pictures(9, 7, 2);
    let mut augmenter = Augmenter::new(Augment::Shift { pixels: 2, intensity: 0.0 }, &spec);
    let (count, rows) = (30, 4);
    let mut before = Sequences::new(&spec, count, rows, 0);
    let width = spec.frame_len() * spec.stack;
    let values = draws(count * rows * width, 5);
    for (row, values) in values.chunks_exact(width).enumerate() {
        before.obs.frames.row_mut(row).iter_mut().zip(values).for_each(|(byte, draw)| *byte = (draw * 256.0) as u8);
    }
    let mut after = before.clone();
    augmenter.sequences(&mut after, &mut Rng::new(1, Stream::Learn));
    let found = |row: usize| looks(&spec, before.obs.frames.row(row), after.obs.frames.row(row), 2);
    assert!((0..count).all(|b| (1..rows).all(|t| found(t * count + b) == found(b) && found(b).len() == 1)));
    assert!((1..count).any(|b| found(b) != found(0)));
}

#[test]
fn gains_are_those_of_a_cut_normal_distribution() {
    let spec = pictures(3, 3, 1);
    let mut augmenter = Augmenter::new(Augment::Shift { pixels: 0, intensity: 0.1 }, &spec);
    let mut sample = Sample::new(&spec, 4000);
    (0..4000).for_each(|row| sample.obs.frames.row_mut(row).fill(200));
    augmenter.transitions(&mut sample, &mut Rng::new(2, Stream::Learn));
    let levels: Vec<f64> = (0..4000).map(|row| f64::from(sample.obs.frames.row(row)[4])).collect();
    let mean = levels.iter().sum::<f64>() / 4000.0;
    let variance = levels.iter().map(|level| (level - mean).powi(2)).sum::<f64>() / 4000.0;
    assert!((mean - 200.0).abs() < 1.5, "{mean}");
    // What lies beyond two deviations counts as two: .92 of the variance is left.
    assert!((variance - 0.92 * 400.0).abs() < 30.0, "{variance}");
    assert!(levels.iter().all(|level| (160.0..=240.0).contains(level)));
    assert!(levels.contains(&160.0) && levels.contains(&240.0));
}

#[test]
fn nothing_is_drawn_where_nothing_is_augmented_and_what_cannot_be_is_refused() {
    let spec = pictures(36, 44, 2);
    let (mut rng, mut sample) = (Rng::new(1, Stream::Learn), noisy(&spec, 2, 3));
    let before = (sample.clone(), rng.clone().f64());
    Augmenter::new(Augment::None {}, &spec).transitions(&mut sample, &mut rng);
    assert_eq!((sample, rng.f64()), before);
    let shift = |spec: &Spec, pixels, intensity| {
        let augment = Augment::Shift { pixels, intensity };
        learner(spec, &Config { augment, ..config() }, 1).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(shift(&spec, 35, 0.5), "");
    assert_eq!(shift(&spec, 36, 0.0), "agent.augment.pixels: a move by 36 leaves nothing of frames of 36 × 44");
    let dark = "agent.augment.intensity: 0.6 is not between 0 and 0.5, where a gain may reach 0";
    assert_eq!(shift(&spec, 4, 0.6), dark);
    let blind = "agent.augment.kind: this environment shows no frames: set it to \"none\"";
    assert_eq!(shift(&super::spec([0, 0, 0], 1, 4, 3), 4, 0.0), blind);
    let refused = (DRQ.refuses)(&super::spec([0, 0, 0], 1, 4, 3));
    assert_eq!(refused.as_deref(), Some("drq needs frames; this environment shows none"));
}

/// The first update draws its minibatch before anything else, so that nothing but the frames can differ in it.
#[test]
fn what_a_learner_learns_from_is_augmented() {
    let spec = pictures(36, 44, 1);
    let unroll = Unroll { units: 5, burn_in: 2, steps: 4, period: 2, eta: 0.9 };
    for (memory, kept) in [(Recall::None {}, 0), (Recall::Gru(unroll), 5)] {
        let mut block = rows(&spec, 1, 10, 0, kept);
        for t in 0..=10 {
            let values = draws(spec.frame_len(), 31 + t as u32);
            block.frame.row_mut(t).iter_mut().zip(values).for_each(|(byte, draw)| *byte = (draw * 256.0) as u8);
            block.reward.row_mut(t).fill(t as f32);
        }
        let learned = |augment| {
            let mut dqn = learner(&spec, &Config { augment, memory, ..config() }, 1).unwrap();
            dqn.learn(std::slice::from_ref(&block), &mut Solo, &mut Log::default()).unwrap();
            assert_eq!(dqn.updates(), 1);
            flat(&dqn.params)
        };
        let plain = learned(Augment::None {});
        assert!(learned(Augment::Shift { pixels: 0, intensity: 0.0 }) == plain, "no shift and no gain change nothing");
        assert!(learned(Augment::Shift { pixels: 4, intensity: 0.0 }) != plain, "{memory:?}");
        assert!(learned(Augment::Shift { pixels: 0, intensity: 0.2 }) != plain, "{memory:?}");
    }
}
