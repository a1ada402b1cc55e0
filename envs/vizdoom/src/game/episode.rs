//! How episodes begin: on a map, from a demo, or where a dead player comes back.

use std::path::Path;

use super::Game;
use super::buttons::Hold;
use super::sway::WIDEST;
use crate::args::{from_root, missing};
use crate::engine::{Ask, Engine};
use crate::layout::game;
use crate::{Error, MapName, Result, Variable};

/// Number of tics after which the command that begins an episode is repeated, since the engine may not have obeyed it.
const AGAIN: u32 = 4;
/// Tics after which a map that has not begun is taken for one that the game does not have: ten seconds of play.
pub(super) const NEVER: u32 = 350;
/// Tics after which a dead player is taken for one that never comes back: five minutes, for `viz_respawn_delay` is anybody's.
const GONE: u32 = 10_500;

impl Game {
    /// Begins the next episode with the next draw of the generator of seeds, as `new_episode` of Python does.
    ///
    /// # Errors
    /// If the engine dies.
    pub fn new_episode(&mut self) -> Result<()> {
        let seed = self.seeds.next_u32();
        self.episode(seed, None)
    }

    /// Begins an episode with the given engine seed. The same seed and actions give the same episode to the pixel,
    /// whatever the engine has played before, which Python's episodes and those of [`new_episode`](Self::new_episode)
    /// do not.
    ///
    /// # Errors
    /// If the engine dies.
    pub fn new_episode_of(&mut self, seed: u32) -> Result<()> {
        let pictures = self.sway.pictures();
        self.episode(seed, None)?;
        // One who moves from the beginning sways by it, from wherever it was.
        let pictures = if self.speed() > 0.0 { WIDEST } else { pictures };
        if pictures == 0 || !self.config.render.weapon {
            return Ok(());
        }
        if self.is_armed() {
            return self.redraw(pictures);
        }
        // No hand, no sway: it comes to rest in the tic after, and the map begins once more.
        self.ask(Ask::TicAndUpdate)?;
        self.redraw(pictures)?;
        self.last_tic = self.tic();
        self.episode(seed, None)
    }

    /// Begins the next episode and records it as a demo at `path`; the file is complete once the following episode
    /// begins or the game is dropped.
    ///
    /// # Errors
    /// If the engine dies, or the path is too long for a command of its console.
    pub fn record_episode(&mut self, path: &Path) -> Result<()> {
        let seed = self.seeds.next_u32();
        self.episode(seed, Some(path))
    }

    /// Begins to replay a demo, from the view of `player` (the first is 1; 0 is the player who recorded it). Actions
    /// have no effect until another episode begins.
    ///
    /// # Errors
    /// If the engine dies, or cannot read the file.
    pub fn replay_episode(&mut self, path: &Path, player: u32) -> Result<()> {
        self.stop_recording()?;
        if !path.is_file() {
            return Err(missing("the demo", path));
        }
        let map = format!("map {}", self.config.doom_map);
        self.engine.command(&map)?; // leaves a demo that is being played
        self.engine.ask(Ask::Tic)?;
        let play = format!("playdemo {}", quoted(path)?);
        self.engine.command(&play)?;
        self.until_it_begins(|engine| engine.command(&play))?;
        self.engine.command(&format!("viz_override_player {player}"))?;
        self.settle()
    }

    /// Respawns the player of a multiplayer game if it is dead; in a single-player game, begins a new episode.
    ///
    /// # Errors
    /// If the engine dies.
    pub fn respawn(&mut self) -> Result<()> {
        if !self.flag(game::GAME_MULTIPLAYER) {
            return self.new_episode();
        }
        if self.is_dead() && !self.is_over() {
            let mut hold = Hold::default();
            let lives = self.use_until_alive(&mut hold);
            // Also where the map has ended meanwhile, or the player may not come back.
            self.release_use(&mut hold)?;
            self.ask(Ask::Update)?;
            self.restore_use(hold);
            if !lives? {
                return Ok(());
            }
            self.last_tic = self.tic();
        }
        self.count();
        self.reward = 0.0;
        Ok(())
    }

    /// Holds USE until the dead player lives, and returns whether it does: its map may end before.
    fn use_until_alive(&mut self, hold: &mut Hold) -> Result<bool> {
        let mut tics = 0;
        while self.is_dead() && !self.is_over() {
            tics = come_back(tics)?;
            self.hold_use(hold)?;
            self.engine.ask(Ask::Tic)?;
        }
        Ok(!self.is_over())
    }

    fn episode(&mut self, seed: u32, demo: Option<&Path>) -> Result<()> {
        self.stop_recording()?;
        self.engine.forget_output();
        let map = &self.config.doom_map;
        let begin = match demo {
            Some(path) => format!("recordmap {} {map}", quoted(path)?),
            None => format!("map {map}"),
        };
        let mut hold = Hold::default();
        if self.flag(game::GAME_MULTIPLAYER) {
            self.engine.command(&format!("rngseed set {seed}"))?;
            if self.flag(game::GAME_SETTINGS_CONTROLLER) {
                let change = format!("changemap {}", self.config.doom_map);
                self.engine.command(&change)?;
            }
            hold = self.join_next_map()?;
        } else {
            self.engine.command(&format!("viz_set_seed {seed}"))?;
            self.engine.command(&begin)?;
            self.until_it_begins(|engine| engine.command(&begin))?;
        }
        self.engine.command("viz_override_player 0")?;
        self.settle()?;
        self.restore_use(hold);
        Ok(())
    }

    /// Plays until the map has changed under all players; one that is dead presses USE to come back. Returns how USE is
    /// to be [restored](Self::restore_use).
    fn join_next_map(&mut self) -> Result<Hold> {
        self.release_buttons();
        let mut hold = self.take_use();
        self.release_use(&mut hold)?;
        for tic in 1.. {
            if tic % 2 == 1 {
                self.hold_use(&mut hold)?;
            } else {
                self.release_use(&mut hold)?;
            }
            self.engine.ask(Ask::Tic)?;
            if self.has_begun() {
                break;
            }
            if tic >= NEVER {
                return Err(no_map(&self.config.doom_map));
            }
        }
        self.release_use(&mut hold)?;
        self.until_start_time()?;
        Ok(hold)
    }

    fn until_it_begins(&mut self, again: impl Fn(&mut Engine) -> Result<()>) -> Result<()> {
        self.release_buttons();
        for tic in 1.. {
            self.engine.ask(Ask::Tic)?;
            if tic % AGAIN == 0 {
                again(&mut self.engine)?;
            }
            if self.has_begun() {
                break;
            }
            if tic >= NEVER {
                return Err(no_map(&self.config.doom_map));
            }
        }
        self.until_start_time()
    }

    pub(super) fn has_begun(&self) -> bool {
        !self.flag(game::MAP_END) && self.tic() <= self.last_tic
    }

    /// Plays to the tic at which the agent takes over,
    /// [`Config::episode_start_time`](crate::Config::episode_start_time).
    pub(super) fn until_start_time(&mut self) -> Result<()> {
        let start = self.config.episode_start_time.max(1);
        for _ in 0..start.saturating_add(NEVER) {
            if self.tic() >= start {
                return Ok(());
            }
            self.engine.ask(Ask::Tic)?;
        }
        Err(no_map(&self.config.doom_map)) // it was left before that, again and again
    }

    /// Has the first picture drawn, and counts from there.
    fn settle(&mut self) -> Result<()> {
        self.ask(Ask::Update)?;
        self.last_tic = self.tic();
        self.begin();
        Ok(())
    }

    /// Has the present picture drawn `pictures` times, until the weapon has stopped swaying; see [`super::sway`].
    fn redraw(&mut self, pictures: u32) -> Result<()> {
        (0..pictures).try_for_each(|_| self.ask(Ask::Update))
    }

    /// Whether the player has a weapon in hand: not in the first tic of a map.
    fn is_armed(&self) -> bool {
        self.variable(Variable::SelectedWeapon) >= 0.0
    }

    fn stop_recording(&mut self) -> Result<()> {
        if self.flag(game::DEMO_RECORDING) { self.engine.command("stop") } else { Ok(()) }
    }
}

/// The error of a map that does not begin.
pub(super) fn no_map(map: &MapName) -> Error {
    Error::Config { key: "doom_map", message: format!("{map} does not begin: is it a map of this game?") }
}

/// Counts a tic of waiting for the dead, of which `tics` have passed.
///
/// # Errors
/// If that is longer than any rule of a game has them wait.
pub(super) fn come_back(tics: u32) -> Result<u32> {
    if tics < GONE {
        return Ok(tics + 1);
    }
    let message =
        format!("a dead player has not come back for {GONE} tics: do +sv_norespawn or +viz_respawn_delay forbid it?");
    Err(Error::Config { key: "game_args", message })
}

/// A path as a word of the engine's console, from the root.
pub(super) fn quoted(path: &Path) -> Result<String> {
    Ok(format!("\"{}\"", from_root(path)?.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demos_and_saved_games_are_named_from_the_root() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(quoted("a b.lmp".as_ref()).unwrap(), format!("\"{}/a b.lmp\"", here.display()));
        assert_eq!(quoted("/tmp/b.lmp".as_ref()).unwrap(), "\"/tmp/b.lmp\"");
    }
}
