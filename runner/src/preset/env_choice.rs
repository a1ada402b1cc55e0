//! Flags that name an environment and its settings, for several commands.

use crate::preset::settings::Settings;
use crate::preset::{self, Resolved};
use crate::tables::Tables;

/// An environment, without an agent.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EnvChoice {
    /// Environment: `rl-run list envs` shows all
    #[arg(long)]
    env: String,
    #[command(flatten)]
    settings: Settings,
}

impl EnvChoice {
    /// Resolves the settings of the environment.
    ///
    /// # Errors
    /// As [`preset::resolve`].
    pub(crate) fn resolve(&self, tables: &Tables) -> anyhow::Result<Resolved> {
        preset::resolve(tables, &self.settings.of(&self.env, None))
    }

    /// Resolves the settings of the environment and of `agent` on it.
    ///
    /// # Errors
    /// As [`preset::resolve`].
    pub(crate) fn played_by(&self, agent: &str, tables: &Tables) -> anyhow::Result<Resolved> {
        preset::resolve(tables, &self.settings.of(&self.env, Some(agent)))
    }
}
