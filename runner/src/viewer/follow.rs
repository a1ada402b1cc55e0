//! Which recording is watched: the one that was named, or the newest in a directory, and newer ones as they appear.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rl_replays::recording::{Played, Recording};

use crate::usage::usage;
use crate::{output, playback, run_dir};

/// Directories below the one that was named, at most.
const DEPTH: usize = 4;

/// When a file was last written, its length and its name: of several, the greatest is the newest.
type Stamp = (SystemTime, u64, PathBuf);

/// Looks for newer recordings.
#[derive(Debug)]
pub(super) struct Follow {
    place: PathBuf,
    last: Stamp,
}

impl Follow {
    /// Finds the recording that is meant by a file, a run or a directory: the newest in there that can be read and holds a game.
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

    /// The recording that was found last.
    pub(super) fn file(&self) -> &Path {
        &self.last.2
    }

    /// A recording that is later than the last one, or another under the name that was given, and whether it is the one that is
    /// `shown`, grown. What cannot be read is left out: it may be only just being begun.
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

/// Whether a recording begins as another: it is that one, or that one grown, and no other under its name.
fn begins(one: &Recording, other: &Recording) -> bool {
    let games = one.episodes.iter().zip(&other.episodes);
    one.manifest == other.manifest
        && one.episodes.len() <= other.episodes.len()
        && games.into_iter().all(|(one, other)| begins_as(one, other))
}

/// The same of a game. Of outputs nothing is compared: one that is no number is not even itself.
fn begins_as(one: &Played, other: &Played) -> bool {
    let (steps, others) = (one.steps(), other.steps());
    let long = if one.outcome.is_some() { others == steps } else { others >= steps };
    one.seed == other.seed && long && (0..steps).all(|step| one.action(step) == other.action(step))
}

/// The file itself, or the recordings in a directory, the newest first.
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
