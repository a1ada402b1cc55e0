//! Pictures of recorded games: what was seen is shown to the bit, in any order, and what is no picture is refused.

mod forged;
mod seal;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use forged::under;
use proptest::prelude::*;
use rl_core::{Canvas, End};
use rl_replays::recording::{
    Manifest, Outcome, Pictures, Player, Projector, Recorder, Recording, RecordingError, Reel, Told, version,
};
use seal::seal;

/// A picture, and what the step before it came to.
type Shot = (Canvas, Told);

const OUTCOME: Outcome = Outcome { ret: 1.0, frames: 9, end: End::Terminated };

fn manifest() -> Manifest {
    Manifest {
        version: version(1),
        env: "test".to_owned(),
        env_version: 3,
        config: String::new(),
        assets: [].into(),
        seats: 1,
        discrete: vec![4],
        continuous: 0,
        player: Player::Human {},
        outputs: None,
        pictures: Some(Pictures {
            frame_rate: 30.0,
            action_names: vec!["left".to_owned(), "right".to_owned()],
            watched: false,
        }),
        made_by: "a test".to_owned(),
    }
}

/// A file of games, each of as many steps as shots but one; pictures are written just before they must be.
fn recorded(manifest: &Manifest, games: &[Vec<Shot>], cut: usize) -> Vec<u8> {
    let mut recorder = Recorder::begin(Vec::new(), manifest).unwrap();
    for shots in games {
        recorder.episode(7, 0).unwrap();
        let mut reel = Reel::default();
        for (n, (picture, told)) in shots.iter().enumerate() {
            let full = reel.push(picture, *told).unwrap();
            full.iter().for_each(|group| recorder.pictures(group).unwrap());
            if n % cut == 0 || n % 1024 == 0 || n + 1 == shots.len() {
                reel.cut().iter().for_each(|group| recorder.pictures(group).unwrap());
            }
            if n > 0 {
                recorder.step(&[n as u32 % 4], &[], n as u32).unwrap();
            }
        }
        recorder.end(&OUTCOME).unwrap();
    }
    recorder.close().unwrap()
}

/// Pictures that come of one another: a spot, noise, a line, nothing, and now and then another size.
fn shots(edits: &[(u8, u32)]) -> Vec<Shot> {
    let mut canvas = Canvas::new(40, 30);
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let of = |&(kind, seed): &(u8, u32)| {
        let (width, height) = (canvas.width(), canvas.height());
        let bytes = canvas.pixels().len();
        let rgb = [seed as u8, (seed >> 8) as u8, 9];
        match kind % 16 {
            0 => canvas.resize(seed as usize % 50, (seed >> 8) as usize % 40),
            1 => canvas.pixels_mut().fill_with(|| next() as u8),
            2 => canvas.pixels_mut().fill(seed as u8),
            3..=9 if bytes > 0 => {
                let at = seed as usize % (width * height);
                let row = &mut canvas.pixels_mut()[3 * at..];
                row.as_chunks_mut::<3>().0.iter_mut().take(kind as usize).step_by(2).for_each(|pixel| *pixel = rgb);
            }
            10..=12 if bytes > 0 => {
                let column = seed as usize % width;
                let pixels = canvas.pixels_mut().as_chunks_mut::<3>().0;
                pixels.iter_mut().skip(column).step_by(width).for_each(|pixel| *pixel = rgb);
            }
            _ => {}
        }
        let end = [End::No, End::LifeLost, End::Truncated, End::Terminated][seed as usize % 4];
        (canvas.clone(), Told { reward: f32::from_bits(seed), frames: seed, end })
    };
    edits.iter().map(of).collect()
}

fn games() -> impl Strategy<Value = (Vec<Vec<Shot>>, usize)> {
    let length = prop_oneof![8 => 1..30usize, 2 => 200..300usize, 1 => 1000..1100usize];
    let game = length.prop_flat_map(|length| prop::collection::vec(any::<(u8, u32)>(), length));
    (prop::collection::vec(game.prop_map(|edits| shots(&edits)), 1..3), 1..400usize)
}

fn bits(told: Told) -> (u32, u32, End) {
    (told.reward.to_bits(), told.frames, told.end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_was_seen_is_shown((games, cut) in games(), jumps in prop::collection::vec(any::<prop::sample::Index>(), 12)) {
        let recording = Recording::read(&recorded(&manifest(), &games, cut)[..]).unwrap();
        prop_assert!(recording.whole);
        prop_assert_eq!(&recording.manifest, &manifest());
        for (played, shots) in recording.episodes.iter().zip(&games) {
            prop_assert_eq!(played.steps() + 1, shots.len());
            let mut straight = Projector::default();
            for (n, (picture, told)) in shots.iter().enumerate() {
                prop_assert!(straight.show(played, n).unwrap() == picture, "picture {n}");
                prop_assert!(straight.show(played, n).unwrap() == picture, "picture {n} once more");
                if let Some(step) = n.checked_sub(1) {
                    prop_assert_eq!(played.told(step).map(bits), Some(bits(*told)));
                }
            }
            for jump in &jumps {
                let n = jump.index(shots.len());
                prop_assert!(straight.show(played, n).unwrap() == &shots[n].0, "a jump to {n}");
            }
            prop_assert_eq!(played.told(played.steps()), None);
            prop_assert!(straight.show(played, shots.len()).unwrap().pixels().is_empty());
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed((games, cut) in games(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 20)) {
        let bytes = recorded(&manifest(), &games, cut);
        for (at, flip) in flips {
            let mut damaged = bytes.clone();
            let at = at.index(bytes.len());
            damaged[at] ^= flip;
            prop_assert!(Recording::read(&damaged[..]).map_or(true, |read| !read.whole));
            // What is cut short has a picture of each of its steps, where it has steps.
            let Ok(cut) = Recording::read(&bytes[..at]) else { continue };
            for (played, shots) in cut.episodes.iter().zip(&games) {
                let mut projector = Projector::default();
                for (n, (picture, _)) in shots.iter().enumerate().take(played.steps() + 1).skip(usize::from(played.steps() == 0)) {
                    prop_assert!(projector.show(played, n).unwrap() == picture);
                }
            }
        }
    }

    /// Behind checksums that match: pictures are refused when they are read or shown, or are some.
    #[test]
    fn forged_pictures_are_refused_or_shown((games, cut) in games(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 20)) {
        let bytes = recorded(&manifest(), &games, cut);
        for (at, flip) in flips {
            let mut forged = bytes.clone();
            let at = at.index(bytes.len());
            forged[at] ^= flip;
            seal(&mut forged);
            let Ok(recording) = Recording::read(&forged[..]) else { continue };
            for played in &recording.episodes {
                let mut projector = Projector::default();
                for n in 0..=played.steps() {
                    match projector.show(played, n) {
                        Ok(picture) => prop_assert_eq!(picture.pixels().len(), picture.width() * picture.height() * 3),
                        Err(error) => prop_assert!(error.to_string().contains("is damaged at byte"), "{}", error),
                    }
prop_assert!(n == played.steps() || played.told(n).is_some() == recording.manifest.pictures.is_some());
                }
            }
        }
    }
}

/// A file of one game without steps, whose one group of pictures is these bytes behind their number.
fn forged(count: u16, body: &[u8]) -> Vec<u8> {
    let mut content = count.to_le_bytes().to_vec();
    let mut deflated = DeflateEncoder::new(&mut content, Compression::best());
    deflated.write_all(body).unwrap();
    deflated.finish().unwrap();
    let mut bytes = b"rl-rec\r\n".to_vec();
    let manifest = serde_json::to_vec(&manifest()).unwrap();
    let outcome = [&0f64.to_le_bytes()[..], &0u64.to_le_bytes(), &[End::Terminated as u8]].concat();
    let close = 1u32.to_le_bytes();
    for (kind, content) in [(1, &manifest[..]), (2, &[0; 8]), (6, &content), (4, &outcome), (5, &close)] {
        bytes.extend([kind, 0, 0, 0, 0]);
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes.extend(content);
        bytes.extend([0; 4]);
    }
    seal(&mut bytes);
    bytes
}

/// What is said of one picture of these sides, then of colours and runs, then what is told of them.
fn body(width: u16, height: u16, colours: u16, runs: u32, rest: &[u8]) -> Vec<u8> {
    let head = [width.to_le_bytes(), height.to_le_bytes()].concat();
    [&head[..], &[0; 9], &colours.to_le_bytes(), &runs.to_le_bytes(), rest].concat()
}

#[test]
fn what_asks_for_much_or_makes_no_sense_is_refused() {
    let shown = |count: u16, body: &[u8]| -> Result<Canvas, RecordingError> {
        let recording = Recording::read(&forged(count, body)[..])?;
        Projector::default().show(&recording.episodes[0], 0).cloned()
    };
    let red = shown(1, &body(1, 1, 1, 3, &[255, 0, 0, 1, 0, 1, 0])).unwrap();
    assert_eq!(red.pixels(), [255, 0, 0]);
    assert_eq!(shown(1, &body(1, 1, 0, 3, &[1, 0, 1, 7, 8, 9])).unwrap().pixels(), [7, 8, 9]);
    assert_eq!(shown(1, &body(2, 1, 0, 1, &[0])).unwrap().pixels(), [0; 6], "black");
    let wrong = [
        (1, body(2049, 1024, 0, 1, &[0]), "more pixels than are kept"),
        (1, body(65535, 65535, 0, 1, &[0]), "many more"),
        (0, Vec::new(), "no picture"),
        (257, body(1, 1, 0, 1, &[0]).repeat(257), "more pictures than a group has"),
        (2, body(1, 1, 0, 1, &[0]), "fewer than there are said to be"),
        (1, body(1, 1, 0, 1, &[0])[..17].to_vec(), "nothing but sides"),
        (1, body(1, 1, 257, 1, &[0; 900]), "too many colours"),
        (1, body(1, 1, 0, u32::MAX, &[0]), "runs without end"),
        (1, body(1, 1, 0, 3, &[1, 0, 2, 1, 2, 3, 4, 5, 6]), "a run that is longer than the picture"),
        (1, body(1, 1, 0, 6, &[1, 0xff, 0xff, 0xff, 0xff, 0x7f]), "a number without end"),
        (1, body(1, 1, 1, 3, &[255, 0, 0, 1, 0, 1, 1]), "a colour that is not there"),
        (1, body(1, 1, 0, 3, &[1, 0, 1, 7, 8]), "a pixel that is cut short"),
        (1, body(1, 1, 0, 3, &[1, 0, 1, 7, 8, 9, 10]), "something behind it"),
        (1, body(1, 1, 0, 4, &[1, 0, 1, 0, 7, 8, 9]), "runs behind it"),
        (1, body(1, 1, 0, 1, &vec![0; 64 << 20]), "a bomb"),
    ];
    for (count, body, what) in wrong {
        let error = shown(count, &body).unwrap_err().to_string();
        assert!(error.contains("is damaged at byte") && error.contains("not pictures"), "{what}: {error}");
    }
    let mut end = body(1, 1, 0, 1, &[0]);
    end[12] = 4;
    assert!(shown(1, &end).is_err(), "an end that there is not");
}

#[test]
fn files_without_a_picture_of_every_step_are_refused_by_what_is_wrong() {
    let game = || vec![shots(&[(1, 5); 4])];
    let error = |bytes: &[u8]| Recording::read(bytes).unwrap_err().to_string();
    for (pictures, version) in [(30.0, 2), (0.0, 3), (-1.0, 3), (f64::MIN_POSITIVE, 1)] {
        let pictures = Some(Pictures { frame_rate: pictures, action_names: Vec::new(), watched: false });
        let wrong = Manifest { version, pictures, ..manifest() };
        let said = error(&under(&recorded(&manifest(), &game(), 9), &wrong));
        assert!(said.contains("pictures that nobody keeps"), "{said}");
    }
    // One of its chunks taken out.
    let bytes = recorded(&manifest(), &game(), 9);
    let (mut at, mut chunks) = (8, Vec::new());
    while let Some(head) = bytes.get(at..at + 9) {
        let end = at + 13 + u32::from_le_bytes(head[5..9].try_into().unwrap()) as usize;
        chunks.push(at..end);
        at = end;
    }
    let kinds: Vec<u8> = chunks.iter().map(|chunk| bytes[chunk.start]).collect();
    assert_eq!(kinds, [1, 2, 6, 6, 3, 4, 5]);
    for (gone, what) in [(2, "before their pictures"), (3, "before their pictures"), (4, "a picture of every step")] {
        let mut cut = [&bytes[..chunks[gone].start], &bytes[chunks[gone].end..]].concat();
        seal(&mut cut);
        let said = error(&cut);
        assert!(said.contains(what), "{said}");
    }
    // Of a recording that wants none.
    let mut plain = recorded(&Manifest { pictures: None, ..manifest() }, &[], 9);
    let pictures = &bytes[chunks[2].clone()];
    plain.splice(plain.len() - 17.., [&[2, 0, 0, 0, 0, 8, 0, 0, 0][..], &[0; 12], pictures].concat());
    seal(&mut plain);
    assert!(error(&plain).contains("cannot stand there"));
}

#[test]
fn pictures_that_are_too_large_are_not_taken() {
    let mut reel = Reel::default();
    let told = Told::default();
    for (width, height) in [(2049, 1024), (65536, 1)] {
        let error = reel.push(&Canvas::new(width, height), told).unwrap_err().to_string();
        assert!(error.contains(&format!("{width} x {height} pixels")), "{error}");
    }
    assert!(reel.cut().is_none(), "nothing was taken");
    // The largest one, new in every pixel, in more colours than have a name.
    let mut noise = Canvas::new(2048, 1024);
    let mut state = 1u64;
    noise.pixels_mut().fill_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let game = vec![(noise.clone(), told), (noise.clone(), told)];
    let bytes = recorded(&manifest(), &[game], 1);
    let recording = Recording::read(&bytes[..]).unwrap();
    for n in 0..2 {
        assert!(Projector::default().show(&recording.episodes[0], n).unwrap() == &noise);
    }
}

/// What moves is kept, and what stays is not.
#[test]
fn a_thousand_pictures_in_which_little_moves_fit_into_50_kb() {
    let mut canvas = Canvas::new(160, 210);
    canvas.pixels_mut().as_chunks_mut::<3>().0.iter_mut().enumerate().for_each(|(n, pixel)| {
        *pixel = [(n / 160) as u8, (n % 7) as u8, 90];
    });
    let ground = canvas.clone();
    let shot = |n: usize| {
        canvas = ground.clone();
        for y in 0..16 {
            let at = (y + 100) * 160 + n * 3 % 140;
            canvas.pixels_mut().as_chunks_mut::<3>().0[at..at + 12].fill([200, (y * 9) as u8, 3]);
        }
        (canvas.clone(), Told { reward: 0.0, frames: 4, end: End::No })
    };
    let game: Vec<Shot> = (0..1000).map(shot).collect();
    let bytes = recorded(&manifest(), &[game], 2000);
    assert!(bytes.len() < 50_000, "{}", bytes.len());
}
