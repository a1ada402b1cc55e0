//! What the author of an environment implements.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Act, Canvas, End, FiniteMdp, Obs, Result, Spec};

/// The answer to one action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Raw reward, never clipped or scaled.
    pub reward: f32,
    /// What the step did to the episode.
    pub end: End,
    /// Emulator frames that passed; 1 where the environment has no frame skip.
    pub frames: u32,
}

/// Something about a state that a comparison may look at.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Info {
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// Several.
    Numbers(Vec<f64>),
    /// A checksum or a word.
    Text(String),
}

/// One environment for one seat, which [`EnvEntry::single`](crate::EnvEntry::single) lists.
///
/// It owns no random generator that outlives an episode: an episode is fixed by (version, configuration, episode seed,
/// actions), whatever ran before it. What else it promises, and agents rely on:
/// - It shows something and takes at least one action. [`Spec::stack`] is 1 unless it shows frames.
/// - Every element of [`Obs`] is written by every `reset` and `step`, that of the last observation of an episode too: features
///   are finite, symbols below their cardinality, and legality flags 0 or 1 with at least one 1 for each discrete action,
///   where the episode is over as well.
/// - Rewards are finite, and a step takes at least one frame.
///
/// [`contract`](crate::contract) plays an environment to see whether it does.
///
/// In return `step` is called neither before a `reset` or `load` nor behind an end, and a continuous action lies within its
/// [`Bound`](crate::Bound). A discrete action that [`Obs::legal`] rules out may come, as it does where all are drawn at random, and
/// is answered.
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
    /// Name on the command line, in lower case.
    const ID: &'static str;
    /// Raised by every change of dynamics; recordings name it.
    const VERSION: u32;
    /// Frames per second at which people watch it.
    const FRAME_RATE: f64 = 4.0;
    /// Read from the `[env]` table of a preset. No `Default`: presets spell every value.
    type Config: DeserializeOwned;

    /// Builds the environment, not yet reset.
    ///
    /// # Errors
    /// If a value is out of range or an asset is missing.
    fn new(config: &Self::Config) -> Result<Self>;

    /// Shapes of observations and actions.
    fn spec(&self) -> Spec;

    /// Starts the episode of this seed and writes its first observation. Whatever is random in it is drawn from
    /// [`Rng::episode`](crate::Rng::episode) of the seed.
    ///
    /// # Errors
    /// If the engine behind the environment fails.
    fn reset(&mut self, seed: u64, obs: Obs<'_>) -> Result<()>;

    /// Takes one action and writes the observation after it. Allocates nothing.
    ///
    /// # Errors
    /// If the engine behind the environment fails; [`Error::Lost`](crate::Error::Lost) where it is gone, which costs no more
    /// than the episode.
    ///
    /// # Panics
    /// If a discrete action is not below its cardinality.
    fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step>;

    /// Appends everything that decides the future: `load` then `step` equals `step`.
    ///
    /// # Errors
    /// If the engine behind the environment cannot give its state.
    fn save(&self, out: &mut Vec<u8>) -> Result<()>;

    /// Restores what [`save`](Env::save) wrote, in this or another process.
    ///
    /// # Errors
    /// If `bytes` is not a state of this environment and configuration.
    fn load(&mut self, bytes: &[u8]) -> Result<()>;

    /// Hashes of the files that it plays from, by name: recordings hold them.
    fn assets(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// What the last step is worth to a learner besides its reward, by a shaping that the configuration names: the returns
    /// of episodes hold none of it.
    fn bonus(&self) -> f32 {
        0.0
    }

    /// What there is to compare with other implementations beside the observation, by name.
    fn facts(&self) -> Vec<(&'static str, Info)> {
        Vec::new()
    }

    /// What the values of its one discrete action do, in their order; empty where they have no names. Those of a joystick are
    /// words of `no-op`, `up`, `down`, `left`, `right` and `fire` with spaces between.
    fn action_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Lives left, where the game has lives.
    fn lives(&self) -> Option<u32> {
        None
    }

    /// Keeps from now on what steps sound like, and says how many samples a second has; `None` where there is nothing to
    /// hear. Changes nothing that is played or saved.
    fn listen(&mut self) -> Option<u32> {
        None
    }

    /// What the last step sounded like to whoever [listens](Env::listen): unsigned samples of one channel, 128 being silence.
    fn sound(&self) -> &[u8] {
        &[]
    }

    /// The whole environment as a table, where it is small enough to be one.
    fn tabular(&self) -> Option<FiniteMdp> {
        None
    }

    /// Draws what a policy does in every state, `actions [S]`, and what states are worth, `values [S]`, both by the states of
    /// [`tabular`](Env::tabular). Says `false`, and draws nothing, where states are not places on one map.
    fn draw_policy(&self, _actions: &[u32], _values: &[f64], _canvas: &mut Canvas) -> bool {
        false
    }

    /// Draws the present state for people, at a size of its own choosing (see [`Canvas::begin`]).
    fn draw(&self, canvas: &mut Canvas);
}
