//! ε-greedy action choice on the values of a shared network.
//!
//! Noise of noisy weights and quantiles τ of implicit networks are drawn per seat, from its own stream, at every step.
//! An evaluation uses the means of noisy weights, without noise, and a greedy one the middles of equal parts for τ, so
//! that its action follows from the observation. For a learner whose targets need the values that were
//! acted on (PQN), the greatest values are stored. A network with a memory sees every step, those of random actions
//! too; the recurrent state before each step is stored for the learner, and reset where an episode starts.

use std::ops::Range;
use std::sync::Arc;

use rl_core::{End, Result, Saved, State};
use rl_replays::{Outputs, Rollout};

use crate::dqn::ReturnDistribution;
use crate::exploring::Exploring;
use crate::gather::Gathered;
use crate::q_net::{Draws, Pass, QNet};
use crate::states::States;
use crate::{Mode, Policy, Schedule, legal};

/// ε-greedy policy on a Q-network: a random legal action with probability ε, else the first of the best legal ones.
///
/// Every seat draws from its own stream, and a seat whose episode is over draws nothing, so that the choice does not
/// depend on how seats are grouped.
pub(crate) struct EpsilonGreedy {
    net: Arc<QNet>,
    reading: Reading,
    exploring: Exploring,
    states: States,
    batch: Gathered,
    draws: Draws,
    pass: Pass,
    means: Vec<f32>,
    places: Vec<Place>,
    /// Whether the greatest action value of every observation is stored in [`Rollout::extra`], also for the true last
    /// observation of a truncated episode.
    stores_values: bool,
}

/// Origin of a row of the batch.
struct Place {
    block: usize,
    seat: usize,
    /// Whether the row decides the action.
    decides: bool,
}

/// How action values are computed from a network's outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Meaning of the outputs.
    pub(crate) distribution: ReturnDistribution,
    /// Quantiles τ to draw per observation; 0 for networks other than implicit quantile networks.
    pub(crate) taus: usize,
}

impl EpsilonGreedy {
    /// Creates a policy for `seats` (global numbers).
    pub(crate) fn new(net: Arc<QNet>, reading: Reading, epsilon: Schedule, seed: u64, seats: Range<u32>) -> Self {
        let states = States::new(net.state_width(), seats.len());
        let exploring = Exploring::new(epsilon, seed, seats);
        let (batch, draws, pass) = Default::default();
        Self {
            net,
            reading,
            exploring,
            states,
            batch,
            draws,
            pass,
            means: Vec::new(),
            places: Vec::new(),
            stores_values: false,
        }
    }

    /// Makes the policy store the greatest action value of every observation in [`Rollout::extra`].
    pub(crate) fn storing_values(self) -> Self {
        Self { stores_values: true, ..self }
    }
}

impl Policy for EpsilonGreedy {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { net, reading, exploring, states, batch, draws, pass, means, places, stores_values } = self;
        let stores_values = *stores_values && mode == Mode::Explore;
        let displayed = blocks.first().is_some_and(Rollout::records_outputs);
        let recurrent = net.state_width() > 0;
        let noise = if mode == Mode::Explore { net.noise() } else { 0 };
        let middles = matches!(mode, Mode::Evaluate { greedy: true, .. });
        let epsilon = exploring.epsilon(mode);
        batch.clear();
        draws.clear();
        places.clear();
        states.begin();
        let mut rngs = exploring.rngs();
        let mut playing = 0;
        for (b, block) in blocks.iter_mut().enumerate() {
            block.outputs.row_mut(t).fill(f32::NAN);
            for e in 0..block.seats() {
                let rng = rngs.next().expect("a stream per seat");
                let end = block.end[(t, e)];
                let random = end.over() || {
                    playing += 1;
                    rng.f32() < epsilon
                };
                if random {
                    let count = block.spec().discrete[0];
                    // Where the environment resets, it ignores the action.
                    let action = if end.over() { 0 } else { legal::random(count, block.legal.at(t, e), rng) };
                    block.discrete.row_mut(t)[e] = action;
                }
                let needed = !random || (stores_values && end != End::Terminated) || (recurrent && !end.over());
                // What is only displayed draws from a copy.
                let mut aside = (displayed && !needed && !end.over()).then(|| rng.clone());
                let state = states.next(block.age[(t, e)] == 0, needed);
                if recurrent && mode == Mode::Explore {
                    block.extra.at_mut(t, e).copy_from_slice(state);
                }
                if needed || aside.is_some() {
                    batch.push(block, t, e);
                    places.push(Place { block: b, seat: e, decides: !random });
                    if middles {
                        draws.spread(reading.taus);
                    } else {
                        draws.draw(reading.taus, noise, aside.as_mut().unwrap_or(rng));
                    }
                }
            }
        }
        drop(rngs);
        exploring.count(mode, playing);
        if batch.is_empty() {
            return Ok(());
        }
        batch.standardise(net.standardise())?;
        let outputs = net.run(&batch.seen(), draws, states.taken(), pass)?;
        states.finish();
        let shape = [outputs.len() / (places.len() * net.actions()), net.actions()];
        let values = reading.distribution.means(outputs, shape, 0..shape[0], means);
        for (&Place { block, seat, decides }, values) in places.iter().zip(values.chunks_exact(net.actions())) {
            let block = &mut blocks[block];
            let action = legal::argmax(values, block.legal.at(t, seat));
            if decides {
                block.discrete.row_mut(t)[seat] = action as u32;
            }
            if stores_values {
                block.extra.at_mut(t, seat)[0] = values[action];
            }
            if !block.end[(t, seat)].over()
                && let Some((said, all)) = block.outputs.at_mut(t, seat).split_first_mut()
            {
                *said = values[action];
                legal::keep(values, block.legal.at(t, seat), all);
            }
        }
        Ok(())
    }

    fn outputs(&self) -> Option<Outputs> {
        Some(Outputs::Q)
    }

    fn is_recurrent(&self) -> bool {
        self.net.state_width() > 0
    }

    fn state(&mut self) -> State<'_> {
        let recurrent = self.is_recurrent();
        let mut state: State<'_> = vec![("act".to_owned(), &mut self.exploring)];
        if recurrent {
            state.push(("memory".to_owned(), &mut self.states as &mut dyn Saved));
        }
        state
    }
}
