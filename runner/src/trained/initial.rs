//! `--weights`: a new run begins with the weights of another run, of a published model or of a file.
//!
//! They are copied into the directory of the run, as a checkpoint that holds nothing else: to do the run again, nothing
//! of where they came from is needed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use rl_core::{Error, Saved};
use safetensors::SafeTensors;

use crate::checkpoint::manifest::{Manifest, Owner};
use crate::checkpoint::snapshot::{Part, Snapshot};
use crate::checkpoint::writer::Known;
use crate::checkpoint::{self, Checkpoint};
use crate::console::usage::usage;
use crate::run_dir;
use crate::run_dir::origin::{DIR, Origin};
use crate::session::{Session, WEIGHTS};
use crate::trained::model;

/// Name that a learner gives the statistics by which its network normalises features. The network holds what follows
/// from them, and cannot go on without them.
const FEATURES: &str = "features";

/// Weights that a run begins with.
#[derive(Clone, Debug)]
pub(crate) struct Initial {
    origin: Origin,
    /// Parts of a session by the names of their files: the weights, and the statistics of features if they are known.
    parts: Arc<[(String, Vec<u8>)]>,
}

impl Initial {
    /// Reads the weights that `--weights` names: of the last checkpoint of a run or a model, or a file of safetensors.
    ///
    /// # Errors
    /// If there is no such run, model or file, or it is damaged.
    pub(crate) fn read(from: &Path) -> anyhow::Result<Self> {
        let flag = || format!("--weights {}", from.display());
        let path = match from.exists() {
            true => from.to_owned(),
            false => model::find(&from.to_string_lossy()).map_err(|_| {
                usage(format!("{}: no run, file or published model is called so (`rl-run list models`)", flag()))
            })?,
        };
        let whole = path.canonicalize().with_context(flag)?.display().to_string();
        if path.is_file() {
            let bytes = fs::read(&path).with_context(flag)?;
            if let Err(why) = SafeTensors::read_metadata(&bytes) {
                bail!("{}: damaged, or no file of safetensors: {why}", flag());
            }
            let origin = Origin { path: whole, frames: None, sha256: rl_assets::sha256(&bytes) };
            return Ok(Self { origin, parts: [(WEIGHTS.to_owned(), bytes)].into() });
        }
        let nearest = checkpoint::list(&path)?.pop().map_or_else(|| path.clone(), |(_, newest)| newest);
        if !run_dir::is_run(&path) && nearest.join(WEIGHTS).is_file() {
            let file = nearest.join(WEIGHTS);
            return Err(usage(format!("{}: neither a run nor a file; weights are in {}", flag(), file.display())));
        }
        run_dir::about(&path).context("--weights")?;
        Self::of_checkpoint(&checkpoint::find(&path, "last")?, whole)
    }

    /// The weights that the run in the directory `run` began with, which `origin` of its `run.json` names; `None` if
    /// that names none.
    ///
    /// # Errors
    /// If they are gone, or others are there.
    pub(crate) fn of_run(run: &Path, origin: Option<&Origin>) -> anyhow::Result<Option<Self>> {
        let Some(origin) = origin else { return Ok(None) };
        let dir = run.join(DIR);
        let Some((_, path)) = checkpoint::list(&dir)?.pop() else {
            bail!("{}: gone, and this run began with what was in it ({origin}): put back a copy", dir.display());
        };
        let found = Self::of_checkpoint(&path, origin.path.clone())?;
        if found.origin.sha256 != origin.sha256 {
            bail!("{}: not the weights that this run began with ({origin}): put back a copy of those", path.display());
        }
        Ok(Some(Self { origin: origin.clone(), ..found }))
    }

    fn of_checkpoint(dir: &Path, path: String) -> anyhow::Result<Self> {
        let names = [WEIGHTS, &format!("learner.{FEATURES}")];
        let checkpoint = Checkpoint::open_only(dir, &Manifest::read(dir)?.owner, &names)?;
        let mut parts = Vec::new();
        for name in names {
            parts.extend(checkpoint.bytes(name)?.map(|bytes| (name.to_owned(), bytes)));
        }
        let Some((_, weights)) = parts.iter().find(|(name, _)| name == WEIGHTS) else {
            bail!("{}: holds no weights", dir.display());
        };
        let origin = Origin { path, frames: Some(checkpoint.frames()), sha256: rl_assets::sha256(weights) };
        Ok(Self { origin, parts: parts.into() })
    }

    /// Where the weights came from.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Writes a copy into the directory of a run, in place of another that is there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, run: &Path, owner: &Owner) -> anyhow::Result<()> {
        let dir = run.join(DIR);
        // Others may need what is there: the runs of a group, which this may add seeds to.
        if Self::of_run(run, Some(&self.origin)).is_ok_and(|there| there.is_some_and(|there| there.parts == self.parts))
        {
            return Ok(());
        }
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
        }
        let part =
            |(name, bytes): &(String, Vec<u8>)| Part { name: name.clone(), bytes: bytes.clone(), segments: 0..0 };
        let (frames, parts) = (self.origin.frames.unwrap_or(0), self.parts.iter().map(part).collect());
        checkpoint::write(&dir, &Snapshot { frames, updates: 0, parts }, owner, &Known::new()).map(drop)
    }

    /// Puts the weights in the place of those of a session that has not begun.
    ///
    /// # Errors
    /// If they are of another network: the message names the first tensor that differs.
    pub(crate) fn load(&self, session: &mut Session) -> anyhow::Result<()> {
        let learner = session.learner.as_mut();
        self.load_part(WEIGHTS, learner.weights())?;
        if let Some((name, part)) = learner.state().into_iter().find(|(name, _)| name == FEATURES) {
            self.load_part(&format!("learner.{name}"), part)?;
        }
        Ok(learner.adopt_weights()?)
    }

    fn load_part(&self, name: &str, part: &mut dyn Saved) -> anyhow::Result<()> {
        let path = &self.origin.path;
        let Some((_, bytes)) = self.parts.iter().find(|(held, _)| held == name) else {
            return Err(usage(format!(
                "--weights {path}: agent.normalise_observations needs the statistics of features too, which only the checkpoint of a run holds: \
                 name the run that these weights are of"
            )));
        };
        part.load(&mut &bytes[..]).map_err(|error| match error {
            Error::State { message, .. } => usage(format!("--weights {path}: weights of another network: {message}")),
            other => anyhow!(other).context(format!("--weights {path}")),
        })
    }
}

/// Puts the weights that a run began with into a session that begins it again.
///
/// # Errors
/// If they are gone or changed.
pub(crate) fn begin_again(run: &Path, origin: Option<&Origin>, session: &mut Session) -> anyhow::Result<()> {
    Initial::of_run(run, origin)?.map_or(Ok(()), |initial| initial.load(session))
}
