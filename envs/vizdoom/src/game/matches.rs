//! A match: several players of one world, an engine each, over loopback.
//!
//! Each engine plays a tic when it has the commands of all players for it. A guest keeps one command in hand: what it is
//! given at a tic is played in the next. Once all guests are so far ahead, an engine that is asked needs nobody who has not
//! been asked, if the host comes first: one after the other answers, nobody waits for a packet, and no bit depends on how
//! long anything takes. Engines find this step in the first tics of a match, which nobody's action is part of.
//!
//! Source: ViZDoom 1.3.2, `d_net.cpp`; and for what is played in lockstep, `DoomController`.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Game;
use super::buttons::Hold;
use super::episode::{NEVER, come_back, no_map};
use super::start::{order, seeds};
use crate::engine::{Ask, Engine, Starting};
use crate::layout::{MAX_PLAYERS, game};
use crate::{Config, Error, Result, port};

/// Most players of the engine.
const MOST: usize = MAX_PLAYERS;
/// How long an engine is waited for before the next is asked, while they may not be in step.
const LEAD: Duration = Duration::from_millis(50);
/// How long an engine is waited for before the next is asked, once they are in step: it depends on the machine's load
/// alone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one of several is waited for at a time, so that another's death is noticed.
const TURN: Duration = Duration::from_millis(5);
/// Rounds in which each engine answered before the next was asked, after which they are in step.
const IN_STEP: u32 = 16;
/// Tic with which a match begins at the earliest.
const EARLIEST: u32 = 40;
/// Arguments of the engine by which a match would find others, or tics would pass, in another way than it sets itself.
const OWN: [&str; 9] =
    ["-dup", "-extratic", "-host", "-join", "-netmode", "-port", "+net_extratic", "+net_ticbalance", "+viz_async"];
/// Starts of a match that may fail because a port was taken meanwhile, or engines did not find their step.
const STARTS: u32 = 4;

/// A running multiplayer game on this machine, with one engine per player, all of which play in lockstep.
#[derive(Debug)]
pub struct Match {
    players: Vec<Game>,
    /// Whether an engine has died, after which all were ended.
    lost: bool,
}

impl Match {
    /// Largest number of players of a match.
    pub const MOST: usize = MOST;

    /// Starts a match and its first episode: `players` engines of the package that is unpacked at `package`, of which
    /// the first is the host. The episode begins at tic 40 or later. `config.game_args` decides the rules, such as
    /// `-deathmatch +timelimit 2`; where settings of guests differ, those of the host apply. The engine seed is the
    /// first draw of the generator that `config.seed` seeds.
    ///
    /// # Errors
    /// If [`check`](Self::check) refuses the settings, a file is missing, or an engine refuses its arguments or dies.
    pub fn start(config: &Config, players: usize, package: &Path) -> Result<Self> {
        let seed = seeds(config).next_u32();
        Self::start_of(config, players, seed, package)
    }

    /// Starts a match as [`start`](Self::start) does, with `seed` as the engine seed.
    ///
    /// # Errors
    /// In the cases in which [`start`](Self::start) fails.
    pub fn start_of(config: &Config, players: usize, seed: u32, package: &Path) -> Result<Self> {
        Self::check(config, players)?;
        for _ in 0..STARTS {
            if let Some(this) = Self::try_start(config, players, seed, package)? {
                return Ok(this);
            }
        }
        let message = format!("{STARTS} times its port was taken, or its engines did not find their step");
        Err(Error::Engine { message })
    }

    /// Checks whether `config` can be played by `players` players; no engine is started.
    ///
    /// # Errors
    /// If `players` is not from 2 to [`MOST`](Self::MOST), the mode is not `PLAYER`, or `game_args` would change how the
    /// engines find each other and play in lockstep.
    pub fn check(config: &Config, players: usize) -> Result<()> {
        if !(2..=MOST).contains(&players) {
            let message = format!("{players} players: a match has 2 to {MOST}");
            return Err(Error::Config { key: "players", message });
        }
        if config.mode.is_async() || config.mode.is_spectator() {
            let message = format!("{} does not wait for others: a match is of mode PLAYER", config.mode.name());
            return Err(Error::Config { key: "mode", message });
        }
        if let Some(word) = config.game_args.iter().find(|word| OWN.contains(&word.to_ascii_lowercase().as_str())) {
            let message = format!("{word}: a match sets its network and the pace of its tics itself: take it out");
            return Err(Error::Config { key: "game_args", message });
        }
        Ok(())
    }

    /// `None` where another try may succeed.
    fn try_start(config: &Config, players: usize, seed: u32, package: &Path) -> Result<Option<Self>> {
        let port = port::free()?;
        let order = |number: usize| {
            let mut config = config.clone();
            let words = match number {
                0 => format!("-host {players} -port {port} -netmode 0"),
                _ => format!("-join 127.0.0.1:{port}"),
            };
            config.game_args.extend(words.split(' ').map(str::to_owned));
            order(&config, package, seed)
        };
        let (program, args) = order(0)?;
        let mut host = Starting::new(&program, args)?;
        // Guests join who listens there: that is the host, or nobody.
        while !port::is_held_by(host.id(), port) {
            match host.answers_within(TURN) {
                Err(Error::Died { message } | Error::Engine { message }) if message.contains("BindToPort") => {
                    return Ok(None);
                }
                answered => answered?,
            };
        }
        let mut starting = vec![host];
        for number in 1..players {
            let (program, args) = order(number)?;
            starting.push(Starting::new(&program, args)?);
        }
        let mut silent: Vec<usize> = (0..players).collect();
        while !silent.is_empty() {
            let mut left = Vec::new();
            for n in silent {
                if !starting[n].answers_within(TURN)? {
                    left.push(n);
                }
            }
            silent = left;
        }
        let engines = starting.into_iter().map(Starting::ready).collect::<Result<Vec<Engine>>>()?;
        let game = |engine| Game::on(engine, config.clone(), seeds(config));
        let mut this = Self { players: engines.into_iter().map(game).collect(), lost: false };
        // Guests connect in the order in which they come: players are sorted by the number that the host gave them.
        this.players.sort_by_key(Game::number);
        let start = config.episode_start_time.max(EARLIEST);
        let (mut rounds, mut waited) = (0, 0);
        while this.players[0].tic() < start {
            if waited >= start.saturating_add(NEVER) {
                return Err(no_map(&config.doom_map)); // it was left before that, again and again
            }
            waited += 1;
            rounds = if this.round(LEAD)? { rounds + 1 } else { 0 };
        }
        if rounds < IN_STEP {
            return Ok(None);
        }
        this.update()?;
        this.players.iter_mut().try_for_each(Game::take_over)?;
        Ok(Some(this))
    }

    /// Returns the games of all players, the host first, for their observations and rewards.
    pub fn players(&self) -> &[Game] {
        &self.players
    }

    /// Sets the buttons of the player with the index `player`; see [`Game::press`].
    ///
    /// # Panics
    /// If there is no such player.
    pub fn press(&mut self, player: usize, values: &[f64]) {
        self.players[player].press(values);
    }

    /// Sets how long an answer of the engines is waited for; see [`Game::set_patience`].
    pub fn set_patience(&mut self, patience: Duration) {
        self.players.iter_mut().for_each(|player| player.set_patience(patience));
    }

    /// Sends a command to the console of a player's engine; see [`Game::command`].
    ///
    /// # Errors
    /// If the command is too long or holds a zero byte, which leaves the match as it is, or an engine is dead: then all
    /// engines are ended.
    pub fn command(&mut self, player: usize, command: &str) -> Result<()> {
        self.all_there()?;
        match self.players[player].command(command) {
            refused @ Err(Error::Command { .. }) => refused, // nothing was sent
            done => self.lost_if(done),
        }
    }

    /// Plays `tics` tics with the buttons of all players as they are, or until the episode is over. Does nothing if it
    /// is over already.
    ///
    /// # Errors
    /// If an engine dies: then all of them are ended.
    pub fn advance(&mut self, tics: u32) -> Result<()> {
        self.all_there()?;
        if self.is_over() || tics == 0 {
            return Ok(());
        }
        let done = self.play(tics);
        self.lost_if(done)
    }

    /// Whether the episode is over, for all players.
    pub fn is_over(&self) -> bool {
        self.players[0].is_over()
    }

    /// Begins the next episode by the command `changemap`, as ViZDoom does. Frags are counted anew, but the engines'
    /// random generators go on, so that an episode that depends on its seed alone needs a new match.
    ///
    /// # Errors
    /// If an engine dies: then all of them are ended.
    pub fn new_episode(&mut self) -> Result<()> {
        self.all_there()?;
        let done = self.change_map();
        self.lost_if(done)
    }

    /// Respawns all dead players by pressing USE. Rewards meanwhile are added to the total, but the reward of the last
    /// action is set to 0.
    ///
    /// # Errors
    /// If an engine dies: then all of them are ended.
    pub fn respawn(&mut self) -> Result<()> {
        self.all_there()?;
        let done = self.bring_back();
        self.lost_if(done)
    }

    fn play(&mut self, tics: u32) -> Result<()> {
        for _ in 0..tics {
            self.players.iter_mut().for_each(|player| player.last_tic = player.tic() + 1);
            self.round(PATIENCE)?;
            if self.is_over() {
                break;
            }
        }
        self.update()?;
        self.players.iter_mut().for_each(Game::count);
        Ok(())
    }

    fn change_map(&mut self) -> Result<()> {
        let mut holds = [Hold::default(); MOST];
        for (player, hold) in self.players.iter_mut().zip(&mut holds) {
            player.engine.forget_output();
            let seed = player.seeds.next_u32();
            player.engine.command(&format!("rngseed set {seed}"))?;
            if player.flag(game::GAME_SETTINGS_CONTROLLER) {
                let change = format!("changemap {}", player.config.doom_map);
                player.engine.command(&change)?;
            }
            player.release_buttons();
            *hold = player.take_use(); // who is dead joins by it
            player.release_use(hold)?;
        }
        for tic in 1.. {
            for (player, hold) in self.players.iter_mut().zip(&mut holds) {
                if tic % 2 == 1 { player.hold_use(hold)? } else { player.release_use(hold)? }
            }
            self.round(PATIENCE)?;
            if self.players.iter().all(Game::has_begun) {
                break;
            }
            if tic >= NEVER {
                return Err(no_map(&self.players[0].config.doom_map));
            }
        }
        for (player, hold) in self.players.iter_mut().zip(&mut holds) {
            player.release_use(hold)?;
        }
        let start = self.players[0].config.episode_start_time.max(1);
        let mut waited = 0;
        while self.players[0].tic() < start {
            if waited >= start.saturating_add(NEVER) {
                return Err(no_map(&self.players[0].config.doom_map));
            }
            waited += 1;
            self.round(PATIENCE)?;
        }
        self.players.iter_mut().try_for_each(|player| player.engine.command("viz_override_player 0"))?;
        self.update()?;
        for (player, hold) in self.players.iter_mut().zip(holds) {
            player.restore_use(hold);
            player.last_tic = player.tic();
            player.begin();
        }
        Ok(())
    }

    fn bring_back(&mut self) -> Result<()> {
        let mut holds = [Hold::default(); MOST];
        let mut tics = 0;
        while !self.is_over() && self.players.iter().any(Game::is_dead) {
            tics = come_back(tics)?;
            for (player, hold) in self.players.iter_mut().zip(&mut holds) {
                // Who lives again while others are dead lets go of it: it would open doors, and be an action of theirs.
                if player.is_dead() { player.hold_use(hold)? } else { player.release_use(hold)? }
            }
            self.round(PATIENCE)?;
        }
        for (player, hold) in self.players.iter_mut().zip(&mut holds) {
            player.release_use(hold)?;
        }
        self.update()?;
        for (player, hold) in self.players.iter_mut().zip(holds) {
            player.restore_use(hold);
            player.last_tic = player.tic();
            player.count();
            player.reward = 0.0;
        }
        Ok(())
    }

    /// Plays one tic in all engines, waiting up to `lead` for each before the next is asked; returns whether each
    /// answered in that time.
    fn round(&mut self, lead: Duration) -> Result<bool> {
        ask_all(&mut self.players, Ask::Tic, lead)
    }

    /// Has all pictures drawn, all at the same time.
    fn update(&mut self) -> Result<()> {
        ask_all(&mut self.players, Ask::Update, Duration::ZERO).map(drop)
    }

    /// Kills all engines where `done` is an error, so that none waits for a dead one.
    fn lost_if<T>(&mut self, done: Result<T>) -> Result<T> {
        if done.is_err() {
            self.lost = true;
            self.players.iter_mut().for_each(|player| player.engine.kill());
        }
        done
    }

    fn all_there(&self) -> Result<()> {
        let message = "another of its match did, and all of them were ended".to_owned();
        if self.lost { Err(Error::Died { message }) } else { Ok(()) }
    }
}

/// Asks one after the other, and waits `lead` for each before the next is asked; then for those who are left.
fn ask_all(players: &mut [Game], what: Ask, lead: Duration) -> Result<bool> {
    let mut left = [false; MOST];
    for (player, left) in players.iter_mut().zip(&mut left) {
        player.engine.post(what)?;
        *left = lead.is_zero() || !player.engine.answers_within(lead)?;
    }
    let in_step = !left.contains(&true);
    let (since, patience) = (Instant::now(), players[0].engine.patience());
    while left.contains(&true) {
        for (player, left) in players.iter_mut().zip(&mut left).filter(|(_, left)| **left) {
            *left = !player.engine.answers_within(TURN)?;
        }
        if since.elapsed() > patience {
            return Err(Error::silent(patience));
        }
    }
    Ok(in_step)
}

impl Drop for Match {
    /// Who leaves tells the others, which takes time and helps nobody.
    fn drop(&mut self) {
        self.players.iter_mut().for_each(|player| player.engine.kill());
    }
}
