//! Seed and actions of an episode of Doom, from which a saved state is replayed.

use rl_core::{Act, Error, Result, Spec, load_postcard};
use serde::{Deserialize, Serialize};

use super::FAMILY;

/// Number of steps that are noted without allocating: half an hour of play at four tics per step.
const STEPS: usize = 16_000;

/// Seed of an episode and the actions of all its steps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Episode {
    pub(super) seed: u64,
    /// Number of episodes that the present engine has begun. It decides nothing and is a part of every saved state.
    #[serde(deserialize_with = "rl_core::counter")]
    pub(super) drawn: u32,
    /// Discrete actions, `[steps, players, discrete]`.
    discrete: Vec<u8>,
    continuous: Vec<f32>,
    steps: u32,
}

impl Episode {
    /// Makes an empty episode with room for the actions of `players` players.
    pub(super) fn new(spec: &Spec, players: usize) -> Self {
        Self {
            discrete: Vec::with_capacity(STEPS * players * spec.discrete.len()),
            continuous: Vec::with_capacity(STEPS * players * spec.continuous.len()),
            ..Self::default()
        }
    }

    /// Forgets all actions and begins the episode `seed`.
    pub(super) fn begin(&mut self, seed: u64) {
        (self.seed, self.steps) = (seed, 0);
        self.discrete.clear();
        self.continuous.clear();
    }

    /// Appends the actions of all players in one step.
    pub(super) fn note(&mut self, act: Act<'_>) {
        self.discrete.extend(act.discrete.iter().map(|&value| value as u8));
        self.continuous.extend_from_slice(act.continuous);
        self.steps += 1;
    }

    /// Deserialises a saved episode.
    ///
    /// # Errors
    /// If `bytes` is no episode of `players` players with the action spaces of `spec`.
    pub(super) fn load(bytes: &[u8], spec: &Spec, players: usize) -> Result<Self> {
        let this: Self = load_postcard(FAMILY, bytes)?;
        let state = |message: &str| Error::State { part: FAMILY.to_owned(), message: message.to_owned() };
        let steps = this.steps as usize;
        let (discrete, continuous) = (players * spec.discrete.len(), players * spec.continuous.len());
        let lengths = [(discrete, this.discrete.len()), (continuous, this.continuous.len())];
        if lengths.iter().any(|&(each, all)| steps.checked_mul(each) != Some(all)) {
            return Err(state("holds another number of actions than of steps"));
        }
        if this.discrete.iter().zip(spec.discrete.iter().cycle()).any(|(&value, &n)| u32::from(value) >= n) {
            return Err(state("holds an action that there is not"));
        }
        Ok(this)
    }

    /// Copies `saved` into the buffers of this episode, which keep their room for the steps that follow.
    pub(super) fn take(&mut self, saved: &Self) {
        (self.seed, self.drawn, self.steps) = (saved.seed, saved.drawn, saved.steps);
        self.discrete.clone_from(&saved.discrete);
        self.continuous.clone_from(&saved.continuous);
    }

    /// Calls `play` with the actions of every step, in order.
    ///
    /// # Errors
    /// If `play` fails, with its error.
    pub(super) fn replay(&self, mut play: impl FnMut(Act<'_>) -> Result<()>) -> Result<()> {
        let steps = self.steps as usize;
        let values: Vec<u32> = self.discrete.iter().map(|&value| value.into()).collect();
        let (discrete, continuous) = (values.len() / steps.max(1), self.continuous.len() / steps.max(1));
        (0..steps).try_for_each(|step| {
            play(Act {
                discrete: &values[step * discrete..(step + 1) * discrete],
                continuous: &self.continuous[step * continuous..(step + 1) * continuous],
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{Bound, save_postcard};

    use super::*;

    #[test]
    fn a_number_of_episodes_that_no_engine_plays_is_refused() {
        let spec = Spec { discrete: [3].into(), ..Spec::none() };
        let loaded = |drawn| {
            let mut bytes = Vec::new();
            save_postcard(&Episode { drawn, ..Episode::new(&spec, 1) }, &mut bytes).unwrap();
            Episode::load(&bytes, &spec, 1)
        };
        assert!(loaded(9).is_ok() && loaded(u32::MAX).is_err());
    }

    #[test]
    fn one_that_was_saved_leaves_room_for_the_steps_that_follow() {
        let bound = Bound { low: -1.0, high: 1.0 };
        let spec = Spec { discrete: [3].into(), continuous: [bound; 2].into(), ..Spec::none() };
        let mut played = Episode::new(&spec, 2);
        played.begin(7);
        played.note(Act { discrete: &[1, 2], continuous: &[0.5, -0.5, 1.0, 0.0] });
        let mut bytes = Vec::new();
        save_postcard(&played, &mut bytes).unwrap();
        let mut here = Episode::new(&spec, 2);
        let room = (here.discrete.capacity(), here.continuous.capacity());
        here.take(&Episode::load(&bytes, &spec, 2).unwrap());
        let mut again = Vec::new();
        save_postcard(&here, &mut again).unwrap();
        assert_eq!(again, bytes);
        assert_eq!((here.discrete.capacity(), here.continuous.capacity()), room);
    }
}
