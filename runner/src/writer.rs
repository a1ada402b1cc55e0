//! The thread that writes checkpoints, while training goes on.
//!
//! What is to be written waits in memory, a few segments at most: a disk that is slower than training slows it down. Writing
//! ends with its first error, which the next request, or the end of the run, reports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::checkpoint;
use crate::digests::{Digest, Digests};
use crate::manifest::{Owner, SEGMENTS, Segment, segment};
use crate::snapshot::Snapshot;

/// Requests that may wait.
const WAITING: usize = 2;

/// The segments that are on disk, by part and number.
pub(crate) type Known = BTreeMap<(String, u64), Segment>;

/// What is to be written.
#[derive(Debug)]
enum Job {
    Segment { part: String, number: u64, bytes: Vec<u8> },
    Checkpoint { snapshot: Snapshot, settled: bool },
    Best(Snapshot),
}

/// What the thread works with.
#[derive(Debug)]
pub(crate) struct Files {
    /// Where checkpoints are.
    pub(crate) checkpoints: PathBuf,
    /// Where the best weights are.
    pub(crate) best: PathBuf,
    pub(crate) owner: Owner,
    /// Checkpoints to keep.
    pub(crate) most: usize,
    pub(crate) digests: Digests,
    pub(crate) known: Known,
}

/// The thread; it has written everything when this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Writer {
    /// Starts it.
    ///
    /// # Errors
    /// If there can be no further thread.
    pub(crate) fn start(files: Files) -> anyhow::Result<Self> {
        let (jobs, received) = bounded(WAITING);
        let thread = std::thread::Builder::new().name("checkpoints".to_owned());
        let thread = thread.spawn(move || files.work(&received)).context("a thread for checkpoints")?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Writes a segment of a part.
    ///
    /// # Errors
    /// If something could not be written.
    pub(crate) fn segment(&mut self, part: &str, number: u64, bytes: Vec<u8>) -> anyhow::Result<()> {
        self.send(Job::Segment { part: part.to_owned(), number, bytes })
    }

    /// Writes a checkpoint, and removes those that are too many. It is `settled` unless something that was due was cut short
    /// and waits to be done again.
    ///
    /// # Errors
    /// If something could not be written.
    pub(crate) fn checkpoint(&mut self, snapshot: Snapshot, settled: bool) -> anyhow::Result<()> {
        self.send(Job::Checkpoint { snapshot, settled })
    }

    /// Writes the best weights so far.
    ///
    /// # Errors
    /// If something could not be written.
    pub(crate) fn best(&mut self, snapshot: Snapshot) -> anyhow::Result<()> {
        self.send(Job::Best(snapshot))
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// If something could not be.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        self.jobs = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(written)) => written,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }

    fn send(&mut self, job: Job) -> anyhow::Result<()> {
        let jobs = self.jobs.as_ref().context("writing checkpoints ended with an error before")?;
        if jobs.send(job).is_ok() { Ok(()) } else { self.finish() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // whoever drops it without asking has an error of his own to report
        }
    }
}

impl Files {
    fn work(mut self, jobs: &Receiver<Job>) -> anyhow::Result<()> {
        jobs.iter().try_for_each(|job| match job {
            Job::Segment { part, number, bytes } => {
                made(&self.checkpoints.join(SEGMENTS))?;
                let path = self.checkpoints.join(segment(&part, number));
                let written = checkpoint::write_segment(&path, number, &bytes)?;
                self.known.insert((part, number), written);
                Ok(())
            }
            Job::Checkpoint { snapshot, settled } => self.checkpoint(&snapshot, settled),
            Job::Best(snapshot) => {
                checkpoint::write(made(&self.best)?, &snapshot, &self.owner, &Known::new())?;
                checkpoint::prune(&self.best, 1)
            }
        })
    }

    fn checkpoint(&mut self, snapshot: &Snapshot, settled: bool) -> anyhow::Result<()> {
        let manifest = checkpoint::write(made(&self.checkpoints)?, snapshot, &self.owner, &self.known)?;
        if settled {
            self.digests.append(&Digest { frames: snapshot.frames, parts: manifest.digests() })?;
        }
        checkpoint::prune(&self.checkpoints, self.most)?;
        // What is before the first segment of a part is in no later checkpoint.
        let first: BTreeMap<&str, u64> =
            snapshot.parts.iter().map(|part| (part.name.as_str(), part.segments.start)).collect();
        self.known.retain(|(part, number), _| first.get(part.as_str()).is_some_and(|first| number >= first));
        checkpoint::collect(&self.checkpoints, &self.known)
    }
}

/// The directory, which is there from now on.
fn made(dir: &Path) -> anyhow::Result<&Path> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}
