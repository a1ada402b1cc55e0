//! The directory of a run: what it was asked, what it became, and never somebody else's.
//!
//! `run.toml` (every value resolved), `run.json` (binary, machine, seed), `checkpoints/`, `best/`, metrics.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rl_nn::Precision;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::demonstrations::Shown;
use crate::file;
use crate::tape::Which;
use crate::usage::usage;

/// `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    /// Version of rl-run.
    pub(crate) version: String,
    /// Git revision that it was built from.
    pub(crate) revision: String,
    /// Cargo features.
    pub(crate) features: Vec<String>,
    /// Instruction set: `avx512`, `avx2`, `neon` or `portable`, and what multiplied bf16.
    pub(crate) isa: String,
    /// Model of the processor.
    pub(crate) cpu: String,
    /// Threads of tensor operations.
    pub(crate) threads: usize,
    /// `cpu` or `cuda`.
    pub(crate) device: String,
    /// Full name of the environment.
    pub(crate) env: String,
    /// Version of its dynamics.
    pub(crate) env_version: u32,
    /// The agent.
    pub(crate) agent: String,
    /// Seed of every random stream.
    pub(crate) seed: u64,
    /// SHA-256 of `run.toml`; empty in runs from before it was noted.
    #[serde(default)]
    pub(crate) config_sha256: String,
    /// Episodes that are recorded while it trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<Which>,
    /// What was shown to the agent before it learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) demonstrations: Option<Shown>,
    /// Steps between two outputs that recordings keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record_outputs: Option<u32>,
}

/// Model of the processor, as Linux names it.
pub(crate) fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// The instruction set that kernels use, and what multiplies bf16 beside it.
pub(crate) fn isa(precision: Precision) -> String {
    let isa = rl_nn::isa().name();
    precision.unit().map_or_else(|| isa.to_owned(), |unit| format!("{isa}, {unit}"))
}

/// Cargo features of this binary.
pub(crate) fn features() -> Vec<String> {
    let all = [
        ("atari", cfg!(feature = "atari")),
        ("doom", cfg!(feature = "doom")),
        ("viewer", cfg!(feature = "viewer")),
        ("gamepad", cfg!(feature = "gamepad")),
        ("sound", cfg!(feature = "sound")),
        ("tui", cfg!(feature = "tui")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    all.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned()).collect()
}

/// A directory that this process alone writes to.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// Every `run.json` that this process opened or wrote: a file that was replaced stays locked for whoever has it open.
    locks: Vec<File>,
}

impl RunDir {
    /// Makes the directory `asked`, or the first free one of `name`, `name-2`, … below `runs`, and writes what the run is.
    ///
    /// # Errors
    /// If `asked` exists and holds something, unless `force` is given and it holds a run, which is then removed.
    pub(crate) fn create(
        asked: Option<&Path>,
        name: &str,
        force: bool,
        about: &About,
        preset: &str,
    ) -> anyhow::Result<Self> {
        let path = match asked {
            Some(path) => claim(path, force)?,
            None => (1..).find_map(|n| free(name, n).transpose()).expect("numbers do not end")?,
        };
        let mut dir = Self { path, locks: Vec::new() };
        dir.describe(about, preset)?;
        Ok(dir)
    }

    /// Opens the directory of an earlier run to go on with it.
    ///
    /// # Errors
    /// If it holds no run, or another process is writing to it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self { path: path.to_owned(), locks: vec![lock(path)?] })
    }

    /// Writes what the run is.
    ///
    /// # Errors
    /// If a file cannot be written, or another process was faster.
    pub(crate) fn describe(&mut self, about: &About, preset: &str) -> anyhow::Result<()> {
        // What makes the directory that of a run comes last: a process that is killed in between leaves none, or the one before.
        write(&self.path.join("run.toml"), preset.as_bytes())?;
        let json = format!("{}\n", serde_json::to_string_pretty(about)?);
        write(&self.path.join("run.json"), json.as_bytes())?;
        self.locks.push(lock(&self.path)?);
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where checkpoints are.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Where the best weights are.
    pub(crate) fn best(&self) -> PathBuf {
        self.path.join("best")
    }
}

/// Reads `run.json`.
///
/// # Errors
/// If `path` is not the directory of a run.
pub(crate) fn about(path: &Path) -> anyhow::Result<About> {
    let file = path.join("run.json");
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound || e.kind() == ErrorKind::NotADirectory => {
            let why = if path.exists() { "no run.json in it" } else { "there is no such file or directory" };
            return Err(usage(format!("{} is not the directory of a run ({why})", path.display())));
        }
        Err(e) => return Err(e).with_context(|| file.display().to_string()),
    };
    serde_json::from_slice(&text).with_context(|| format!("{}: damaged", file.display()))
}

/// Whether a run may have the directory `path`, and whether another is there that it replaces.
///
/// # Errors
/// If it holds something, unless `force` is given and that is a run.
pub(crate) fn may_be(path: &Path, force: bool) -> anyhow::Result<bool> {
    let empty = match fs::read_dir(path) {
        Ok(mut entries) => entries.all(|entry| entry.is_ok_and(|entry| is_unborn(&entry.file_name()))),
        Err(e) if e.kind() == ErrorKind::NotFound => true,
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return Err(usage(format!("{} is a file, not a directory", path.display())));
        }
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    if !empty && !force {
        return Err(usage(format!(
            "{} exists: name another --run, go on with `rl-run resume`, or replace it with --force",
            path.display()
        )));
    }
    if !empty {
        about(path)?; // what is not a run is not ours to remove
    }
    Ok(!empty)
}

/// Whether a file is of a run that was killed before it was one: its `run.json` comes last.
fn is_unborn(name: &OsStr) -> bool {
    name == "run.toml" || name.as_encoded_bytes().starts_with(b".tmp")
}

fn claim(path: &Path, force: bool) -> anyhow::Result<PathBuf> {
    if may_be(path, force)? {
        let _lock = lock(path)?;
        fs::remove_dir_all(path).with_context(|| path.display().to_string())?;
    }
    fs::create_dir_all(path).with_context(|| path.display().to_string())?;
    Ok(path.to_owned())
}

fn free(name: &str, n: u32) -> anyhow::Result<Option<PathBuf>> {
    let runs = Path::new("runs");
    fs::create_dir_all(runs).context("runs")?;
    let path = runs.join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
    match fs::create_dir(&path) {
        Ok(()) => Ok(Some(path)),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(e) => Err(e).with_context(|| path.display().to_string()),
    }
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::open(path.join("run.json")).with_context(|| format!("{}/run.json", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => bail!("{}: another rl-run is writing to this run", path.display()),
        Err(e) => Err(e).with_context(|| path.display().to_string()),
    }
}

/// Replaces a small file in one step.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let context = || path.display().to_string();
    let mut file = tempfile::NamedTempFile::new_in(file::parent(path)).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(path).map_err(|e| e.error).with_context(context)?;
    Ok(())
}
