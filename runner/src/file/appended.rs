//! A file of a run that grows, is cut where a run goes on from an earlier state, and may have its last row replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

use crate::file;

/// A file of a run, open for appending.
#[derive(Debug)]
pub(crate) struct Appended {
    path: PathBuf,
    file: File,
}

impl Appended {
    /// Creates the file.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create_new(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, file })
    }

    /// Opens the file for appending and cuts it to its first `length` bytes; makes it if it is missing.
    ///
    /// # Errors
    /// If it cannot be cut.
    pub(crate) fn cut(path: PathBuf, length: u64) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut this = Self { file: file.with_context(|| path.display().to_string())?, path };
        this.truncate(length)?;
        Ok(this)
    }

    /// Cuts the open file to its first `length` bytes.
    ///
    /// # Errors
    /// If it cannot be cut.
    pub(crate) fn truncate(&mut self, length: u64) -> anyhow::Result<()> {
        let cut = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        cut.map(drop).with_context(|| self.path.display().to_string())
    }

    /// Replaces what follows the first `length` bytes by others: whoever ends the process meanwhile leaves the old file
    /// or the new one.
    ///
    /// # Errors
    /// If it cannot be written, as when the disk is full.
    pub(crate) fn replace(&mut self, length: u64, bytes: &[u8]) -> anyhow::Result<()> {
        let mut all = read(&self.path)?;
        all.truncate(usize::try_from(length)?);
        all.extend_from_slice(bytes);
        file::whole(&self.path, |mut file| Ok(file.write_all(&all)?))?;
        *self = Self::cut(self.path.clone(), all.len() as u64)?;
        Ok(())
    }

    /// Appends bytes to the file.
    ///
    /// # Errors
    /// If they cannot be written, as when the disk is full.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| self.path.display().to_string())
    }
}

/// Reads all bytes of a file; none if it is missing.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.with_context(|| path.display().to_string()),
    }
}

/// Reads a file of one JSON object per line: each row with the bytes of its line, and none if the file is missing. A
/// last line that a crash tore is left out.
///
/// # Errors
/// If the file cannot be read, or a line before the last is not such a row; the message names it.
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
