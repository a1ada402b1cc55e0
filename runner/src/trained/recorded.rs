//! A run as its directory describes it, to go on with, to repeat or to play with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use candle_core::Device;

use crate::assets;
use crate::checkpoint::manifest::Owner;
use crate::collect::Workers;
use crate::console::stop::Stop;
use crate::console::usage;
use crate::machine::identity;
use crate::preset::{self, Ask, Resolved};
use crate::run_dir::{self, About};
use crate::session::{Session, demonstrations};
use crate::tables::Tables;
use crate::trained::initial;

/// What `run.json` and `run.toml` say of a run.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// Directory of the run.
    pub(crate) path: PathBuf,
    pub(crate) about: About,
    pub(crate) resolved: Resolved,
    /// Whether somebody has changed `run.toml` since `run.json` was written.
    pub(crate) edited: bool,
}

impl Recorded {
    /// Reads what the directory `run` says.
    ///
    /// # Errors
    /// If it is not the directory of a run, or its environment or agent is unknown here.
    pub(crate) fn read(run: &Path, tables: &Tables) -> anyhow::Result<Self> {
        let about = run_dir::about(run)?;
        let read = || {
            let (file, same) = run_dir::settings(run, &about)?;
            let ask = Ask { env: &about.env, agent: Some(&about.agent), preset: Some(&file), ..Ask::default() };
            Ok((preset::resolve(tables, &ask)?, file, !same))
        };
        // A file of a run that is not as it was written is no mistake of the command line.
        let (mut resolved, file, edited) = read().map_err(|why: anyhow::Error| anyhow!("{}", usage::line(&why)))?;
        if edited {
            resolved.told = Some(format!(
                "{}: was changed since run.json was written: what it says now counts, and the run may not verify",
                file.display()
            ));
        }
        Ok(Self { path: run.to_owned(), about, resolved, edited })
    }

    /// Builds its session at the very beginning, with environments that are not yet reset.
    ///
    /// # Errors
    /// If it cannot be built here, or its environment plays from other files than the run was trained with.
    pub(crate) fn session(&self, device: &Device, workers: Workers) -> anyhow::Result<Session> {
        let Self { path, about, resolved, .. } = self;
        let session = Session::build(resolved, &resolved.train()?, about.seed, device, workers)?;
        let env = session.seats.envs().next().expect("a run has seats");
        assets::check(&about.assets, env, "trained").with_context(|| path.display().to_string())?;
        Ok(session)
    }

    /// Why the bits will not be those of an uninterrupted run, in sentences, where it goes on by `owner` on `device` from a
    /// state of the instruction set `isa`.
    pub(crate) fn inexact(&self, isa: &str, (owner, device): (&Owner, &str), session: &mut Session) -> Vec<String> {
        let but = "resuming, but the results will not be bit-identical";
        let (ours, theirs) = (&owner.isa, &self.about.device);
        let of_isa =
            (!identity::same_bits(isa, ours)).then(|| format!("this run used {isa}, this machine has {ours}: {but}"));
        let of_device = (theirs != device).then(|| format!("this run used the device {theirs}: {but}"));
        let lag = "the lag of actors is not reproducible: resuming, but not bit for bit as an uninterrupted run";
        let of_lag = (!session.is_exact()).then(|| lag.to_owned());
        of_isa.into_iter().chain(of_device).chain(of_lag).collect()
    }

    /// Begins that session as the run was begun: with the same weights, and what was shown to its agent.
    ///
    /// # Errors
    /// If weights or recordings are gone or changed, or an environment fails.
    /// [`Stopped`](crate::console::waiting::Stopped) if someone asked to stop while recordings were shown.
    pub(crate) fn begin_again(&self, session: &mut Session, stop: &Stop) -> anyhow::Result<()> {
        let Self { path, about, resolved, .. } = self;
        initial::begin_again(path, about.weights.as_ref(), session)?;
        demonstrations::begin_again(about, resolved, session, &resolved.train()?, stop)
    }
}
