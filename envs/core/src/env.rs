//! The trait that the author of an environment implements.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Act, Canvas, End, FiniteMdp, Obs, Result, Spec};

/// Result of one [`Env::step`]; the observation is not part of it, but is written into [`Obs`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Raw reward, never clipped or scaled.
    pub reward: f32,
    /// Whether the step terminated or truncated the episode, or lost a life.
    pub end: End,
    /// Number of emulator frames that the step took; 1 where the environment has no frame skip.
    pub frames: u32,
}

/// Value of one entry of [`Env::info`], by which a state is compared with that of another implementation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Info {
    /// Unsigned integer, such as a counter or a checksum.
    Count(u64),
    /// Floating-point number.
    Number(f64),
    /// List of floating-point numbers.
    Numbers(Vec<f64>),
    /// Text, such as a word or a checksum in hexadecimal digits.
    Text(String),
}

/// A single environment, which plays one seat; [`EnvEntry::single`](crate::EnvEntry::single) makes a table entry of it.
///
/// An episode is fixed by version, configuration, episode seed and actions, whatever was played before it: no random
/// generator outlives an episode. Agents also rely on the following promises:
/// - The environment shows something and takes at least one action. [`Spec::stack`] is 1 unless it shows frames.
/// - `reset` and `step` write every element of [`Obs`], also for the last observation of an episode: features are
///   finite, symbols are below their cardinality, and legality flags are 0 or 1 with at least one 1 for each discrete
///   action, also once the episode is over.
/// - Rewards are finite, and a step takes at least one frame.
///
/// [`contract`](crate::contract) checks these promises by playing the environment.
///
/// In return, the caller calls `step` only after a `reset` or `load` and never after the end of an episode, and keeps
/// continuous actions within their [`Bound`](crate::Bound). A discrete action that [`Obs::legal`] rules out may come,
/// as from a uniformly random policy, and must be answered.
///
/// ```
/// use rl_core::contract::{Subject, check};
/// use rl_core::embedded_graphics::pixelcolor::{Rgb888, RgbColor};
/// use rl_core::{Act, Canvas, End, Env, EnvEntry, Obs, Result, Rng, Spec, Step, load_postcard, save_postcard};
///
/// /// Says whether a number that it shows is odd.
/// struct Odd {
///     rng: Rng,
///     shown: u32,
/// }
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {}
///
/// impl Env for Odd {
///     const ID: &'static str = "odd";
///     const VERSION: u32 = 1;
///     type Config = Config;
///
///     fn new(_config: &Config) -> Result<Self> {
///         Ok(Self { rng: Rng::episode(0), shown: 0 })
///     }
///
///     fn spec(&self) -> Spec {
///         Spec { symbols: [10].into(), discrete: [2].into(), ..Spec::none() }
///     }
///
///     fn reset(&mut self, seed: u64, obs: Obs<'_>) -> Result<()> {
///         self.rng = Rng::episode(seed);
///         self.shown = self.rng.below(10);
///         obs.symbols[0] = self.shown;
///         Ok(())
///     }
///
///     fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step> {
///         assert!(act.discrete[0] < 2, "action {} is neither 0 (even) nor 1 (odd)", act.discrete[0]);
///         let reward = if act.discrete[0] == self.shown % 2 { 1.0 } else { 0.0 };
///         obs.symbols[0] = self.shown;
///         Ok(Step { reward, end: End::Terminated, frames: 1 })
///     }
///
///     fn save(&self, out: &mut Vec<u8>) -> Result<()> {
///         save_postcard(&(&self.rng, self.shown), out)
///     }
///
///     fn load(&mut self, bytes: &[u8]) -> Result<()> {
///         (self.rng, self.shown) = load_postcard(Self::ID, bytes)?;
///         Ok(())
///     }
///
///     fn draw(&self, canvas: &mut Canvas) {
///         canvas.begin(64, 64, if self.shown % 2 == 1 { Rgb888::RED } else { Rgb888::BLUE });
///     }
/// }
///
/// const ENTRY: EnvEntry = EnvEntry::single::<Odd>(
///     "Says whether a number is odd",
///     "[env]\n\n[eval]\nepisodes = 100\nepsilon = 0.0\n",
/// );
///
/// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// check(&Subject::new(&ENTRY, "odd")?)?; // as a test of it would
/// # Ok(())
/// # }
/// ```
pub trait Env: Sized + Send + 'static {
    /// Name of the environment on the command line, in lower case.
    const ID: &'static str;
    /// Version of the dynamics, raised by every change of them and stored in recordings.
    const VERSION: u32;
    /// Emulator frames per second in the viewer and in exported films, where a step lasts [`Step::frames`].
    const FRAME_RATE: f64 = 4.0;
    /// Configuration, read from the `[env]` table of a preset. It has no `Default`: presets spell out every value; and it
    /// wants `#[serde(deny_unknown_fields)]`, so that a misspelt key is refused.
    type Config: DeserializeOwned;

    /// Builds the environment; [`reset`](Env::reset) or [`load`](Env::load) follows before the first step.
    ///
    /// # Errors
    /// If a value is out of range or an asset is missing.
    fn new(config: &Self::Config) -> Result<Self>;

    /// Returns the shapes of observations and actions, which never change for one configuration.
    fn spec(&self) -> Spec;

    /// Starts the episode of `seed` and writes its first observation. All randomness of the episode is drawn from
    /// [`Rng::episode(seed)`](crate::Rng::episode).
    ///
    /// # Errors
    /// If the engine behind the environment fails.
    fn reset(&mut self, seed: u64, obs: Obs<'_>) -> Result<()>;

    /// Takes one action of the agent and writes the observation after it. Allocates nothing.
    ///
    /// # Errors
    /// If the engine behind the environment fails: with [`Error::Lost`](crate::Error::Lost) where only the episode is
    /// lost and the next `reset` starts a new engine.
    ///
    /// # Panics
    /// If a discrete action is not below its cardinality; the message holds the action.
    fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step>;

    /// Appends the complete state to `out`: steps after [`load`](Env::load) equal those that would have followed here.
    ///
    /// # Errors
    /// If the engine behind the environment cannot give its state.
    fn save(&self, out: &mut Vec<u8>) -> Result<()>;

    /// Restores what [`save`](Env::save) wrote, in this or another process. Bytes of the right form with other values are
    /// refused or can be stepped from: whatever indexes or is counted on is checked here ([`counter`](crate::counter)).
    ///
    /// # Errors
    /// If `bytes` is not a state of this environment and configuration.
    fn load(&mut self, bytes: &[u8]) -> Result<()>;

    /// Lists name and hash of each file that is played from, such as a ROM; recordings store them to be compared on
    /// replay.
    fn assets(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Returns the shaping reward of the last step; 0 where the configuration names no shaping. It is added to
    /// [`Rows::reward`](crate::Rows::reward), from which agents learn, but not to
    /// [`Episode::ret`](crate::Episode::ret).
    fn shaping_reward(&self) -> f32 {
        0.0
    }

    /// Lists named values of the present state beside the observation, for comparison with other implementations.
    fn info(&self) -> Vec<(&'static str, Info)> {
        Vec::new()
    }

    /// Names the values of the single discrete action, in order; empty where they have no names. Joystick actions are
    /// made of the words `no-op`, `up`, `down`, `left`, `right` and `fire`, with spaces between.
    fn action_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the number of lives left; `None` where the environment has no lives.
    fn lives(&self) -> Option<u32> {
        None
    }

    /// Starts to record the sound of each step and returns the sample rate in Hz; `None` where the environment has no
    /// sound. Changes nothing that is played or saved.
    fn listen(&mut self) -> Option<u32> {
        None
    }

    /// Returns the sound of the last step as unsigned 8-bit mono samples, 128 being silence; empty before
    /// [`listen`](Env::listen) was called.
    fn sound(&self) -> &[u8] {
        &[]
    }

    /// Lets [`draw`](Env::draw) show more than agents see, such as colours, where that costs time, and returns whether it
    /// does. Called before the first episode or not at all; changes nothing that is observed, played or saved, but may
    /// change [`info`](Env::info) of pictures.
    fn watch(&mut self) -> bool {
        false
    }

    /// Returns all states and transitions of the environment; `None` where it is no small finite MDP.
    fn tabular(&self) -> Option<FiniteMdp> {
        None
    }

    /// Draws a deterministic policy, `actions [S]`, and its state values, `values [S]`, by the states of
    /// [`tabular`](Env::tabular). Returns `false` and draws nothing where states are not places on one map.
    fn draw_policy(&self, _actions: &[u32], _values: &[f64], _canvas: &mut Canvas) -> bool {
        false
    }

    /// Draws the present state for people, at a size that the environment chooses by [`Canvas::begin`] or
    /// [`Canvas::resize`].
    fn draw(&self, canvas: &mut Canvas);
}
