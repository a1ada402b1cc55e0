//! Where the states of a run go: to its directory while it trains, past the recorded ones while it is verified.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::checkpoint::{self, Extent, Owner};
use crate::digests::{Digest, Digests};
use crate::run_dir::RunDir;
use crate::session::Session;

/// What becomes of states.
pub(crate) trait Keep {
    /// Takes the whole state: a checkpoint is due, or the run ends here. It is `settled` unless something that was due was
    /// cut short and waits to be done again.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn checkpoint(&mut self, session: &mut Session, settled: bool) -> anyhow::Result<()>;

    /// Takes the weights, the best so far.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn best(&mut self, session: &mut Session) -> anyhow::Result<()>;

    /// Whether the state between two blocks is wanted, when nothing is due.
    fn wants(&self, _frames: u64) -> bool {
        false
    }

    /// Takes such a state; whether the run need not go on.
    ///
    /// # Errors
    /// If a part cannot be read.
    fn pass(&mut self, _session: &mut Session) -> anyhow::Result<bool> {
        Ok(false)
    }
}

/// The directory of a run.
#[derive(Debug)]
pub(crate) struct Archive {
    dir: RunDir,
    owner: Owner,
    /// Checkpoints to keep.
    most: usize,
    digests: Digests,
}

impl Archive {
    /// That of a new run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn create(dir: RunDir, owner: Owner, most: usize) -> anyhow::Result<Self> {
        let digests = Digests::create(dir.path())?;
        Ok(Self { dir, owner, most, digests })
    }

    /// That of a run that goes on from `frames`. `from` is its checkpoint there, where that is settled: a process that was killed
    /// may have left it without its line.
    ///
    /// # Errors
    /// If a file cannot be read or cut.
    pub(crate) fn reopen(
        dir: RunDir,
        owner: Owner,
        most: usize,
        frames: u64,
        from: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut digests = Digests::reopen(dir.path(), frames)?;
        if let Some(from) = from {
            digests.append(&Digest { frames, parts: checkpoint::parts(from)? })?;
        }
        Ok(Self { dir, owner, most, digests })
    }
}

impl Keep for Archive {
    fn checkpoint(&mut self, session: &mut Session, settled: bool) -> anyhow::Result<()> {
        let dir = self.dir.checkpoints();
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let path = checkpoint::write(&dir, session, &self.owner, Extent::Whole)?;
        if settled {
            self.digests.append(&Digest { frames: session.counts.frames, parts: checkpoint::parts(&path)? })?;
        }
        checkpoint::prune(&dir, self.most)
    }

    fn best(&mut self, session: &mut Session) -> anyhow::Result<()> {
        let dir = self.dir.best();
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        checkpoint::write(&dir, session, &self.owner, Extent::Weights)?;
        checkpoint::prune(&dir, 1)
    }
}
