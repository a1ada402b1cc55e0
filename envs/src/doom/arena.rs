//! A match as an environment: what all players of one world do in a step, and what each of them sees and earns.
//!
//! Every episode has engines of its own, since chance in an old match goes on from where it was. So an episode is what follows
//! from its seed and the actions of all players, and a state is saved as both and restored by playing them again. Starting
//! engines is mostly waiting for them to find each other, and can go on while another match is played.

use std::thread::{Builder, JoinHandle};

use rl_core::{Act, Canvas, Info, Obs, Result, Rng, Spec, World, WorldRows, WorldStep, save_postcard};
use vizdoom::{Match, Variable};

use super::FAMILY;
use super::env::{info, look};
use super::episode::Episode;
use super::eye::Eye;
use super::setup::{DoomConfig, Setup, refuse, translated};
use super::shaping::Before;

/// Engine arguments of every match: a deathmatch in which dead players respawn by themselves after a second, far from
/// others and protected for a moment, without autoaim. Arguments of the `.cfg` follow and override them.
const RULES: &str = "-deathmatch +sv_forcerespawn 1 +sv_noautoaim 1 +sv_respawnprotect 1 +sv_spawnfarthest 1";

/// What takes back the last rule where players outnumber the map's places: an engine that finds the farthest of them all
/// taken dies.
const CROWDED: &str = "+sv_spawnfarthest 0";

/// Scenario whose map has places for two players.
const OF_TWO: &str = "multi_duel";

/// Earliest tic at which agents act; in the tics before it the engines synchronise.
const START: u32 = 40;

/// A match, all of whose players act together, and the episode that it plays.
#[derive(Debug)]
pub struct Arena {
    setup: Setup,
    spec: Spec,
    /// Running match; `None` before the first episode and after an engine died.
    game: Option<Match>,
    next: Option<Next>,
    episode: Episode,
    /// Index of the player that the first seat controls; the other seats control the players after it, cyclically.
    first: usize,
    seats: Vec<Seat>,
    /// Buffer of the values of all buttons.
    row: Vec<f64>,
}

/// State of one seat beside its player in the engine.
#[derive(Debug)]
struct Seat {
    eye: Eye,
    frags: f64,
    before: Before,
    reward: f32,
    bonus: f32,
}

/// A match that is started in a thread while another is played. Dropping it waits for the thread, so that no engine
/// outlives its environment.
#[derive(Debug)]
struct Next {
    seed: u64,
    starting: Option<JoinHandle<vizdoom::Result<Match>>>,
}

impl Next {
    fn wait(&mut self) -> Option<Match> {
        self.starting.take()?.join().ok()?.ok()
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        self.wait();
    }
}

impl Arena {
    /// Begins the episode `seed` with new engines, and returns the episode's random generator for further draws.
    ///
    /// # Errors
    /// If an engine fails.
    pub(super) fn begin(&mut self, seed: u64) -> Result<Rng> {
        self.game = None; // its engines end before others start
        let ready = self.next.take_if(|next| next.seed == seed).and_then(|mut next| next.wait());
        let started = ready.map_or_else(|| start(&self.setup, seed), Ok);
        let game = self.game.insert(started.map_err(translated)?);
        let mut rng = Rng::episode(seed);
        rng.u32(); // is the engine's seed
        self.episode.begin(seed);
        self.first = rng.below(self.seats.len() as u32) as usize;
        for (n, seat) in self.seats.iter_mut().enumerate() {
            let player = &game.players()[(self.first + n) % game.players().len()];
            seat.frags = player.variable(Variable::FragCount);
            seat.before = self.setup.config.shaping.read(player);
            (seat.reward, seat.bonus) = (0.0, 0.0);
        }
        Ok(rng)
    }

    /// Notes and plays the actions of all seats, `[players, ..]`.
    ///
    /// # Errors
    /// If an engine fails, which ends the match.
    pub(super) fn play(&mut self, act: Act<'_>) -> Result<WorldStep> {
        self.episode.note(act);
        self.advance(act)
    }

    /// Returns the reward of a seat in the last step: its change in frags.
    pub(super) fn reward(&self, seat: usize) -> f32 {
        self.seats[seat].reward
    }

    /// Writes the observation of a seat.
    ///
    /// # Panics
    /// If no match has begun.
    pub(super) fn look(&mut self, seat: usize, obs: &mut Obs<'_>) {
        let players = self.game.as_ref().expect("a match has begun").players();
        look(&mut self.seats[seat].eye, &players[(self.first + seat) % players.len()], &self.setup, obs);
    }

    fn advance(&mut self, act: Act<'_>) -> Result<WorldStep> {
        let game = self.game.as_mut().expect("a step follows a reset");
        let (shaping, players) = (self.setup.config.shaping, self.seats.len());
        for n in 0..players {
            self.setup.actions.press(act.seat(&self.spec, n), &mut self.row);
            game.press((self.first + n) % players, &self.row);
        }
        let from = game.players()[0].tic();
        let held = self.setup.held(from);
        if let Err(error) = game.advance(held) {
            self.game = None;
            return Err(translated(error));
        }
        for (n, seat) in self.seats.iter_mut().enumerate() {
            let player = &game.players()[(self.first + n) % players];
            let frags = player.variable(Variable::FragCount);
            seat.reward = (frags - std::mem::replace(&mut seat.frags, frags)) as f32;
            let now = shaping.read(player);
            seat.bonus = shaping.bonus(std::mem::replace(&mut seat.before, now), now);
        }
        let (end, frames) = self.setup.ended(&game.players()[0], from, held);
        Ok(WorldStep { end, frames })
    }
}

impl World for Arena {
    const ID: &'static str = FAMILY;
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 35.0;
    type Config = DoomConfig;

    fn seats(config: &DoomConfig) -> usize {
        config.players
    }

    /// Makes an arena of `config.players` seats; no engine is started yet.
    fn new(config: &DoomConfig) -> Result<Self> {
        let mut setup = Setup::new(config)?;
        if !(1..=Match::MOST).contains(&config.players) {
            return Err(refuse("players", format!("{} is not from 1 to {}", config.players, Match::MOST)));
        }
        Match::check(&setup.settings, config.players).map_err(translated)?;
        let settings = &mut setup.settings;
        let own = std::mem::take(&mut settings.game_args);
        let crowded = config.scenario == OF_TWO && config.config.is_empty() && config.players > 2;
        let rules = RULES.split(' ').chain(CROWDED.split(' ').filter(|_| crowded));
        settings.game_args = rules.map(str::to_owned).chain(own).collect();
        settings.episode_start_time = settings.episode_start_time.max(START);
        let seat = || Ok(Seat { eye: setup.eye()?, frags: 0.0, before: Before::default(), reward: 0.0, bonus: 0.0 });
        let seats = (0..config.players).map(|_| seat()).collect::<Result<Vec<_>>>()?;
        let spec = setup.spec(&seats[0].eye);
        let episode = Episode::new(&spec, config.players);
        let row = vec![0.0; setup.settings.available_buttons.len()];
        Ok(Self { setup, spec, game: None, next: None, episode, first: 0, seats, row })
    }

    fn spec(&self) -> Spec {
        self.spec.clone()
    }

    /// Starts the engines of the next episode in a thread of their own.
    fn prepare(&mut self, next_seed: impl FnOnce() -> u64) {
        let seed = next_seed();
        if self.next.as_ref().is_some_and(|next| next.seed == seed) {
            return;
        }
        let setup = self.setup.clone();
        let start = move || start(&setup, seed);
        // Without it the match starts when it begins.
        let starting = Builder::new().name("match".to_owned()).spawn(start).ok();
        self.next = Some(Next { seed, starting });
    }

    fn reset(&mut self, seed: u64, mut rows: WorldRows<'_>) -> Result<()> {
        self.begin(seed)?; // of what it could draw further nothing is
        (0..self.seats.len()).for_each(|n| self.look(n, &mut rows.obs(n)));
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut rows: WorldRows<'_>) -> Result<WorldStep> {
        let step = self.play(act)?;
        for n in 0..self.seats.len() {
            self.look(n, &mut rows.obs(n));
            rows.reward[n] = self.reward(n);
        }
        Ok(step)
    }

    /// Appends the seed and all actions of the present episode.
    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.episode, out)
    }

    /// Plays the actions of a saved episode again from the start.
    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let episode = Episode::load(bytes, &self.spec, self.seats.len())?;
        self.begin(episode.seed)?;
        episode.replay(|act| self.advance(act).map(drop))?;
        self.episode.take(&episode);
        let game = self.game.as_ref().expect("it has just been played");
        for (n, seat) in self.seats.iter_mut().enumerate() {
            seat.eye.see(&game.players()[(self.first + n) % game.players().len()]);
        }
        Ok(())
    }

    fn assets(&self) -> Vec<(String, String)> {
        self.setup.assets()
    }

    fn shaping_reward(&self, n: usize) -> f32 {
        self.seats[n].bonus
    }

    /// Lists the info of a seat's player, with its frags.
    fn info(&self, n: usize) -> Vec<(&'static str, Info)> {
        let Some(game) = &self.game else { return Vec::new() };
        let players = game.players();
        let player = &players[(self.first + n) % players.len()];
        let mut info = info(player, &self.setup.settings);
        info.push(("frags", Info::Number(player.variable(Variable::FragCount))));
        info
    }

    fn action_names(&self) -> Vec<String> {
        self.setup.action_names()
    }

    fn watch(&mut self) -> bool {
        if self.game.is_none() && self.next.is_none() {
            self.seats.iter_mut().for_each(|seat| seat.eye.colour(&mut self.setup.settings));
        }
        self.seats[0].eye.makes_grey()
    }

    fn draw(&self, n: usize, canvas: &mut Canvas) {
        self.seats[n].eye.draw(canvas);
    }
}

/// Starts the engines of the episode `seed`.
fn start(setup: &Setup, seed: u64) -> vizdoom::Result<Match> {
    Match::start_of(&setup.settings, setup.config.players, Rng::episode(seed).u32(), &setup.package)
}
