//! Flags that replace values of the built-in presets, for several commands.

use std::path::PathBuf;

use rl_nn::Precision;

use crate::console::usage::usage;
use crate::preset::{Ask, Resolved};

/// What replaces values of the preset.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Settings {
    /// TOML file whose tables replace the preset's, or with an agent the name of a built-in preset (`rl-run list presets`)
    #[arg(long, value_name = "FILE|NAME")]
    preset: Option<PathBuf>,
    /// Replace one value of the preset, such as env.sticky=0
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Settings {
    /// Checks that `--set` does not set `key` too, which a flag that was given sets.
    ///
    /// # Errors
    /// If they do.
    pub(crate) fn alone(&self, flag: &str, key: &str) -> anyhow::Result<()> {
        alone(flag, key, &self.set)
    }

    /// What to resolve: an environment, an agent on it if one is named, and these replacements.
    pub(crate) fn of<'a>(&'a self, env: &'a str, agent: Option<&'a str>) -> Ask<'a> {
        Ask { env, agent, preset: self.preset.as_deref(), sets: &self.set, protocol: None }
    }
}

/// Checks that none of `sets` sets `key` too, which a flag that was given sets.
///
/// # Errors
/// If they do.
pub(crate) fn alone(flag: &str, key: &str, sets: &[String]) -> anyhow::Result<()> {
    match sets.iter().any(|set| set.split_once('=').is_some_and(|(of, _)| of.trim() == key)) {
        true => Err(usage(format!("{flag} and --set {key} both set {key}: give one"))),
        false => Ok(()),
    }
}

/// What encoders multiply, instead of what the preset says.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Multiplies {
    /// Precision of the encoder's matrix products: f32 | bf16 (falls back to f32 where the CPU has no bf16 instructions)
    #[arg(long)]
    precision: Option<Precision>,
}

impl Multiplies {
    /// Puts `--precision` in the place of the preset's.
    ///
    /// # Errors
    /// If the preset has no `train.precision`, or `settings` set it too.
    pub(crate) fn settle(self, settings: &Settings, resolved: &mut Resolved) -> anyhow::Result<()> {
        let Some(precision) = self.precision else { return Ok(()) };
        settings.alone("--precision", "train.precision")?;
        resolved.set("train.precision", precision.name())
    }
}
