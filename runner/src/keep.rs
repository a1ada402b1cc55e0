//! Where the states of a run go: to its directory while it trains, past the recorded ones while it is verified.

use anyhow::Context as _;

use crate::checkpoint::{self, Checkpoint};
use crate::digests::{Digest, Digests};
use crate::manifest::Owner;
use crate::run_dir::RunDir;
use crate::session::Session;
use crate::snapshot::{Extent, Handed, Snapshot};
use crate::writer::{Files, Known, Writer};

/// What becomes of states.
pub(crate) trait Keep {
    /// Takes what will never change again, after every block: the less is left for a checkpoint.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn hand_on(&mut self, session: &mut Session) -> anyhow::Result<()>;

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

    /// Waits until everything is where it goes.
    ///
    /// # Errors
    /// If a file could not be written.
    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The directory of a run.
#[derive(Debug)]
pub(crate) struct Archive {
    handed: Handed,
    // Before the directory, which is another's as soon as it is dropped.
    writer: Writer,
    dir: RunDir,
}

impl Archive {
    /// That of a new run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn create(dir: RunDir, owner: Owner, most: usize) -> anyhow::Result<Self> {
        let digests = Digests::create(dir.path())?;
        Self::new(dir, owner, most, digests, Known::new())
    }

    /// That of a run that goes on from `frames`, with the segments of its checkpoint there. Where that is `settled`, its line is
    /// added: a process that was killed may have left it without.
    ///
    /// # Errors
    /// If a file cannot be read or cut.
    pub(crate) fn reopen(
        dir: RunDir,
        owner: Owner,
        most: usize,
        frames: u64,
        from: Option<&Checkpoint>,
        settled: bool,
    ) -> anyhow::Result<Self> {
        let mut digests = Digests::reopen(dir.path(), frames)?;
        if let Some(from) = from.filter(|_| settled) {
            digests.append(&Digest { frames, parts: from.digests() })?;
        }
        let known = from.map(Checkpoint::segments).unwrap_or_default();
        checkpoint::collect(&dir.checkpoints(), &known)?;
        Self::new(dir, owner, most, digests, known)
    }

    fn new(dir: RunDir, owner: Owner, most: usize, digests: Digests, known: Known) -> anyhow::Result<Self> {
        let handed = Handed::of(known.keys());
        let (checkpoints, best) = (dir.checkpoints(), dir.best());
        let writer = Writer::start(Files { checkpoints, best, owner, most, digests, known })?;
        Ok(Self { handed, writer, dir })
    }
}

impl Keep for Archive {
    fn hand_on(&mut self, session: &mut Session) -> anyhow::Result<()> {
        let Self { handed, writer, .. } = self;
        handed.hand_on(session, |part, number, bytes| writer.segment(part, number, bytes))
    }

    fn checkpoint(&mut self, session: &mut Session, settled: bool) -> anyhow::Result<()> {
        let path = self.dir.checkpoints().join(checkpoint::name(session.counts.frames));
        let snapshot = Snapshot::take(session, Extent::Whole, &self.handed);
        self.writer.checkpoint(snapshot.with_context(|| format!("writing checkpoint {}", path.display()))?, settled)
    }

    fn best(&mut self, session: &mut Session) -> anyhow::Result<()> {
        self.writer.best(Snapshot::take(session, Extent::Weights, &self.handed)?)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.writer.finish()
    }
}
