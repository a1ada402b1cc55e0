//! A game: episodes, actions and what is seen, tic by tic as the original plays it.
//!
//! Source: the cycle of `DoomController` and `DoomGame` of ViZDoom 1.3.2, told in `docs/doom.md`.

mod buttons;
mod episode;
mod matches;
mod start;
mod sway;

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

/// A buffer of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// What the player sees, in the format of the configuration.
    Screen,
    /// How far it is away, one byte per pixel.
    Depth,
    /// Which thing is seen, one byte per pixel.
    Labels,
    /// The map, in the format of the screen.
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

/// A running game, as one player sees it.
#[derive(Debug)]
pub struct Game {
    engine: Engine,
    config: Config,
    /// One draw for the start of the engine, and one for each episode.
    seeds: Mt,
    counts: Counts,
    sway: Sway,
    /// The tic that the player has lived to.
    last_tic: u32,
    /// The same, when rewards were last counted.
    counted_tic: u32,
    reward: f64,
    total_reward: f64,
    /// Values that buttons were given, and those of the last action: whoever plays gives them.
    given: Vec<f64>,
    action: Vec<f64>,
    /// Whether one that moves the player by an amount was given in this episode's last action.
    pushed: bool,
}

impl Game {
    /// Plays so many tics with the buttons as they are, or until the episode is over, and returns what they were worth.
    /// Nothing happens, and nothing is earned again, in an episode that is over.
    ///
    /// # Errors
    /// If the engine dies.
    pub fn advance(&mut self, tics: u32) -> Result<f64> {
        if self.is_over() {
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
        if tics > 0 {
            self.count();
        }
        Ok(self.reward)
    }

    /// [`press`](Self::press), then [`advance`](Self::advance).
    ///
    /// # Errors
    /// If the engine dies.
    pub fn act(&mut self, values: &[f64], tics: u32) -> Result<f64> {
        self.press(values);
        self.advance(tics)
    }

    /// Gives a command of the engine's console, at most 127 bytes, which it obeys before the next tic.
    ///
    /// # Errors
    /// If it is too long, or the engine is no more.
    pub fn command(&mut self, command: &str) -> Result<()> {
        self.engine.command(command)
    }

    /// Lets the engine run on this core alone.
    ///
    /// # Errors
    /// If this process may not use the core.
    pub fn pin(&mut self, core: usize) -> Result<()> {
        self.engine.pin(core)
    }

    /// Does `work` with this thread and the engine on one core, which is the thread's own for as long as there are cores for
    /// all threads that ask; afterwards the thread may go where it likes. It decides no bit.
    ///
    /// # Errors
    /// That of `work`, or if the system lets neither be pinned.
    pub fn pinned<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        pin::pinned(|core| {
            self.engine.pin(core)?;
            work(self)
        })
    }

    /// Number of the engine's process.
    pub fn process(&self) -> u32 {
        self.engine.id()
    }

    /// What the game was started with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tic of the episode; the first is 1.
    pub fn tic(&self) -> u32 {
        self.engine.memory().get(game::MAP_TIC)
    }

    /// Whether the episode is over, by death, the end of the map or the limit of time.
    pub fn is_over(&self) -> bool {
        self.is_ended() || self.is_timed_out()
    }

    /// Whether the player is dead.
    pub fn is_dead(&self) -> bool {
        self.flag(game::PLAYER_DEAD)
    }

    /// Whether the episode has come to its own end: by a death, unless several play, or the end of the map.
    pub fn is_ended(&self) -> bool {
        (!self.flag(game::GAME_MULTIPLAYER) && self.is_dead()) || self.flag(game::MAP_END)
    }

    /// Whether a limit of time is reached, the configuration's or the map's.
    pub fn is_timed_out(&self) -> bool {
        let (tic, timeout) = (self.tic(), self.config.episode_timeout);
        let limit = self.engine.memory().get(game::MAP_TICLIMIT);
        let start = self.config.episode_start_time.max(1);
        (timeout > 0 && tic >= timeout.saturating_add(start)) || (limit > 0 && tic >= limit)
    }

    /// What the last action was worth.
    pub fn reward(&self) -> f64 {
        self.reward
    }

    /// What the episode has been worth so far.
    pub fn total_reward(&self) -> f64 {
        self.total_reward
    }

    /// The value of a variable, listed in the configuration or not.
    pub fn variable(&self, variable: Variable) -> f64 {
        state::variable(self.engine.memory(), variable)
    }

    /// Bytes of a buffer; 0 where it is off.
    pub fn buffer_len(&self, buffer: Buffer) -> usize {
        self.engine.memory().len(buffer.into())
    }

    /// Copies a buffer, rows from the top, as it was when the last action was done.
    ///
    /// # Panics
    /// If `out` is not as long as [`buffer_len`](Self::buffer_len) says.
    pub fn copy(&self, buffer: Buffer, out: &mut [u8]) {
        self.engine.memory().copy(buffer.into(), out);
    }

    /// Copies what was heard in the last tics, 16-bit samples of left and right in turns; empty where the buffer is off.
    pub fn audio(&self, out: &mut Vec<i16>) {
        out.resize(self.engine.memory().len(Region::Audio) / 2, 0);
        self.engine.memory().copy(Region::Audio, bytemuck::cast_slice_mut(out));
    }

    /// What is on the screen, where the buffer of labels is on.
    pub fn labels(&self) -> Vec<Label> {
        state::labels(self.engine.memory())
    }

    /// What is in the world, where the configuration asks for objects.
    pub fn objects(&self) -> Vec<Object> {
        state::objects(self.engine.memory())
    }

    /// The floor plan, where the configuration asks for sectors.
    pub fn sectors(&self) -> Vec<Sector> {
        state::sectors(self.engine.memory())
    }

    /// What the game has told the player in the last tics, where that buffer is on.
    pub fn notifications(&self) -> String {
        state::notifications(self.engine.memory())
    }

    /// Who plays, by number; `None` where a number is not taken.
    pub fn players(&self) -> Vec<Option<Player>> {
        state::players(self.engine.memory())
    }

    /// Number of the player in a match; the host's is 0.
    pub fn number(&self) -> u32 {
        self.engine.memory().get(game::PLAYER_NUMBER)
    }

    /// Lets the engine work, and counts what it draws.
    fn ask(&mut self, what: Ask) -> Result<()> {
        self.engine.ask(what)?;
        if what != Ask::Tic {
            // An amount moves as far as it says, and a wall may have stopped it in the same tic.
            self.sway.drawn(if self.pushed { f64::INFINITY } else { self.speed() });
        }
        Ok(())
    }

    /// The player's speed over the ground, squared, in units of the map per tic.
    fn speed(&self) -> f64 {
        [Variable::VelocityX, Variable::VelocityY].map(|part| self.variable(part)).iter().map(|part| part * part).sum()
    }

    fn begin(&mut self) {
        self.counted_tic = 0;
        self.count();
        (self.reward, self.total_reward) = (0.0, 0.0);
    }

    /// Counts what has been earned since it was last counted, and notes what was done.
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
            let _ = self.engine.command("stop").and_then(|()| self.engine.ask(Ask::Tic));
        }
    }
}
