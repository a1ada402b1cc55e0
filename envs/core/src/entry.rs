//! One line of a table of environments: its name, its preset and how to seat it.

use std::ops::Range;

use serde::de::DeserializeOwned;

use crate::{Batch, Env, Error, Result, VecEnv};

/// Which seats a [`VecEnv`] serves, and from which seed their streams come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seating {
    /// Seed of the run.
    pub seed: u64,
    /// Global seat numbers. Evaluation uses numbers disjoint from training.
    pub seats: Range<u32>,
}

/// How an entry builds its environment: name as typed, `[env]` table, seats.
pub type Build = fn(&str, &toml::Table, &Seating) -> Result<Box<dyn VecEnv>>;

/// An environment, or a family of them, that `rl-run` can name.
#[derive(Clone, Copy, Debug)]
pub struct EnvEntry {
    /// `cartpole`, or `atari/` for a family of which members are listed by `members`.
    pub id: &'static str,
    /// Other names, each with the full name it stands for.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Names of the members of a family, without its prefix; empty for a single environment.
    pub members: fn() -> Vec<String>,
    /// One sentence for `rl-run list`.
    pub summary: &'static str,
    /// Version of the dynamics.
    pub version: u32,
    /// Complete TOML with the tables `[env]`, which is the environment's [`Config`](Env::Config), and `[eval]`: `epsilon`, the
    /// probability of a random action, `episodes`, the full games of an evaluation, and if wanted `max_frames`, after which
    /// one is cut.
    pub preset: &'static str,
    /// Presets of a member that differ from the family's, by full name.
    pub member_presets: &'static [(&'static str, &'static str)],
    /// Named protocols: TOML that overlays the preset when `env.protocol` names it.
    pub protocols: &'static [(&'static str, &'static str)],
    /// Presets of agents that this entry brings along, by agent: `[agent]` and `[train]`.
    pub agents: &'static [(&'static str, &'static str)],
    /// Scores of a random and of a human player, for human-normalised results; `None` where none are published.
    pub reference: fn(&str) -> Option<(f64, f64)>,
    /// Assets that must be there before it is built.
    pub assets: &'static [&'static str],
    /// How many seats share a world, by the `[env]` table, so that nobody parts them.
    pub together: fn(&toml::Table) -> u32,
    /// Builds the seats.
    pub build: Build,
}

impl EnvEntry {
    /// An entry for one environment without members, aliases or protocols.
    pub const fn single<E: Env>(summary: &'static str, preset: &'static str) -> Self {
        Self {
            id: E::ID,
            aliases: &[],
            members: Vec::new,
            summary,
            version: E::VERSION,
            preset,
            member_presets: &[],
            protocols: &[],
            agents: &[],
            reference: |_| None,
            assets: &[],
            together: |_| 1,
            build: build_batch::<E>,
        }
    }

    /// The preset of the environment of that full name: its own where it has one, else the family's.
    pub fn preset_of(&self, name: &str) -> &'static str {
        self.member_presets.iter().find(|(member, _)| *member == name).map_or(self.preset, |&(_, text)| text)
    }
}

/// Reads `[env]` and seats a [`Batch`] of it: the `build` of most entries.
///
/// # Errors
/// If the table does not fit the configuration, or the environment refuses it.
pub fn build_batch<E: Env>(_name: &str, table: &toml::Table, seating: &Seating) -> Result<Box<dyn VecEnv>> {
    let config: E::Config = read(table)?;
    let seats = seating.seats.clone().map(|_| E::new(&config)).collect::<Result<Vec<E>>>()?;
    Ok(Box::new(Batch::new(seats, seating)))
}

/// Reads an `[env]` table.
///
/// # Errors
/// If it does not fit the configuration, naming the key.
pub fn read<C: DeserializeOwned>(table: &toml::Table) -> Result<C> {
    serde_path_to_error::deserialize(toml::Value::Table(table.clone())).map_err(|e| {
        let key = if e.path().iter().next().is_some() { format!("env.{}", e.path()) } else { "env".to_owned() };
        Error::Config { key, message: e.inner().message().to_owned() }
    })
}
