//! What a game of Doom is made of before an engine starts: the `[env]` table, the scenario's file, and what actions press.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rl_core::{End, Error, Result, Spec};
use serde::Deserialize;
use vizdoom::{Config, Game, MapName, Mode, ScreenFormat, ScreenResolution};

use super::FAMILY;
use super::actions::Actions;
use super::allowed;
use super::eye::{Eye, Shown};
use super::shaping::Shaping;
use crate::area::Size;
use crate::settings::check_stack;

/// Key of a `.cfg` that names the game's data.
const GAME: &str = "doom_game_path";

/// Data of games that the package itself brings.
const GAMES: [&str; 2] = ["freedoom1.wad", "freedoom2.wad"];

/// Configuration of all Doom environments: the `[env]` table, and the scenario from the environment's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoomConfig {
    /// Name of the scenario, which is that of its `.cfg` in ViZDoom's package.
    pub scenario: String,
    /// Path of another `.cfg` to play; empty for that of the scenario.
    pub config: String,
    // Recordings made before there were matches do not have these three.
    /// Name of the protocol that `players` and `opponent` follow, for reports.
    #[serde(default)]
    pub protocol: String,
    /// Number of players, each with an engine of its own. Two or more play a deathmatch, in which a player's reward is
    /// the change in its frags.
    #[serde(default = "one")]
    pub players: usize,
    /// Opponents in a deathmatch.
    #[serde(default = "oneself")]
    pub opponent: Opponent,
    /// Doom's skill level (difficulty), 1 to 5; 0 for that of the `.cfg`.
    pub skill: u32,
    /// Name of the map, such as `map01`; empty for that of the `.cfg`.
    pub map: String,
    /// Number of tics (35 per second) per agent step, in which the action is held (frame skip).
    pub frame_repeat: u32,
    /// Number of tics after which an episode is truncated, besides the limit of the `.cfg`; 0 for none.
    pub max_tics: u32,
    /// Action space: combinations of buttons, or a value per button.
    pub buttons: Buttons,
    /// Size of the engine's screen in pixels, such as `160x120`; one of ViZDoom's resolutions.
    pub resolution: String,
    /// Pixel format of the engine's screen, such as `GRAY8` or `RGB24`; one of ViZDoom's formats.
    pub format: String,
    /// Buffers of the engine that are observed, as channels in this order.
    pub observe: Vec<Shown>,
    /// Width of an observation in pixels, at most that of the screen.
    pub width: usize,
    /// Height of an observation in pixels, at most that of the screen.
    pub height: usize,
    /// Number of consecutive observations that a policy sees (frame stack).
    pub stack: usize,
    /// Whether the game variables of the `.cfg` are observed as features, without scaling.
    pub variables: bool,
    /// Shaping reward that learners receive in addition to the scenario's reward.
    pub shaping: Shaping,
    /// Source of the engine's seeds.
    pub engine_seed: EngineSeed,
    /// Whether a new engine is started for every episode, for scenarios whose episodes depend on earlier ones.
    pub exact: bool,
    /// Whether a thread and the engine that it plays with are pinned to one core.
    #[serde(default)] // runs of before there was this key
    pub pin: bool,
}

fn one() -> usize {
    1
}

fn oneself() -> Opponent {
    Opponent::Oneself
}

/// Opponents in a Doom deathmatch: who controls the other players.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opponent {
    /// Other seats (self-play): each group of `players` consecutive seats plays one match.
    Oneself,
    /// Uniformly random actions.
    Random,
}

/// Action space of a Doom environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Buttons {
    /// One discrete action: a combination of binary buttons without opposites, or, where these are more than 64, one
    /// button. Delta buttons are not pressed.
    Set,
    /// One action per button: discrete, 0 or 1, for binary buttons and continuous for delta buttons.
    All,
}

/// Source of the seeds that start the engine and its episodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"episode\" or a number below 2^32")]
pub enum EngineSeed {
    /// A generator with this seed, as Python's `set_seed` makes it: its first draw starts the engine, and each episode
    /// takes the next draw.
    Number(u32),
    /// The episode seed, which makes an episode independent of those before it.
    Named(FromEpisode),
}

/// The word `episode` as the value of an [`EngineSeed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum FromEpisode {
    /// The word `episode`.
    #[serde(rename = "episode")]
    Episode,
}

/// Checked configuration, and the engine's settings and actions that follow from it.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) config: DoomConfig,
    /// Directory of ViZDoom's unpacked package.
    pub(super) package: PathBuf,
    pub(super) settings: Config,
    pub(super) actions: Actions,
}

impl Setup {
    /// Checks a configuration, finds ViZDoom's package and reads the scenario's `.cfg`.
    ///
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
        if config.buttons == Buttons::Set && !buttons.iter().any(|button| button.is_binary()) {
            let message = "the .cfg has delta buttons alone, and a set presses none of them: set env.buttons=all";
            return Err(refuse("buttons", message.to_owned()));
        }
        let actions = match config.buttons {
            Buttons::Set => Actions::set(buttons),
            Buttons::All => Actions::every(buttons, &settings.button_max_values),
        };
        Ok(Self { config: config.clone(), package, settings, actions })
    }

    /// Makes the [`Eye`] that writes the observations of one player.
    ///
    /// # Errors
    /// If an observation would be larger than the screen, or its format has no channels to show.
    pub(super) fn eye(&self) -> Result<Eye> {
        let target = Size { height: self.config.height, width: self.config.width };
        Eye::new(&self.settings, &self.config.observe, target)
    }

    /// Returns the shapes of observations and actions of one player.
    pub(super) fn spec(&self, eye: &Eye) -> Spec {
        let vector = if self.config.variables { self.settings.available_game_variables.len() } else { 0 };
        let mut spec = Spec { frame: eye.shape(), stack: self.config.stack, vector, ..Spec::none() };
        self.actions.describe(&mut spec);
        spec
    }

    /// Returns the number of tics for which an action that begins at `tic` is held: `frame_repeat`, or as many as
    /// `max_tics` leaves, at least 1.
    pub(super) fn held(&self, tic: u32) -> u32 {
        self.config.frame_repeat.min(self.last_tic().saturating_sub(tic).max(1))
    }

    /// Returns how a step ended that began at tic `from` and was to last `held` tics, and how many tics it took. Where
    /// the map ended within the step these are `held`, though fewer were played: recordings count them so.
    pub(super) fn ended(&self, game: &Game, from: u32, held: u32) -> (End, u32) {
        let cut = game.tic() >= self.last_tic();
        // A map that has ended is at tic 0 again.
        let tics = game.tic().checked_sub(from).filter(|&tics| tics > 0).unwrap_or(held);
        (End::of(game.is_ended(), cut || game.is_timed_out()), tics)
    }

    /// Returns the tic at which `max_tics` truncates an episode.
    fn last_tic(&self) -> u32 {
        match self.config.max_tics {
            0 => u32::MAX,
            most => most.saturating_add(self.settings.episode_start_time),
        }
    }

    /// Names the values of the single discrete action; empty where each button has its own action.
    pub(super) fn action_names(&self) -> Vec<String> {
        self.actions.names(&self.settings.available_buttons)
    }

    /// Lists name and SHA-256 hash of each file that is played from: the `.cfg` with its `.wad` as they are now, the
    /// package by the hash that it was unpacked with, and another game's data.
    pub(super) fn assets(&self) -> Vec<(String, String)> {
        let mut assets = Vec::new();
        if let Ok(asset) = rl_assets::find("vizdoom") {
            assets.push((asset.file.to_owned(), format!("sha256 {}", asset.sha256)));
        }
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in [Some(&*cfg(&self.config, &self.package)), self.settings.doom_scenario_path.as_deref()] {
            let Some(path) = path else { continue };
            assets.push((name(path), hash(path)));
        }
        // Data of another game are their owner's, were they beside the engine. A scenario may have their name.
        match self.settings.iwad(&self.package) {
            Ok(path) if GAMES.iter().any(|game| path == self.package.join("vizdoom").join(game)) => {}
            Ok(path) => assets.push((format!("{GAME} {}", name(&path)), hash(&path))),
            Err(e) => assets.push((GAME.to_owned(), e.to_string())),
        }
        assets
    }
}

/// Returns the SHA-256 hash of a file, or why it cannot be read.
fn hash(path: &Path) -> String {
    match rl_assets::hash(path) {
        Ok(sha256) => format!("sha256 {sha256}"),
        Err(e) => format!("unreadable: {e}"),
    }
}

/// Path of the `.cfg`: the scenario's, or another.
fn cfg(config: &DoomConfig, package: &Path) -> PathBuf {
    match config.config.as_str() {
        "" => package.join("vizdoom/scenarios").join(format!("{}.cfg", config.scenario)),
        path => PathBuf::from(path),
    }
}

/// Reads the `.cfg` and applies what the `[env]` table changes of it.
fn settings(config: &DoomConfig, package: &Path) -> Result<Config> {
    let path = cfg(config, package);
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
    // What the engine tells costs time: it tells what is observed. Sound stays as the `.cfg` has it, since its pitches
    // are drawn by the generator that draws the face of the HUD, and so does the console, whose words errors repeat.
    let observed: BTreeSet<_> = config.observe.iter().map(|&shown| shown as u8).collect();
    settings.depth_buffer_enabled = observed.contains(&(Shown::Depth as u8));
    settings.labels_buffer_enabled = observed.contains(&(Shown::Labels as u8));
    settings.automap.enabled = observed.contains(&(Shown::Automap as u8));
    settings.objects_info_enabled = false;
    settings.sectors_info_enabled = false;
    settings.audio.enabled = false;
    settings.notifications.enabled = false;
    settings.window_visible = false;
    settings.mode = Mode::Player;
    Ok(settings)
}

pub(super) fn refuse(key: &str, message: String) -> Error {
    Error::Config { key: format!("env.{key}"), message }
}

/// Converts an error of `vizdoom` into one of `rl_core`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doom::ENTRY;

    #[test]
    fn an_engine_tells_what_is_observed_whatever_the_cfg_asks_for() {
        let keys = [
            "depth_buffer_enabled",
            "labels_buffer_enabled",
            "automap_buffer_enabled",
            "objects_info_enabled",
            "sectors_info_enabled",
            "audio_buffer_enabled",
            "notifications_buffer_enabled",
            "window_visible",
        ];
        let lines: String = keys.iter().map(|key| format!("{key} = true\n")).collect();
        let path = std::env::temp_dir().join(format!("rl-envs-setup-{}.cfg", std::process::id()));
        std::fs::write(&path, lines + "mode = SPECTATOR\n").unwrap();
        let preset: toml::Table = ENTRY.preset.parse().unwrap();
        let mut table = preset["env"].as_table().unwrap().clone();
        table.insert("scenario".to_owned(), "mine".into());
        table.insert("config".to_owned(), path.to_str().unwrap().into());
        let told = |observe: &[&str]| {
            let mut table = table.clone();
            table.insert("observe".to_owned(), observe.to_vec().into());
            let config: DoomConfig = table.try_into().unwrap();
            let settings = settings(&config, Path::new("")).unwrap();
            assert_eq!(settings.mode, Mode::Player);
            [
                settings.depth_buffer_enabled,
                settings.labels_buffer_enabled,
                settings.automap.enabled,
                settings.objects_info_enabled,
                settings.sectors_info_enabled,
                settings.audio.enabled,
                settings.notifications.enabled,
                settings.window_visible,
            ]
        };
        assert_eq!(told(&["screen"]), [false; 8]);
        assert_eq!(told(&["labels", "screen"]), [false, true, false, false, false, false, false, false]);
        std::fs::remove_file(&path).unwrap();
    }
}
