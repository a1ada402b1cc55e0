//! The trait that the author of an environment for several agents implements.

use serde::de::DeserializeOwned;

use crate::{Act, Canvas, End, Env, FiniteMdp, Info, Obs, Result, Spec};

/// Buffers into which the seats of one [`World`] write what they see and earn.
#[derive(Debug)]
pub struct WorldRows<'a> {
    /// Observations of all seats, one after the other in each lane.
    pub obs: Obs<'a>,
    /// Raw rewards of the step, `[seats]`: every one is written in [`World::step`], none in [`World::reset`].
    pub reward: &'a mut [f32],
}

impl WorldRows<'_> {
    /// Returns the buffers into which seat `n` writes its observation.
    ///
    /// # Panics
    /// If the world has no seat `n`.
    pub fn obs(&mut self, n: usize) -> Obs<'_> {
        fn of<T>(lane: &mut [T], n: usize, seats: usize) -> &mut [T] {
            let width = lane.len() / seats;
            &mut lane[n * width..(n + 1) * width]
        }
        let (obs, seats) = (&mut self.obs, self.reward.len());
        assert!(n < seats, "seat {n} of {seats}");
        Obs {
            frame: of(obs.frame, n, seats),
            vector: of(obs.vector, n, seats),
            symbols: of(obs.symbols, n, seats),
            legal: of(obs.legal, n, seats),
        }
    }

    /// Reborrows the same buffers for a shorter time, to pass them on more than once.
    pub fn again(&mut self) -> WorldRows<'_> {
        WorldRows { obs: self.obs.again(), reward: self.reward }
    }
}

/// Result of one [`World::step`] that all of its seats share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorldStep {
    /// Whether the step terminated or truncated the episode, of all seats at once.
    pub end: End,
    /// Number of emulator frames that the step took; 1 where the environment has no frame skip.
    pub frames: u32,
}

/// An environment for several agents that act at the same time, each of which has a seat: all seats have the same
/// spaces, and begin and end their episodes together. One learner trains all of them, so that it plays against, or
/// with, itself. [`EnvEntry::shared`](crate::EnvEntry::shared) makes a table entry of it.
///
/// It makes the promises of [`Env`], in each of its seats. Every `Env` is a world of one seat.
///
/// ```
/// use rl_core::contract::{Subject, check};
/// use rl_core::embedded_graphics::pixelcolor::{Rgb888, RgbColor};
/// use rl_core::{
///     Act, Canvas, End, EnvEntry, Error, Result, Spec, World, WorldRows, WorldStep, load_postcard, save_postcard,
/// };
///
/// /// Matching pennies, five times: the first seat wins where both show the same side, the second where they do not.
/// struct Pennies {
///     shown: [u32; 2],
///     tosses: u32,
/// }
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {}
///
/// impl Pennies {
///     fn show(&self, rows: &mut WorldRows<'_>) {
///         for n in 0..2 {
///             // Which seat it is, and what both showed last, its own first.
///             rows.obs(n).symbols.copy_from_slice(&[n as u32, self.shown[n], self.shown[1 - n]]);
///         }
///     }
/// }
///
/// impl World for Pennies {
///     const ID: &'static str = "pennies";
///     const VERSION: u32 = 1;
///     type Config = Config;
///
///     fn seats(_config: &Config) -> usize {
///         2
///     }
///
///     fn new(_config: &Config) -> Result<Self> {
///         Ok(Self { shown: [2; 2], tosses: 0 })
///     }
///
///     fn spec(&self) -> Spec {
///         Spec { symbols: [2, 3, 3].into(), discrete: [2].into(), ..Spec::none() }
///     }
///
///     fn reset(&mut self, _seed: u64, mut rows: WorldRows<'_>) -> Result<()> {
///         (self.shown, self.tosses) = ([2; 2], 0); // nothing yet
///         self.show(&mut rows);
///         Ok(())
///     }
///
///     fn step(&mut self, act: Act<'_>, mut rows: WorldRows<'_>) -> Result<WorldStep> {
///         self.shown = [act.discrete[0], act.discrete[1]];
///         assert!(self.shown.iter().all(|&side| side < 2), "of {:?} one is no side of a coin", self.shown);
///         self.tosses += 1;
///         self.show(&mut rows);
///         let first = if self.shown[0] == self.shown[1] { 1.0 } else { -1.0 };
///         rows.reward.copy_from_slice(&[first, -first]);
///         Ok(WorldStep { end: End::of(self.tosses >= 5, false), frames: 1 })
///     }
///
///     fn save(&self, out: &mut Vec<u8>) -> Result<()> {
///         save_postcard(&(self.shown, self.tosses), out)
///     }
///
///     fn load(&mut self, bytes: &[u8]) -> Result<()> {
///         let (shown, tosses): ([u32; 2], u32) = load_postcard(Self::ID, bytes)?;
///         if shown.iter().any(|&side| side > 2) || tosses > 5 {
///             let message = format!("{shown:?} after {tosses} tosses");
///             return Err(Error::State { part: Self::ID.to_owned(), message });
///         }
///         (self.shown, self.tosses) = (shown, tosses);
///         Ok(())
///     }
///
///     fn draw(&self, n: usize, canvas: &mut Canvas) {
///         canvas.begin(64, 64, if self.shown[n] == 1 { Rgb888::RED } else { Rgb888::BLUE });
///     }
/// }
///
/// const ENTRY: EnvEntry = EnvEntry::shared::<Pennies>(
///     "Matching pennies, of two players",
///     "[env]\n\n[eval]\nepisodes = 100\nepsilon = 0.0\n",
/// );
///
/// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// check(&Subject::new(&ENTRY, "pennies")?)?; // as a test of it would
/// # Ok(())
/// # }
/// ```
pub trait World: Sized + Send + 'static {
    /// Name of the environment; see [`Env::ID`].
    const ID: &'static str;
    /// Version of the dynamics; see [`Env::VERSION`].
    const VERSION: u32;
    /// Emulator frames per second of playback; see [`Env::FRAME_RATE`].
    const FRAME_RATE: f64 = 4.0;
    /// Whether a world has one seat whatever its configuration, as an [`Env`] has: a step takes less time where that is
    /// known when it is compiled.
    const SINGLE_SEAT: bool = false;
    /// Configuration; see [`Env::Config`].
    type Config: DeserializeOwned;

    /// Returns the number of seats of a world with this configuration, at least 1.
    fn seats(config: &Self::Config) -> usize;

    /// Builds the world; [`reset`](World::reset) or [`load`](World::load) follows before the first step.
    ///
    /// # Errors
    /// If a value is out of range or an asset is missing.
    fn new(config: &Self::Config) -> Result<Self>;

    /// Returns the shapes of observations and actions of one seat, which are the same for all and never change for one
    /// configuration.
    fn spec(&self) -> Spec;

    /// Tells that [`reset`](World::reset) will be called with `next_seed()`, unless something is loaded first, so that a
    /// world that is slow to start can begin with it while others play.
    fn prepare(&mut self, _next_seed: impl FnOnce() -> u64) {}

    /// Starts the episode of `seed` and writes the first observation of every seat; see [`Env::reset`].
    ///
    /// # Errors
    /// If the engine behind the world fails.
    fn reset(&mut self, seed: u64, rows: WorldRows<'_>) -> Result<()>;

    /// Takes the actions of all seats, `[seats, ..]`, and writes what each of them then sees and earns; see
    /// [`Env::step`].
    ///
    /// # Errors
    /// If the engine behind the world fails: with [`Error::Lost`](crate::Error::Lost) where only the episode is lost and
    /// the next `reset` starts a new engine.
    ///
    /// # Panics
    /// If a discrete action is not below its cardinality; the message holds the action.
    fn step(&mut self, act: Act<'_>, rows: WorldRows<'_>) -> Result<WorldStep>;

    /// Appends the complete state of all seats to `out`; see [`Env::save`].
    ///
    /// # Errors
    /// If the engine behind the world cannot give its state.
    fn save(&self, out: &mut Vec<u8>) -> Result<()>;

    /// Restores what [`save`](World::save) wrote, in this or another process; see [`Env::load`].
    ///
    /// # Errors
    /// If `bytes` is not a state of this world and configuration.
    fn load(&mut self, bytes: &[u8]) -> Result<()>;

    /// Lists name and hash of each file that is played from; see [`Env::assets`].
    fn assets(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Returns the shaping reward of seat `n` in the last step; see [`Env::shaping_reward`].
    fn shaping_reward(&self, _n: usize) -> f32 {
        0.0
    }

    /// Lists named values of the present state of seat `n`; see [`Env::info`].
    fn info(&self, _n: usize) -> Vec<(&'static str, Info)> {
        Vec::new()
    }

    /// Names the values of the single discrete action; see [`Env::action_names`].
    fn action_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the number of lives left in seat `n`; `None` where there are no lives.
    fn lives(&self, _n: usize) -> Option<u32> {
        None
    }

    /// Starts to record the sound of seat `n` and returns the sample rate in Hz; see [`Env::listen`].
    fn listen(&mut self, _n: usize) -> Option<u32> {
        None
    }

    /// Returns the sound of the last step of seat `n`; see [`Env::sound`].
    fn sound(&self, _n: usize) -> &[u8] {
        &[]
    }

    /// Lets [`draw`](World::draw) show more than agents see in all seats, and returns whether it does; see
    /// [`Env::watch`].
    fn watch(&mut self) -> bool {
        false
    }

    /// Returns all states and transitions; `None` where the world is no small finite MDP, as one of several seats is
    /// none. See [`Env::tabular`].
    fn tabular(&self) -> Option<FiniteMdp> {
        None
    }

    /// Draws a deterministic policy and its state values; see [`Env::draw_policy`].
    fn draw_policy(&self, _actions: &[u32], _values: &[f64], _canvas: &mut Canvas) -> bool {
        false
    }

    /// Draws the present state of seat `n` for people; see [`Env::draw`].
    fn draw(&self, n: usize, canvas: &mut Canvas);
}

impl<E: Env> World for E {
    const ID: &'static str = <E as Env>::ID;
    const VERSION: u32 = <E as Env>::VERSION;
    const FRAME_RATE: f64 = <E as Env>::FRAME_RATE;
    const SINGLE_SEAT: bool = true;
    type Config = <E as Env>::Config;

    fn seats(_config: &Self::Config) -> usize {
        1
    }

    fn new(config: &Self::Config) -> Result<Self> {
        Env::new(config)
    }

    fn spec(&self) -> Spec {
        Env::spec(self)
    }

    fn reset(&mut self, seed: u64, rows: WorldRows<'_>) -> Result<()> {
        Env::reset(self, seed, rows.obs)
    }

    fn step(&mut self, act: Act<'_>, rows: WorldRows<'_>) -> Result<WorldStep> {
        let step = Env::step(self, act, rows.obs)?;
        rows.reward[0] = step.reward;
        Ok(WorldStep { end: step.end, frames: step.frames })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        Env::save(self, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        Env::load(self, bytes)
    }

    fn assets(&self) -> Vec<(String, String)> {
        Env::assets(self)
    }

    fn shaping_reward(&self, _n: usize) -> f32 {
        Env::shaping_reward(self)
    }

    fn info(&self, _n: usize) -> Vec<(&'static str, Info)> {
        Env::info(self)
    }

    fn action_names(&self) -> Vec<String> {
        Env::action_names(self)
    }

    fn lives(&self, _n: usize) -> Option<u32> {
        Env::lives(self)
    }

    fn listen(&mut self, _n: usize) -> Option<u32> {
        Env::listen(self)
    }

    fn sound(&self, _n: usize) -> &[u8] {
        Env::sound(self)
    }

    fn watch(&mut self) -> bool {
        Env::watch(self)
    }

    fn tabular(&self) -> Option<FiniteMdp> {
        Env::tabular(self)
    }

    fn draw_policy(&self, actions: &[u32], values: &[f64], canvas: &mut Canvas) -> bool {
        Env::draw_policy(self, actions, values, canvas)
    }

    fn draw(&self, _n: usize, canvas: &mut Canvas) {
        Env::draw(self, canvas);
    }
}
