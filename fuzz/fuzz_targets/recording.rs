//! Recordings, every chunk with a number and a checksum that match: what is read can be played.
#![no_main]

#[path = "../../replays/tests/seal/mod.rs"]
mod seal;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use rl_core::{Canvas, End};
use rl_fuzz::edited;
use rl_replays::Outputs;
use rl_replays::recording::{
    Group, Manifest, Outcome, OutputSampling, Pictures, Player, Projector, Recorder, Recording, Reel, Replayed, Told,
    version,
};
use seal::seal;

/// Recordings that inputs edit, made once: to pack pictures takes longer than all else.
static MADE: [OnceLock<Vec<u8>>; 8] = [const { OnceLock::new() }; 8];

/// Two games, one of more steps than a chunk holds, or with pictures than a group of them.
fn recorded(outputs: Option<Outputs>, pictures: bool) -> Vec<u8> {
    let (seats, each) = if outputs.is_some() { (1, vec![3, 30]) } else { (2, vec![3, 300]) };
    let manifest = Manifest {
        version: version(seats),
        env: "fuzz".to_owned(),
        env_version: 1,
        config: "size = 4".to_owned(),
        assets: [("a".to_owned(), "b".to_owned())].into(),
        seats,
        discrete: each.repeat(seats as usize),
        continuous: seats as usize,
        player: Player::Human {},
        outputs: outputs.map(|kind| OutputSampling { kind, every: 3 }),
        pictures: pictures.then(|| Pictures { frame_rate: 30.0, action_names: vec!["a".to_owned()], watched: false }),
        made_by: "fuzz".to_owned(),
    };
    let mut recorder = Recorder::begin(Vec::new(), &manifest).expect("memory suffices");
    for steps in [3, if pictures { 300 } else { 1100 }] {
        recorder.episode(steps.into(), steps % seats).expect("memory suffices");
        if pictures {
            picture(steps, &mut recorder);
        }
        for step in 0..steps {
            // Left out where nothing is kept.
            recorder.output(&[step as f32; 1 + 3 + 30]);
            let (discrete, continuous) = ([step % 3, step % 30].repeat(seats as usize), [0.5; 2]);
            recorder.step(&discrete, &continuous[..seats as usize], step).expect("memory suffices");
        }
        recorder.end(&Outcome { ret: 1.0, frames: 9, end: End::Terminated }).expect("memory suffices");
    }
    recorder.close().expect("memory suffices")
}

/// Pictures of so many steps: of few colours, then of many, then of another size.
fn picture(steps: u32, recorder: &mut Recorder<Vec<u8>>) {
    let (mut reel, mut canvas) = (Reel::default(), Canvas::new(20, 15));
    for step in 0..=steps as usize {
        if step == 280 {
            canvas.resize(9, 7);
        }
        let at = 3 * (step % 60);
        let colour = [step as u8, (step / 256) as u8, 7];
        canvas.pixels_mut()[at..at + 3].copy_from_slice(&colour);
        let told = Told { reward: 1.0, frames: 4, end: End::No };
        reel.push(&canvas, told).expect("a small picture").iter().for_each(|group| put(recorder, group));
    }
    reel.cut().iter().for_each(|group| put(recorder, group));
}

fn put(recorder: &mut Recorder<Vec<u8>>, group: &Group) {
    recorder.pictures(group).expect("memory suffices");
}

fuzz_target!(|data: &[u8]| {
    let Some((&[kind], edits)) = data.split_first_chunk() else { return };
    let edited = || {
        let outputs = [None, Some(Outputs::Q), None, Some(Outputs::Probabilities)][usize::from(kind >> 2 & 3)];
        let made = MADE[usize::from(kind >> 2 & 7)].get_or_init(|| recorded(outputs, kind & 16 != 0));
        edited(made, edits)
    };
    let mut bytes = if kind & 1 == 0 { edited() } else { edits.to_vec() };
    if kind & 2 == 0 {
        seal(&mut bytes);
    }
    let Ok(recording) = Recording::read(&bytes[..]) else { return };
    for played in &recording.episodes {
        let mut projector = Projector::default();
        for step in 0..=played.steps().min(400) {
            let Ok(picture) = projector.show(played, step) else { break };
            assert_eq!(picture.pixels().len(), picture.width() * picture.height() * 3);
        }
        let mut replayed = Replayed::begin(played);
        for step in 0..played.steps() {
            let (discrete, continuous) = played.action(step);
            let own = played.own_action(step);
            let seats = recording.manifest.seats as usize;
            assert_eq!((own.0.len() * seats, own.1.len() * seats), (discrete.len(), continuous.len()));
            assert!(discrete.iter().zip(&recording.manifest.discrete).all(|(action, actions)| action < actions));
            if let Some(output) = played.latest_output(step) {
                let actions = recording.manifest.discrete.iter().sum::<u32>() as usize;
                assert!(output.actions.len() == actions && !output.actions.contains(&f32::INFINITY));
            }
            if replayed.step(step as u32).is_err() {
                break;
            }
        }
    }
});
