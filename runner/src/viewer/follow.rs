//! Which recording is watched: the one that was named, or the newest in a directory, and newer ones as they appear.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rl_replays::recording::Recording;

use crate::playback;
use crate::usage::usage;

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
    /// Finds the recording that is meant by a file, a run or a directory.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn new(place: &Path) -> anyhow::Result<(Self, PathBuf)> {
        let name = place.display();
        let there = std::fs::metadata(place).map_err(|e| usage(format!("{name}: {e}")))?;
        let last = if there.is_dir() { newest(place) } else { stamp(place) }.ok_or_else(|| {
            let run = if place.join("run.json").exists() { name.to_string() } else { "RUN".to_owned() };
            usage(format!("{name}: holds no recording: `rl-run record {run} --out {name}/games.rec` makes one"))
        })?;
        let file = last.2.clone();
        Ok((Self { place: place.to_owned(), last }, file))
    }

    /// The recording that was found last.
    pub(super) fn file(&self) -> &Path {
        &self.last.2
    }

    /// A recording that is newer than the last one, or that one where it has grown, which it says.
    ///
    /// # Errors
    /// If it cannot be read; one that is only just being begun is left for the next time.
    pub(super) fn newer(&mut self) -> anyhow::Result<Option<(Recording, bool)>> {
        let found = if self.place.is_dir() { newest(&self.place) } else { stamp(&self.place) };
        let Some(found) = found.filter(|found| *found != self.last) else { return Ok(None) };
        let Ok(recording) = playback::read(&found.2) else { return Ok(None) };
        if recording.episodes.is_empty() {
            return Ok(None);
        }
        let grown = found.2 == self.last.2;
        self.last = found;
        Ok(Some((recording, grown)))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len(), path.to_owned()))
}

/// The recording in a directory that was written last.
fn newest(dir: &Path) -> Option<Stamp> {
    fn walk(dir: &Path, depth: usize, newest: &mut Option<Stamp>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() && depth > 0 {
                walk(&path, depth - 1, newest);
            } else if kind.is_file() && path.extension().is_some_and(|ending| ending == "rec") {
                *newest = newest.take().max(stamp(&path));
            }
        }
    }
    let mut found = None;
    walk(dir, DEPTH, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_recording_that_was_written_last_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Follow::new(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("rl-run record RUN --out"), "{refused}");
        fs::create_dir_all(dir.path().join("a/recordings")).unwrap();
        let [old, new, other] = ["old.rec", "a/recordings/new.rec", "newer.txt"].map(|name| dir.path().join(name));
        for (age, path) in [(30, &old), (20, &new), (10, &other)] {
            let file = File::create(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        let (mut follow, file) = Follow::new(dir.path()).unwrap();
        assert_eq!(file, new);
        File::options().write(true).open(&old).unwrap().set_modified(SystemTime::now()).unwrap();
        assert!(follow.newer().unwrap().is_none(), "it is not readable yet");
        assert_eq!(Follow::new(&old).unwrap().1, old);
        fs::write(dir.path().join("a/run.json"), "").unwrap();
        fs::remove_file(&new).unwrap();
        assert!(Follow::new(&dir.path().join("a")).unwrap_err().to_string().contains("/a --out"));
    }
}
