//! One process of a run, watched from outside until its moment comes.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::rl_run;
use crate::matrix::Case;
use crate::moment::{Kind, Moment};

/// How long the parts of a run take here.
pub(crate) struct Pace {
    /// From its start to the first row or state of it.
    start: Duration,
    /// To the first checkpoint.
    first: Duration,
    /// From one checkpoint to the beginning of the next.
    training: Duration,
    /// The writing of one.
    writing: Duration,
}

/// Where a kill landed: with a checkpoint before it, in training or while the next was written or an old one removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    BeforeTheFirst,
    Between,
    InAWrite,
}

/// A process at work.
pub(crate) struct Sitting {
    child: Child,
    checkpoints: PathBuf,
    begin: Instant,
}

/// Names of the checkpoints in a directory, which may be missing, oldest first.
pub(crate) fn numbers(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> =
        names.filter_map(|name| name.into_string().ok()).filter(|name| is_number(name)).collect();
    names.sort();
    names
}

/// Whether a name is that of a checkpoint, by its frames.
fn is_number(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// The newest checkpoint, and whether something is there that is none yet, or no more.
fn look(checkpoints: &Path) -> (Option<String>, bool) {
    let (mut newest, mut unfinished) = (None, false);
    for entry in fs::read_dir(checkpoints).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_number(&name) && entry.path().join("manifest.json").exists() {
            newest = newest.max(Some(name));
        } else if name == "segments" {
            let drafts = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            unfinished |= drafts.map(|draft| draft.path()).any(|path| path.extension().is_some_and(|end| end == "tmp"));
        } else {
            unfinished = true;
        }
    }
    (newest, unfinished)
}

impl Pace {
    /// That of `run`, which is trained from its start to its end.
    pub(crate) fn of(at: &Path, case: &Case, run: &str) -> Self {
        let mut sitting = Sitting::start(at, case, run, "--threads 1 --workers 1");
        let written = at.join(run).join("digests.jsonl");
        assert!(sitting.until(|_| written.exists()), "{} of {} begins", case.agent, case.env);
        let start = sitting.begin.elapsed();
        assert!(sitting.until(|at| look(at).0.is_some()), "{} of {} writes checkpoints", case.agent, case.env);
        let first = sitting.begin.elapsed();
        // How often it is seen to write is how long it does, of all of the time.
        let [looks, writes] = [Cell::new(0u32), Cell::new(0u32)];
        sitting.until(|at| {
            looks.set(looks.get() + 1);
            writes.set(writes.get() + u32::from(look(at).1));
            false
        });
        let status = sitting.child.wait().unwrap();
        assert!(status.success(), "{} of {}: {status}", case.agent, case.env);
        let states = fs::read_to_string(&written).unwrap().lines().count() as u32;
        assert!(states > 8, "{} of {}: {states} checkpoints are too few to be killed between", case.agent, case.env);
        let between = (sitting.begin.elapsed() - first) / (states - 1);
        let writing = between * writes.get() / looks.get();
        Self { start, first, training: between - writing, writing }
    }
}

impl Sitting {
    /// Begins `run`, or goes on with it where it is one.
    pub(crate) fn start(at: &Path, case: &Case, run: &str, threads: &str) -> Self {
        let line = if at.join(run).join("run.json").exists() {
            format!("resume {run} --quiet {threads}")
        } else {
            let _ = fs::remove_dir_all(at.join(run)); // what was killed before it was a run
            format!("{} --run {run} {threads}", case.line())
        };
        let child = rl_run(at, &line).stdout(Stdio::null()).spawn().unwrap();
        Self { child, checkpoints: at.join(run).join("checkpoints"), begin: Instant::now() }
    }

    /// Kills it at `moment`, and says where that was; `None` if it ended before.
    pub(crate) fn kill(mut self, moment: Moment, pace: &Pace) -> Option<Landed> {
        let Moment { kind, checkpoints, share } = moment;
        let mut seen = look(&self.checkpoints).0;
        for _ in 0..checkpoints {
            let before = seen.clone();
            if !self.until(|at| look(at).0 > before) {
                return None;
            }
            seen = look(&self.checkpoints).0;
        }
        let wait = match kind {
            Kind::Start => pace.first.mul_f64(share),
            Kind::Resume => pace.start.mul_f64(share),
            Kind::Between if self.until(|at| !look(at).1) => pace.training.mul_f64(share),
            Kind::Write if self.until(|at| look(at).1) => pace.writing.mul_f64(share),
            Kind::Between | Kind::Write => return None,
        };
        std::thread::sleep(wait);
        self.child.kill().unwrap(); // SIGKILL
        if self.child.wait().unwrap().code().is_some() {
            return None;
        }
        Some(match look(&self.checkpoints) {
            (None, _) => Landed::BeforeTheFirst,
            (Some(_), true) => Landed::InAWrite,
            (Some(_), false) => Landed::Between,
        })
    }

    /// Waits until it is `so` of the directory of its checkpoints; false if the process ends before.
    fn until(&mut self, so: impl Fn(&Path) -> bool) -> bool {
        loop {
            if so(&self.checkpoints) {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return so(&self.checkpoints);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Copies a directory with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}
