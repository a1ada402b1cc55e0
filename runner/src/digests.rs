//! `digests.jsonl`: what every part of a run was at each of its checkpoints, those included that were removed since.
//!
//! A line has the frames and the SHA-256 of each part in the order of the session: what `rl-run verify` compares with.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::appended::{Appended, rows};

/// Name of the file.
pub(crate) const FILE: &str = "digests.jsonl";

/// One state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Digest {
    /// Frames at which it was taken.
    pub(crate) frames: u64,
    /// Name and SHA-256 of each part.
    pub(crate) parts: Vec<(String, String)>,
}

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct Digests {
    file: Appended,
    /// Frames of the last line.
    last: Option<u64>,
}

impl Digests {
    /// Begins the file in `run`.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub(crate) fn create(run: &Path) -> anyhow::Result<Self> {
        Ok(Self { file: Appended::create(run.join(FILE))?, last: None })
    }

    /// Goes on after the states up to and including `frames`, and forgets those after it.
    ///
    /// # Errors
    /// If the file cannot be read or cut, or a line before its end is damaged.
    pub(crate) fn reopen(run: &Path, frames: u64) -> anyhow::Result<Self> {
        let (path, mut last, mut kept) = (run.join(FILE), None, 0);
        for (digest, line) in rows::<Digest>(&path)?.into_iter().take_while(|(digest, _)| digest.frames <= frames) {
            (last, kept) = (Some(digest.frames), kept + line.len() as u64);
        }
        Ok(Self { file: Appended::cut(path, kept)?, last })
    }

    /// Appends a state, unless the one of these frames is there.
    ///
    /// # Errors
    /// If the disk is full.
    pub(crate) fn append(&mut self, digest: &Digest) -> anyhow::Result<()> {
        if self.last.is_some_and(|last| digest.frames <= last) {
            return Ok(());
        }
        let mut line = serde_json::to_vec(digest)?;
        line.push(b'\n');
        self.file.append(&line)?;
        self.last = Some(digest.frames);
        Ok(())
    }
}

/// All states of a run, in their order.
///
/// # Errors
/// If the file cannot be read, or a line before its end is damaged: fewer states than there were would be compared.
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
    }
}
