//! Recordings: what is written is read, and what was changed on the way is noticed.

mod forged;
mod seal;

use std::cmp::Ordering;

use forged::under;
use proptest::prelude::*;
use rl_core::End;
use rl_replays::Outputs;
use rl_replays::recording::{
    Manifest, Outcome, OutputSampling, Pictures, Player, Recorder, Recording, RecordingError, Replayed, VERSION, WIDTH,
    version,
};
use seal::seal;

/// Steps of a game: discrete values, continuous ones, what they showed.
type Steps = Vec<(Vec<u32>, Vec<f32>, u32)>;

fn manifest(discrete: &[u32], continuous: usize) -> Manifest {
    Manifest {
        version: version(1),
        env: "test".to_owned(),
        env_version: 3,
        config: "size = 4\n".to_owned(),
        assets: [("a.bin".to_owned(), "md5 0".to_owned())].into(),
        seats: 1,
        discrete: discrete.to_vec(),
        continuous,
        player: Player::Random { seed: 7 },
        outputs: None,
        pictures: None,
        made_by: "a test".to_owned(),
    }
}

/// A manifest of worlds of two seats.
fn two(discrete: &[u32], continuous: usize) -> Manifest {
    Manifest { version: version(2), seats: 2, ..manifest(discrete, continuous) }
}

/// A recording that nobody could read is not begun, and no step is cut to what fits.
#[test]
fn what_could_not_be_read_is_not_written() {
    let fits = manifest(&[7], 0);
    let begin = |wrong: &Manifest| Recorder::begin(Vec::new(), wrong).unwrap_err().to_string();
    for (wrong, said) in [
        (manifest(&[0], 0), "actions that no environment has"),
        (manifest(&[7], WIDTH), "actions that no environment has"),
        (Manifest { version: VERSION + 1, ..fits.clone() }, "another version"),
        (Manifest { config: "x".repeat(2 << 20), ..fits.clone() }, "readers take 2097152 at most"),
        (
            Manifest { outputs: Some(OutputSampling { kind: Outputs::Q, every: 0 }), ..fits.clone() },
            "outputs that nobody keeps",
        ),
        (
            Manifest { outputs: Some(OutputSampling { kind: Outputs::Q, every: 1 }), ..two(&[7, 7], 0) },
            "outputs that nobody keeps",
        ),
        (Manifest { seats: 0, ..fits.clone() }, "seats that share no world"),
        (two(&[7], 0), "seats that share no world"),
        (two(&[7, 7], 3), "seats that share no world"),
        (Manifest { seats: u32::MAX, ..two(&[], 0) }, "seats that share no world"),
        (Manifest { version: version(1), ..two(&[7, 7], 2) }, "seats that share no world"),
        (two(&[7, 6], 0), "seats of different actions"),
        (
            Manifest {
                pictures: Some(Pictures { frame_rate: 0.0, action_names: Vec::new(), watched: false }),
                ..fits.clone()
            },
            "pictures that nobody keeps",
        ),
    ] {
        assert!(begin(&wrong).contains(said), "{}", begin(&wrong));
    }
    let refused = |act: &dyn Fn(&mut Recorder<Vec<u8>>)| {
        let mut recorder = Recorder::begin(Vec::new(), &fits).unwrap();
        recorder.episode(1, 0).unwrap();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&mut recorder))).is_err()
    };
    assert!(!refused(&|recorder| recorder.step(&[6], &[], 0).unwrap()));
    assert!(refused(&|recorder| recorder.step(&[259], &[], 0).unwrap()), "a byte of it is action 3");
    assert!(refused(&|recorder| recorder.end(&Outcome { ret: 0.0, frames: 0, end: End::No }).unwrap()));
}

fn outcome(number: usize) -> Outcome {
    let end = if number.is_multiple_of(2) { End::Terminated } else { End::Truncated };
    Outcome { ret: 0.1 * number as f64, frames: 4 * number as u64, end }
}

/// What was thought before a step: now and then nothing, of an action or of all.
fn thought(manifest: &Manifest, step: usize, seen: u32) -> Vec<f32> {
    if manifest.outputs.is_none() {
        return Vec::new(); // some of these environments have too many actions
    }
    let actions = manifest.discrete.iter().sum::<u32>() as usize;
    let of = |action: usize| match (step + action) % 5 {
        0 => f32::NAN,
        _ => (seen >> (action % 24)) as f32 * 1e-5 - 30.0,
    };
    let numbers: Vec<f32> = (0..actions).map(of).collect();
    let highest = numbers.iter().copied().filter(|x| !x.is_nan()).reduce(f32::max).unwrap_or(f32::NAN);
    let value = if manifest.outputs.is_some_and(|kept| kept.kind == Outputs::Q) { highest } else { seen as f32 };
    [&[value], &numbers[..]].concat()
}

/// The bytes of games in a file, and where each ends.
fn recorded(manifest: &Manifest, games: &[Steps]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for games in (0..=games.len()).map(|count| &games[..count]) {
        bytes.clear();
        let mut recorder = Recorder::begin(&mut bytes, manifest).unwrap();
        for (number, steps) in games.iter().enumerate() {
            recorder.episode(number as u64 ^ 0xfeed, number as u32 % manifest.seats).unwrap();
            for (step, (discrete, continuous, seen)) in steps.iter().enumerate() {
                recorder.output(&thought(manifest, step, *seen));
                recorder.step(discrete, continuous, *seen).unwrap();
            }
            recorder.end(&outcome(number)).unwrap();
        }
        recorder.close().unwrap();
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// Games of an environment of these actions, more than a thousand steps among them, and of worlds of several seats.
fn games() -> impl Strategy<Value = (Manifest, Vec<Steps>)> {
    let cardinality = prop_oneof![1..20u32, 250..260u32, 65_530..65_540u32, Just(u32::MAX)];
    let kind = prop_oneof![Just(Outputs::Probabilities), Just(Outputs::Q)];
    let kept = prop::option::of((kind, 1..9u32));
    let width = (prop::collection::vec(cardinality, 0..3), 0..3usize, 1..4u32);
    (width, kept).prop_flat_map(|((discrete, continuous, seats), kept)| {
        let (discrete, continuous) = (discrete.repeat(seats as usize), continuous * seats as usize);
        let few = seats == 1 && discrete.iter().map(|&cardinality| u64::from(cardinality)).sum::<u64>() <= 256;
        let outputs = kept.filter(|_| few).map(|(kind, every)| OutputSampling { kind, every });
        let manifest = Manifest { version: version(seats), outputs, seats, ..manifest(&discrete, continuous) };
        let action: Vec<_> = discrete.iter().map(|&cardinality| 0..cardinality).collect();
        let step = (action, prop::collection::vec(any::<f32>(), continuous), any::<u32>());
        let length = prop_oneof![9 => 0..20usize, 1 => 1000..2100usize];
        let game = length.prop_flat_map(move |length| prop::collection::vec(step.clone(), length));
        prop::collection::vec(game, 0..4).prop_map(move |games| (manifest.clone(), games))
    })
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_written_is_read((manifest, games) in games()) {
        let (bytes, _) = recorded(&manifest, &games);
        let recording = Recording::read(&bytes[..]).unwrap();
        prop_assert!(recording.whole);
        prop_assert_eq!(&recording.manifest, &manifest);
        prop_assert_eq!(recording.episodes.len(), games.len());
        for (number, (played, steps)) in recording.episodes.iter().zip(&games).enumerate() {
            prop_assert_eq!((played.seed, played.outcome), (number as u64 ^ 0xfeed, Some(outcome(number))));
            prop_assert_eq!(played.steps(), steps.len());
            let mut replayed = Replayed::begin(played);
            for (step, (discrete, continuous, seen)) in steps.iter().enumerate() {
                let (actions, values) = played.action(step);
                prop_assert_eq!((actions, bits(values)), (&discrete[..], bits(continuous)));
                let seats = manifest.seats as usize;
                let own = |width: usize| number % seats * (width / seats)..(number % seats + 1) * (width / seats);
                let (actions, values) = played.own_action(step);
                prop_assert_eq!(actions, &discrete[own(discrete.len())]);
                prop_assert_eq!(bits(values), bits(&continuous[own(continuous.len())]));
                prop_assert_eq!(replayed.step(*seen), Ok(()));
                let due = manifest.outputs.is_some_and(|kept| step % kept.every as usize == 0);
                prop_assert_eq!(played.output(step).is_some(), due);
                let Some(output) = played.output(step) else { continue };
                let expected = thought(&manifest, step, *seen);
                let same = |a: f32, b: f32, off: f32| (a.is_nan() && b.is_nan()) || (a - b).abs() <= off;
                prop_assert!(same(output.value, expected[0], 0.0), "{} {}", output.value, expected[0]);
                let known = || expected[1..].iter().copied().filter(|x| !x.is_nan());
                let range = known().fold(f32::MIN, f32::max) - known().fold(f32::MAX, f32::min);
                prop_assert_eq!(output.actions.len(), expected.len() - 1);
                for (&a, &b) in output.actions.iter().zip(&expected[1..]) {
                    prop_assert!(same(a, b, range / 508.0 * 1.001 + 1e-5), "{a} {b} of {range}");
                }
                let later = (step + 1) / manifest.outputs.unwrap().every as usize == step / manifest.outputs.unwrap().every as usize;
                if later && step + 1 < steps.len() {
                    prop_assert_eq!(played.latest_output(step + 1).map(|o| o.value.to_bits()), Some(output.value.to_bits()));
                }
            }
        }
    }

    /// Another sight of any step is noticed there, or, one time in sixteen, later: that of one alone at the end of its thousand.
    #[test]
    fn a_step_that_differs_is_noticed(
        (manifest, games) in games(), at: prop::sample::Index, change in 1..u32::MAX, later in any::<bool>(),
    ) {
        let (bytes, _) = recorded(&manifest, &games);
        let recording = Recording::read(&bytes[..]).unwrap();
        for (played, steps) in recording.episodes.iter().zip(&games).filter(|(_, steps)| !steps.is_empty()) {
            let at = at.index(steps.len());
            let mut replayed = Replayed::begin(played);
            let mix = |step: usize| change.wrapping_mul(2 * (step - at) as u32 + 1);
            let seen = |step: usize| match step.cmp(&at) {
                Ordering::Less => steps[step].2,
                Ordering::Equal => steps[step].2 ^ change,
                Ordering::Greater => steps[step].2 ^ if later { mix(step) } else { 0 },
            };
            let found = (0..steps.len()).find_map(|step| replayed.step(seen(step)).err()).expect("a difference");
            prop_assert!(found.from <= at && at <= found.seen);
            prop_assert_eq!(found.from, at / 1024 * 1024, "what is known to be equal");
            if change & 0xf != 0 {
                prop_assert_eq!(found.seen, at);
            }
            prop_assert!(found.seen - at <= 1024);
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed((manifest, games) in games(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 40)) {
        let (bytes, ends) = recorded(&manifest, &games);
        for (at, flip) in flips {
            let mut damaged = bytes.clone();
            let at = at.index(bytes.len());
            damaged[at] ^= flip;
            // A length that grew is a file that is cut short.
            prop_assert!(Recording::read(&damaged[..]).map_or(true, |read| !read.whole));
            let cut = Recording::read(&bytes[..at]);
            if let Ok(cut) = &cut {
                let whole = cut.episodes.iter().filter(|played| played.outcome.is_some()).count();
                prop_assert!(!cut.whole && whole <= games.len());
                let known = ends.iter().filter(|&&end| end <= at).count().saturating_sub(1);
                prop_assert!(whole + 1 >= known, "what was recorded before is there");
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), keep in 0..200usize) {
        let _ = Recording::read(&bytes[..]);
        // Behind a beginning that is right.
        let (whole, _) = recorded(&manifest(&[4], 1), &[vec![(vec![1], vec![0.5], 9); 30]]);
        let _ = Recording::read(&[&whole[..keep.min(whole.len())], &bytes[..]].concat()[..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Behind checksums that match: what is read can be played and shown.
    #[test]
    fn forged_recordings_are_refused_or_whole((manifest, games) in games(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 40)) {
        let (bytes, _) = recorded(&manifest, &games);
        for (at, flip) in flips {
            let mut forged = bytes.clone();
            let at = at.index(bytes.len());
            forged[at] ^= flip;
            seal(&mut forged);
            let Ok(recording) = Recording::read(&forged[..]) else { continue };
            let Manifest { discrete, outputs, .. } = &recording.manifest;
            for played in &recording.episodes {
                for step in 0..played.steps() {
                    let (actions, _) = played.action(step);
                    prop_assert_eq!(played.own_action(step).0.len() * recording.manifest.seats as usize, actions.len());
                    prop_assert!(actions.iter().zip(discrete).all(|(action, actions)| action < actions));
                    let output = played.latest_output(step);
                    prop_assert_eq!(output.is_some(), outputs.is_some());
                    if let Some(output) = output {
                        prop_assert_eq!(output.actions.len(), discrete.iter().sum::<u32>() as usize);
                        prop_assert!(output.actions.iter().all(|x| !x.is_infinite()));
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_no_recording_is_refused_by_what_it_is() {
    let error = |bytes: &[u8]| Recording::read(bytes).unwrap_err().to_string();
    let forged = |wrong: &Manifest| under(&recorded(&manifest(&[4], 0), &[]).0, wrong);
    assert!(matches!(Recording::read(&b""[..]), Err(RecordingError::Foreign)));
    assert_eq!(error(b"\x89PNG\r\n\x1a\n and so on"), "is not a recording");
    let newer = Manifest { version: 9, ..manifest(&[4], 0) };
    assert_eq!(error(&forged(&newer)), "is a recording of version 9, this rl-run reads versions 1 to 4");
    let outputs = Some(OutputSampling { kind: Outputs::Q, every: 4 });
    for kept in [
        Manifest { outputs, ..manifest(&[300], 0) },
        Manifest { outputs, version: 1, ..manifest(&[4], 0) },
        Manifest { outputs: Some(OutputSampling { kind: Outputs::Q, every: 0 }), ..manifest(&[4], 0) },
    ] {
        assert!(error(&forged(&kept)).contains("outputs that nobody keeps"));
    }
    // Of one seat, of two and of three, each as one of the others.
    let seat = |seats: u32| Manifest { version: version(seats), seats, ..manifest(&[4; 6], 0) };
    for (is, said) in [(1, 2), (2, 1), (3, 2)] {
        let (bytes, _) = recorded(&seat(is), &vec![vec![(vec![3; 6], vec![], 1)]; is as usize]);
        assert!(error(&under(&bytes, &seat(said))).contains("not a seed and seat"), "{is} {said}");
    }
    let wide = manifest(&[2; 300], 0);
    assert!(error(&forged(&wide)).contains("actions that no environment has"));
    let (bytes, _) = recorded(&manifest(&[4], 0), &[vec![(vec![3], vec![], 1)]]);
    for more in [&bytes[8..], b"!", &bytes[8..30]] {
        assert!(error(&[&bytes[..], more].concat()).contains("something follows its end"), "{more:?}");
    }
    let escape = "\u{1b}[31mred\nerror: all is well".to_owned();
    for wrong in [
        Manifest { env: escape.clone(), ..manifest(&[4], 0) },
        Manifest { made_by: escape.clone(), ..manifest(&[4], 0) },
        Manifest { assets: [(escape.clone(), String::new())].into(), ..manifest(&[4], 0) },
        Manifest { player: Player::Learner { agent: escape.clone(), frames: 1, seed: 1 }, ..manifest(&[4], 0) },
        Manifest {
            pictures: Some(Pictures { frame_rate: 30.0, action_names: vec![escape.clone()], watched: false }),
            ..manifest(&[4], 0)
        },
    ] {
        assert!(error(&forged(&wrong)).contains("words with control characters"));
    }
}

/// The bar of the format: a step costs about a byte, whatever was seen.
#[test]
fn ten_thousand_steps_of_an_uneven_policy_fit_into_15_kb_and_every_fourth_thought_into_100() {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    // Actions of Kung Fu Master, all 14 of them equally often: no policy has less order.
    let steps: Vec<Steps> = vec![(0..10_000).map(|_| (vec![next() % 14], vec![], next())).collect()];
    let (bytes, _) = recorded(&manifest(&[14], 0), &steps);
    assert!(bytes.len() < 15_000, "{}", bytes.len());
    // Numbers without any order cost a byte each and eight bytes a row, probabilities four more for the value.
    for (kind, bar) in [(Outputs::Q, 75_000), (Outputs::Probabilities, 85_000)] {
        let outputs = Some(OutputSampling { kind, every: 4 });
        let (bytes, _) = recorded(&Manifest { outputs, ..manifest(&[14], 0) }, &steps);
        assert!(bytes.len() < bar, "{kind:?}: {}", bytes.len());
    }
}

/// What the program before wrote: it had no outputs.
#[test]
fn recordings_of_version_1_are_still_read() {
    let old = Manifest { version: 1, ..manifest(&[4], 0) };
    let (bytes, _) = recorded(&old, &[vec![(vec![3], vec![], 1)]]);
    let recording = Recording::read(&bytes[..]).unwrap();
    assert_eq!((recording.manifest, recording.episodes[0].steps()), (old, 1));
    assert_eq!(recording.episodes[0].output(0), None);
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("outputs") && !text.contains("seats"), "the manifest is the one of before");
}
