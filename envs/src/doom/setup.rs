//! What a game of Doom is made of before an engine starts: the `[env]` table, the scenario's file, and what actions press.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rl_core::{End, Error, Result, Spec};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use vizdoom::{Config, Game, MapName, Mode, ScreenFormat, ScreenResolution};

use super::FAMILY;
use super::actions::Actions;
use super::allowed;
use super::eye::{Eye, Shown};
use super::shaping::Shaping;
use crate::area::Size;
use crate::settings::check_stack;

/// The `[env]` table, and the scenario from the environment's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoomConfig {
    /// Name of the scenario's `.cfg` in the package.
    pub scenario: String,
    /// Path of a `.cfg` of one's own; empty for the scenario's.
    pub config: String,
    // Recordings made before there were matches do not have these three.
    /// What the next two follow; a name for reports.
    #[serde(default)]
    pub protocol: String,
    /// Who play, an engine each; more than one play a deathmatch, and the reward is theirs of frags.
    #[serde(default = "one")]
    pub players: usize,
    /// Who the other players are, where there are any.
    #[serde(default = "oneself")]
    pub opponent: Opponent,
    /// Difficulty, 1 to 5; 0 for that of the `.cfg`.
    pub skill: u32,
    /// Map; empty for that of the `.cfg`.
    pub map: String,
    /// Tics that an action is held for.
    pub frame_repeat: u32,
    /// Tics after which an episode is truncated, beside the limit of the `.cfg`; 0 for none.
    pub max_tics: u32,
    /// Which buttons an action presses.
    pub buttons: Buttons,
    /// Size of what the engine draws, as `160x120`.
    pub resolution: String,
    /// How it draws: a format of ViZDoom's.
    pub format: String,
    /// What of it is seen.
    pub observe: Vec<Shown>,
    /// Width of an observation in pixels.
    pub width: usize,
    /// Height of an observation in pixels.
    pub height: usize,
    /// How many observations a policy sees.
    pub stack: usize,
    /// Whether the variables of the `.cfg` are seen too, as they are.
    pub variables: bool,
    /// What a learner is paid beside the scenario's reward.
    pub shaping: Shaping,
    /// Where the engine's seeds come from.
    pub engine_seed: EngineSeed,
    /// Whether every episode has an engine of its own.
    pub exact: bool,
    /// Whether a thread and the engine that it plays with keep to one core.
    #[serde(default)] // runs of before there was this key
    pub pin: bool,
}

fn one() -> usize {
    1
}

fn oneself() -> Opponent {
    Opponent::Oneself
}

/// Who the other players of a match are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opponent {
    /// Seats too: as many of them as there are players sit together.
    Oneself,
    /// Any action.
    Random,
}

/// Which buttons an action presses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buttons {
    /// A combination of them.
    Set,
    /// Each by a value of its own.
    All,
}

/// Where the engine's seeds come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"episode\" or a number below 2^32")]
pub enum EngineSeed {
    /// From a generator with this seed, as Python's `set_seed` does it: the first draw starts the engine, and each episode
    /// takes the next.
    Number(u32),
    /// From the seed of the episode.
    Named(FromEpisode),
}

/// The word `episode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum FromEpisode {
    /// The only one.
    #[serde(rename = "episode")]
    Episode,
}

/// The table, checked, and what follows from it.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) config: DoomConfig,
    /// Where the engine's package is.
    pub(super) package: PathBuf,
    pub(super) settings: Config,
    pub(super) actions: Actions,
}

impl Setup {
    /// # Errors
    /// If a value is out of range, or a file is missing or cannot be read.
    pub(super) fn new(config: &DoomConfig) -> Result<Self> {
        if config.frame_repeat == 0 || config.stack == 0 {
            let key = if config.stack == 0 { "stack" } else { "frame_repeat" };
            return Err(refuse(key, "must be at least 1".to_owned()));
        }
        check_stack(config.stack)?;
        let own = config.engine_seed != EngineSeed::Named(FromEpisode::Episode);
        if own && (config.exact || config.players > 1) {
            let key = if config.exact { "exact" } else { "players" };
            let message = "each engine would begin with the first draw of env.engine_seed: leave that \"episode\"";
            return Err(refuse(key, message.to_owned()));
        }
        if config.pin && config.players > 1 {
            return Err(refuse("pin", "engines of a match wait for each other: leave it false".to_owned()));
        }
        let asset = |e: rl_assets::Error| Error::Asset { name: "vizdoom".to_owned(), message: e.to_string() };
        let package = rl_assets::fetch("vizdoom", &mut |_| ()).map_err(asset)?;
        let settings = settings(config, &package)?;
        let buttons = &settings.available_buttons;
        if buttons.is_empty() {
            return Err(refuse("config", "has no available_buttons".to_owned()));
        }
        let actions = match config.buttons {
            Buttons::Set => Actions::set(buttons),
            Buttons::All => Actions::every(buttons, &settings.button_max_values),
        };
        Ok(Self { config: config.clone(), package, settings, actions })
    }

    /// What a player looks with.
    ///
    /// # Errors
    /// If an observation would be larger than the screen, or its format has no channels to show.
    pub(super) fn eye(&self) -> Result<Eye> {
        let target = Size { height: self.config.height, width: self.config.width };
        Eye::new(&self.settings, &self.config.observe, target)
    }

    /// Shapes of what a player sees and does.
    pub(super) fn spec(&self, eye: &Eye) -> Spec {
        let vector = if self.config.variables { self.settings.available_game_variables.len() } else { 0 };
        let mut spec = Spec { frame: eye.shape(), stack: self.config.stack, vector, ..Spec::none() };
        self.actions.describe(&mut spec);
        spec
    }

    /// Tics that an action is held for which begins at `tic`: `env.max_tics` may leave fewer than asked for.
    pub(super) fn held(&self, tic: u32) -> u32 {
        self.config.frame_repeat.min(self.last_tic().saturating_sub(tic).max(1))
    }

    /// How a step ended that began at tic `from` and was to be `held` so long, and how many tics it took.
    pub(super) fn ended(&self, game: &Game, from: u32, held: u32) -> (End, u32) {
        let cut = game.tic() >= self.last_tic();
        // A map that has ended is at tic 0 again.
        let tics = game.tic().checked_sub(from).filter(|&tics| tics > 0).unwrap_or(held);
        (End::of(game.is_ended(), cut || game.is_timed_out()), tics)
    }

    /// Tic with which an episode is truncated.
    fn last_tic(&self) -> u32 {
        match self.config.max_tics {
            0 => u32::MAX,
            most => most.saturating_add(self.settings.episode_start_time),
        }
    }

    /// What an action presses, where it is one of a set.
    pub(super) fn action_names(&self) -> Vec<String> {
        self.actions.names(&self.settings.available_buttons)
    }

    /// Hashes of the files that are played from, by name.
    pub(super) fn assets(&self) -> Vec<(String, String)> {
        let mut assets = Vec::new();
        if let Ok(asset) = rl_assets::find("vizdoom") {
            assets.push((asset.file.to_owned(), format!("sha256 {}", asset.sha256)));
        }
        if !self.config.config.is_empty() {
            for path in [Some(Path::new(&self.config.config)), self.settings.doom_scenario_path.as_deref()] {
                let Some(path) = path else { continue };
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let hash = std::fs::read(path).map_or_else(
                    |e| format!("unreadable: {e}"),
                    |content| {
                        format!(
                            "sha256 {}",
                            Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect::<String>()
                        )
                    },
                );
                assets.push((name, hash));
            }
        }
        assets
    }
}

/// The `.cfg`, and what the table changes of it.
fn settings(config: &DoomConfig, package: &Path) -> Result<Config> {
    let path = match config.config.as_str() {
        "" => package.join("vizdoom/scenarios").join(format!("{}.cfg", config.scenario)),
        path => PathBuf::from(path),
    };
    let mut settings = Config::read(&path).map_err(|error| match config.config.as_str() {
        "" => translated(error),
        _ => refuse("config", error.to_string()),
    })?;
    allowed::check(&settings, &path)?;
    if config.scenario == "freedoom1" && config.config.is_empty() {
        // The file names none, and the default is no map of that game.
        settings.doom_map = MapName::parse("e1m1").expect("it is the name of one");
    }
    if config.skill > 5 {
        return Err(refuse("skill", format!("{} is not from 1 to 5, or 0 for that of the .cfg", config.skill)));
    }
    if config.skill > 0 {
        settings.doom_skill = config.skill;
    }
    if !config.map.is_empty() {
        settings.doom_map = MapName::parse(&config.map).map_err(|message| refuse("map", message))?;
    }
    settings.screen_format = ScreenFormat::named(&config.format).ok_or_else(|| {
        let known = ScreenFormat::ALL.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ");
        refuse("format", format!("{} is not one of {known}", config.format))
    })?;
    settings.screen_resolution = ScreenResolution::named(&format!("RES_{}", config.resolution)).ok_or_else(|| {
        let known = ScreenResolution::ALL.iter().map(|size| size.name()[4..].to_lowercase()).collect::<Vec<_>>();
        refuse("resolution", format!("{} is not one of {}", config.resolution, known.join(", ")))
    })?;
    // What the engine tells costs time: it tells what is observed.
    let observed: BTreeSet<_> = config.observe.iter().map(|&shown| shown as u8).collect();
    settings.depth_buffer_enabled = observed.contains(&(Shown::Depth as u8));
    settings.labels_buffer_enabled = observed.contains(&(Shown::Labels as u8));
    settings.automap.enabled = observed.contains(&(Shown::Automap as u8));
    settings.audio.enabled = false;
    settings.window_visible = false;
    settings.mode = Mode::Player;
    Ok(settings)
}

pub(super) fn refuse(key: &str, message: String) -> Error {
    Error::Config { key: format!("env.{key}"), message }
}

/// The engine's errors in the words of the core.
pub(super) fn translated(error: vizdoom::Error) -> Error {
    let message = error.to_string();
    match error {
        vizdoom::Error::Died { .. } | vizdoom::Error::Silent { .. } => Error::Lost { env: FAMILY.to_owned(), message },
        vizdoom::Error::Cfg { .. } => refuse("config", message),
        vizdoom::Error::Config { key, message } => refuse("config", format!("{key}: {message}")),
        vizdoom::Error::Missing { .. } | vizdoom::Error::Version { .. } => {
            Error::Asset { name: "vizdoom".to_owned(), message }
        }
        _ => Error::Engine { env: FAMILY.to_owned(), message },
    }
}
