//! The manifest of a checkpoint: `manifest.json` names every file with its size and SHA-256, and ends in its own
//! SHA-256.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::machine::identity;
use crate::preset::{Resolved, Train};
use crate::session::hash::hex;
use crate::session::is_name;

/// Name of the manifest in the directory of a checkpoint.
pub(crate) const FILE: &str = "manifest.json";

/// Directory of segments that checkpoints of a run share; it lies beside them.
pub(crate) const SEGMENTS: &str = "segments";

/// Version of the format, raised whenever older checkpoints can no longer be read.
const VERSION: u32 = 4;

/// The kind of run that a checkpoint belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// Full name of the environment.
    pub(crate) env: String,
    /// Version of the environment's dynamics.
    pub(crate) env_version: u32,
    /// Id of the agent.
    pub(crate) agent: String,
    /// Instruction set that was used; the bits of a run may depend on it.
    pub(crate) isa: String,
}

impl Owner {
    /// The environment, agent and instruction set that the checkpoints of a configuration belong to.
    pub(crate) fn of(resolved: &Resolved, train: &Train) -> Self {
        Self {
            env: resolved.env_name.clone(),
            env_version: resolved.env.version,
            agent: resolved.agent.map_or_else(String::new, |agent| agent.id.to_owned()),
            isa: identity::isa(train.precision),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    version: u32,
    pub(crate) owner: Owner,
    pub(crate) frames: u64,
    pub(crate) updates: u64,
    pub(crate) parts: Vec<Part>,
    sha256: String,
}

/// A part of a session: one file of the checkpoint, and segments that it shares with other checkpoints.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) segments: Vec<Segment>,
}

/// A piece of a part that never changes again, in a file of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Part {
    /// SHA-256 of the part: that of its file, or of the hashes of file and segments if it has segments.
    pub(crate) fn digest(&self) -> String {
        digest(&self.sha256, self.segments.iter().map(|segment| segment.sha256.as_str()))
    }

    /// Path of segment `number` of this part, relative to the directory of checkpoints.
    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        segment(&self.file, number)
    }
}

/// SHA-256 of a part whose file and segments have these hashes, as [`Part::digest`].
pub(crate) fn digest<'a>(file: &str, segments: impl Iterator<Item = &'a str>) -> String {
    let mut segments = segments.peekable();
    if segments.peek().is_none() {
        return file.to_owned();
    }
    let mut hash = Sha256::new_with_prefix(file);
    segments.for_each(|segment| hash.update(segment));
    hex(&hash.finalize())
}

/// Path of segment `number` of a part, relative to the directory of checkpoints.
pub(crate) fn segment(part: &str, number: u64) -> PathBuf {
    Path::new(SEGMENTS).join(format!("{part}.{number:012}"))
}

impl Manifest {
    pub(crate) fn new(owner: &Owner, frames: u64, updates: u64, parts: Vec<Part>) -> Self {
        let mut manifest =
            Self { version: VERSION, owner: owner.clone(), frames, updates, parts, sha256: String::new() };
        manifest.sha256 = manifest.seal();
        manifest
    }

    /// Reads the manifest of the checkpoint in `dir` and checks its SHA-256.
    ///
    /// # Errors
    /// If it is missing, damaged, or of another version; the message names the file.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        let name = path.display();
        let text = fs::read(&path).with_context(|| name.to_string())?;
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| anyhow!("{name}: damaged, not a manifest ({e})"))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => bail!("{name}: version {version}, this rl-run reads version {VERSION}"),
            None => bail!("{name}: not the manifest of a checkpoint"),
        }
        let manifest: Self =
            serde_json::from_value(value).map_err(|e| anyhow!("{name}: damaged, not a manifest ({e})"))?;
        if manifest.seal() != manifest.sha256 {
            bail!("{name}: damaged, its checksum does not match");
        }
        if let Some(part) = manifest.parts.iter().find(|part| !is_name(&part.file)) {
            bail!("{name}: damaged, `{}` is not the name of a part", part.file);
        }
        Ok(manifest)
    }

    /// Name and SHA-256 of every part.
    pub(crate) fn digests(&self) -> Vec<(String, String)> {
        self.parts.iter().map(|part| (part.file.clone(), part.digest())).collect()
    }

    /// Bytes of a manifest with a matching checksum, as someone who forges one would make them; for the fuzz targets.
    pub(crate) fn forged(manifest: &[u8]) -> Option<Vec<u8>> {
        let mut manifest: Self = serde_json::from_slice(manifest).ok()?;
        manifest.sha256 = manifest.seal();
        serde_json::to_vec(&manifest).ok()
    }

    /// SHA-256 of the manifest with an empty `sha256`.
    fn seal(&self) -> String {
        let open = Self { sha256: String::new(), ..self.clone() };
        rl_assets::sha256(&serde_json::to_vec(&open).expect("a manifest is plain JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_directories_are_no_parts() {
        assert!(["env", "model.safetensors", "learner.replay", "..."].into_iter().all(is_name));
        assert!(!["", ".", "..", "/etc/passwd", "../env", "a/b", "a/", "./a"].into_iter().any(is_name));
    }

    #[test]
    fn a_digest_hangs_on_every_segment_and_their_order() {
        let of = |segments: &[&str]| digest("file", segments.iter().copied());
        assert_eq!(of(&[]), "file");
        let all = [of(&[]), of(&["a"]), of(&["b"]), of(&["a", "b"]), of(&["b", "a"])];
        assert!(all.iter().enumerate().all(|(at, one)| !all[..at].contains(one)), "{all:?}");
    }
}
