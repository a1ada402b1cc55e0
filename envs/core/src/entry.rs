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
    pub seats_per_world: fn(&toml::Table) -> u32,
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
            seats_per_world: |_| 1,
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
    read_table("env", table)
}

/// Reads the table of that name.
///
/// # Errors
/// If it does not fit the configuration, naming the key.
pub fn read_table<C: DeserializeOwned>(name: &str, table: &toml::Table) -> Result<C> {
    serde_path_to_error::deserialize(toml::Value::Table(table.clone())).map_err(|e| {
        let key = if e.path().iter().next().is_some() { format!("{name}.{}", e.path()) } else { name.to_owned() };
        Error::Config { key, message: plain(e.inner().message()) }
    })
}

/// A message of serde's, in which types of Rust are called what they are to whoever writes a preset.
fn plain(message: &str) -> String {
    let Some((what, expected)) = message.strip_prefix("invalid ").and_then(|said| said.rsplit_once(", expected "))
    else {
        return message.to_owned();
    };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on that is not too large",
        "i32" | "i64" | "isize" => "a whole number that is not too large",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a string" => "words",
        other if other.starts_with("struct ") || other == "a map" => "a table",
        other => other,
    };
    let what = what.trim_start_matches("type: ").trim_start_matches("value: ").replace("floating point", "number");
    format!("{what}: expected {expected}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[allow(dead_code, reason = "read by serde alone")]
        size: u32,
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_a_preset() {
        let said = |text: &str| read::<Config>(&text.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(
            said("size = -5"),
            "env.size: integer `-5`: expected a whole number from 0 on that is not too large"
        );
        assert_eq!(
            said("size = { start = 1 }"),
            "env.size: map: expected a whole number from 0 on that is not too large"
        );
        assert_eq!(said(""), "env: missing field `size`");
        assert!(said("size = 1\nsizes = 2").contains("unknown field `sizes`, expected `size`"));
    }
}
