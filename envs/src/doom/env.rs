//! The Doom environment: an engine of one's own per seat, frame repeat, combinations of buttons, and what is seen.
//!
//! An episode is what follows from the seed that the engine is given at its beginning, and the actions; a state is saved as
//! both, and restored by playing them again, which takes as long as they took. Where the engine dies, the episode is lost
//! and the next reset starts another.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rl_core::{Act, Canvas, End, Env, Error, Fact, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vizdoom::{Buffer, Config, Game, Mode, ScreenFormat, ScreenResolution};

use super::actions::Actions;
use super::eye::{Eye, Shown};
use super::shaping::{Before, Shaping};
use crate::area::Size;

/// The `[env]` table, and the scenario from the environment's name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoomConfig {
    /// Name of the scenario's `.cfg` in the package.
    pub scenario: String,
    /// Path of a `.cfg` of one's own; empty for the scenario's.
    pub config: String,
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

/// An engine and the episode that it plays.
#[derive(Debug)]
pub struct Doom {
    config: DoomConfig,
    package: PathBuf,
    settings: Config,
    actions: Actions,
    eye: Eye,
    /// Started by the first reset.
    game: Option<Game>,
    before: Before,
    bonus: f32,
    episode: Episode,
    /// Values of all buttons.
    row: Vec<f64>,
}

/// What an episode is made of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Episode {
    seed: u64,
    /// Episodes that this engine's generator has begun.
    drawn: u32,
    /// One after the other.
    discrete: Vec<u8>,
    continuous: Vec<f32>,
    steps: u32,
}

/// Steps that are noted without asking for memory: half an hour by four tics.
const STEPS: usize = 16_000;

impl Episode {
    fn begin(&mut self, seed: u64) {
        (self.seed, self.steps) = (seed, 0);
        self.discrete.clear();
        self.continuous.clear();
    }
}

impl Env for Doom {
    const ID: &'static str = "doom/";
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 35.0;
    type Config = DoomConfig;

    fn new(config: &DoomConfig) -> Result<Self> {
        if config.frame_repeat == 0 || config.stack == 0 {
            let key = if config.stack == 0 { "stack" } else { "frame_repeat" };
            return Err(refuse(key, "must be at least 1".to_owned()));
        }
        if config.exact && config.engine_seed != EngineSeed::Named(FromEpisode::Episode) {
            let message =
                "each engine would begin with the first draw of env.engine_seed: leave that \"episode\"".to_owned();
            return Err(refuse("exact", message));
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
        let target = Size { height: config.height, width: config.width };
        let eye = Eye::new(&settings, &config.observe, target)?;
        let row = vec![0.0; buttons.len()];
        let mut spec = Spec::none();
        actions.describe(&mut spec);
        let episode = Episode {
            discrete: Vec::with_capacity(STEPS * spec.discrete.len()),
            continuous: Vec::with_capacity(STEPS * spec.continuous.len()),
            ..Episode::default()
        };
        let before = Before::default();
        Ok(Self {
            config: config.clone(),
            package,
            settings,
            actions,
            eye,
            game: None,
            before,
            bonus: 0.0,
            episode,
            row,
        })
    }

    fn spec(&self) -> Spec {
        let vector = if self.config.variables { self.settings.available_game_variables.len() } else { 0 };
        let mut spec = Spec { frame: self.eye.shape(), stack: self.config.stack, vector, ..Spec::none() };
        self.actions.describe(&mut spec);
        spec
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        let begun = self.begin(seed);
        self.lost_if(begun)?;
        self.look(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        self.episode.discrete.extend(act.discrete.iter().map(|&value| value as u8));
        self.episode.continuous.extend_from_slice(act.continuous);
        self.episode.steps += 1;
        let played = self.play(act);
        let step = self.lost_if(played)?;
        self.look(&mut obs);
        Ok(step)
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.episode, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let episode: Episode = load_postcard(Self::ID, bytes)?;
        let state = |message: &str| Error::State { part: Self::ID.to_owned(), message: message.to_owned() };
        let mut spec = Spec::none();
        self.actions.describe(&mut spec);
        let (discrete, continuous) = (spec.discrete.len(), spec.continuous.len());
        let steps = episode.steps as usize;
        let lengths = [(steps, discrete, episode.discrete.len()), (steps, continuous, episode.continuous.len())];
        if lengths.iter().any(|&(steps, each, all)| steps.checked_mul(each) != Some(all)) {
            return Err(state("holds another number of actions than of steps"));
        }
        let values: Vec<u32> = episode.discrete.iter().map(|&value| value.into()).collect();
        if values.iter().zip(spec.discrete.iter().cycle()).any(|(value, n)| value >= n) {
            return Err(state("holds an action that there is not"));
        }
        if let EngineSeed::Number(_) = self.config.engine_seed {
            self.game = None;
            for _ in 1..episode.drawn.max(1) {
                let begun = self.begin(episode.seed);
                self.lost_if(begun)?;
            }
        }
        let begun = self.begin(episode.seed);
        self.lost_if(begun)?;
        for step in 0..steps {
            let act = Act {
                discrete: &values[step * discrete..(step + 1) * discrete],
                continuous: &episode.continuous[step * continuous..(step + 1) * continuous],
            };
            let played = self.play(act);
            self.lost_if(played)?;
        }
        self.episode = episode;
        if let Some(game) = &self.game {
            self.eye.see(game);
        }
        Ok(())
    }

    fn assets(&self) -> Vec<(String, String)> {
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

    fn action_names(&self) -> Vec<String> {
        self.actions.names(&self.settings.available_buttons)
    }

    fn bonus(&self) -> f32 {
        self.bonus
    }

    fn facts(&self) -> Vec<(&'static str, Fact)> {
        let Some(game) = &self.game else { return Vec::new() };
        let variables =
            self.settings.available_game_variables.iter().map(|&variable| game.variable(variable)).collect();
        let mut facts = vec![("tic", Fact::Count(game.tic().into())), ("variables", Fact::Numbers(variables))];
        let buffers = [
            ("screen_crc32", Buffer::Screen),
            ("depth_crc32", Buffer::Depth),
            ("labels_crc32", Buffer::Labels),
            ("automap_crc32", Buffer::Automap),
        ];
        for (name, buffer) in buffers.into_iter().filter(|&(_, buffer)| game.buffer_len(buffer) > 0) {
            let mut bytes = vec![0; game.buffer_len(buffer)];
            game.copy(buffer, &mut bytes);
            facts.push((name, Fact::Count(crc32fast::hash(&bytes).into())));
        }
        facts
    }

    fn draw(&self, canvas: &mut Canvas) {
        self.eye.draw(canvas);
    }
}

impl Doom {
    /// The engine, once an episode has begun.
    pub fn game(&self) -> Option<&Game> {
        self.game.as_ref()
    }

    fn begin(&mut self, seed: u64) -> vizdoom::Result<()> {
        self.episode.begin(seed);
        self.bonus = 0.0;
        if self.config.exact {
            self.game = None;
        }
        let mut game = match self.game.take() {
            Some(game) => game,
            None => {
                self.episode.drawn = 0; // a new engine begins with its first draw
                let mut settings = self.settings.clone();
                settings.seed = Some(match self.config.engine_seed {
                    EngineSeed::Number(seed) => seed,
                    EngineSeed::Named(_) => 0, // every episode brings its own
                });
                Game::start(settings, &self.package)?
            }
        };
        let engine_seed = self.config.engine_seed;
        on_core(self.config.pin, &mut game, |game| match engine_seed {
            EngineSeed::Number(_) => game.new_episode(),
            EngineSeed::Named(_) => game.new_episode_of(Rng::episode(seed).u32()),
        })?;
        self.episode.drawn += 1;
        self.before = self.config.shaping.read(&game);
        self.game = Some(game);
        Ok(())
    }

    fn play(&mut self, act: Act<'_>) -> vizdoom::Result<Step> {
        let game = self.game.as_mut().expect("a step follows a reset");
        self.actions.press(act, &mut self.row);
        let from = game.tic();
        let left = match self.config.max_tics {
            0 => self.config.frame_repeat,
            most => self.config.frame_repeat.min((most + game.config().episode_start_time).saturating_sub(from).max(1)),
        };
        let row = &self.row;
        let reward = on_core(self.config.pin, game, |game| game.act(row, left))?;
        let cut = self.config.max_tics > 0 && game.tic() >= self.config.max_tics + game.config().episode_start_time;
        let end = End::of(game.is_ended(), cut || game.is_timed_out());
        let now = self.config.shaping.read(game);
        self.bonus = self.config.shaping.bonus(self.before, now);
        self.before = now;
        // A map that has ended is at tic 0 again.
        let frames = game.tic().checked_sub(from).filter(|&tics| tics > 0).unwrap_or(left);
        Ok(Step { reward: reward as f32, end, frames })
    }

    /// Sees to it that an engine that failed is not asked again.
    fn lost_if<T>(&mut self, done: vizdoom::Result<T>) -> Result<T> {
        done.map_err(|error| {
            self.game = None;
            translated(error)
        })
    }

    fn look(&mut self, obs: &mut Obs<'_>) {
        let game = self.game.as_ref().expect("it has just answered");
        self.eye.look(game, &mut *obs.frame);
        if self.config.variables {
            let variables = &self.settings.available_game_variables;
            obs.vector.iter_mut().zip(variables).for_each(|(to, &variable)| *to = game.variable(variable) as f32);
        }
    }
}

/// Does `work`, where `pin` on the core of this thread.
fn on_core<T>(pin: bool, game: &mut Game, work: impl FnOnce(&mut Game) -> vizdoom::Result<T>) -> vizdoom::Result<T> {
    if pin { game.pinned(work) } else { work(game) }
}

/// The `.cfg`, and what the table changes of it.
fn settings(config: &DoomConfig, package: &Path) -> Result<Config> {
    let path = match config.config.as_str() {
        "" => package.join("vizdoom/scenarios").join(format!("{}.cfg", config.scenario)),
        path => PathBuf::from(path),
    };
    let mut settings = Config::read(&path).map_err(translated)?;
    if config.scenario == "freedoom1" && config.config.is_empty() {
        settings.doom_map = "e1m1".to_owned(); // the file names none, and the default is no map of that game
    }
    if config.skill > 5 {
        return Err(refuse("skill", format!("{} is not from 1 to 5, or 0 for that of the .cfg", config.skill)));
    }
    if config.skill > 0 {
        settings.doom_skill = config.skill;
    }
    if !config.map.is_empty() {
        settings.doom_map = config.map.to_lowercase();
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

fn refuse(key: &str, message: String) -> Error {
    Error::Config { key: format!("env.{key}"), message }
}

/// The engine's errors in the words of the core.
fn translated(error: vizdoom::Error) -> Error {
    let message = error.to_string();
    match error {
        vizdoom::Error::Died { .. } | vizdoom::Error::Silent { .. } => {
            Error::Lost { env: Doom::ID.to_owned(), message }
        }
        vizdoom::Error::Cfg { .. } => refuse("config", message),
        vizdoom::Error::Config { key, message } => refuse("config", format!("{key}: {message}")),
        vizdoom::Error::Missing { .. } | vizdoom::Error::Version { .. } => {
            Error::Asset { name: "vizdoom".to_owned(), message }
        }
        _ => Error::Engine { env: Doom::ID.to_owned(), message },
    }
}
