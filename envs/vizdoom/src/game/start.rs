//! How a game is started: the engine's files and arguments, and the tics before a first episode.

use std::path::{Path, PathBuf};

use rand_mt::Mt;

use super::Game;
use super::sway::Sway;
use crate::args::{args, from_root, missing};
use crate::engine::{Ask, Engine};
use crate::layout::game;
use crate::rewards::Counts;
use crate::{Config, Error, Result};

impl Game {
    /// Starts the engine of the package that is unpacked at `package` (the folder with `vizdoom/` and `vizdoom.libs/`)
    /// and its first episode.
    ///
    /// # Errors
    /// If a file is missing, the map does not begin, audio is enabled but cannot be opened, or the engine is of another
    /// version, refuses its arguments or dies.
    pub fn start(config: Config, package: &Path) -> Result<Self> {
        let mut seeds = seeds(&config);
        let (program, args) = order(&config, package, seeds.next_u32())?;
        let mut this = Self::on(Engine::start(&program, args)?, config, seeds);
        this.until_start_time()?;
        this.engine.ask(Ask::Update)?; // of a player who has not moved: the weapon does not sway yet
        this.take_over()?;
        Ok(this)
    }

    /// Makes a game of an engine that has answered, before its first episode.
    pub(super) fn on(engine: Engine, config: Config, seeds: Mt) -> Self {
        let buttons = config.available_buttons.len();
        Self {
            engine,
            config,
            seeds,
            counts: Counts::default(),
            sway: Sway::default(),
            last_tic: 0,
            counted_tic: 0,
            reward: 0.0,
            total_reward: 0.0,
            given: vec![0.0; buttons],
            action: vec![0.0; buttons],
            pushed: false,
        }
    }

    /// Hands the first episode to the agent: allows the configured buttons and starts to count rewards.
    ///
    /// # Errors
    /// If audio is enabled but could not be opened.
    pub(super) fn take_over(&mut self) -> Result<()> {
        // Without its library the engine says that it has sound, and tells silence.
        if self.config.audio.enabled && !(self.flag(game::OPENAL_SOUND) && self.engine.has_loaded("libopenal")) {
            let message = "no sound could be opened: on Debian, apt install libopenal1".to_owned();
            return Err(Error::Config { key: "audio_buffer_enabled", message });
        }
        self.last_tic = self.tic();
        self.forbid_all_buttons();
        for n in 0..self.config.available_buttons.len() {
            self.allow(self.config.available_buttons[n]);
        }
        self.begin();
        Ok(())
    }
}

/// The generator of a game's seeds.
pub(super) fn seeds(config: &Config) -> Mt {
    Mt::new(config.seed.unwrap_or_else(drawn))
}

/// The engine of the package, and its arguments.
pub(super) fn order(config: &Config, package: &Path, seed: u32) -> Result<(PathBuf, Vec<String>)> {
    let folder = package.join("vizdoom");
    let program = config.vizdoom_path.clone().unwrap_or_else(|| folder.join("vizdoom"));
    if !program.is_file() {
        return Err(missing("the engine", &program));
    }
    let args = args(config, &config.iwad(package)?, seed)?;
    Ok((from_root(&program)?, args))
}

impl Config {
    /// Returns the path of the game's data (IWAD) that an engine of the package at `package` plays from: the file that
    /// [`doom_game_path`](Self::doom_game_path) names, or one of that name beside the engine; Freedoom 2 where it names
    /// none.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn iwad(&self, package: &Path) -> Result<PathBuf> {
        let folder = package.join("vizdoom");
        let Some(path) = &self.doom_game_path else { return Ok(folder.join("freedoom2.wad")) };
        let beside = path.file_name().map(|name| folder.join(name));
        [Some(path.clone()), beside]
            .into_iter()
            .flatten()
            .find(|path| path.is_file())
            .ok_or_else(|| missing("the game's data", path))
    }
}

/// A seed that nobody has chosen.
fn drawn() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_and_its_data_are_named_from_the_root() {
        let here = std::env::current_dir().unwrap();
        let config = Config {
            vizdoom_path: Some("src/lib.rs".into()), // any file that is here
            doom_game_path: Some("Cargo.toml".into()),
            ..Config::default()
        };
        let (program, args) = order(&config, "nowhere".as_ref(), 0).unwrap();
        assert_eq!(program, here.join("src/lib.rs"));
        assert_eq!(args[..2], ["-iwad", here.join("Cargo.toml").to_str().unwrap()]);
    }
}
