//! The coarse boundary between environments and everything else: one virtual call per row of seats.

use crate::{Act, Canvas, Error, FiniteMdp, Info, Result, Rows, Spec, load_postcard, save_postcard};

/// A vector environment: `N` seats that step together and write one row of `N` observations and rewards.
///
/// Autoreset is *next-step*, as in Gymnasium: the call after an episode's end resets that seat and ignores its action.
/// The row that ends an episode therefore holds its true last observation, and the row after it has `age` 0. Where an
/// engine is lost ([`Error::Lost`]) a row has `age` 0 without an end before it: that episode has none.
///
/// Seats that share a world begin and end their episodes together, at one age and with one seed, which is drawn from
/// [`Stream::Env`](crate::Stream::Env) of the first of them and is the one that [`begin`](VecEnv::begin) is given for
/// each. The first saves the world, the others what is theirs alone.
///
/// Environments implement [`Env`](crate::Env) or [`World`](crate::World), and [`Batch`](crate::Batch) makes this of them.
pub trait VecEnv: Send {
    /// Returns the shapes of observations and actions of one seat, which are the same for all seats.
    fn spec(&self) -> &Spec;

    /// Returns the number of seats, `N`.
    fn seats(&self) -> usize;

    /// Starts an episode in every seat, with the next seed of the seat's stream, and writes its first observation.
    ///
    /// # Errors
    /// If an environment fails.
    fn reset(&mut self, rows: Rows<'_>) -> Result<()>;

    /// Returns the seed of the present episode of seat `n`, with which [`begin`](VecEnv::begin) starts it again in any
    /// seat.
    fn episode_seed(&self, n: usize) -> u64;

    /// Starts the episode of `seeds[n]` in each seat `n` and writes its first observation. Later episodes are not
    /// affected: their seeds are still the next ones of the seat's stream.
    ///
    /// # Errors
    /// If an environment fails.
    ///
    /// # Panics
    /// If there is not one seed per seat.
    fn begin(&mut self, seeds: &[u64], rows: Rows<'_>) -> Result<()>;

    /// Takes one action in every seat, or resets it where its episode was over, and writes the row.
    ///
    /// # Errors
    /// If an environment fails.
    fn step(&mut self, act: Act<'_>, rows: Rows<'_>) -> Result<()>;

    /// Returns the emulator frames per second of playback; see [`Env::FRAME_RATE`](crate::Env::FRAME_RATE).
    fn frame_rate(&self) -> f64;

    /// Lists name and hash of each file that is played from; see [`Env::assets`](crate::Env::assets).
    fn assets(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Lists named values of the state of seat `n`, for comparison; see [`Env::info`](crate::Env::info).
    fn info(&self, _n: usize) -> Vec<(&'static str, Info)> {
        Vec::new()
    }

    /// Returns the shaping reward of the last step of seat `n`, which [`Rows::reward`] includes; see
    /// [`Env::shaping_reward`](crate::Env::shaping_reward).
    fn shaping_reward(&self, _n: usize) -> f32 {
        0.0
    }

    /// Removes and returns one message per episode that was lost with its engine since the last call.
    fn take_crashes(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Names the values of the single discrete action; see [`Env::action_names`](crate::Env::action_names).
    fn action_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the number of lives left in seat `n`; `None` where the environment has no lives.
    fn lives(&self, n: usize) -> Option<u32>;

    /// Starts to record the sound of seat `n` and returns the sample rate in Hz; see
    /// [`Env::listen`](crate::Env::listen).
    fn listen(&mut self, _n: usize) -> Option<u32> {
        None
    }

    /// Returns the sound of the last step of seat `n`, 8-bit mono samples; see [`Env::sound`](crate::Env::sound).
    fn sound(&self, _n: usize) -> &[u8] {
        &[]
    }

    /// Lets [`draw`](VecEnv::draw) show more than agents see in seat `n`, and returns whether it does; see
    /// [`Env::watch`](crate::Env::watch).
    fn watch(&mut self, _n: usize) -> bool {
        false
    }

    /// Returns all states and transitions of the environment of one seat; `None` where it is no small finite MDP.
    fn tabular(&self) -> Option<FiniteMdp> {
        None
    }

    /// Draws a deterministic policy and its state values; see [`Env::draw_policy`](crate::Env::draw_policy).
    fn draw_policy(&self, _actions: &[u32], _values: &[f64], _canvas: &mut Canvas) -> bool {
        false
    }

    /// Draws the present state of seat `n` for people; see [`Env::draw`](crate::Env::draw).
    fn draw(&self, n: usize, canvas: &mut Canvas);

    /// Returns the global number of the seat that the last call served, which an error message names when that call
    /// fails.
    fn serving(&self) -> u32;

    /// Appends the state of seat `n` to `out`, including its random stream and running episode. Where several seats
    /// share one world, the first of them saves the world.
    ///
    /// # Errors
    /// If an environment cannot give its state.
    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()>;

    /// Restores seat `n` from what [`save`](VecEnv::save) wrote of the seat of the same global number.
    ///
    /// # Errors
    /// If `bytes` is not a state of this seat.
    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()>;
}

/// Appends the state of every seat of all `envs` to `out`. The bytes do not depend on how seats are divided between
/// `envs`.
///
/// # Errors
/// If an environment cannot give its state.
pub fn save_seats<'a>(envs: impl IntoIterator<Item = &'a (dyn VecEnv + 'static)>, out: &mut Vec<u8>) -> Result<()> {
    let mut states = Vec::new();
    for env in envs {
        for n in 0..env.seats() {
            let mut bytes = Vec::new();
            env.save(n, &mut bytes)?;
            states.push(bytes);
        }
    }
    save_postcard(&states, out)
}

/// Restores what [`save_seats`] wrote into the same seats, which may be divided between `envs` in another way.
///
/// # Errors
/// If `bytes` is not a state of exactly these seats.
pub fn load_seats<'a>(envs: impl IntoIterator<Item = &'a mut (dyn VecEnv + 'static)>, bytes: &[u8]) -> Result<()> {
    let states: Vec<Vec<u8>> = load_postcard("env", bytes)?;
    let mut left = states.iter();
    let mut seats = 0;
    for env in envs {
        seats += env.seats();
        for (n, state) in (0..env.seats()).zip(left.by_ref()) {
            env.load(n, state)?;
        }
    }
    if seats != states.len() {
        let message = format!("holds {} seats, expected {seats}", states.len());
        return Err(Error::State { part: "env".to_owned(), message });
    }
    Ok(())
}
