//! Writes a recording again with the picture after every step, for those who cannot play it again.

use std::io::BufWriter;
use std::path::Path;

use anyhow::bail;
use rl_core::Canvas;
use rl_replays::recording::{
    Group, Manifest, Outcome, RecordedEpisode, Recorder, Recording, Reel, Replayed, Told, version,
};

use crate::console::waiting::Waiting;
use crate::file;
use crate::games::playback::Playback;

/// What a recording with pictures needs of a game beyond the recording without.
struct Seen {
    /// What each step has shown, as [`rl_replays::recording::seen`] encodes it.
    steps: Vec<u32>,
    pictures: Vec<Group>,
}

/// Plays all games that were played to their end again, writes them with their pictures, and returns their number.
///
/// # Errors
/// If one does not play as it was recorded, its pictures are too large, or the file cannot be written, or
/// [`Stopped`](crate::console::waiting::Stopped).
pub(super) fn write(
    playback: &mut Playback,
    recording: &Recording,
    out: &Path,
    waiting: &Waiting,
) -> anyhow::Result<usize> {
    let pictures = Some(playback.pictures());
    let manifest = Manifest { version: version(recording.manifest.seats), pictures, ..recording.manifest.clone() };
    let ended = || recording.episodes.iter().filter_map(|played| Some((played, played.outcome?)));
    file::whole(out, |file| {
        let mut recorder = Recorder::begin(BufWriter::new(file), &manifest)?;
        let bar = waiting.bar(ended().count(), "games");
        for (number, (played, outcome)) in ended().enumerate() {
            bar.reach(number);
            let seen = film(playback, played, number + 1, waiting)?;
            copy(played, &outcome, &seen, &mut recorder)?;
        }
        recorder.close()?;
        Ok(())
    })?;
    Ok(ended().count())
}

/// Plays game `number` again and takes its pictures.
fn film(playback: &mut Playback, played: &RecordedEpisode, number: usize, waiting: &Waiting) -> anyhow::Result<Seen> {
    let (mut reel, mut canvas, mut replayed) = (Reel::default(), Canvas::new(0, 0), Replayed::begin(played));
    let mut seen = Seen { steps: Vec::new(), pictures: Vec::new() };
    playback.begin(played)?;
    playback.draw(&mut canvas);
    seen.pictures.extend(reel.push(&canvas, Told::default())?);
    for step in 0..played.steps() {
        waiting.go_on()?;
        let shown = playback.step(played, step)?;
        if let Err(differs) = replayed.step(shown.seen) {
            bail!("game {number} does not match the recording: step {} differs", differs.seen + 1);
        }
        playback.draw(&mut canvas);
        seen.steps.push(shown.seen);
        seen.pictures.extend(reel.push(&canvas, shown.told)?);
    }
    seen.pictures.extend(reel.cut());
    Ok(seen)
}

/// Writes a game as it was recorded, its pictures first.
fn copy<W: std::io::Write>(
    played: &RecordedEpisode,
    outcome: &Outcome,
    seen: &Seen,
    recorder: &mut Recorder<W>,
) -> std::io::Result<()> {
    recorder.episode(played.seed, played.seat)?;
    seen.pictures.iter().try_for_each(|group| recorder.pictures(group))?;
    for (step, &seen) in seen.steps.iter().enumerate() {
        if let Some(output) = played.output(step) {
            recorder.output(&[&[output.value], output.actions].concat());
        }
        let (discrete, continuous) = played.action(step);
        recorder.step(discrete, continuous, seen)?;
    }
    recorder.end(outcome)
}
