//! One line of a table of environments: its name, its preset and how to seat it.

use std::ops::Range;

use serde::de::DeserializeOwned;

use crate::{Batch, Env, Error, Result, VecEnv, World};

/// Which seats a [`VecEnv`] serves, and the seed of their random streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seating {
    /// Seed of the run; with the seat number it determines the episode seeds of a seat.
    pub seed: u64,
    /// Global seat numbers. Evaluation uses numbers disjoint from those of training. Worlds of several seats are
    /// counted from its start, which need not be a multiple of [`EnvEntry::seats_per_world`].
    pub seats: Range<u32>,
}

/// Function that builds the environments of an [`EnvEntry`], from the full name, the `[env]` table and the seats: one for
/// each number of [`Seating::seats`], of which it refuses those that make no whole worlds.
pub type Build = fn(&str, &toml::Table, &Seating) -> Result<Box<dyn VecEnv>>;

/// Table entry of one environment, or of a family of environments such as `atari/`, that `rl-run` can name.
#[derive(Clone, Copy, Debug)]
pub struct EnvEntry {
    /// Name such as `cartpole`, or the prefix of a family such as `atari/`, whose members [`members`](Self::members)
    /// lists.
    pub id: &'static str,
    /// Other names, each with the full name that it stands for.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Names of the members of a family, without the prefix; empty for a single environment.
    pub members: fn() -> Vec<String>,
    /// One sentence for `rl-run list`.
    pub summary: &'static str,
    /// Version of the dynamics; see [`Env::VERSION`].
    pub version: u32,
    /// Complete TOML with two tables: `[env]`, the environment's [`Config`](Env::Config), and `[eval]`, with `epsilon`,
    /// the probability of a random action, `episodes`, the number of episodes of an evaluation, and optionally
    /// `max_frames`, the emulator frames after which an evaluation episode is cut.
    ///
    /// Of `[env]` the runner knows some keys by their names: in the place of `max_frames` stands that of `[eval]`, a
    /// `shaping` that is a word is `none` in evaluations, `frame_skip` or `frame_repeat` are the frames of an agent step,
    /// and `protocol` names one of [`protocols`](Self::protocols).
    pub preset: &'static str,
    /// Presets of members that differ from [`preset`](Self::preset), by full name.
    pub member_presets: &'static [(&'static str, &'static str)],
    /// Named protocols: TOML that overlays the preset when `env.protocol` names it.
    pub protocols: &'static [(&'static str, &'static str)],
    /// Agent presets for this environment, by agent name: TOML with the tables `[agent]` and `[train]`.
    pub agents: &'static [(&'static str, &'static str)],
    /// Scores `(random, human)` of the environment of a full name, for human-normalised scores; `None` where none are
    /// published.
    pub reference: fn(&str) -> Option<(f64, f64)>,
    /// Names of the assets that must be fetched before the environment is built.
    pub assets: &'static [&'static str],
    /// Number of consecutive seats that share one world, at least 1, by the `[env]` table; they are never divided between
    /// workers, and begin and end their episodes together ([`VecEnv`]).
    pub seats_per_world: fn(&toml::Table) -> u32,
    /// Function that builds the environments of some seats.
    pub build: Build,
}

impl EnvEntry {
    /// Makes an entry of the single environment `E`, without members, aliases, protocols or assets.
    pub const fn single<E: Env>(summary: &'static str, preset: &'static str) -> Self {
        Self { seats_per_world: |_| 1, ..Self::shared::<E>(summary, preset) }
    }

    /// Makes an entry of worlds `W`, each with as many seats as its configuration says, without members, aliases,
    /// protocols or assets. An entry whose `build` is another one, which adds keys to the table, needs a
    /// `seats_per_world` of its own too.
    pub const fn shared<W: World>(summary: &'static str, preset: &'static str) -> Self {
        Self {
            id: W::ID,
            aliases: &[],
            members: Vec::new,
            summary,
            version: W::VERSION,
            preset,
            member_presets: &[],
            protocols: &[],
            agents: &[],
            reference: |_| None,
            assets: &[],
            seats_per_world: seats_per_world::<W>,
            build: build_batch::<W>,
        }
    }

    /// Returns the preset of the environment with the full name `name`: its own where it has one, else the family's.
    pub fn preset_of(&self, name: &str) -> &'static str {
        self.member_presets.iter().find(|(member, _)| *member == name).map_or(self.preset, |&(_, text)| text)
    }
}

/// Returns the number of seats in a world `W` that the table configures; 1 if it does not fit, of which the build says why.
fn seats_per_world<W: World>(table: &toml::Table) -> u32 {
    let seats = read::<W::Config>(table).map_or(1, |config| W::seats(&config));
    u32::try_from(seats).unwrap_or(u32::MAX).max(1)
}

/// Reads the `[env]` table and builds a [`Batch`] of as many worlds `W` as there are seats for, one for each seat where
/// `W` is an [`Env`]: the [`build`](EnvEntry::build) of most entries.
///
/// # Errors
/// If the table does not fit the configuration, the environment refuses it, or the seats make no whole worlds.
pub fn build_batch<W: World>(_name: &str, table: &toml::Table, seating: &Seating) -> Result<Box<dyn VecEnv>> {
    let config: W::Config = read(table)?;
    let wrong = |message: String| Error::Config { key: "env".to_owned(), message };
    let (seats, seats_per_world) = (seating.seats.len(), W::seats(&config));
    if seats_per_world == 0 {
        W::new(&config)?; // says what is wrong
        return Err(wrong("makes a world without seats".to_owned()));
    }
    if seats == 0 || !seats.is_multiple_of(seats_per_world) {
        return Err(wrong(match seats {
            1 => format!("one seat cannot be played alone: {seats_per_world} share a world"),
            _ => format!("{seats} seats make no whole worlds of {seats_per_world}: train.envs is a multiple of that"),
        }));
    }
    let worlds = (0..seats / seats_per_world).map(|_| W::new(&config)).collect::<Result<Vec<W>>>()?;
    if let Some(world) = worlds.first() {
        world.spec().check().map_err(|message| Error::Engine { env: W::ID.to_owned(), message })?;
    }
    Ok(Box::new(Batch::new(worlds, seating)))
}

/// Deserialises an `[env]` table.
///
/// # Errors
/// If the table does not fit `C`; the error names the key.
pub fn read<C: DeserializeOwned>(table: &toml::Table) -> Result<C> {
    read_table("env", table)
}

/// Deserialises a TOML table of a preset; `name` is the name of the table in error messages, such as `env`.
///
/// # Errors
/// If the table does not fit `C`; the error names the key.
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
