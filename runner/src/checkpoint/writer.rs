//! The thread that writes checkpoints while training goes on.
//!
//! At most a few requests wait in memory: a disk that is slower than training slows it down. Writing ends with its
//! first error, which is returned by the next request or at the end of the run. What cannot be removed is told, and
//! tried again with the next checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::checkpoint;
use crate::checkpoint::manifest::{Owner, SEGMENTS, Segment, segment};
use crate::checkpoint::snapshot::Snapshot;
use crate::file::made;
use crate::run_dir::digests::{Digest, Digests};

/// Most requests that may wait.
const WAITING: usize = 2;

/// The segments that are on disk, by part and number.
pub(crate) type Known = BTreeMap<(String, u64), Segment>;

/// Forgets the segments before the first of each part in `snapshot`, which no later checkpoint needs.
pub(crate) fn forget_before(known: &mut Known, snapshot: &Snapshot) {
    let first: BTreeMap<&str, u64> =
        snapshot.parts.iter().map(|part| (part.name.as_str(), part.segments.start)).collect();
    known.retain(|(part, number), _| first.get(part.as_str()).is_some_and(|first| number >= first));
}

/// A request to write something.
#[derive(Debug)]
enum Job {
    Segment { part: String, number: u64, bytes: Vec<u8> },
    Checkpoint { snapshot: Snapshot, settled: bool },
    Best(Snapshot),
}

/// What the thread writes to.
#[derive(Debug)]
pub(crate) struct Files {
    /// Directory of checkpoints.
    pub(crate) checkpoints: PathBuf,
    /// Directory of the best weights.
    pub(crate) best: PathBuf,
    pub(crate) owner: Owner,
    /// Number of checkpoints that are kept.
    pub(crate) most: usize,
    pub(crate) digests: Digests,
    pub(crate) known: Known,
}

/// Sends requests to the thread, which has served all of them when this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
    /// Segments that were sent.
    sent: u64,
    /// Segments of them that are on disk.
    written: Arc<AtomicU64>,
    told: Receiver<String>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn start(files: Files) -> anyhow::Result<Self> {
        let (jobs, received) = bounded(WAITING);
        let thread = std::thread::Builder::new().name("checkpoints".to_owned());
        let written = Arc::new(AtomicU64::new(0));
        let (count, (tell, told)) = (Arc::clone(&written), unbounded());
        let thread = thread.spawn(move || files.work(&received, &count, &tell)).context("a thread for checkpoints")?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), sent: 0, written, told })
    }

    /// Messages for a person, since the last call, on what could not be removed.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.told.try_iter()
    }

    /// Number of segments that were sent last and may not be on disk yet.
    pub(crate) fn under_way(&self) -> u64 {
        self.sent - self.written.load(Ordering::Acquire)
    }

    /// Requests that a segment of a part be written.
    ///
    /// # Errors
    /// If an earlier request failed.
    pub(crate) fn segment(&mut self, part: &str, number: u64, bytes: Vec<u8>) -> anyhow::Result<()> {
        self.sent += 1;
        self.send(Job::Segment { part: part.to_owned(), number, bytes })
    }

    /// Requests that a checkpoint be written and the oldest beyond those that are kept be removed. Only a `settled` one
    /// gets a line in `digests.jsonl`: otherwise an evaluation that was due was stopped and has to be done again.
    ///
    /// # Errors
    /// If an earlier request failed.
    pub(crate) fn checkpoint(&mut self, snapshot: Snapshot, settled: bool) -> anyhow::Result<()> {
        self.send(Job::Checkpoint { snapshot, settled })
    }

    /// Requests that the best weights so far be written.
    ///
    /// # Errors
    /// If an earlier request failed.
    pub(crate) fn best(&mut self, snapshot: Snapshot) -> anyhow::Result<()> {
        self.send(Job::Best(snapshot))
    }

    /// Notices that a request failed, so that nobody trains on for the time until the next.
    ///
    /// # Errors
    /// If one did.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        // While requests may come, only an error ends the thread.
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) { self.finish() } else { Ok(()) }
    }

    /// Waits until all requests are served.
    ///
    /// # Errors
    /// If one failed.
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
    fn work(mut self, jobs: &Receiver<Job>, segments: &AtomicU64, tell: &Sender<String>) -> anyhow::Result<()> {
        let tidied = |done: anyhow::Result<()>| {
            if let Err(error) = done {
                let _ = tell.send(format!("what is of no more use stays for now: {error:#}")); // or nobody listens
            }
        };
        tidied(checkpoint::sweep(&self.checkpoints, &self.known)); // what a killed process left
        jobs.iter().try_for_each(|job| match job {
            Job::Segment { part, number, bytes } => {
                made(made(&self.checkpoints)?.join(SEGMENTS).as_path())?; // the first come before any checkpoint
                let path = self.checkpoints.join(segment(&part, number));
                let written = checkpoint::write_segment(&path, number, &bytes)?;
                self.known.insert((part, number), written);
                segments.fetch_add(1, Ordering::Release);
                Ok(())
            }
            Job::Checkpoint { snapshot, settled } => {
                let manifest = checkpoint::write(made(&self.checkpoints)?, &snapshot, &self.owner, &self.known)?;
                if settled {
                    self.digests.append(&Digest { frames: snapshot.frames, parts: manifest.digests() })?;
                }
                tidied(self.tidy(&snapshot));
                Ok(())
            }
            Job::Best(snapshot) => {
                checkpoint::write(made(&self.best)?, &snapshot, &self.owner, &Known::new())?;
                tidied(checkpoint::prune_best(&self.best, &self.checkpoints));
                Ok(())
            }
        })
    }

    /// Removes what is of no use after the checkpoint of `snapshot`.
    fn tidy(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let pruned = checkpoint::prune(&self.checkpoints, self.most);
        let best = if self.best.exists() { checkpoint::prune_best(&self.best, &self.checkpoints) } else { Ok(()) };
        forget_before(&mut self.known, snapshot);
        let collected = checkpoint::sweep(&self.checkpoints, &self.known);
        pruned.and(best).and(collected)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn start(dir: &Path) -> Writer {
        let owner =
            Owner { env: "cartpole".to_owned(), env_version: 1, agent: "dqn".to_owned(), isa: "portable".to_owned() };
        let (checkpoints, best) = (dir.join("checkpoints"), dir.join("best"));
        let digests = Digests::create(dir).unwrap();
        Writer::start(Files { checkpoints, best, owner, most: 1, digests, known: Known::new() }).unwrap()
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_is_noticed_before_the_next_is_due() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("checkpoints"), b"a file where there should be a directory").unwrap();
        let mut writer = start(dir.path());
        writer.check().unwrap();
        writer.checkpoint(Snapshot { frames: 16, updates: 1, parts: Vec::new() }, true).unwrap();
        let error = (0..10_000).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            writer.check().err()
        });
        assert!(format!("{:#}", error.unwrap()).contains("checkpoints"));
    }

    /// As on a network's disk, where what another process reads cannot be removed at once.
    #[test]
    fn an_old_checkpoint_that_stays_is_told_and_ends_no_run() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = dir.path().join("checkpoints");
        std::fs::create_dir(&checkpoints).unwrap();
        let stubborn = checkpoints.join(checkpoint::name(8));
        std::fs::write(&stubborn, b"no directory, so that it is not removed as one").unwrap();
        let mut writer = start(dir.path());
        for frames in [16, 32, 48] {
            writer.checkpoint(Snapshot { frames, updates: 1, parts: Vec::new() }, true).unwrap();
        }
        writer.finish().unwrap();
        let notes: Vec<String> = writer.notes().collect();
        assert!(notes.len() == 3 && notes[0].contains("stays for now"), "{notes:?}");
        assert_eq!(crate::run_dir::digests::all(dir.path()).unwrap().len(), 3);
        assert!(checkpoint::list(&checkpoints).unwrap().iter().any(|(frames, _)| *frames == 48));
    }
}
