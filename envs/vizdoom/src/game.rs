//! A game: episodes, actions and what is seen, tic by tic as the original plays it.
//!
//! Source: the cycle of `DoomController` and `DoomGame` of ViZDoom 1.3.2, told in `docs/doom.md`.

mod episode;
mod matches;
mod start;

use rand_mt::Mt;

pub use self::matches::Match;
use crate::Config;
use crate::engine::{Ask, Engine};
use crate::layout::{game, input};
use crate::memory::Region;
use crate::rewards::{Counts, Outcome, reward};
use crate::state::{self, Label, Object, Player, Sector};
use crate::{Button, Result, Variable};

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
    /// The tic that the player has lived to.
    last_tic: u32,
    /// The same, when rewards were last counted.
    counted_tic: u32,
    reward: f64,
    total_reward: f64,
}

impl Game {
    /// Sets buttons, in the order of the configuration; those without a value are released. Binary buttons are pressed by
    /// what is not 0, delta buttons turn or move by so much per tic.
    pub fn press(&mut self, values: &[f64]) {
        for n in 0..self.config.available_buttons.len() {
            let field = input::BT.element(self.config.available_buttons[n].number());
            self.engine.memory_mut().set_input(field, values.get(n).copied().unwrap_or(0.0));
        }
    }

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
            self.engine.ask(if left == 0 { Ask::TicAndUpdate } else { Ask::Tic })?;
            played += 1;
            if left > 0 && self.is_over() {
                self.engine.ask(Ask::Update)?;
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
    pub fn pin(&self, core: usize) -> Result<()> {
        self.engine.pin(core)
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

    /// Value of a button as the engine has it: in the modes for spectators and in demos, what somebody else pressed.
    pub fn button(&self, button: Button) -> f64 {
        self.engine.memory().get_input(input::BT.element(button.number()))
    }

    fn begin(&mut self) {
        self.counted_tic = 0;
        self.count();
        (self.reward, self.total_reward) = (0.0, 0.0);
    }

    /// Counts what has been earned since it was last counted.
    fn count(&mut self) {
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

    fn release_buttons(&mut self) {
        self.engine.memory_mut().set_input(input::BT, [0.0; 43]);
    }

    fn forbid_all_buttons(&mut self) {
        let memory = self.engine.memory_mut();
        memory.set_input(input::BT, [0.0; 43]);
        memory.set_input(input::BT_AVAILABLE, [0; 43]);
        memory.set_input(input::BT_MAX_VALUE, self.config.button_max_values);
    }

    fn allow(&mut self, button: Button) {
        self.engine.memory_mut().set_input(input::BT_AVAILABLE.element(button.number()), 1);
    }

    /// Lets the buttons with an amount go so many times as far.
    fn scale_deltas(&mut self, by: f64) {
        let most = self.config.button_max_values.map(|most| most * by);
        self.engine.memory_mut().set_input(input::BT_MAX_VALUE, most);
    }

    fn mean_deltas(&mut self, tics: f64) {
        for button in Button::ALL.iter().filter(|button| button.is_delta()) {
            let field = input::BT.element(button.number());
            let sum = self.engine.memory().get_input(field);
            self.engine.memory_mut().set_input(field, sum / tics);
        }
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
