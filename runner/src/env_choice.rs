//! An environment and its settings, as several commands ask for them.

use std::path::PathBuf;

use crate::preset::{self, Ask, Resolved};
use crate::tables::Tables;

/// An environment, without an agent.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EnvChoice {
    /// Environment: `rl-run list envs` shows all
    #[arg(long)]
    env: String,
    /// Tables of this file replace those of the preset
    #[arg(long, value_name = "FILE")]
    preset: Option<PathBuf>,
    /// Replace one value of the preset, such as env.sticky=0
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl EnvChoice {
    /// Its settings.
    ///
    /// # Errors
    /// As [`preset::resolve`].
    pub(crate) fn resolve(&self, tables: &Tables) -> anyhow::Result<Resolved> {
        let Self { env, preset, set } = self;
        preset::resolve(tables, &Ask { env, preset: preset.as_deref(), sets: set, ..Ask::default() })
    }
}
