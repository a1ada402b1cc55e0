//! What an environment promises, checked by playing it: for the tests of an environment of one's own, and for `rl-run check`.
//!
//! Actions are random: a promise that is found broken is broken, and one that is found kept was kept wherever they led.
//! [`Env`](crate::Env) has an example.

mod episodes;
mod player;
mod refused;
mod rows;
mod shown;
mod state;
mod table;

use std::ops::Range;

use crate::{EnvEntry, Error, Result, Seating, VecEnv, caught};

pub use rows::{Actions, cover};

/// Default of [`Subject::steps`], in agent steps: most episodes of small environments end within it.
pub const STEPS: usize = 600;

/// Environment to be checked, with its configuration and the length of the check.
#[derive(Clone)]
pub struct Subject<'a> {
    /// Table entry of the environment.
    pub entry: &'a EnvEntry,
    /// Full name of the environment.
    pub name: &'a str,
    /// The `[env]` table that the environment is built from.
    pub table: toml::Table,
    /// Number of agent steps per seat over which most promises are checked.
    pub steps: usize,
    /// Function that is called after every step; where it returns true, the check gives up with a [`Broken`] error.
    pub stop: &'a dyn Fn() -> bool,
}

impl<'a> Subject<'a> {
    /// Makes a subject of the environment with the full name `name`, configured by its preset, to be checked over
    /// [`STEPS`] steps.
    ///
    /// # Errors
    /// If the preset is not TOML, or has no table `[env]`.
    pub fn new(entry: &'a EnvEntry, name: &'a str) -> Result<Self> {
        let wrong = |message: String| Error::Config { key: format!("preset of {name}"), message };
        let preset = entry.preset_of(name).parse();
        let preset: toml::Table = preset.map_err(|e: toml::de::Error| wrong(e.to_string()))?;
        let Some(table) = preset.get("env").and_then(toml::Value::as_table) else {
            return Err(wrong("has no table [env]".to_owned()));
        };
        Ok(Self { entry, name, table: table.clone(), steps: STEPS, stop: &|| false })
    }

    /// Returns the number of seats that share one world; see [`EnvEntry::seats_per_world`].
    fn seats_per_world(&self) -> u32 {
        (self.entry.seats_per_world)(&self.table)
    }

    /// Builds the seats of a range of worlds; in most environments a world has one seat.
    fn seat(&self, seed: u64, worlds: Range<u32>) -> Result<Box<dyn VecEnv>> {
        let seats = worlds.start * self.seats_per_world()..worlds.end * self.seats_per_world();
        (self.entry.build)(self.name, &self.table, &Seating { seed, seats })
    }
}

/// How much was played to check a promise that was found kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Number of calls of [`VecEnv::step`], each of which steps all seats.
    pub steps: usize,
    /// Number of episodes that ended in these steps, in all seats together.
    pub episodes: usize,
}

/// Error of a [`Promise`] that an environment breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {how}")]
pub struct Broken {
    /// Name of the promise, as [`Promise::name`].
    pub promise: &'static str,
    /// Step and seat of the violation and what was observed there, in one line.
    pub how: String,
}

/// Result of a check: `None` where the promise does not apply to the environment.
type Found = std::result::Result<Option<Coverage>, String>;

/// One property that every environment must have, such as determinism by seed and actions, and its check.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// Name of the promise, one word such as `seed`.
    pub name: &'static str,
    /// Statement that holds where the promise is kept.
    pub text: &'static str,
    check: fn(&Subject<'_>) -> Found,
}

impl Promise {
    /// Checks the promise by playing random actions. Returns how much was played, or `None` where the promise does not
    /// apply, as one about a finite MDP does not to an environment that is none.
    ///
    /// # Errors
    /// If the environment breaks the promise, fails, or panics, or [`Subject::stop`] ends the check.
    pub fn check(&self, subject: &Subject<'_>) -> std::result::Result<Option<Coverage>, Broken> {
        let found = caught(|| (self.check)(subject)).unwrap_or_else(|panic| Err(format!("it panicked: {panic}")));
        found.map_err(|how| Broken { promise: self.name, how })
    }
}

/// All promises of an environment, the simplest first, since a broken one often breaks later ones too.
pub const PROMISES: &[Promise] = &[
    Promise {
        name: "settings",
        text: "a setting that it does not know is refused by its name",
        check: refused::settings,
    },
    Promise {
        name: "spec",
        text: "what it shows is within its spec, rewards are finite, and a step takes frames",
        check: shown::spec,
    },
    Promise {
        name: "actions",
        text: "an action that does not exist is refused by its number",
        check: refused::actions,
    },
    Promise {
        name: "ends",
        text: "an end is followed by a reset, and episodes are the sums of their steps",
        check: episodes::ends,
    },
    Promise { name: "seed", text: "seed and actions decide all that is seen", check: episodes::seed },
    Promise { name: "written", text: "every reset and step writes all of the observation", check: shown::written },
    Promise {
        name: "episode",
        text: "an episode follows from its own seed, in whichever seat and whatever was played before",
        check: episodes::episode,
    },
    Promise { name: "seats", text: "no world is changed by those beside it", check: episodes::seats },
    Promise { name: "state", text: "a saved state goes on as what it was saved from", check: state::goes_on },
    Promise {
        name: "damage",
        text: "a cut, longer or foreign state is refused, and no other one makes it panic",
        check: refused::damage,
    },
    Promise { name: "picture", text: "it can be drawn, which changes nothing", check: shown::picture },
    Promise { name: "table", text: "its table is what is played", check: table::played },
];

/// Checks all [`PROMISES`] in order and stops at the first that is broken.
///
/// # Errors
/// If a promise is broken.
pub fn check(subject: &Subject<'_>) -> std::result::Result<(), Broken> {
    PROMISES.iter().try_for_each(|promise| promise.check(subject).map(drop))
}

/// Turns a condition into a result: `otherwise` writes the error message where it does not hold.
pub(crate) fn hold(holds: bool, otherwise: impl FnOnce() -> String) -> std::result::Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
