//! Checkpoints: a directory per checkpoint that is either whole or not there.
//!
//! Written as a hidden directory, synced, then renamed. `manifest.json` names every part with its size and SHA-256 and
//! ends in its own; nothing is loaded before all of them hold.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use rl_core::Saved;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::session::{Session, WEIGHTS};
use crate::usage::usage;

/// Raised whenever older checkpoints can no longer be read.
const VERSION: u32 = 3;
const MANIFEST: &str = "manifest.json";

/// Whose checkpoint it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// Full name of the environment.
    pub(crate) env: String,
    /// Version of its dynamics.
    pub(crate) env_version: u32,
    /// The agent.
    pub(crate) agent: String,
    /// Instruction set: bits differ between them.
    pub(crate) isa: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    owner: Owner,
    frames: u64,
    updates: u64,
    parts: Vec<Part>,
    sha256: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    file: String,
    bytes: u64,
    sha256: String,
}

impl Manifest {
    /// SHA-256 of everything but itself.
    fn seal(&self) -> String {
        let open = Self { sha256: String::new(), ..self.clone() };
        hex(&Sha256::digest(serde_json::to_vec(&open).expect("a manifest is plain JSON")))
    }
}

/// A manifest with its checksum made to match, as whoever forges one would: for the fuzz targets.
pub(crate) fn seal(manifest: &[u8]) -> Option<Vec<u8>> {
    let mut manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    manifest.sha256 = manifest.seal();
    serde_json::to_vec(&manifest).ok()
}

/// Which parts to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All: the run can be resumed.
    Whole,
    /// What evaluation needs.
    Weights,
}

/// Writes a checkpoint of `session` below `dir`, or nothing; one with its number that is there already is left alone.
///
/// # Errors
/// If a part cannot be saved or the disk is full.
pub(crate) fn write(dir: &Path, session: &mut Session, owner: &Owner, extent: Extent) -> anyhow::Result<PathBuf> {
    let name = format!("{:012}", session.counts.frames);
    let (path, draft) = (dir.join(&name), dir.join(format!(".{name}.tmp")));
    if path.exists() {
        return Ok(path);
    }
    let written = write_draft(&draft, session, owner, extent)
        .and_then(|()| Ok(fs::rename(&draft, &path)?))
        .and_then(|()| Ok(File::open(dir)?.sync_all()?));
    if written.is_err() {
        let _ = fs::remove_dir_all(&draft); // what is left of a failure is of no use; the failure itself is reported
    }
    written.with_context(|| format!("writing checkpoint {}", path.display()))?;
    Ok(path)
}

fn write_draft(draft: &Path, session: &mut Session, owner: &Owner, extent: Extent) -> anyhow::Result<()> {
    if draft.exists() {
        fs::remove_dir_all(draft)?;
    }
    fs::create_dir_all(draft)?;
    let (frames, updates) = (session.counts.frames, session.learner.updates());
    let mut parts = Vec::new();
    session.visit(&mut |name, part| {
        if extent == Extent::Whole || name == WEIGHTS {
            parts.push(write_part(draft, name, part)?);
        }
        Ok(())
    })?;
    let mut manifest =
        Manifest { version: VERSION, owner: owner.clone(), frames, updates, parts, sha256: String::new() };
    manifest.sha256 = manifest.seal();
    let mut file = File::create(draft.join(MANIFEST))?;
    file.write_all(&serde_json::to_vec_pretty(&manifest)?)?;
    file.sync_all()?;
    Ok(File::open(draft)?.sync_all()?)
}

fn write_part(dir: &Path, name: &str, part: &mut dyn Saved) -> anyhow::Result<Part> {
    let context = || format!("part {name}");
    let file = File::create(dir.join(name)).with_context(context)?;
    let mut out = Hashed { inner: BufWriter::with_capacity(1 << 20, file), hash: Sha256::new(), bytes: 0 };
    part.save(&mut out).map_err(anyhow::Error::from).with_context(context)?;
    let Hashed { inner, hash, bytes } = out;
    let file = inner.into_inner().map_err(|e| e.into_error()).with_context(context)?;
    file.sync_all().with_context(context)?;
    Ok(Part { file: name.to_owned(), bytes, sha256: hex(&hash.finalize()) })
}

/// Removes all but the newest `keep` checkpoints, and drafts that a killed process left.
///
/// # Errors
/// If the directory cannot be read or a checkpoint not removed.
pub(crate) fn prune(dir: &Path, keep: usize) -> anyhow::Result<()> {
    let found = list(dir)?;
    for (_, path) in &found[..found.len().saturating_sub(keep)] {
        // Hidden first: a removal that is cut short leaves a draft, never half a checkpoint.
        let draft = dir.join(format!(".{}.tmp", path.file_name().expect("a listed path has a name").to_string_lossy()));
        fs::rename(path, &draft).and_then(|()| fs::remove_dir_all(&draft))?;
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') && name.to_string_lossy().ends_with(".tmp") {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Removes the checkpoints after `frames`: a run that goes on from there writes them again.
///
/// # Errors
/// If one cannot be removed.
pub(crate) fn forget_after(dir: &Path, frames: u64) -> anyhow::Result<()> {
    for (_, path) in list(dir)?.into_iter().filter(|&(number, _)| number > frames) {
        fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Checkpoints below `dir` by frames, oldest first.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn list(dir: &Path) -> anyhow::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    if dir.exists() {
        for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            found.extend(number.map(|number| (number, path)));
        }
    }
    found.sort();
    Ok(found)
}

/// The checkpoint of a run that `which` names: `last`, `best` or a number of frames.
///
/// # Errors
/// If there is none of that name; the ones that exist are listed.
pub(crate) fn find(run: &Path, which: &str) -> anyhow::Result<PathBuf> {
    let all = list(&run.join("checkpoints"))?;
    let best = list(&run.join("best"))?;
    let known = || {
        let mut names: Vec<String> = all.iter().map(|(frames, _)| frames.to_string()).collect();
        names.extend(best.last().map(|_| "best".to_owned()));
        if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
    };
    let found = match which {
        "last" => all.last(),
        "best" => best.last(),
        number => {
            let frames: u64 = number.parse().map_err(|_| {
                usage(format!("--checkpoint {which}: expected `last`, `best` or a number of frames ({})", known()))
            })?;
            all.iter().chain(&best).find(|(known, _)| *known == frames)
        }
    };
    let missing = || anyhow!("{}: no checkpoint `{which}` ({})", run.display(), known());
    found.map(|(_, path)| path.clone()).ok_or_else(missing)
}

/// A checkpoint whose every byte was checked.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    dir: PathBuf,
    manifest: Manifest,
}

impl Checkpoint {
    /// Opens and checks a checkpoint.
    ///
    /// # Errors
    /// If it is of another version or owner, or a file is missing, truncated or changed; the message names the file.
    pub(crate) fn open(dir: &Path, owner: &Owner) -> anyhow::Result<Self> {
        let path = dir.join(MANIFEST);
        let name = path.display().to_string();
        let text = fs::read(&path).with_context(|| name.clone())?;
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| anyhow!("{name}: damaged, not a manifest ({e})"))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => bail!("{name}: version {version}, this rl-run reads version {VERSION}"),
            None => bail!("{name}: not the manifest of a checkpoint"),
        }
        let manifest: Manifest =
            serde_json::from_value(value).map_err(|e| anyhow!("{name}: damaged, not a manifest ({e})"))?;
        if manifest.seal() != manifest.sha256 {
            bail!("{name}: damaged, its checksum does not match");
        }
        let (theirs, ours) = (&manifest.owner, owner);
        if (&theirs.env, &theirs.agent) != (&ours.env, &ours.agent) {
            bail!("{name}: belongs to {} on {}, not to {} on {}", theirs.agent, theirs.env, ours.agent, ours.env);
        }
        if theirs.env_version != ours.env_version {
            let (theirs, ours) = (theirs.env_version, ours.env_version);
            bail!("{name}: made with version {theirs} of {}, this rl-run has version {ours}", owner.env);
        }
        for part in &manifest.parts {
            if !Path::new(&part.file).components().eq([Component::Normal(part.file.as_ref())]) {
                bail!("{name}: damaged, `{}` is not the name of a part", part.file);
            }
            check_part(&dir.join(&part.file), part)?;
        }
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// Instruction set that wrote it.
    pub(crate) fn isa(&self) -> &str {
        &self.manifest.owner.isa
    }

    /// Frames at which it was made.
    pub(crate) fn frames(&self) -> u64 {
        self.manifest.frames
    }

    /// Loads every part.
    ///
    /// # Errors
    /// If a part is missing, does not fit, or is not one of this session's.
    pub(crate) fn load(&self, session: &mut Session) -> anyhow::Result<()> {
        let mut left: Vec<&str> = self.manifest.parts.iter().map(|part| part.file.as_str()).collect();
        session.visit(&mut |name, part| {
            left.retain(|file| *file != name);
            self.load_part(name, part)
        })?;
        match left.first() {
            Some(name) => bail!("{}: this session has no such part", self.dir.join(name).display()),
            None => Ok(()),
        }
    }

    /// Loads the part called `name`.
    ///
    /// # Errors
    /// If it is not there or does not fit.
    pub(crate) fn load_part(&self, name: &str, part: &mut dyn Saved) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        if !self.manifest.parts.iter().any(|part| part.file == name) {
            bail!("{}: no part `{name}` in this checkpoint: it holds too little to go on from", self.dir.display());
        }
        let mut from = BufReader::with_capacity(1 << 20, File::open(&path)?);
        part.load(&mut from).map_err(anyhow::Error::from).with_context(|| path.display().to_string())?;
        match from.read(&mut [0])? {
            0 => Ok(()),
            _ => bail!("{}: holds more than this part", path.display()),
        }
    }
}

fn check_part(path: &Path, part: &Part) -> anyhow::Result<()> {
    let name = path.display();
    let context = || format!("{name}: part of the checkpoint");
    let about = fs::metadata(path).with_context(context)?;
    if !about.is_file() {
        bail!("{name}: is no file"); // a pipe or a device would never end
    }
    let (mut file, bytes) = (File::open(path).with_context(context)?, about.len());
    if bytes != part.bytes {
        let how = if bytes < part.bytes { "truncated" } else { "too long" };
        bail!("{name}: {how}, {bytes} bytes where the manifest says {}", part.bytes);
    }
    let mut hash = Hashed { inner: std::io::sink(), hash: Sha256::new(), bytes: 0 };
    std::io::copy(&mut file, &mut hash).with_context(|| name.to_string())?;
    if hex(&hash.hash.finalize()) != part.sha256 {
        bail!("{name}: damaged, its SHA-256 is not the one of the manifest");
    }
    Ok(())
}

/// Name and SHA-256 of every part of the checkpoint in `dir`, which was just written.
///
/// # Errors
/// If its manifest cannot be read.
pub(crate) fn parts(dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let path = dir.join(MANIFEST);
    let read = || anyhow::Ok(serde_json::from_slice::<Manifest>(&fs::read(&path)?)?);
    let manifest = read().with_context(|| path.display().to_string())?;
    Ok(manifest.parts.into_iter().map(|part| (part.file, part.sha256)).collect())
}

/// The same of every part of `session`, as a checkpoint would have them.
///
/// # Errors
/// If a part cannot be saved.
pub(crate) fn digests(session: &mut Session) -> anyhow::Result<Vec<(String, String)>> {
    let mut digests = Vec::new();
    session.visit(&mut |name, part| {
        digests.push((name.to_owned(), sha256(part)?));
        Ok(())
    })?;
    Ok(digests)
}

/// SHA-256 of a part as it is saved.
///
/// # Errors
/// If it cannot be saved.
pub(crate) fn sha256(part: &dyn Saved) -> rl_core::Result<String> {
    let mut hash = Hashed { inner: std::io::sink(), hash: Sha256::new(), bytes: 0 };
    part.save(&mut hash)?;
    Ok(hex(&hash.hash.finalize()))
}

/// A writer that remembers what went through it.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
