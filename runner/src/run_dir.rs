//! The directory of a run: makes, locks, describes and reads it, and never overwrites anything that is not a run.
//!
//! `run.toml` (every value resolved), `run.json` (binary, machine, seed), `checkpoints/`, `best/`, metrics, and
//! `.lock`.

mod about;
pub(crate) mod many;
pub(crate) mod origin;
pub(crate) mod shown;
pub(crate) mod metrics;
pub(crate) mod episode_log;
pub(crate) mod tape;
pub(crate) mod digests;
pub(crate) mod events;
pub(crate) mod non_finite;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use crate::console::output;
use crate::console::usage::usage;
use crate::file;
use crate::games::score;
use crate::preset::parse;
pub(crate) use about::About;

/// Name of the file that the process that writes to a run holds locked.
const LOCK: &str = ".lock";

/// The directory of a run, locked so that only this process writes to it.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// The locked file [`LOCK`].
    _lock: File,
}

impl RunDir {
    /// Makes the directory `asked`, or the first free one of `name`, `name-2`, … below `runs`, and writes to it: by
    /// `first` what a run cannot begin again without, `run.toml` and `run.json`.
    ///
    /// # Errors
    /// If `asked` holds something, unless `force` is given and it holds a run, which is then removed; or if another
    /// process writes to it.
    pub(crate) fn create(
        (asked, name): (Option<&Path>, &str),
        force: bool,
        about: &About,
        preset: &str,
        first: &dyn Fn(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let path = match asked {
            Some(path) => path.to_owned(),
            None => (1..).find_map(|n| free(name, n).transpose()).expect("numbers do not end")?,
        };
        let dir = Self { _lock: claim(&path, force)?, path };
        first(&dir.path)?;
        dir.describe(about, preset)?;
        Ok(dir)
    }

    /// Opens and locks the directory of an earlier run to go on with it.
    ///
    /// # Errors
    /// If it holds no run, or another process is writing to it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        about(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock(path)? })
    }

    /// Writes `run.toml`, then `run.json`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn describe(&self, about: &About, preset: &str) -> anyhow::Result<()> {
        let write = |about: &About| {
            let json = format!("{}\n", serde_json::to_string_pretty(about)?);
            file::write(&self.path.join("run.json"), json.as_bytes())
        };
        let settings = self.path.join("run.toml");
        if is_run(&self.path) && !fs::read_to_string(&settings).is_ok_and(|text| text == preset) {
            // Without a hash until both are written: else who is killed in between leaves settings that look edited.
            write(&About { config_sha256: String::new(), ..about.clone() })?;
        }
        // What makes the directory that of a run comes last: who is killed in between leaves none, or the one before.
        file::write(&settings, preset.as_bytes())?;
        write(about)
    }

    /// Path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Directory of checkpoints.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Directory of the best weights.
    pub(crate) fn best(&self) -> PathBuf {
        self.path.join("best")
    }
}

/// Whether `path` is the directory of a run, that is, holds `run.json`, as far as this user may look.
pub(crate) fn is_run(path: &Path) -> bool {
    path.join("run.json").exists()
}

/// Reads `run.json` of the run in `path`.
///
/// # Errors
/// If `path` is not the directory of a run, or the file is damaged.
pub(crate) fn about(path: &Path) -> anyhow::Result<About> {
    let file = path.join("run.json");
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound || e.kind() == ErrorKind::NotADirectory => {
            let why = match &many::below(path)[..] {
                [] if path.exists() => match many::groups_in(path).first() {
                    Some(group) => format!("{} holds some: name that", group.display()),
                    None if path.join(LOCK).exists() && names(path).is_ok_and(|names| is_unborn(&names)) => {
                        "no run.json in it: its run ended before it had begun; train it again with this --run"
                            .to_owned()
                    }
                    None => "no run.json in it".to_owned(),
                },
                [] => "there is no such file or directory".to_owned(),
                [one] => format!("it holds one: {}", one.display()),
                [first, .., last] => format!("it holds runs, {} to {}: name one", first.display(), last.display()),
            };
            return Err(usage(format!("{} is not the directory of a run ({why})", path.display())));
        }
        Err(e) => return Err(e).with_context(|| file.display().to_string()),
    };
    let damaged = || format!("{}: damaged: put a copy of the file back, or begin the run again", file.display());
    serde_json::from_slice(&text).with_context(damaged)
}

/// Refuses a published model where a run is needed that can be resumed.
///
/// # Errors
/// If `run` is a published model.
pub(crate) fn refuse_model(run: &Path) -> anyhow::Result<()> {
    if !run.join(score::FILE).exists() {
        return Ok(());
    }
    let (name, model, games) = (run.display(), output::word(run), output::word(&run.join(score::GAMES)));
    Err(usage(format!(
        "{name} is a published model: it holds weights, but no training state; `rl-run eval {model}` plays it, and \
         `rl-run verify {games}` certifies its score"
    )))
}

/// Path of `run.toml`, and whether the file is the one that `run.json` was written with.
///
/// # Errors
/// If it cannot be read or lacks a table, in whose place the present preset would be used.
pub(crate) fn settings(path: &Path, about: &About) -> anyhow::Result<(PathBuf, bool)> {
    let file = path.join("run.toml");
    let name = || file.display().to_string();
    let text = fs::read_to_string(&file).with_context(name)?;
    let tables = parse(&text, &name())?;
    if let Some(table) = ["env", "eval", "agent", "train"].iter().find(|table| !tables.contains_key(**table)) {
        bail!(
            "{}: damaged, the table [{table}] is missing: put a copy of the file back, or begin the run again",
            name()
        );
    }
    let noted = &about.config_sha256;
    let same = noted.is_empty() || *noted == rl_assets::sha256(text.as_bytes());
    Ok((file, same))
}

/// Checks that a run may have the directory `path`, and returns whether it replaces another run there.
///
/// # Errors
/// If the directory holds something, unless `force` is given and it is a run; or a published model, which nobody can
/// train again.
pub(crate) fn may_be(path: &Path, force: bool) -> anyhow::Result<bool> {
    if path.join(score::FILE).exists() && is_run(path) {
        return Err(usage(format!("{} is a published model: name another --run", path.display())));
    }
    let empty = match names(path) {
        Ok(names) => is_unborn(&names),
        Err(e) if e.kind() == ErrorKind::NotFound && path.is_symlink() => {
            return Err(usage(format!("{} is a link to a directory that does not exist", path.display())));
        }
        Err(e) if e.kind() == ErrorKind::NotFound => true,
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            let file = path.ancestors().find(|path| path.is_file()).unwrap_or(path);
            let of = if file == path { String::new() } else { format!("{}: ", path.display()) };
            return Err(usage(format!("{of}{} is a file, not a directory", file.display())));
        }
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    if !empty && !force {
        let mend = match about(path) {
            Ok(_) => "name another --run, go on with `rl-run resume`, or replace it with --force",
            Err(_) if !is_run(path) && !many::below(path).is_empty() => "it holds runs of its own: name another --run",
            Err(_) if !is_run(path) => "it is not empty, and not a run: name another --run",
            Err(damaged) => return Err(damaged.context("name another --run")),
        };
        return Err(usage(format!("{} exists: {mend}", path.display())));
    }
    if !empty {
        about(path).context("name another --run")?; // what is not a run is not ours to remove
    }
    Ok(!empty)
}

/// Names of all that is in a directory.
fn names(path: &Path) -> std::io::Result<Vec<OsString>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Whether a directory is free for a run: it is empty, or a lock shows that it was ours and there is no more of a run
/// than one leaves that was killed while it was made, whose `run.json` comes last, or that was removed from what others
/// put beside it.
fn is_unborn(names: &[OsString]) -> bool {
    let locked = names.iter().any(|name| name == LOCK);
    let early = |name: &OsString| is_draft(name) || name == "run.toml" || name == origin::DIR;
    let late = |name: &OsString| name == "run.json" || OWN.iter().any(|own| name == *own);
    names.iter().all(|name| if locked { early(name) || !late(name) } else { is_draft(name) })
}

/// Whether it is the name of a temporary file of ours.
fn is_draft(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".tmp")
}

/// Makes `path` a directory for a new run, locked by this process and empty but for the lock.
fn claim(path: &Path, force: bool) -> anyhow::Result<File> {
    may_be(path, force)?;
    fs::create_dir_all(path).with_context(|| path.display().to_string())?;
    let lock = lock(path)?;
    // Once more: another process may have come and gone since.
    if may_be(path, force)? {
        clear(path).with_context(|| path.display().to_string())?;
    }
    // What a run leaves that was killed while it was made.
    let told = |path: &Path| path.display().to_string();
    for entry in fs::read_dir(path).with_context(|| told(path))?.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        if is_draft(&name) && !path.is_dir() {
            fs::remove_file(&path).with_context(|| told(&path))?;
        } else if name == origin::DIR {
            fs::remove_dir_all(&path).with_context(|| told(&path))?;
        }
    }
    Ok(lock)
}

/// Removes the run in `path`, if there is one and no other process writes to it.
///
/// # Errors
/// If a file cannot be removed.
pub(crate) fn remove(path: &Path) -> anyhow::Result<()> {
    if is_run(path)
        && let Some(_lock) = file::locked(&path.join(LOCK), false)?
    {
        clear(path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Files and directories of a run beside its lock and `run.json`.
const OWN: [&str; 9] = [
    "run.toml",
    metrics::ROWS,
    events::FILE,
    episode_log::FILE,
    digests::FILE,
    "checkpoints",
    "best",
    tape::DIR,
    origin::DIR,
];
/// Beginnings of the names of its other files: batches that were not finite, and drafts.
const OWN_BEGIN: [&str; 2] = [non_finite::BEGIN, ".tmp"];

/// Removes the files of a run but for its lock, and nothing that somebody else put beside them. `run.json` goes last, so
/// that `--force` works again if this is cut short.
fn clear(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let begins = |with: &&str| name.as_encoded_bytes().starts_with(with.as_bytes());
        if !OWN.iter().any(|own| name == *own) && !OWN_BEGIN.iter().any(begins) {
            continue;
        }
        if name == tape::DIR {
            tape::clear(&entry.path())?; // somebody's own recordings may lie there
        } else if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(path.join("run.json"))
}

fn free(name: &str, n: u32) -> anyhow::Result<Option<PathBuf>> {
    let runs = Path::new("runs");
    fs::create_dir_all(runs).context("runs (--run DIR trains elsewhere)")?;
    let path = runs.join(if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
    match fs::create_dir(&path) {
        Ok(()) => Ok(Some(path)),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(e) => Err(e).with_context(|| format!("{} (--run DIR trains elsewhere)", path.display())),
    }
}

/// Locks a run by the file [`LOCK`]. It is a file of its own, open for writing: some network file systems lock no
/// other, and `run.json` is replaced, not rewritten.
fn lock(path: &Path) -> anyhow::Result<File> {
    file::locked(&path.join(LOCK), false)?.ok_or_else(|| {
        anyhow!("{}: another rl-run is writing to this run: wait until it ends, or stop it", path.display())
    })
}

/// Whether another process is writing to a run, as far as this one may ask.
pub(crate) fn is_written(path: &Path) -> bool {
    let lock = path.join(LOCK);
    lock.exists() && matches!(file::locked(&lock, false), Ok(None))
}
