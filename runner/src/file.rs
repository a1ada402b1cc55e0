//! Files that appear whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
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

/// A file in `dir` that is still to get its name, and that anyone may read whom the umask lets.
fn unnamed(dir: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(dir)
}

/// A path as text for JSON, with `\u{fffd}` for what is none.
pub(crate) fn text<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// Writes the file `path` by `write`, and shows it when that is done and on disk.
///
/// # Errors
/// If it cannot be written; the message names it.
pub(crate) fn whole(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let dir = directory(path)?;
    let told = || path.display().to_string();
    let file = unnamed(dir).with_context(told)?;
    write(file.as_file()).with_context(told)?;
    file.as_file().sync_all().with_context(told)?; // a name may be on disk before what it names
    file.persist(path).map_err(|e| e.error).with_context(told)?;
    Ok(())
}

/// Writes these bytes as the file `path`, whole or not at all.
///
/// # Errors
/// If it cannot be written; the message names it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    whole(path, |mut file| Ok(file.write_all(bytes)?))
}
