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

pub use rows::{Actions, Buffer, Row};

/// Steps that most promises are checked over, where nobody says how many: most episodes of small environments end within.
pub const STEPS: usize = 600;

/// An environment that is checked.
#[derive(Clone)]
pub struct Subject<'a> {
    /// Its line of a table.
    pub entry: &'a EnvEntry,
    /// Its full name.
    pub name: &'a str,
    /// Its `[env]` table.
    pub table: toml::Table,
    /// Steps of every seat that most promises are checked over.
    pub steps: usize,
    /// Asked after every step whether to give up, which leaves a promise as if it were broken.
    pub stop: &'a dyn Fn() -> bool,
}

impl<'a> Subject<'a> {
    /// The environment called `name` as its own preset has it, over [`STEPS`] steps.
    ///
    /// # Errors
    /// If the preset has no table `[env]`.
    pub fn new(entry: &'a EnvEntry, name: &'a str) -> Result<Self> {
        let wrong = |message: String| Error::Config { key: format!("preset of {name}"), message };
        let preset = entry.preset_of(name).parse();
        let preset: toml::Table = preset.map_err(|e: toml::de::Error| wrong(e.to_string()))?;
        let Some(table) = preset.get("env").and_then(toml::Value::as_table) else {
            return Err(wrong("has no table [env]".to_owned()));
        };
        Ok(Self { entry, name, table: table.clone(), steps: STEPS, stop: &|| false })
    }

    /// Seats that share a world.
    fn seats_per_world(&self) -> u32 {
        (self.entry.seats_per_world)(&self.table)
    }

    /// Builds the seats of these worlds; most environments have a world for each seat.
    fn seat(&self, seed: u64, worlds: Range<u32>) -> Result<Box<dyn VecEnv>> {
        let seats = worlds.start * self.seats_per_world()..worlds.end * self.seats_per_world();
        (self.entry.build)(self.name, &self.table, &Seating { seed, seats })
    }
}

/// What an environment that keeps a promise was seen to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Rows of seats after the first.
    pub steps: usize,
    /// Episodes that ended in them, of all seats.
    pub episodes: usize,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {how}")]
pub struct Broken {
    /// Name of the promise.
    pub promise: &'static str,
    /// Where, and what was seen there, in one line.
    pub how: String,
}

/// What a check finds: `None` where the environment has nothing that such a promise is about.
type Found = std::result::Result<Option<Played>, String>;

/// One promise of every environment.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// A word to name it by.
    pub name: &'static str,
    /// What holds where it is kept.
    pub text: &'static str,
    check: fn(&Subject<'_>) -> Found,
}

impl Promise {
    /// Checks it; says what was played, or `None` where the environment has nothing that it is about, such as a table.
    ///
    /// # Errors
    /// If the environment breaks it, fails, or panics.
    pub fn check(&self, subject: &Subject<'_>) -> std::result::Result<Option<Played>, Broken> {
        let found = caught(|| (self.check)(subject)).unwrap_or_else(|panic| Err(format!("it panicked: {panic}")));
        found.map_err(|how| Broken { promise: self.name, how })
    }
}

/// All promises, the simplest first: a broken one often breaks those behind it.
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
    Promise { name: "seats", text: "no seat is changed by those beside it", check: episodes::seats },
    Promise { name: "state", text: "a saved state goes on as what it was saved from", check: state::goes_on },
    Promise {
        name: "damage",
        text: "a cut, longer or foreign state is refused, and no other one makes it panic",
        check: refused::damage,
    },
    Promise { name: "picture", text: "it can be drawn, which changes nothing", check: shown::picture },
    Promise { name: "table", text: "its table is what is played", check: table::played },
];

/// Checks all promises, of which the first that is broken is told.
///
/// # Errors
/// If one is.
pub fn check(subject: &Subject<'_>) -> std::result::Result<(), Broken> {
    PROMISES.iter().try_for_each(|promise| promise.check(subject).map(drop))
}

/// Goes on where something holds.
fn hold(holds: bool, otherwise: impl FnOnce() -> String) -> std::result::Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
