//! What becomes of the states of a run: they are written to its directory while it trains, or compared with the
//! recorded ones by `verify`.

use anyhow::Context as _;

use crate::checkpoint::manifest::{Owner, SEGMENTS, segment};
use crate::checkpoint::snapshot::{Extent, Handed, Snapshot};
use crate::checkpoint::writer::{Files, Known, Writer};
use crate::checkpoint::{self, Checkpoint};
use crate::run_dir::RunDir;
use crate::run_dir::digests::{Digest, Digests};
use crate::session::Session;

/// Receives the states of a run.
pub(crate) trait StateSink {
    /// Takes the segments of parts that will never change again. Called after every block, so that less is left for a
    /// checkpoint.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn hand_on(&mut self, session: &mut Session) -> anyhow::Result<()>;

    /// Takes the whole state, when a checkpoint is due or the run ends. `settled` is false if an evaluation that was
    /// due was stopped and has to be done again.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn checkpoint(&mut self, session: &mut Session, settled: bool) -> anyhow::Result<()>;

    /// Takes the weights after the best evaluation so far.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn best(&mut self, session: &mut Session) -> anyhow::Result<()>;

    /// Whether the state at `frames` is wanted although no checkpoint is due; then [`pass`](Self::pass) takes it.
    fn wants(&self, _frames: u64) -> bool {
        false
    }

    /// Takes a state that was wanted, and returns whether the run need not go on.
    ///
    /// # Errors
    /// If a part cannot be read.
    fn pass(&mut self, _session: &mut Session) -> anyhow::Result<bool> {
        Ok(false)
    }

    /// Waits until everything is written; appends messages for a person to `notes`.
    ///
    /// # Errors
    /// If a file could not be written.
    fn finish(&mut self, _notes: &mut Vec<String>) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Writes the states of a run to its directory.
#[derive(Debug)]
pub(crate) struct Archive {
    handed: Handed,
    // Before the directory, which is another's as soon as it is dropped.
    writer: Writer,
    dir: RunDir,
}

impl Archive {
    /// Makes the archive of a new run, of whose checkpoints the newest `most` are kept.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn create(dir: RunDir, owner: Owner, most: usize) -> anyhow::Result<Self> {
        let digests = Digests::create(dir.path())?;
        Self::new(dir, owner, most, digests, Known::new())
    }

    /// Makes the archive of a run that goes on from the checkpoint `from` at `frames`, whose segments are kept. If that
    /// state is `settled`, its line of `digests.jsonl` is added in case a killed process left it out.
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
        Self::new(dir, owner, most, digests, known)
    }

    fn new(dir: RunDir, owner: Owner, most: usize, digests: Digests, known: Known) -> anyhow::Result<Self> {
        let handed = Handed::of(known.keys());
        let (checkpoints, best) = (dir.checkpoints(), dir.best());
        let writer = Writer::start(Files { checkpoints, best, owner, most, digests, known })?;
        Ok(Self { handed, writer, dir })
    }
}

impl StateSink for Archive {
    fn hand_on(&mut self, session: &mut Session) -> anyhow::Result<()> {
        let Self { handed, writer, .. } = self;
        writer.check()?;
        handed.hand_on(session, |part, number, bytes| writer.segment(part, number, bytes))
    }

    fn checkpoint(&mut self, session: &mut Session, settled: bool) -> anyhow::Result<()> {
        let Self { handed, writer, dir } = self;
        let (checkpoints, under_way) = (dir.checkpoints(), writer.under_way());
        let gone = |part: &str, number| !checkpoints.join(segment(part, number)).exists();
        let again = |part: &str, number, bytes| writer.segment(part, number, bytes);
        if handed.hand_on_again(session, under_way, gone, again)? > 0 {
            let told = "was removed while the run used it, and is written again from memory";
            session.notes.push(format!("a part of {} {told}", checkpoints.join(SEGMENTS).display()));
        }
        session.notes.extend(writer.notes());
        let path = checkpoints.join(checkpoint::name(session.counts.frames));
        let snapshot = Snapshot::take(session, Extent::Whole, handed);
        writer.checkpoint(snapshot.with_context(|| format!("writing checkpoint {}", path.display()))?, settled)
    }

    fn best(&mut self, session: &mut Session) -> anyhow::Result<()> {
        self.writer.best(Snapshot::take(session, Extent::Weights, &self.handed)?)
    }

    fn finish(&mut self, notes: &mut Vec<String>) -> anyhow::Result<()> {
        let done = self.writer.finish();
        notes.extend(self.writer.notes());
        done
    }
}
