//! Checkpoints: a directory per checkpoint that is either whole or not there.
//!
//! A checkpoint is written as a hidden directory, synced, then renamed. Segments, which checkpoints share, lie beside
//! them and are written before. Nothing is loaded before every file that is asked for has the hash in the manifest.

mod find;
pub(crate) mod manifest;
pub(crate) mod snapshot;
pub(crate) mod writer;
pub(crate) mod state_sink;
pub(crate) mod segment_store;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rl_core::Saved;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::file::made;
use crate::session::Session;
use crate::session::hash::{Hashed, hex};
pub(crate) use find::{Flag, find, gone, list, open, refused, whole};
use manifest::{Manifest, Owner, Part, SEGMENTS, Segment};
use snapshot::Snapshot;
use writer::Known;

/// Writes a checkpoint below `dir`, with the segments in `known`, and returns its manifest. Leaves one of the same
/// state alone if its files are whole; replaces one of the same frames that holds another state, as of a run that was
/// stopped in an evaluation.
///
/// # Errors
/// If a file cannot be written, or a segment that it needs is not in `known`.
pub(crate) fn write(dir: &Path, snapshot: &Snapshot, owner: &Owner, known: &Known) -> anyhow::Result<Manifest> {
    let name = name(snapshot.frames);
    let (path, draft) = (dir.join(&name), dir.join(format!(".{name}.tmp")));
    if let Ok(there) = Manifest::read(&path)
        && is_of(&there, snapshot)
        && there.parts.iter().all(|part| check(&path.join(&part.file), part.bytes, &part.sha256).is_ok())
    {
        return Ok(there);
    }
    let written = write_draft(&draft, snapshot, owner, known).and_then(|manifest| {
        if snapshot.parts.iter().any(|part| !part.segments.is_empty()) {
            File::open(made(&dir.join(SEGMENTS))?)?.sync_all()?; // the names of what it needs are on disk before its own
        }
        show(&draft, &path)?;
        File::open(dir)?.sync_all()?;
        Ok(manifest)
    });
    if written.is_err() {
        let _ = fs::remove_dir_all(&draft); // what is left of a failure is of no use; the failure itself is reported
    }
    written.with_context(|| format!("writing checkpoint {}", path.display()))
}

/// Whether a manifest describes the state in `snapshot`.
fn is_of(manifest: &Manifest, snapshot: &Snapshot) -> bool {
    let same = |(there, part): (&Part, &snapshot::Part)| {
        let segments = there.segments.iter().map(|segment| segment.number);
        there.file == part.name && segments.eq(part.segments.clone()) && there.sha256 == rl_assets::sha256(&part.bytes)
    };
    manifest.parts.len() == snapshot.parts.len() && manifest.parts.iter().zip(&snapshot.parts).all(same)
}

/// Renames a draft to its final name, in exchange for a checkpoint of that name: one of the two is there at every
/// moment.
fn show(draft: &Path, path: &Path) -> io::Result<()> {
    if !path.exists() {
        return fs::rename(draft, path);
    }
    match renameat_with(CWD, draft, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => {
            let _ = fs::remove_dir_all(draft); // as a draft that is left: the next that are pruned take it along
            Ok(())
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => replace(draft, path),
        Err(error) => Err(error.into()),
    }
}

/// [`show`] on a file system that cannot exchange: between two names there is none, but never half of one.
fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    let mut old = draft.to_owned().into_os_string();
    old.push(".old.tmp");
    let _ = fs::remove_dir_all(&old); // of an earlier one that was cut short
    fs::rename(path, &old)?;
    fs::rename(draft, path)?;
    let _ = fs::remove_dir_all(old); // as above
    Ok(())
}

/// Name of the directory of the checkpoint at `frames`.
pub(crate) fn name(frames: u64) -> String {
    format!("{frames:012}")
}

fn write_draft(draft: &Path, snapshot: &Snapshot, owner: &Owner, known: &Known) -> anyhow::Result<Manifest> {
    if draft.exists() {
        fs::remove_dir_all(draft)?;
    }
    fs::create_dir_all(draft)?;
    let parts = snapshot.parts.iter().map(|part| write_part(draft, part, known).with_context(|| part.name.clone()));
    let parts = parts.collect::<anyhow::Result<_>>()?;
    let manifest = Manifest::new(owner, snapshot.frames, snapshot.updates, parts);
    write_file(&draft.join(manifest::FILE), &serde_json::to_vec_pretty(&manifest)?)?;
    File::open(draft)?.sync_all()?;
    Ok(manifest)
}

fn write_part(draft: &Path, part: &snapshot::Part, known: &Known) -> anyhow::Result<Part> {
    let snapshot::Part { name, bytes, segments } = part;
    write_file(&draft.join(name), bytes)?;
    let segments = segments.clone().map(|number| known.get(&(name.clone(), number)).cloned());
    let segments = segments.collect::<Option<_>>().context("one of its segments is not written")?;
    Ok(Part { file: name.clone(), bytes: bytes.len() as u64, sha256: rl_assets::sha256(bytes), segments })
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes segment `number` of a part to `path`, whole or not at all.
///
/// # Errors
/// If it cannot be written, as when the disk is full.
pub(crate) fn write_segment(path: &Path, number: u64, bytes: &[u8]) -> anyhow::Result<Segment> {
    let draft = path.with_extension("tmp");
    let written = write_file(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft); // of no use; the failure itself is reported
    }
    written.with_context(|| format!("writing {}", path.display()))?;
    Ok(Segment { number, bytes: bytes.len() as u64, sha256: rl_assets::sha256(bytes) })
}

/// Removes segments that are neither `known` nor used by a checkpoint below `dir`: those of removed checkpoints, and
/// those that a killed process wrote after its last checkpoint.
///
/// # Errors
/// If one cannot be removed, or a checkpoint not be read; then none is removed.
pub(crate) fn sweep(dir: &Path, known: &Known) -> anyhow::Result<()> {
    let at = dir.join(SEGMENTS);
    if !at.exists() {
        return Ok(());
    }
    let mut used: BTreeSet<PathBuf> = known.keys().map(|(part, number)| manifest::segment(part, *number)).collect();
    for (_, path) in list(dir)? {
        let manifest = match Manifest::read(&path) {
            Ok(manifest) => manifest,
            // One that cannot be read at the moment may need any of them.
            Err(error) if error.downcast_ref().is_some_and(|e: &io::Error| e.kind() != ErrorKind::NotFound) => {
                return Err(error);
            }
            Err(_) => continue, // damaged: it has no use for them
        };
        let segments = manifest.parts.iter().flat_map(|part| part.segments.iter().map(|s| part.segment(s.number)));
        used.extend(segments);
    }
    for entry in fs::read_dir(&at).with_context(|| at.display().to_string())? {
        let entry = entry?;
        if !used.contains(&Path::new(SEGMENTS).join(entry.file_name())) {
            fs::remove_file(entry.path()).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

/// Removes all but the newest `keep` checkpoints, and drafts that a killed process left.
///
/// # Errors
/// If the directory cannot be read or a checkpoint not removed.
pub(crate) fn prune(dir: &Path, keep: usize) -> anyhow::Result<()> {
    let found = list(dir)?;
    remove_all(dir, &found[..found.len().saturating_sub(keep)])
}

/// Removes from `best` all weights but the newest and, for each of `checkpoints`, the newest that are not later: those
/// that a run which goes on from there has found so far. Drafts that a killed process left go too.
///
/// # Errors
/// As [`prune`].
pub(crate) fn prune_best(best: &Path, checkpoints: &Path) -> anyhow::Result<()> {
    let found = list(best)?;
    let ends = list(checkpoints)?.into_iter().map(|(frames, _)| frames).chain([u64::MAX]);
    let kept: BTreeSet<u64> =
        ends.filter_map(|end| found.iter().map(|(frames, _)| *frames).rfind(|&frames| frames <= end)).collect();
    let removed: Vec<_> = found.into_iter().filter(|(frames, _)| !kept.contains(frames)).collect();
    remove_all(best, &removed)
}

/// Removes checkpoints of `dir`, and drafts that a killed process left: all that can be, before the first error is
/// returned.
fn remove_all(dir: &Path, checkpoints: &[(u64, PathBuf)]) -> anyhow::Result<()> {
    let told = |path: &Path| path.display().to_string();
    let removed = checkpoints.iter().map(|(_, path)| remove(dir, path).with_context(|| told(path)));
    let first = removed.fold(Ok(()), anyhow::Result::and);
    let drafts = fs::read_dir(dir).with_context(|| told(dir))?.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with('.') && name.to_string_lossy().ends_with(".tmp")
    });
    let removed = drafts.map(|entry| fs::remove_dir_all(entry.path()).with_context(|| told(&entry.path())));
    removed.fold(first, anyhow::Result::and)
}

/// Removes the checkpoints later than `frames`, for a run that goes on from there and writes them again.
///
/// # Errors
/// If one cannot be removed.
pub(crate) fn forget_after(dir: &Path, frames: u64) -> anyhow::Result<()> {
    for (_, path) in list(dir)?.into_iter().filter(|&(number, _)| number > frames) {
        remove(dir, &path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Removes a checkpoint after hiding it: a removal that is cut short leaves a draft, never half a checkpoint.
fn remove(dir: &Path, path: &Path) -> io::Result<()> {
    let draft = dir.join(format!(".{}.tmp", path.file_name().expect("a listed path has a name").to_string_lossy()));
    if draft.exists() {
        fs::remove_dir_all(&draft)?; // of an earlier one that was cut short
    }
    fs::rename(path, &draft)?;
    fs::remove_dir_all(&draft)
}

/// A checkpoint, or some of its parts, all of whose files have the hashes of its manifest.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    dir: PathBuf,
    manifest: Manifest,
}

impl Checkpoint {
    /// Opens the checkpoint in `dir` and checks every file.
    ///
    /// # Errors
    /// If it is of another version, environment or agent, or a file is missing, truncated or changed; the message names
    /// the file.
    pub(crate) fn open(dir: &Path, owner: &Owner) -> anyhow::Result<Self> {
        Self::open_where(dir, owner, |_| true)
    }

    /// Opens no more of the checkpoint in `dir` than the parts called `names`: others may be large, damaged or gone.
    ///
    /// # Errors
    /// As [`open`](Self::open), of these parts.
    pub(crate) fn open_only(dir: &Path, owner: &Owner, names: &[&str]) -> anyhow::Result<Self> {
        Self::open_where(dir, owner, |name| names.contains(&name))
    }

    fn open_where(dir: &Path, owner: &Owner, asked: impl Fn(&str) -> bool) -> anyhow::Result<Self> {
        let mut manifest = Manifest::read(dir)?;
        let name = dir.join(manifest::FILE).display().to_string();
        let (theirs, ours) = (&manifest.owner, owner);
        if (&theirs.env, &theirs.agent) != (&ours.env, &ours.agent) {
            bail!("{name}: belongs to {} on {}, not to {} on {}", theirs.agent, theirs.env, ours.agent, ours.env);
        }
        if theirs.env_version != ours.env_version {
            let (theirs, ours) = (theirs.env_version, ours.env_version);
            bail!("{name}: made with version {theirs} of {}, this rl-run has version {ours}", owner.env);
        }
        manifest.parts.retain(|part| asked(&part.file));
        for part in &manifest.parts {
            check_part(dir, part)?;
        }
        Ok(Self { dir: dir.to_owned(), manifest })
    }

    /// Instruction set of the process that wrote the checkpoint.
    pub(crate) fn isa(&self) -> &str {
        &self.manifest.owner.isa
    }

    /// Environment, agent and instruction set that the checkpoint belongs to.
    pub(crate) fn owner(&self) -> &Owner {
        &self.manifest.owner
    }

    /// Updates that the run had made.
    pub(crate) fn updates(&self) -> u64 {
        self.manifest.updates
    }

    /// Emulator frames that the run had trained for.
    pub(crate) fn frames(&self) -> u64 {
        self.manifest.frames
    }

    /// Loads every part into `session`.
    ///
    /// # Errors
    /// If the checkpoint lacks a part of the session or holds one that the session has not, or a part does not fit.
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
    /// If the checkpoint does not hold that part, or it does not fit.
    pub(crate) fn load_part(&self, name: &str, part: &mut dyn Saved) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        let Some(listed) = self.manifest.parts.iter().find(|part| part.file == name) else {
            bail!("{}: no part `{name}` in this checkpoint: it holds too little to go on from", self.dir.display());
        };
        let mut from = opened(&path)?;
        match part.segmented() {
            Some(part) if !listed.segments.is_empty() => {
                let mut open = |number| -> rl_core::Result<Box<dyn Read>> {
                    if !listed.segments.iter().any(|segment| segment.number == number) {
                        return Err(not_listed(name, number));
                    }
                    Ok(Box::new(opened(&shared(&self.dir).join(listed.segment(number)))?))
                };
                part.load_rest(&mut from, &mut open)
            }
            _ => part.load(&mut from),
        }
        .map_err(anyhow::Error::from)
        .with_context(|| path.display().to_string())?;
        match from.read(&mut [0])? {
            0 => Ok(()),
            _ => bail!("{}: holds more than this part", path.display()),
        }
    }

    /// Bytes of the part called `name`, without segments; `None` if the checkpoint does not hold it.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub(crate) fn bytes(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        if self.manifest.parts.iter().all(|part| part.file != name) {
            return Ok(None);
        }
        let path = self.dir.join(name);
        fs::read(&path).with_context(|| path.display().to_string()).map(Some)
    }

    /// Name and SHA-256 of every part.
    pub(crate) fn digests(&self) -> Vec<(String, String)> {
        self.manifest.digests()
    }

    /// The segments of all parts, by part and number.
    pub(crate) fn segments(&self) -> Known {
        let parts = self.manifest.parts.iter();
        parts.flat_map(|part| part.segments.iter().map(|s| ((part.file.clone(), s.number), s.clone()))).collect()
    }
}

fn not_listed(part: &str, number: u64) -> rl_core::Error {
    rl_core::Error::State { part: part.to_owned(), message: format!("its segment {number} is not in the manifest") }
}

/// The directory that the paths of a checkpoint's segments are relative to.
fn shared(dir: &Path) -> &Path {
    dir.parent().expect("a checkpoint lies in a directory")
}

fn opened(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 20, File::open(path)?))
}

/// Checks that the files of a part of the checkpoint in `dir` have the hashes of its manifest.
fn check_part(dir: &Path, part: &Part) -> anyhow::Result<()> {
    check(&dir.join(&part.file), part.bytes, &part.sha256)?;
    part.segments.iter().try_for_each(|s| check(&shared(dir).join(part.segment(s.number)), s.bytes, &s.sha256))
}

/// Checks that the file `path` is a regular file with this length and hash.
fn check(path: &Path, bytes: u64, sha256: &str) -> anyhow::Result<()> {
    let name = path.display();
    let context = || format!("{name}: part of the checkpoint");
    let about = fs::metadata(path).with_context(context)?;
    if !about.is_file() {
        bail!("{name}: is no file"); // a pipe or a device would never end
    }
    let (mut file, found) = (File::open(path).with_context(context)?, about.len());
    if found != bytes {
        let how = if found < bytes { "truncated" } else { "too long" };
        bail!("{name}: {how}, {found} bytes where the manifest says {bytes}");
    }
    let mut hash = Hashed(Sha256::new());
    io::copy(&mut file, &mut hash).with_context(|| name.to_string())?;
    if hex(&hash.0.finalize()) != sha256 {
        bail!("{name}: damaged, its SHA-256 is not the one of the manifest");
    }
    Ok(())
}

/// Writes a checkpoint of `session` below `dir`, whose parts are whole files, and returns its directory.
#[cfg(test)]
pub(crate) fn written(dir: &Path, session: &mut Session, owner: &Owner) -> PathBuf {
    let snapshot = Snapshot::take(session, snapshot::Extent::Whole, &snapshot::Handed::default()).unwrap();
    write(dir, &snapshot, owner, &Known::new()).unwrap();
    dir.join(name(snapshot.frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let [env, agent, isa] = ["cartpole", "dqn", "portable"].map(str::to_owned);
        Owner { env, env_version: 1, agent, isa }
    }

    /// A state of one part, which needs some segments.
    fn snapshot(frames: u64, bytes: &[u8], segments: std::ops::Range<u64>) -> Snapshot {
        let part = snapshot::Part { name: "replay".to_owned(), bytes: bytes.to_owned(), segments };
        Snapshot { frames, updates: 1, parts: vec![part] }
    }

    #[test]
    fn a_checkpoint_takes_the_place_of_another_or_of_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        let part = at.join(name(16)).join("replay");
        let write = |bytes: &[u8]| write(at, &snapshot(16, bytes, 0..0), &owner(), &Known::new()).map(drop).unwrap();
        write(b"one");
        write(b"two");
        assert_eq!(fs::read(&part).unwrap(), b"two");
        fs::write(&part, b"tow").unwrap();
        write(b"two");
        assert_eq!(fs::read(&part).unwrap(), b"two");
        let draft = at.join(format!(".{}.tmp", name(16)));
        fs::create_dir(&draft).unwrap();
        fs::create_dir_all(at.join(format!(".{}.tmp.old.tmp/part", name(16)))).unwrap();
        replace(&draft, &at.join(name(16))).unwrap();
        assert_eq!(fs::read_dir(at).unwrap().count(), 1);
        assert_eq!(fs::read_dir(at.join(name(16))).unwrap().count(), 0, "the draft is there in its place");
    }

    #[test]
    fn segments_go_with_the_last_checkpoint_that_needs_them_and_stay_while_one_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        fs::create_dir(at.join(SEGMENTS)).unwrap();
        let segment = |number| {
            let path = at.join(manifest::segment("replay", number));
            (("replay".to_owned(), number), write_segment(&path, number, b"rows").unwrap())
        };
        let known: Known = (0..3).map(segment).collect();
        write(at, &snapshot(16, b"rest", 0..1), &owner(), &known).unwrap();
        write(at, &snapshot(32, b"rest", 1..2), &owner(), &known).unwrap();
        let left = || fs::read_dir(at.join(SEGMENTS)).unwrap().count();
        let (manifest, aside) = (at.join(name(16)).join(manifest::FILE), at.join("aside"));
        fs::rename(&manifest, &aside).unwrap();
        fs::create_dir(&manifest).unwrap();
        assert!(sweep(at, &Known::new()).is_err() && left() == 3, "a directory cannot be read");
        fs::remove_dir(&manifest).unwrap();
        fs::rename(&aside, &manifest).unwrap();
        sweep(at, &Known::new()).unwrap();
        assert_eq!(left(), 2);
        fs::write(&manifest, b"{").unwrap();
        sweep(at, &Known::new()).unwrap();
        assert_eq!(left(), 1);
    }
}
