//! `digests.jsonl`: the hash of every part of a run at each of its checkpoints, removed ones included.
//!
//! A line has the frames and the SHA-256 of each part, in the order of the session. `rl-run verify` compares with it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::file::appended::{Appended, rows};

/// Name of the file in the directory of a run.
pub(crate) const FILE: &str = "digests.jsonl";

/// The hashes of a run's parts at one checkpoint: a line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Digest {
    /// Emulator frames of the checkpoint.
    pub(crate) frames: u64,
    /// Name and SHA-256 of each part, in the order of the session.
    pub(crate) parts: Vec<(String, String)>,
}

/// Name of the first part that two lists of names and hashes do not both have, with the same hash.
pub(crate) fn first_difference<'a>(one: &'a [(String, String)], other: &'a [(String, String)]) -> Option<&'a str> {
    let mut parts = one.iter().chain(other);
    parts.find(|part| !(one.contains(part) && other.contains(part))).map(|(name, _)| name.as_str())
}

/// `digests.jsonl`, open for appending.
#[derive(Debug)]
pub(crate) struct Digests {
    file: Appended,
    /// Frames of the last line, and where it begins in the file.
    last: Option<(u64, u64)>,
    /// Bytes of the file.
    length: u64,
}

impl Digests {
    /// Creates the file in the directory `run`.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub(crate) fn create(run: &Path) -> anyhow::Result<Self> {
        Ok(Self { file: Appended::create(run.join(FILE))?, last: None, length: 0 })
    }

    /// Opens the file of a run that goes on from `frames`, and removes lines of later checkpoints.
    ///
    /// # Errors
    /// If the file cannot be read or cut, or a line before its end is damaged.
    pub(crate) fn reopen(run: &Path, frames: u64) -> anyhow::Result<Self> {
        let (path, mut last, mut length) = (run.join(FILE), None, 0);
        for (digest, line) in rows::<Digest>(&path)?.into_iter().take_while(|(digest, _)| digest.frames <= frames) {
            (last, length) = (Some((digest.frames, length)), length + line.len() as u64);
        }
        Ok(Self { file: Appended::cut(path, length)?, last, length })
    }

    /// Appends a line, unless there is one of the same or of later frames.
    ///
    /// # Errors
    /// If it cannot be written, as when the disk is full.
    pub(crate) fn append(&mut self, digest: &Digest) -> anyhow::Result<()> {
        if self.last.is_some_and(|(last, _)| digest.frames <= last) {
            return Ok(());
        }
        let line = line(digest)?;
        self.file.append(&line)?;
        self.last = Some((digest.frames, self.length));
        self.length += line.len() as u64;
        Ok(())
    }

    /// Replaces the last line if it is of the same frames, whose parts may have been cut into other files.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn renew(&mut self, digest: &Digest) -> anyhow::Result<()> {
        let Some((_, begin)) = self.last.filter(|(last, _)| *last == digest.frames) else { return Ok(()) };
        let line = line(digest)?;
        self.file.replace(begin, &line)?;
        self.length = begin + line.len() as u64;
        Ok(())
    }
}

fn line(digest: &Digest) -> anyhow::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(digest)?;
    line.push(b'\n');
    Ok(line)
}

/// Reads the lines of a run, oldest first.
///
/// # Errors
/// If the file cannot be read, or a line before the last is damaged.
pub(crate) fn all(run: &Path) -> anyhow::Result<Vec<Digest>> {
    Ok(rows(&run.join(FILE))?.into_iter().map(|(digest, _)| digest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(frames: u64) -> Digest {
        Digest { frames, parts: vec![("env".to_owned(), format!("{frames:064x}"))] }
    }

    #[test]
    fn states_are_there_once_and_those_after_a_resumed_one_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut digests = Digests::create(dir.path()).unwrap();
        for frames in [100, 200, 200, 300] {
            digests.append(&digest(frames)).unwrap();
        }
        digests.file.append(b"{\"frames\": 4").unwrap();
        assert_eq!(all(dir.path()).unwrap(), [100, 200, 300].map(digest));
        let mut digests = Digests::reopen(dir.path(), 250).unwrap();
        digests.append(&digest(200)).unwrap();
        digests.append(&digest(350)).unwrap();
        assert_eq!(all(dir.path()).unwrap(), [100, 200, 350].map(digest));
        let other = Digest { frames: 350, ..digest(1) };
        digests.renew(&digest(200)).unwrap();
        digests.renew(&other).unwrap();
        digests.append(&digest(400)).unwrap();
        assert_eq!(all(dir.path()).unwrap(), [digest(100), digest(200), other, digest(400)]);
        let other = Digest { frames: 400, ..digest(1) };
        Digests::reopen(dir.path(), 400).unwrap().renew(&other).unwrap();
        assert_eq!(all(dir.path()).unwrap()[2..], [Digest { frames: 350, ..digest(1) }, other]);
    }
}
