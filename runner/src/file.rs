//! Files that appear whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use serde::Serializer;
use tempfile::NamedTempFile;

use crate::usage::usage;

/// The directory that holds `path`, were it not there.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The directory that `path` is to be written in.
///
/// # Errors
/// If there is none, or `path` is one itself.
pub(crate) fn directory(path: &Path) -> anyhow::Result<&Path> {
    let dir = parent(path);
    if path.is_dir() {
        Err(usage(format!("{} is a directory: give the name of a file", path.display())))
    } else if dir.is_dir() {
        Ok(dir)
    } else {
        Err(usage(format!("{}: there is no directory {}", path.display(), dir.display())))
    }
}

/// Asks, before there is work, whether the file `path` can be written.
///
/// # Errors
/// If it cannot; the message names it.
pub(crate) fn ready(path: &Path) -> anyhow::Result<()> {
    let dir = directory(path)?;
    if !is_special(path) {
        unnamed(dir).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Whether it is there and no regular file: a device or a pipe is written to as it is.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|known| !known.is_file())
}

/// A file in `dir` that is still to get its name, and that anyone may read whom the umask lets.
fn unnamed(dir: &Path) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(dir);
    file.map_err(|e| e.kind().into()) // without its name, which nobody knows
}

/// A path as text for JSON, with `\u{fffd}` for what is none.
pub(crate) fn text<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// Writes the file `path`, or the one that it links to, by `write`, and shows it when that is done and on disk.
///
/// # Errors
/// If it cannot be written; the message names it.
pub(crate) fn whole(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let told = || path.display().to_string();
    directory(path)?;
    if is_special(path) {
        return write(&File::options().write(true).open(path).with_context(told)?).with_context(told);
    }
    let target = if path.is_symlink() { path.canonicalize().with_context(told)? } else { path.to_owned() };
    let file = unnamed(parent(&target)).with_context(told)?;
    write(file.as_file()).with_context(told)?;
    file.as_file().sync_all().with_context(told)?; // a name may be on disk before what it names
    file.persist(&target).map_err(|e| e.error).with_context(told)?;
    Ok(())
}

/// Locks the file `path`, which is made if it is missing, against other processes for as long as what is returned lives;
/// nothing if another has it locked and `wait` is not asked for.
///
/// # Errors
/// If it cannot be opened to be written, or its file system locks none; the message names it.
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

/// Writes these bytes as the file `path`, whole or not at all.
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
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }
}
