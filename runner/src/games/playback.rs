//! Plays recorded episodes again: for `rl-run verify FILE`, and for everything that shows or learns from them.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{anyhow, bail};
use rl_core::{Canvas, EnvEntry, Seating, Spec, VecEnv};
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, Pictures, Player, RecordedEpisode, Recording, Told, seen};

use crate::assets;
use crate::assets::ensure_assets;
use crate::console::number::count;
use crate::console::usage::usage;
use crate::games::takes;
use crate::tables::Tables;

/// The `[env]` table of a recording.
///
/// # Errors
/// If it is no TOML, or has control characters, which an error message would bring to a terminal.
pub(crate) fn config(manifest: &Manifest) -> anyhow::Result<toml::Table> {
    let table: toml::Table = toml::from_str(&manifest.config)
        .map_err(|e| anyhow!("its configuration: {}", e.message().replace(char::is_control, " ")))?;
    if !table.iter().all(|(key, value)| plain(key) && shows(value)) {
        bail!("its configuration: it has control characters");
    }
    Ok(table)
}

fn plain(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// Whether all strings in a value can be shown on a terminal.
fn shows(value: &toml::Value) -> bool {
    match value {
        toml::Value::String(text) => plain(text),
        toml::Value::Array(values) => values.iter().all(shows),
        toml::Value::Table(table) => table.iter().all(|(key, value)| plain(key) && shows(value)),
        _ => true,
    }
}

/// Reads the recording `path`.
///
/// # Errors
/// If it is missing or not a recording; the message names it.
pub(crate) fn read(path: &Path) -> anyhow::Result<Recording> {
    let name = path.display();
    if path.is_dir() {
        bail!(usage(format!("{name} is a directory: name one recording in it")));
    }
    let file = File::open(path).map_err(|e| usage(format!("{name}: {e}")))?;
    Recording::read(BufReader::new(file)).map_err(|e| anyhow!("{name} {e}"))
}

/// Who played the games of a recording, in words.
pub(crate) fn player(manifest: &Manifest) -> String {
    match &manifest.player {
        Player::Agent { agent, frames, weights_sha256, policy, .. } => {
            let hash: String = weights_sha256.chars().take(12).collect();
            format!("{agent} after {} frames ({policy}, weights {hash})", count(*frames))
        }
        Player::Learner { agent, frames, .. } => format!("{agent} as it learned, at {} frames", count(*frames)),
        Player::Random { .. } => "random actions".to_owned(),
        Player::Human {} => "a person".to_owned(),
    }
}

/// What a step led to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// What was shown, as [`seen`] encodes it.
    pub(crate) seen: u32,
    pub(crate) told: Told,
    /// Return if the episode is over: the sum of raw rewards, without what a shaping pays.
    pub(crate) ret: Option<f64>,
}

/// A world that plays the games of a recording again, as one of its seats sees them.
pub(crate) struct Playback {
    env: Box<dyn VecEnv>,
    /// What all seats do, and the newest of what they see.
    world: Rollout,
    /// Seat whose game is played.
    seat: usize,
    /// What it sees.
    block: Rollout,
}

impl Playback {
    /// Builds the environment as it was recorded.
    ///
    /// # Errors
    /// If it is unknown here, of another version, or plays from other files.
    pub(crate) fn new(manifest: &Manifest, tables: &Tables) -> anyhow::Result<Self> {
        let (name, entry) = tables.env(&manifest.env)?;
        Self::of(manifest, &name, entry)
    }

    /// Builds the environment as it was recorded, given its full name and entry.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn of(manifest: &Manifest, name: &str, entry: &EnvEntry) -> anyhow::Result<Self> {
        if entry.version != manifest.env_version {
            let (theirs, ours) = (manifest.env_version, entry.version);
            bail!(
                "was recorded with version {theirs} of {name}, and this rl-run has version {ours}: it plays otherwise"
            );
        }
        ensure_assets(entry)?;
        let config = config(manifest)?;
        let seats = (entry.seats_per_world)(&config).max(1);
        if seats != manifest.seats {
            bail!("is of worlds of {} seats, and {name} has worlds of {seats}", manifest.seats);
        }
        let env = (entry.build)(name, &config, &Seating { seed: 0, seats: 0..seats })?;
        assets::check(&manifest.assets, &*env, "recorded")?;
        if !manifest.is_of(env.spec()) {
            bail!("holds other actions than {name} has");
        }
        let world = Rollout::new(&Spec { stack: 1, ..env.spec().clone() }, 1, seats as usize, 0);
        let block = Rollout::new(env.spec(), 1, 1, 0);
        Ok(Self { env, world, seat: 0, block })
    }

    /// Lets [`draw`](Self::draw) show all that there is for people, such as colours that agents do not see, and returns
    /// whether that is more than agents see.
    pub(crate) fn watch(&mut self) -> bool {
        self.env.watch(0)
    }

    /// Begins a recorded episode.
    ///
    /// # Errors
    /// If the environment fails.
    pub(crate) fn begin(&mut self, played: &RecordedEpisode) -> anyhow::Result<()> {
        self.seat = played.seat as usize;
        self.env.begin(&vec![played.seed; self.world.seats()], self.world.first())?;
        self.block.copy_row((0, 0), &self.world, (0, self.seat));
        Ok(())
    }

    /// Takes the actions that were recorded for `step`, and returns what they led to.
    ///
    /// # Errors
    /// If the environment fails.
    pub(crate) fn step(&mut self, played: &RecordedEpisode, step: usize) -> anyhow::Result<Shown> {
        let (discrete, continuous) = played.action(step);
        self.world.discrete.row_mut(0).copy_from_slice(discrete);
        self.world.continuous.row_mut(0).copy_from_slice(continuous);
        let (act, rows) = self.world.step(0);
        self.env.step(act, rows)?;
        self.block.copy_row((1, 0), &self.world, (1, self.seat));
        let ended = self.world.episodes.iter().find(|episode| episode.seat as usize == self.seat);
        let ret = ended.map(|episode| episode.ret);
        let shown = Shown { seen: seen(&self.block, 1, 0), told: Told::of(&self.block, 1, 0), ret };
        self.world.episodes.clear();
        self.block.carry();
        Ok(shown)
    }

    /// Draws the present state.
    pub(crate) fn draw(&self, canvas: &mut Canvas) {
        self.env.draw(self.seat, canvas);
    }

    /// Saves the present state.
    ///
    /// # Errors
    /// If the environment cannot give it.
    #[cfg(feature = "viewer")]
    pub(crate) fn save(&self) -> anyhow::Result<Vec<u8>> {
        let mut state = Vec::new();
        rl_core::save_seats([&*self.env], &mut state)?;
        Ok(state)
    }

    /// Restores a state that was [saved](Self::save). What is seen and drawn there is known only after as many steps as
    /// frames are stacked.
    ///
    /// # Errors
    /// If the environment refuses it.
    #[cfg(feature = "viewer")]
    pub(crate) fn load(&mut self, state: &[u8]) -> anyhow::Result<()> {
        Ok(rl_core::load_seats([&mut *self.env], state)?)
    }

    /// What is seen now, in row 0 of a block of one seat.
    pub(crate) fn block(&self) -> &Rollout {
        &self.block
    }

    /// Names of the actions' values; empty if they have none.
    #[cfg(feature = "viewer")]
    pub(crate) fn action_names(&self) -> Vec<String> {
        self.env.action_names()
    }

    /// How pictures of the environment are to be watched, for a recording.
    pub(crate) fn pictures(&mut self) -> Pictures {
        takes::pictures(self.env.as_mut())
    }

    /// Frames per second at which people watch it.
    pub(crate) fn frame_rate(&self) -> f64 {
        self.env.frame_rate()
    }
}

/// Index of the game that `which` names: `best`, or a number from 1.
///
/// # Errors
/// If there is none.
pub(crate) fn chosen(recording: &Recording, which: &str) -> anyhow::Result<usize> {
    let games = &recording.episodes;
    let ret = |game: &usize| games[*game].outcome.map_or(f64::NEG_INFINITY, |outcome| outcome.ret);
    let found = match which {
        "best" => (0..games.len()).rev().max_by(|a, b| ret(a).total_cmp(&ret(b))), // the first of equals
        number => {
            number.parse().ok().and_then(|number: usize| number.checked_sub(1)).filter(|game| *game < games.len())
        }
    };
    found.ok_or_else(|| match games.len() {
        0 => anyhow!("the recording holds no game: it was cut short before the first"),
        most => usage(format!("--episode {which}: `best`, or a game from 1 to {most}")),
    })
}

#[cfg(test)]
mod tests;
