//! Finds the recording to watch: the file that was named, or the newest in a directory, and newer ones as they appear.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rl_replays::recording::{RecordedEpisode, Recording};

use crate::console::output;
use crate::console::usage::usage;
use crate::games::playback;
use crate::run_dir;

/// Most levels of directories below the one that was named.
const DEPTH: usize = 4;

/// Time of the last write, length and path of a file; of several files the greatest stamp is the newest.
type Stamp = (SystemTime, u64, PathBuf);

/// Looks for newer recordings.
#[derive(Debug)]
pub(super) struct Follow {
    place: PathBuf,
    last: Stamp,
}

impl Follow {
    /// Finds the newest recording at `place` (a file, a run or a directory) that can be read and holds a game.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn new(place: &Path) -> anyhow::Result<(Self, Recording)> {
        let name = place.display();
        std::fs::metadata(place).map_err(|e| usage(format!("{name}: {e}")))?;
        let mut newest = None;
        for last in found(place) {
            let read = playback::read(&last.2);
            if read.as_ref().is_ok_and(|recording| !recording.episodes.is_empty()) {
                return Ok((Self { place: place.to_owned(), last }, read?));
            }
            newest.get_or_insert((last, read));
        }
        // What is wrong with it is what there is to say.
        let (last, read) = newest.ok_or_else(|| {
            let run = if run_dir::is_run(place) { output::word(place) } else { "RUN".to_owned() };
            let out = output::word(&place.join("games.rec"));
            usage(format!("{name}: holds no recording: `rl-run record {run} --out {out}` makes one"))
        })?;
        Ok((Self { place: place.to_owned(), last }, read?))
    }

    /// Path of the recording that was found last.
    pub(super) fn file(&self) -> &Path {
        &self.last.2
    }

    /// Finds a later recording than the last one, or another one in the named file, and whether it is `shown` with more
    /// games or steps. What cannot be read is left out, since it may have only just been begun.
    pub(super) fn newer(&mut self, shown: &Recording) -> Option<(Recording, bool)> {
        let named = !self.place.is_dir();
        for stamp in found(&self.place) {
            // A file of that name may be replaced by one that was written before.
            if stamp == self.last || (stamp < self.last && !named) {
                break;
            }
            let Ok(recording) = playback::read(&stamp.2) else { continue };
            if recording.episodes.is_empty() {
                continue;
            }
            let grown = stamp.2 == self.last.2 && begins(shown, &recording);
            self.last = stamp;
            return Some((recording, grown));
        }
        None
    }
}

/// Whether recording `other` is `one`, or `one` with more games or steps.
fn begins(one: &Recording, other: &Recording) -> bool {
    let games = one.episodes.iter().zip(&other.episodes);
    one.manifest == other.manifest
        && one.episodes.len() <= other.episodes.len()
        && games.into_iter().all(|(one, other)| begins_as(one, other))
}

/// Whether game `other` is `one`, or `one` with more steps. Outputs are not compared, since NaN differs from itself.
fn begins_as(one: &RecordedEpisode, other: &RecordedEpisode) -> bool {
    let (steps, others) = (one.steps(), other.steps());
    let long = if one.outcome.is_some() { others == steps } else { others >= steps };
    (one.seed, one.seat) == (other.seed, other.seat)
        && long
        && (0..steps).all(|step| one.action(step) == other.action(step))
}

/// Stamps of the file `place`, or of the recordings in the directory `place`, newest first.
fn found(place: &Path) -> Vec<Stamp> {
    let mut all = Vec::new();
    if place.is_dir() {
        walk(place, DEPTH, &mut all);
    } else {
        all.extend(stamp(place));
    }
    all.sort_by(|a, b| b.cmp(a));
    all
}

fn walk(dir: &Path, depth: usize, all: &mut Vec<Stamp>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        // Of a link what it leads to counts, but no directory, which may lead back here.
        let is_file = kind.is_file() || (kind.is_symlink() && path.is_file());
        if kind.is_dir() && depth > 0 {
            walk(&path, depth - 1, all);
        } else if is_file && path.extension().is_some_and(|ending| ending == "rec") {
            all.extend(stamp(&path));
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len(), path.to_owned()))
}
