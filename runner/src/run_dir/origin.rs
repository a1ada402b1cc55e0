//! What `run.json` says of weights that a run began with, if they were not random.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::console::number::count;

/// Name of the directory of the first weights in that of a run.
pub(crate) const DIR: &str = "initial";

/// Where the first weights of a run came from; part of `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Path of the run, the model or the file.
    pub(crate) path: String,
    /// Emulator frames that they were trained for; `None` of a file, which does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) frames: Option<u64>,
    /// SHA-256 of the weights as a safetensors file.
    pub(crate) sha256: String,
}

impl Origin {
    /// SHA-256 of the weights, which tells them from others.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The same without the directories of its path, for those who have another machine.
    pub(crate) fn without_directories(self) -> Self {
        let name = Path::new(&self.path).file_name().map(|name| name.to_string_lossy().into_owned());
        Self { path: name.unwrap_or(self.path), ..self }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, frames, sha256 } = self;
        let frames = frames.map(|frames| format!(" at {} frames", count(frames))).unwrap_or_default();
        write!(f, "weights of {path}{frames}, SHA-256 {sha256}")
    }
}

/// Whether runs that began with these weights, or with random ones, began alike.
pub(crate) fn alike(one: Option<&Origin>, other: Option<&Origin>) -> bool {
    one.map(Origin::sha256) == other.map(Origin::sha256)
}
