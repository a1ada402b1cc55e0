//! A file of a run that only grows, and is cut where a run goes on from an earlier state.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

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

/// The rows of JSON in a file, each with its line; none if it is missing. What a crash tore is left out, which only the end of
/// a file can be.
///
/// # Errors
/// If the file cannot be read, or a line before its end is no such row; the message names it.
pub(crate) fn rows<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<(T, Vec<u8>)>> {
    let bytes = read(path)?;
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let mut rows = Vec::with_capacity(lines.len());
    for (number, line) in (1..).zip(&lines) {
        match serde_json::from_slice(line) {
            Ok(row) if line.ends_with(b"\n") => rows.push((row, line.to_vec())),
            _ if number == lines.len() => {}
            _ => bail!("{}, line {number}: damaged: remove that line, and the others are read", path.display()),
        }
    }
    Ok(rows)
}
