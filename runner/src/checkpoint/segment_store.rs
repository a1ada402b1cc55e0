//! The segments of a replay that a program's own run has on disk, so that its next save copies and writes the new alone.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint;
use crate::checkpoint::manifest::{Manifest, Owner, SEGMENTS, segment};
use crate::checkpoint::snapshot::{Extent, Handed, Snapshot};
use crate::checkpoint::writer::{Known, forget_before};
use crate::file::made;
use crate::session::Session;

/// What one run has in one directory.
#[derive(Debug)]
pub(crate) struct SegmentStore {
    /// Directory of the run, whatever leads to it.
    run: PathBuf,
    handed: Handed,
    known: Known,
}

impl SegmentStore {
    /// The store of the run in the directory `run`, which holds the segments `known` of its past.
    ///
    /// # Errors
    /// If there is no such directory.
    pub(crate) fn new(run: &Path, known: Known) -> io::Result<Self> {
        Ok(Self { run: fs::canonicalize(run)?, handed: Handed::of(known.keys()), known })
    }

    /// Whether it is in the directory `run`.
    pub(crate) fn is_in(&self, run: &Path) -> bool {
        fs::canonicalize(run).is_ok_and(|run| run == self.run)
    }

    /// The segments that are on disk, and that a later checkpoint may need.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Writes what `session` has in no segment yet, then a checkpoint of it below `checkpoints`.
    ///
    /// # Errors
    /// If a part cannot be saved or a file not be written.
    pub(crate) fn write(
        &mut self,
        checkpoints: &Path,
        session: &mut Session,
        owner: &Owner,
    ) -> anyhow::Result<(Snapshot, Manifest)> {
        let Self { handed, known, .. } = self;
        known.retain(|(part, number), _| checkpoints.join(segment(part, *number)).exists());
        let put = |known: &mut Known, part: &str, number, bytes: &[u8]| {
            made(made(checkpoints)?.join(SEGMENTS).as_path())?;
            let written = checkpoint::write_segment(&checkpoints.join(segment(part, number)), number, bytes)?;
            known.insert((part.to_owned(), number), written);
            anyhow::Ok(())
        };
        handed.hand_on(session, |part, number, bytes| put(known, part, number, &bytes))?;
        // What somebody removed, or an earlier save could not write.
        let there: BTreeSet<(String, u64)> = known.keys().cloned().collect();
        let gone = |part: &str, number| !there.contains(&(part.to_owned(), number));
        handed.hand_on_again(session, 0, gone, |part, number, bytes| put(known, part, number, &bytes))?;
        let snapshot = Snapshot::take(session, Extent::Whole, handed)?;
        let manifest = checkpoint::write(checkpoints, &snapshot, owner, known)?;
        forget_before(known, &snapshot);
        Ok((snapshot, manifest))
    }
}
