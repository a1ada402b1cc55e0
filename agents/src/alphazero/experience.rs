//! Replay of AlphaZero: positions of finished games with policy and value targets; and the positions of running games.
//!
//! The outcome of a position is known only when its game ends: until then it is kept with its seat.

use std::io::{Read, Write};

use rl_core::{End, Error, Game, Result, Rng, Saved, read_postcard, write_postcard};
use rl_replays::Rollout;
use serde::{Deserialize, Serialize};

/// A ring buffer of positions of finished games, and the positions of running ones.
pub(crate) struct Experience<G: Game> {
    capacity: usize,
    /// Share of the search's value in a value target; the rest is the outcome.
    search_value: f32,
    state: Held<G>,
}

/// Everything that is saved.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Held<G: Game> {
    /// Positions ever written; number `n` stands at `n % capacity`.
    #[serde(deserialize_with = "rl_core::counter")]
    written: u64,
    positions: Vec<G>,
    /// Policy targets, `[positions, A]`.
    policies: Vec<f32>,
    /// Value targets for the side to move, `[positions]`.
    values: Vec<f32>,
    /// Positions of the running game of every seat, `[N]`.
    waiting: Vec<Waiting<G>>,
}

/// Positions of a running game.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "")]
struct Waiting<G: Game> {
    positions: Vec<G>,
    /// Policies of the search, `[positions, A]`.
    policies: Vec<f32>,
    /// Values of the search for the side to move, `[positions]`.
    values: Vec<f32>,
}

/// One position of a minibatch, with its targets.
pub(crate) struct Drawn<'a, G> {
    /// Position of a finished game.
    pub(crate) position: &'a G,
    /// Policy target, `[A]`.
    pub(crate) policy: &'a [f32],
    /// Value target for the side to move.
    pub(crate) value: f32,
}

impl<G: Game> Experience<G> {
    /// Creates an empty replay of `capacity` positions, for games of `seats` seats.
    pub(crate) fn new(capacity: usize, search_value: f64, seats: usize) -> Self {
        let (positions, policies, values) = (Vec::new(), Vec::new(), Vec::new());
        let state = Held { written: 0, positions, policies, values, waiting: vec![Waiting::default(); seats] };
        Self { capacity, search_value: search_value as f32, state }
    }

    /// Bytes of a full ring.
    pub(crate) fn bytes_for(capacity: usize) -> u64 {
        (capacity as u64).saturating_mul((size_of::<G>() + 4 * (G::ACTIONS + 1)) as u64)
    }

    /// Positions that can be drawn.
    pub(crate) fn len(&self) -> usize {
        self.state.positions.len()
    }

    /// Adds the played steps of blocks, by time, then by seat. `extra` holds policy `[A]` and value of the search.
    ///
    /// # Errors
    /// If an observation is not a position of a running game.
    pub(crate) fn append(&mut self, blocks: &[Rollout]) -> Result<()> {
        for t in 0..blocks.first().map_or(0, Rollout::horizon) {
            let places = blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
            for (seat, (block, e)) in places.enumerate() {
                if block.age[(t, e)] == 0 {
                    self.state.waiting[seat].clear(); // of a game that was lost with its engine
                }
                if !block.valid(t, e) {
                    continue;
                }
                let (policy, value) = block.extra.at(t, e).split_at(G::ACTIONS);
                let waiting = &mut self.state.waiting[seat];
                waiting.positions.push(recognise(block.vector.at(t, e))?);
                waiting.policies.extend_from_slice(policy);
                waiting.values.push(value[0]);
                match block.end[(t + 1, e)] {
                    End::Terminated => self.settle(seat, block.reward[(t + 1, e)]),
                    End::Truncated => self.state.waiting[seat].clear(), // nobody knows what they were worth
                    End::No | End::LifeLost => {}
                }
            }
        }
        Ok(())
    }

    /// Ends the game of a seat and moves its positions to the ring; `reward` is for the side that moved last.
    fn settle(&mut self, seat: usize, reward: f32) {
        let mut waiting = std::mem::take(&mut self.state.waiting[seat]);
        let Some(mover) = waiting.positions.last().map(G::to_move) else { return };
        let policies = waiting.policies.chunks_exact(G::ACTIONS);
        for ((position, policy), &thought) in waiting.positions.iter().zip(policies).zip(&waiting.values) {
            let outcome = if position.to_move() == mover { reward } else { -reward };
            let value = outcome + self.search_value * (thought - outcome);
            self.push(position.clone(), policy, value);
        }
        waiting.clear();
        self.state.waiting[seat] = waiting; // with its memory
    }

    fn push(&mut self, position: G, policy: &[f32], value: f32) {
        let Held { written, positions, policies, values, .. } = &mut self.state;
        let at = (*written % self.capacity as u64) as usize;
        if positions.len() < self.capacity {
            positions.push(position);
            policies.extend_from_slice(policy);
            values.push(value);
        } else {
            policies[at * G::ACTIONS..(at + 1) * G::ACTIONS].copy_from_slice(policy);
            (positions[at], values[at]) = (position, value);
        }
        *written += 1;
    }

    /// Draws a position of a finished game uniformly.
    ///
    /// # Panics
    /// If no game has finished yet.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Drawn<'_, G> {
        let at = rng.below(self.len() as u32) as usize;
        let Held { positions, policies, values, .. } = &self.state;
        let policy = &policies[at * G::ACTIONS..(at + 1) * G::ACTIONS];
        Drawn { position: &positions[at], policy, value: values[at] }
    }
}

impl<G: Game> Waiting<G> {
    fn clear(&mut self) {
        self.positions.clear();
        self.policies.clear();
        self.values.clear();
    }

    fn is_sound(&self) -> bool {
        let count = self.positions.len();
        self.policies.len() == count * G::ACTIONS && self.values.len() == count
    }
}

impl<G: Game> Default for Waiting<G> {
    fn default() -> Self {
        Self { positions: Vec::new(), policies: Vec::new(), values: Vec::new() }
    }
}

/// Reads the position of a running game from an observation.
///
/// # Errors
/// If the observation is not a position, or the game is over, as it should be where no move is legal.
pub(crate) fn recognise<G: Game>(planes: &[f32]) -> Result<G> {
    let goes_on = |position: &G| position.outcome().is_none() && (0..G::ACTIONS).any(|action| position.legal(action));
    G::recognise(planes).filter(goes_on).ok_or_else(|| {
        let message =
            "alphazero: the environment goes on where its game is over, or shows no position of it".to_owned();
        Error::Config { key: "agent".to_owned(), message }
    })
}

impl<G: Game> Saved for Experience<G> {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(&self.state, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let held: Held<G> = read_postcard("experience", from)?;
        let count = held.positions.len();
        let wrong = if held.waiting.len() != self.state.waiting.len() {
            Some(format!("holds {} seats, expected {}", held.waiting.len(), self.state.waiting.len()))
        } else if count as u64 != held.written.min(self.capacity as u64) {
            Some(format!("holds {count} positions of {}, and {} fit", held.written, self.capacity))
        } else if held.policies.len() != count * G::ACTIONS
            || held.values.len() != count
            || !held.waiting.iter().all(Waiting::is_sound)
        {
            Some("has not a policy and a value for every position".to_owned())
        } else {
            None
        };
        if let Some(message) = wrong {
            return Err(Error::State { part: "experience".to_owned(), message });
        }
        self.state = held;
        Ok(())
    }
}
