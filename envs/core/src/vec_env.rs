//! The coarse boundary between environments and everything else: one virtual call per row of seats.

use crate::{Act, Canvas, Error, FiniteMdp, Info, Result, Rows, Spec, load_postcard, save_postcard};

/// `N` seats that step together.
///
/// Autoreset is *next-step*: the call after an episode's end resets that seat and ignores its action. The row that ends an
/// episode therefore holds its true last observation, and the row after it has `age` 0.
pub trait VecEnv: Send {
    /// Shapes of one seat.
    fn spec(&self) -> &Spec;

    /// Number of seats.
    fn seats(&self) -> usize;

    /// Starts a first episode in every seat.
    ///
    /// # Errors
    /// If an environment fails.
    fn reset(&mut self, rows: Rows<'_>) -> Result<()>;

    /// Seed of the episode in seat `n`: [`begin`](VecEnv::begin) starts it again, there or in another seat.
    fn episode_seed(&self, n: usize) -> u64;

    /// Starts the episodes of these seeds, one per seat. What follows them is what would have followed any other.
    ///
    /// # Errors
    /// If an environment fails.
    ///
    /// # Panics
    /// If there is not one seed per seat.
    fn begin(&mut self, seeds: &[u64], rows: Rows<'_>) -> Result<()>;

    /// Steps every seat, or resets those whose episode is over.
    ///
    /// # Errors
    /// If an environment fails.
    fn step(&mut self, act: Act<'_>, rows: Rows<'_>) -> Result<()>;

    /// Frames per second at which people watch it; see [`Env::FRAME_RATE`](crate::Env::FRAME_RATE).
    fn frame_rate(&self) -> f64;

    /// Hashes of the files that it plays from, by name.
    fn assets(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// What there is to compare with other implementations in seat `n`; see [`Env::facts`](crate::Env::facts).
    fn facts(&self, _n: usize) -> Vec<(&'static str, Info)> {
        Vec::new()
    }

    /// What the last step of seat `n` was worth besides its raw reward, for whoever pays such; see [`Env::bonus`](crate::Env::bonus).
    fn bonus(&self, _n: usize) -> f32 {
        0.0
    }

    /// Takes what has been lost since it was last asked: an episode each, whose engine was gone.
    fn take_losses(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// What the values of the discrete action do; see [`Env::action_names`](crate::Env::action_names).
    fn action_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Lives left in seat `n`, where the game has lives.
    fn lives(&self, n: usize) -> Option<u32>;

    /// Keeps from now on what steps of seat `n` sound like; see [`Env::listen`](crate::Env::listen).
    fn listen(&mut self, _n: usize) -> Option<u32> {
        None
    }

    /// What the last step of seat `n` sounded like; see [`Env::sound`](crate::Env::sound).
    fn sound(&self, _n: usize) -> &[u8] {
        &[]
    }

    /// The environment of one seat as a table, where it is small enough to be one.
    fn tabular(&self) -> Option<FiniteMdp> {
        None
    }

    /// Draws a policy and the values of states; see [`Env::draw_policy`](crate::Env::draw_policy).
    fn draw_policy(&self, _actions: &[u32], _values: &[f64], _canvas: &mut Canvas) -> bool {
        false
    }

    /// Draws seat `n`.
    fn draw(&self, n: usize, canvas: &mut Canvas);

    /// Global number of the seat that the present or last call was serving: the one to name when a call fails.
    fn serving(&self) -> u32;

    /// Appends the state of seat `n`, its random stream and running episode included. Where seats share one world, the
    /// first of them saves it.
    ///
    /// # Errors
    /// If an environment cannot give its state.
    fn save(&self, n: usize, out: &mut Vec<u8>) -> Result<()>;

    /// Restores what [`save`](VecEnv::save) wrote of this seat.
    ///
    /// # Errors
    /// If `bytes` is not a state of this seat.
    fn load(&mut self, n: usize, bytes: &[u8]) -> Result<()>;
}

/// Appends the state of every seat of `envs`, the same bytes however seats are divided between them.
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

/// Restores what [`save_seats`] wrote, into seats that may be divided otherwise.
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
