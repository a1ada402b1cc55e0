//! A file of a run that only grows, and is cut where a run goes on from an earlier state.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct Appended {
    path: PathBuf,
    file: File,
}

impl Appended {
    /// Begins a file.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create_new(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, file })
    }

    /// Opens a file, which may be missing, at its first `length` bytes.
    ///
    /// # Errors
    /// If it cannot be cut.
    pub(crate) fn cut(path: PathBuf, length: u64) -> anyhow::Result<Self> {
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            Ok(file)
        };
        let file = open().with_context(|| path.display().to_string())?;
        Ok(Self { path, file })
    }

    /// Writes behind the end.
    ///
    /// # Errors
    /// If the disk is full.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| self.path.display().to_string())
    }
}

/// All bytes of a file; none if it is missing.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.with_context(|| path.display().to_string()),
    }
}

/// The whole lines of a file; what a crash tore is left out.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"))
}
