//! Files that appear whole or not at all; and those that grow, and pictures.

pub(crate) mod appended;
pub(crate) mod picture;

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use serde::Serializer;
use tempfile::{NamedTempFile, TempDir};

use crate::console::usage::usage;

/// The directory that `path` lies in, or would: `.` if it names none.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Most links that are followed from one name, as Linux does.
const LINKS: usize = 40;

/// Follows links from `path` to the file to write, which need not exist.
///
/// # Errors
/// If `path` is a directory, its target would lie in a directory that does not exist, or links go in a circle.
fn target(path: &Path) -> anyhow::Result<PathBuf> {
    let (told, mut target) = (path.display(), path.to_owned());
    if path.is_dir() {
        return Err(usage(format!("{told} is a directory: give the name of a file")));
    }
    for _ in 0..=LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = parent(&target).join(next),
            Err(_) if parent(&target).is_dir() => return Ok(target),
            Err(_) => {
                let link =
                    if path.is_symlink() { format!(" is a link to {}", target.display()) } else { String::new() };
                return Err(usage(format!("{told}{link}: there is no directory {}", parent(&target).display())));
            }
        }
    }
    Err(usage(format!("{told} is a link that leads to no file")))
}

/// Checks, before work begins, that the file `path` can be written.
///
/// # Errors
/// If it cannot; the message names it.
pub(crate) fn ready(path: &Path) -> anyhow::Result<()> {
    let target = target(path)?;
    if !is_special(path) {
        unnamed(parent(&target)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Whether `path` exists and is no regular file, but a device or a pipe, which is written to in place.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|known| !known.is_file())
}

/// Whether two names are those of one file.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let known = |path: &Path| fs::metadata(path).map(|known| (known.dev(), known.ino()));
    known(one).is_ok_and(|one| known(other).is_ok_and(|other| one == other))
}

/// Makes a temporary file in `dir`, with the permissions of a new file by the umask.
fn unnamed(dir: &Path) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(dir);
    file.map_err(|e| e.kind().into()) // without its name, which nobody knows
}

/// Makes a temporary directory in `dir`, whose name begins with `prefix`, with the permissions of a new directory by
/// the umask.
///
/// # Errors
/// If it cannot be made; the message does not name it.
pub(crate) fn draft(dir: &Path, prefix: &str) -> io::Result<TempDir> {
    let made = tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o777)).tempdir_in(dir);
    made.map_err(|e| e.kind().into())
}

/// Serialises a path as a string; what is not UTF-8 in it becomes `\u{fffd}`.
pub(crate) fn text<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// Serialises paths as strings, each as [`text`] does.
pub(crate) fn texts<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// Writes the file `path`, or the one that it links to, by `write`. The file appears, whole and synced, when `write` is
/// done; a device or a pipe is written to in place.
///
/// # Errors
/// If it cannot be written; the message names it.
pub(crate) fn whole(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    put(path, write, true)
}

/// Writes a file as [`whole`] does, but does not wait for the disk: a machine that loses power may lose it, or what is
/// in it, until it is [`synced`].
///
/// # Errors
/// As [`whole`].
pub(crate) fn unsynced(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    put(path, write, false)
}

/// Writes a file as [`whole`] does if there is none of its name, and returns whether there was none.
///
/// # Errors
/// As [`whole`].
#[cfg(any(feature = "viewer", test))]
pub(crate) fn unless_there(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<()>) -> anyhow::Result<bool> {
    let target = target(path)?;
    match unplaced(path, &target, write, true)?.persist_noclobber(&target) {
        Ok(_) => Ok(true),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e.error).with_context(|| path.display().to_string()),
    }
}

/// Waits until the contents of a file are on the disk; of one that is gone there is nothing to wait for.
///
/// # Errors
/// If the disk fails; the message names the file.
pub(crate) fn synced(path: &Path) -> anyhow::Result<()> {
    match File::open(path).and_then(|file| file.sync_all()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).with_context(|| path.display().to_string()),
        _ => Ok(()),
    }
}

fn put(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<()>, sync: bool) -> anyhow::Result<()> {
    let told = || path.display().to_string();
    let target = target(path)?;
    if is_special(path) {
        return write(&File::options().write(true).open(path).with_context(told)?).with_context(told);
    }
    let file = unplaced(path, &target, write, sync)?;
    file.persist(&target).map_err(|e| e.error).with_context(told)?;
    Ok(())
}

/// Writes the temporary file that is to become `target`, which `path` names.
fn unplaced(
    path: &Path,
    target: &Path,
    write: impl FnOnce(&File) -> anyhow::Result<()>,
    sync: bool,
) -> anyhow::Result<NamedTempFile> {
    let told = || path.display().to_string();
    let file = unnamed(parent(target)).with_context(told)?;
    write(file.as_file()).with_context(told)?;
    if sync {
        file.as_file().sync_all().with_context(told)?; // a name may be on disk before what it names
    }
    Ok(file)
}

/// Makes the directory `dir` of a run if it is missing, and returns it; not the run's own, which somebody has moved then.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn made(dir: &Path) -> anyhow::Result<&Path> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e).with_context(|| dir.display().to_string()),
        _ => Ok(dir),
    }
}

/// Locks the file `path` against other processes until the returned file is dropped; makes it if it is missing. `None`
/// if another process has the lock and `wait` is false.
///
/// # Errors
/// If the file cannot be opened for writing, or its file system has no locks; the message names it.
pub(crate) fn locked(path: &Path, wait: bool) -> anyhow::Result<Option<File>> {
    let told = || path.display().to_string();
    let file = File::options().create(true).truncate(false).write(true).open(path).with_context(told)?;
    let how = if wait { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
    match retry_on_intr(|| flock(&file, how)) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(e).with_context(told),
    }
}

/// Writes `bytes` as the file `path`, whole or not at all.
///
/// # Errors
/// If it cannot be written; the message names it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    whole(path, |mut file| Ok(file.write_all(bytes)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_link_names_is_replaced_and_a_device_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("below")).unwrap();
        fs::write(at("below/file"), "before").unwrap();
        symlink("below/file", at("link")).unwrap();
        write(&at("link"), b"after").unwrap();
        assert!(at("link").is_symlink() && fs::read(at("below/file")).unwrap() == b"after");
        symlink("/dev/null", at("null")).unwrap();
        ready(&at("null")).unwrap();
        write(&at("null"), b"nothing").unwrap();
        assert!(at("null").is_symlink() && is_special(&at("null")));
        symlink("below/new", at("dangling")).unwrap();
        ready(&at("dangling")).unwrap();
        write(&at("dangling"), b"new").unwrap();
        assert!(at("dangling").is_symlink() && fs::read(at("below/new")).unwrap() == b"new");
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 4, "{left:?}");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_told_before_there_is_work() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        symlink("gone/file", at("lost")).unwrap();
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        for (name, why) in [("lost", "gone/file: there is no directory"), ("a", "a link that leads to no file")] {
            for error in [ready(&at(name)).unwrap_err(), write(&at(name), b"").unwrap_err()] {
                assert!(format!("{error:#}").contains(why), "{error:#}");
            }
        }
    }
}
