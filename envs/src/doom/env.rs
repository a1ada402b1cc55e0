//! The Doom environment: an engine of one's own per seat, frame repeat, combinations of buttons, and what is seen.
//!
//! An episode is what follows from the seed that the engine is given at its beginning, and the actions; a state is
//! saved as both, and restored by playing them again, which takes as long as they took. With a number for
//! `env.engine_seed` an episode depends on those before it too, and no state is saved. Where the engine dies, the
//! episode is lost and the next reset starts another.

use rl_core::{Act, Canvas, Env, Info, Obs, Result, Rng, Spec, Step, save_postcard};
use vizdoom::{Buffer, Config, Game};

use super::FAMILY;
use super::episode::Episode;
use super::eye::Eye;
use super::setup::{DoomConfig, EngineSeed, Setup, refuse, translated};
use super::shaping::Before;

/// Why an engine that draws the seeds of its episodes itself has no states.
const NO_STATES: &str = "its episodes depend on those before, which no state holds: leave it \"episode\"";

/// The single-player Doom environment, with one engine process per seat. It observes a frame
/// `[height, width, channels]` and, if wanted, game variables, and takes one discrete action (a combination of buttons)
/// or one action per button.
#[derive(Debug)]
pub struct Doom {
    setup: Setup,
    eye: Eye,
    /// Running engine; `None` before the first reset and after the engine died.
    game: Option<Game>,
    before: Before,
    bonus: f32,
    episode: Episode,
    /// Buffer of the values of all buttons.
    row: Vec<f64>,
}

impl Env for Doom {
    const ID: &'static str = FAMILY;
    const VERSION: u32 = 1;
    const FRAME_RATE: f64 = 35.0;
    type Config = DoomConfig;

    fn new(config: &DoomConfig) -> Result<Self> {
        let setup = Setup::new(config)?;
        let eye = setup.eye()?;
        let episode = Episode::new(&setup.spec(&eye), 1);
        let row = vec![0.0; setup.settings.available_buttons.len()];
        Ok(Self { setup, eye, game: None, before: Before::default(), bonus: 0.0, episode, row })
    }

    fn spec(&self) -> Spec {
        self.setup.spec(&self.eye)
    }

    fn reset(&mut self, seed: u64, mut obs: Obs<'_>) -> Result<()> {
        let begun = self.begin(seed);
        self.lost_if(begun)?;
        self.look(&mut obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, mut obs: Obs<'_>) -> Result<Step> {
        self.episode.note(act);
        let played = self.play(act);
        let step = self.lost_if(played)?;
        self.look(&mut obs);
        Ok(step)
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        self.check_states()?;
        save_postcard(&self.episode, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_states()?;
        let episode = Episode::load(bytes, &self.spec(), 1)?;
        let begun = self.begin(episode.seed);
        self.lost_if(begun)?;
        episode.replay(|act| {
            let played = self.play(act);
            self.lost_if(played).map(drop)
        })?;
        self.episode.take(&episode);
        if let Some(game) = &self.game {
            self.eye.see(game);
        }
        Ok(())
    }

    fn assets(&self) -> Vec<(String, String)> {
        self.setup.assets()
    }

    fn action_names(&self) -> Vec<String> {
        self.setup.action_names()
    }

    fn shaping_reward(&self) -> f32 {
        self.bonus
    }

    fn info(&self) -> Vec<(&'static str, Info)> {
        self.game.as_ref().map_or_else(Vec::new, |game| info(game, &self.setup.settings))
    }

    fn watch(&mut self) -> bool {
        if self.game.is_none() {
            self.eye.colour(&mut self.setup.settings);
        }
        self.eye.makes_grey()
    }

    fn draw(&self, canvas: &mut Canvas) {
        self.eye.draw(canvas);
    }
}

impl Doom {
    /// Returns the running game, for tests and comparison; `None` before the first reset and after the engine died.
    pub fn game(&self) -> Option<&Game> {
        self.game.as_ref()
    }

    /// Refuses to save or load a state of an engine that draws the seeds of its episodes itself.
    fn check_states(&self) -> Result<()> {
        match self.setup.config.engine_seed {
            EngineSeed::Named(_) => Ok(()),
            EngineSeed::Number(_) => Err(refuse("engine_seed", NO_STATES.to_owned())),
        }
    }

    fn begin(&mut self, seed: u64) -> vizdoom::Result<()> {
        self.episode.begin(seed);
        self.bonus = 0.0;
        if self.setup.config.exact {
            self.game = None;
        }
        let mut game = match self.game.take() {
            Some(game) => game,
            None => {
                self.episode.drawn = 0;
                let mut settings = self.setup.settings.clone();
                settings.seed = Some(match self.setup.config.engine_seed {
                    EngineSeed::Number(seed) => seed,
                    EngineSeed::Named(_) => 0, // every episode brings its own
                });
                Game::start(settings, &self.setup.package)?
            }
        };
        let engine_seed = self.setup.config.engine_seed;
        on_core(self.setup.config.pin, &mut game, |game| match engine_seed {
            EngineSeed::Number(_) => game.new_episode(),
            EngineSeed::Named(_) => game.new_episode_of(Rng::episode(seed).u32()),
        })?;
        self.episode.drawn += 1;
        self.before = self.setup.config.shaping.read(&game);
        self.game = Some(game);
        Ok(())
    }

    fn play(&mut self, act: Act<'_>) -> vizdoom::Result<Step> {
        let game = self.game.as_mut().expect("a step follows a reset");
        self.setup.actions.press(act, &mut self.row);
        let from = game.tic();
        let (row, held) = (&self.row, self.setup.held(from));
        let reward = on_core(self.setup.config.pin, game, |game| game.act(row, held))?;
        let (end, frames) = self.setup.ended(game, from, held);
        let now = self.setup.config.shaping.read(game);
        self.bonus = self.setup.config.shaping.bonus(self.before, now);
        self.before = now;
        Ok(Step { reward: reward as f32, end, frames })
    }

    /// Drops the engine where `done` is an error, so that the next reset starts another, and converts the error.
    fn lost_if<T>(&mut self, done: vizdoom::Result<T>) -> Result<T> {
        done.map_err(|error| {
            self.game = None;
            translated(error)
        })
    }

    fn look(&mut self, obs: &mut Obs<'_>) {
        let game = self.game.as_ref().expect("it has just answered");
        look(&mut self.eye, game, &self.setup, obs);
    }
}

/// Runs `work`; if `pin`, with this thread and the engine pinned to one core.
fn on_core<T>(pin: bool, game: &mut Game, work: impl FnOnce(&mut Game) -> vizdoom::Result<T>) -> vizdoom::Result<T> {
    if pin { game.pinned(work) } else { work(game) }
}

/// Writes the observation of the player of `game`: its frame and, if configured, its game variables.
pub(super) fn look(eye: &mut Eye, game: &Game, setup: &Setup, obs: &mut Obs<'_>) {
    eye.look(game, &mut *obs.frame);
    if setup.config.variables {
        let variables = &setup.settings.available_game_variables;
        obs.vector.iter_mut().zip(variables).for_each(|(to, &variable)| *to = game.variable(variable) as f32);
    }
}

/// Lists what ViZDoom's Python interface reports of a state too: tic, game variables, and checksums of the buffers.
pub(super) fn info(game: &Game, settings: &Config) -> Vec<(&'static str, Info)> {
    let variables = settings.available_game_variables.iter().map(|&variable| game.variable(variable)).collect();
    let mut info = vec![("tic", Info::Count(game.tic().into())), ("variables", Info::Numbers(variables))];
    let buffers = [
        ("screen_crc32", Buffer::Screen),
        ("depth_crc32", Buffer::Depth),
        ("labels_crc32", Buffer::Labels),
        ("automap_crc32", Buffer::Automap),
    ];
    for (name, buffer) in buffers.into_iter().filter(|&(_, buffer)| game.buffer_len(buffer) > 0) {
        let mut bytes = vec![0; game.buffer_len(buffer)];
        game.copy(buffer, &mut bytes);
        info.push((name, Info::Count(crc32fast::hash(&bytes).into())));
    }
    info
}
