//! What grid worlds have in common: a state is a number, an action has one of a few outcomes, and the steps that are
//! played and the finite MDP by which policies are evaluated come from the same two functions.

use rl_core::{
    Act, Canvas, End, Env, Error, FiniteMdp, Obs, Result, Rng, Spec, Step, Transition, load_postcard, save_postcard,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Map, rules and picture of a grid world; [`GridEnv`] makes an environment of it.
pub trait GridWorld: Sized + Send + 'static {
    /// Name of the environment on the command line.
    const ID: &'static str;
    /// Version of the dynamics, raised by every change of them.
    const VERSION: u32;
    /// Names of the actions, in order.
    const ACTIONS: &'static [&'static str];
    /// Configuration, read from the `[env]` table.
    type Config: DeserializeOwned;

    /// Builds the world of a configuration.
    ///
    /// # Errors
    /// If a value is out of range.
    fn new(config: &Self::Config) -> Result<Self>;

    /// Returns the number of steps after which an episode is truncated; `None` if episodes only terminate.
    fn limit(&self) -> Option<u32>;

    /// Returns the number of states; states are the numbers below it.
    fn states(&self) -> u32;

    /// Returns the number of different observations, which is smaller than that of states where some look alike.
    fn symbols(&self) -> u32 {
        self.states()
    }

    /// Returns the observation of a state, below [`symbols`](GridWorld::symbols).
    fn symbol(&self, state: u32) -> u32 {
        state
    }

    /// Whether the environment reports legal actions (action mask).
    fn mask(&self) -> bool {
        false
    }

    /// Whether an action is legal in a state; asked only where there is a [`mask`](GridWorld::mask).
    fn legal(&self, _state: u32, _action: u32) -> bool {
        true
    }

    /// Returns the initial states, which are equally probable; at least one.
    fn starts(&self) -> &[u32];

    /// Returns the probabilities of the outcomes of an action in a state; they sum to 1.
    fn probabilities(&self, state: u32, action: u32) -> &[f64];

    /// Returns the outcome with the index `which` in [`probabilities`](GridWorld::probabilities).
    fn outcome(&self, state: u32, action: u32, which: usize) -> Outcome;

    /// Draws a deterministic policy and its state values, where states are cells of one map; see [`Env::draw_policy`].
    fn draw_policy(&self, _actions: &[u32], _values: &[f64], _canvas: &mut Canvas) -> bool {
        false
    }

    /// Draws a state for people, with the direction of the action that led to it.
    fn draw(&self, state: u32, last: Option<u32>, canvas: &mut Canvas);
}

/// One possible outcome of an action in a [`GridWorld`], without its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// State that the outcome leads to.
    pub next: u32,
    /// Raw reward.
    pub reward: f64,
    /// Whether the episode terminates with this outcome.
    pub terminated: bool,
}

/// The environment of a [`GridWorld`], in which an agent moves from state to state.
#[derive(Clone, Debug)]
pub struct GridEnv<W> {
    world: W,
    episode: EpisodeState,
}

/// Everything that changes in an episode.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct EpisodeState {
    state: u32,
    #[serde(deserialize_with = "rl_core::counter")]
    steps: u32,
    /// The last action, for the picture.
    last: Option<u8>,
    rng: Rng,
}

impl<W: GridWorld> GridEnv<W> {
    fn show(&self, obs: Obs<'_>) {
        let state = self.episode.state;
        obs.symbols[0] = self.world.symbol(state);
        for (action, flag) in (0..).zip(obs.legal) {
            *flag = u8::from(self.world.legal(state, action));
        }
    }

    /// Returns the outcomes of an action in the order of [`GridWorld::probabilities`], including those of probability 0.
    fn outcomes(&self, state: u32, action: u32) -> Vec<Transition> {
        let outcome = |(which, &probability)| {
            let Outcome { next, reward, terminated } = self.world.outcome(state, action, which);
            Transition { probability, next, reward, terminated }
        };
        self.world.probabilities(state, action).iter().enumerate().map(outcome).collect()
    }
}

/// Returns the index of the outcome that a uniform number in `[0, 1)` selects.
fn pick(probabilities: &[f64], draw: f64) -> usize {
    let mut sum = 0.0;
    let falls = probabilities.iter().position(|p| {
        sum += p;
        draw < sum
    });
    falls.unwrap_or(probabilities.len() - 1) // where the sum is rounded below 1
}

impl<W: GridWorld> Env for GridEnv<W> {
    const ID: &'static str = W::ID;
    const VERSION: u32 = W::VERSION;
    type Config = W::Config;

    fn new(config: &W::Config) -> Result<Self> {
        let world = W::new(config)?;
        let episode = EpisodeState { state: world.starts()[0], steps: 0, last: None, rng: Rng::episode(0) };
        Ok(Self { world, episode })
    }

    fn spec(&self) -> Spec {
        let (symbols, discrete) = ([self.world.symbols()].into(), [W::ACTIONS.len() as u32].into());
        Spec { symbols, mask: self.world.mask(), discrete, ..Spec::none() }
    }

    fn reset(&mut self, seed: u64, obs: Obs<'_>) -> Result<()> {
        let mut rng = Rng::episode(seed);
        let starts = self.world.starts();
        let state = starts[rng.below(starts.len() as u32) as usize];
        self.episode = EpisodeState { state, steps: 0, last: None, rng };
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, act: Act<'_>, obs: Obs<'_>) -> Result<Step> {
        let (action, episode) = (act.discrete[0], &mut self.episode);
        let known = (action as usize) < W::ACTIONS.len();
        assert!(
            known,
            "{}: action {action} is none of 0 to {}: {}",
            W::ID,
            W::ACTIONS.len() - 1,
            W::ACTIONS.join(", ")
        );
        let probabilities = self.world.probabilities(episode.state, action);
        let which = if probabilities.len() == 1 { 0 } else { pick(probabilities, episode.rng.f64()) };
        let outcome = self.world.outcome(episode.state, action, which);
        (episode.state, episode.last) = (outcome.next, Some(action as u8));
        episode.steps += 1;
        let truncated = self.world.limit().is_some_and(|limit| episode.steps >= limit);
        self.show(obs);
        Ok(Step { reward: outcome.reward as f32, end: End::of(outcome.terminated, truncated), frames: 1 })
    }

    fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        save_postcard(&self.episode, out)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let episode: EpisodeState = load_postcard(W::ID, bytes)?;
        let (states, actions) = (self.world.states(), W::ACTIONS.len());
        let late = self.world.limit().is_some_and(|limit| episode.steps > limit);
        if episode.state >= states || late || episode.last.is_some_and(|last| usize::from(last) >= actions) {
            let message = format!("state {} at step {} is not of this world of {states}", episode.state, episode.steps);
            return Err(Error::State { part: W::ID.to_owned(), message });
        }
        self.episode = episode;
        Ok(())
    }

    fn tabular(&self) -> Option<FiniteMdp> {
        let (states, actions) = (self.world.states(), W::ACTIONS.len() as u32);
        let mut start = vec![0.0; states as usize];
        for &state in self.world.starts() {
            start[state as usize] = 1.0 / self.world.starts().len() as f64;
        }
        let outcomes = |state| (0..actions).map(|action| self.outcomes(state, action)).collect();
        let table = FiniteMdp::new(start, self.world.limit(), (0..states).map(outcomes).collect());
        let legal = |state| (0..actions).map(move |action| u8::from(self.world.legal(state, action)));
        let legal = if self.world.mask() { (0..states).flat_map(legal).collect() } else { Vec::new() };
        let symbols = (0..states).map(|state| self.world.symbol(state)).collect();
        Some(table.expect("probabilities sum to 1 and outcomes lead to states").showing(symbols, legal))
    }

    fn action_names(&self) -> Vec<String> {
        W::ACTIONS.iter().map(|&name| name.to_owned()).collect()
    }

    fn draw_policy(&self, actions: &[u32], values: &[f64], canvas: &mut Canvas) -> bool {
        self.world.draw_policy(actions, values, canvas)
    }

    fn draw(&self, canvas: &mut Canvas) {
        self.world.draw(self.episode.state, self.episode.last.map(u32::from), canvas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_falls_on_the_odds_that_it_lies_between() {
        let probabilities = [0.25, 0.0, 0.5, 0.25];
        let picked = [0.0, 0.2499, 0.25, 0.7499, 0.75, 0.9999].map(|draw| pick(&probabilities, draw));
        assert_eq!(picked, [0, 0, 2, 2, 3, 3]);
        assert_eq!(pick(&[0.1; 10], 1.0 - f64::EPSILON / 2.0), 9, "ten times 0.1 is less than 1");
    }
}
