//! A game: episodes, actions and what is seen, tic by tic as the original plays it.
//!
//! Source: the cycle of `DoomController` and `DoomGame` of ViZDoom 1.3.2, told in `docs/doom.md`.

mod buttons;
mod episode;
mod matches;
mod saves;
mod start;
mod sway;

use std::time::Duration;

use rand_mt::Mt;

pub use self::matches::Match;
use self::sway::Sway;
use crate::Config;
use crate::engine::{Ask, Engine};
use crate::layout::game;
use crate::memory::Region;
use crate::pin;
use crate::rewards::{Counts, Outcome, reward};
use crate::state::{self, Label, Object, Player, Sector};
use crate::{Result, Variable};

/// How long the end of a demo may take when a game is dropped.
const LAST: Duration = Duration::from_secs(5);

/// A pixel buffer of ViZDoom, of the size of [`Config::screen_resolution`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// Screen buffer: the view of the player, in [`Config::screen_format`].
    Screen,
    /// Depth buffer: the distance of each pixel, one byte per pixel.
    Depth,
    /// Labels buffer: the [`Label::value`] of the object at each pixel, one byte per pixel.
    Labels,
    /// Automap buffer: the map from above, in [`Config::screen_format`].
    Automap,
}

impl From<Buffer> for Region {
    fn from(buffer: Buffer) -> Self {
        match buffer {
            Buffer::Screen => Region::Screen,
            Buffer::Depth => Region::Depth,
            Buffer::Labels => Region::Labels,
            Buffer::Automap => Region::Automap,
        }
    }
}

/// A running engine with one player, as `DoomGame` of ViZDoom's Python interface.
#[derive(Debug)]
pub struct Game {
    engine: Engine,
    config: Config,
    /// Generator of seeds: one draw for the start of the engine, and one for each episode.
    seeds: Mt,
    counts: Counts,
    sway: Sway,
    /// Last tic that the player has lived through.
    last_tic: u32,
    /// Value of `last_tic` when rewards were last counted.
    counted_tic: u32,
    reward: f64,
    total_reward: f64,
    /// Button values that were given to `press`; `action` are those of the last action, whoever pressed them.
    given: Vec<f64>,
    action: Vec<f64>,
    /// Whether the last action of this episode gave a value to a delta button that moves the player.
    pushed: bool,
}

impl Game {
    /// Plays `tics` tics with the buttons as they are, or until the episode is over, and returns the reward of these
    /// tics. If `tics` is 0 or the episode is over already, plays nothing and returns the last reward.
    ///
    /// # Errors
    /// If the engine dies.
    pub fn advance(&mut self, tics: u32) -> Result<f64> {
        if tics == 0 || self.is_over() {
            return Ok(self.reward);
        }
        let human = self.config.mode.is_spectator() && !self.config.mode.is_async();
        if human {
            self.scale_deltas(f64::from(tics)); // a mouse may have moved in each of them
        }
        let mut played = 0;
        for left in (0..tics).rev() {
            self.last_tic = self.tic() + 1;
            self.ask(if left == 0 { Ask::TicAndUpdate } else { Ask::Tic })?;
            played += 1;
            if left > 0 && self.is_over() {
                self.ask(Ask::Update)?;
                break;
            }
        }
        if human {
            self.scale_deltas(1.0);
            self.mean_deltas(f64::from(played));
        }
        self.count();
        Ok(self.reward)
    }

    /// Calls [`press`](Self::press) with `values`, then [`advance`](Self::advance), as `make_action` of Python does.
    ///
    /// # Errors
    /// If the engine dies.
    pub fn act(&mut self, values: &[f64], tics: u32) -> Result<f64> {
        self.press(values);
        self.advance(tics)
    }

    /// Sends a command of at most 127 bytes to the engine's console, which executes it before the next tic.
    ///
    /// # Errors
    /// If the command is too long or holds a zero byte, or the engine is dead.
    pub fn command(&mut self, command: &str) -> Result<()> {
        self.engine.command(command)
    }

    /// Pins the engine's process to the CPU core `core`.
    ///
    /// # Errors
    /// If there is no such core, or this process may not use it.
    pub fn pin(&mut self, core: usize) -> Result<()> {
        self.engine.pin(core)
    }

    /// Runs `work` with this thread and the engine pinned to one core, which saves the waking of another core. Each
    /// calling thread keeps a core of its own as long as there are enough; after `work` the thread, but not the engine,
    /// is free to move again. Pinning does not change what is played.
    ///
    /// # Errors
    /// If `work` fails, or the operating system refuses to pin the thread or the engine.
    pub fn pinned<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        pin::pinned(|core| {
            self.engine.pin(core)?;
            work(self)
        })
    }

    /// Sets how long an answer of the engine is waited for: 60 s where nobody says. An engine that takes longer is ended,
    /// and whatever asked it fails with [`Error::Silent`](crate::Error::Silent).
    pub fn set_patience(&mut self, patience: Duration) {
        self.engine.set_patience(patience);
    }

    /// Returns the process id of the engine.
    pub fn process(&self) -> u32 {
        self.engine.id()
    }

    /// Returns the configuration with which the game was started, with the bounds that delta buttons have now.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the present tic of the episode; the first is 1.
    pub fn tic(&self) -> u32 {
        self.engine.memory().get(game::MAP_TIC)
    }

    /// Whether the episode is over, terminated ([`is_ended`](Self::is_ended)) or truncated
    /// ([`is_timed_out`](Self::is_timed_out)).
    pub fn is_over(&self) -> bool {
        self.is_ended() || self.is_timed_out()
    }

    /// Whether the player is dead.
    pub fn is_dead(&self) -> bool {
        self.flag(game::PLAYER_DEAD)
    }

    /// Whether the episode has terminated: by the player's death, except in multiplayer, or by the end of the map.
    pub fn is_ended(&self) -> bool {
        (!self.flag(game::GAME_MULTIPLAYER) && self.is_dead()) || self.flag(game::MAP_END)
    }

    /// Whether the episode is truncated by a time limit, that of [`Config::episode_timeout`] or that of the map.
    pub fn is_timed_out(&self) -> bool {
        let (tic, timeout) = (self.tic(), self.config.episode_timeout);
        let limit = self.engine.memory().get(game::MAP_TICLIMIT);
        let start = self.config.episode_start_time.max(1);
        (timeout > 0 && tic >= timeout.saturating_add(start)) || (limit > 0 && tic >= limit)
    }

    /// Returns the reward of the last action.
    pub fn reward(&self) -> f64 {
        self.reward
    }

    /// Returns the sum of rewards in this episode so far.
    pub fn total_reward(&self) -> f64 {
        self.total_reward
    }

    /// Returns the value of a game variable, whether the configuration lists it or not.
    pub fn variable(&self, variable: Variable) -> f64 {
        state::variable(self.engine.memory(), variable)
    }

    /// Returns the number of bytes of a buffer; 0 where the configuration does not enable it.
    pub fn buffer_len(&self, buffer: Buffer) -> usize {
        self.engine.memory().len(buffer.into())
    }

    /// Copies the content of a buffer after the last action into `out`, with rows from the top.
    ///
    /// # Panics
    /// If `out` is not as long as [`buffer_len`](Self::buffer_len) says.
    pub fn copy(&self, buffer: Buffer, out: &mut [u8]) {
        self.engine.memory().copy(buffer.into(), out);
    }

    /// Copies the sound of the last [`Audio::tics`](crate::Audio::tics) tics into `out`: 16-bit samples, left and right
    /// in turn; empty where the configuration does not enable audio.
    pub fn audio(&self, out: &mut Vec<i16>) {
        out.resize(self.engine.memory().len(Region::Audio) / 2, 0);
        self.engine.memory().copy(Region::Audio, bytemuck::cast_slice_mut(out));
    }

    /// Lists the objects on the screen; empty unless [`Config::labels_buffer_enabled`].
    pub fn labels(&self) -> Vec<Label> {
        state::labels(self.engine.memory())
    }

    /// Lists all objects of the map; empty unless [`Config::objects_info_enabled`].
    pub fn objects(&self) -> Vec<Object> {
        state::objects(self.engine.memory())
    }

    /// Lists all sectors of the map with their walls; empty unless [`Config::sectors_info_enabled`].
    pub fn sectors(&self) -> Vec<Sector> {
        state::sectors(self.engine.memory())
    }

    /// Returns the messages to the player in the last tics; empty unless [`Config::notifications`] are enabled.
    pub fn notifications(&self) -> String {
        state::notifications(self.engine.memory())
    }

    /// Lists the players of the game by their number, from 0 to 15; `None` where a number is not taken.
    pub fn players(&self) -> Vec<Option<Player>> {
        state::players(self.engine.memory())
    }

    /// Returns the number of this player in a multiplayer game; that of the host is 0.
    pub fn number(&self) -> u32 {
        self.engine.memory().get(game::PLAYER_NUMBER)
    }

    /// Sends a request to the engine, waits for the answer, and follows the sway of the weapon where a picture was
    /// drawn.
    fn ask(&mut self, what: Ask) -> Result<()> {
        self.engine.ask(what)?;
        if what != Ask::Tic {
            // An amount moves as far as it says, and a wall may have stopped it in the same tic.
            self.sway.drawn(if self.pushed { f64::INFINITY } else { self.speed() });
        }
        Ok(())
    }

    /// Returns the square of the player's speed over the ground, in map units per tic.
    fn speed(&self) -> f64 {
        [Variable::VelocityX, Variable::VelocityY].map(|part| self.variable(part)).iter().map(|part| part * part).sum()
    }

    fn begin(&mut self) {
        self.counted_tic = 0;
        self.count();
        (self.reward, self.total_reward) = (0.0, 0.0);
    }

    /// Computes the reward since the last count, adds it to the total, and notes the last action.
    fn count(&mut self) {
        self.note_action();
        let now = Counts::read(self.engine.memory());
        let outcome = match (self.is_dead(), self.is_ended()) {
            (true, _) => Outcome::Dead,
            (false, true) => Outcome::Left,
            (false, false) => Outcome::GoesOn,
        };
        let tics = self.last_tic.saturating_sub(self.counted_tic);
        self.reward = reward(&self.config.rewards, &self.counts, &now, tics, outcome);
        self.total_reward += self.reward;
        self.counts = now;
        self.counted_tic = if self.config.mode.is_async() { self.tic() } else { self.last_tic };
    }

    fn flag(&self, field: crate::layout::Field<u8>) -> bool {
        self.engine.memory().flag(field)
    }
}

impl Drop for Game {
    /// A demo is whole once the engine has been told to stop recording.
    fn drop(&mut self) {
        if self.flag(game::DEMO_RECORDING) {
            self.engine.set_patience(self.engine.patience().min(LAST));
            let _ = self.engine.command("stop").and_then(|()| self.engine.ask(Ask::Tic));
        }
    }
}
