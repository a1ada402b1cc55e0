//! What `run.json` says of recordings that were shown to an agent before it trained.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::console::number;
use crate::console::number::counted;

/// What was shown to an agent before training; part of `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// SHA-256 of every recording, by its path.
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) games: usize,
    pub(crate) steps: usize,
    /// Mean return of the games.
    pub(crate) mean_return: f64,
}

impl Shown {
    /// The same without the directories of the recordings, for those who have another machine.
    pub(crate) fn without_directories(self) -> Self {
        let name = |path: PathBuf| path.file_name().map(PathBuf::from).unwrap_or(path);
        Self { files: self.files.into_iter().map(|(path, sha256)| (name(path), sha256)).collect(), ..self }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, games, steps, mean_return } = self;
        let from = files.keys().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let (games, steps) = (counted(*games, "game"), counted(*steps, "step"));
        write!(f, "demonstrations: {games}, {steps}, mean return {} ({from})", number::score(*mean_return))
    }
}
