//! ε-greedy action choice on the values of a shared network.
//!
//! What noisy weights and implicit quantiles draw, every seat draws from its own stream at every step. An evaluation takes
//! the means of noisy weights, without noise.

use std::ops::Range;
use std::sync::Arc;

use rl_core::{Result, State};
use rl_replays::Rollout;

use crate::dqn::Distribution;
use crate::exploring::Exploring;
use crate::gather::Gathered;
use crate::q_net::{Draws, Pass, QNet, argmax};
use crate::{Mode, Policy, Schedule, legal};

/// Takes a random action with probability ε, else the first of the best; only among legal ones.
///
/// Every seat draws from its own stream, and a seat whose episode is over draws nothing, so that the choice does not
/// depend on how seats are grouped.
pub(crate) struct Greedy {
    net: Arc<QNet>,
    reading: Reading,
    exploring: Exploring,
    batch: Gathered,
    draws: Draws,
    pass: Pass,
    means: Vec<f32>,
    /// Block and seat of each row of `batch`.
    places: Vec<(usize, usize)>,
}

/// How values are read from a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// What its numbers are.
    pub(crate) distribution: Distribution,
    /// Quantiles to draw per observation; 0 where it embeds none.
    pub(crate) taus: usize,
}

impl Greedy {
    /// A policy for `seats`, of which the run has `all`.
    pub(crate) fn new(
        net: Arc<QNet>,
        reading: Reading,
        epsilon: Schedule,
        seed: u64,
        seats: Range<u32>,
        all: u32,
    ) -> Self {
        let exploring = Exploring::new(epsilon, seed, seats, all);
        let (batch, draws, pass) = Default::default();
        Self { net, reading, exploring, batch, draws, pass, means: Vec::new(), places: Vec::new() }
    }
}

impl Policy for Greedy {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { net, reading, exploring, batch, draws, pass, means, places } = self;
        let noise = if mode == Mode::Explore { net.noise() } else { 0 };
        let epsilon = exploring.epsilon(mode);
        batch.clear();
        draws.clear();
        places.clear();
        let mut rngs = exploring.rngs();
        let mut playing = 0;
        for (b, block) in blocks.iter_mut().enumerate() {
            for e in 0..block.envs() {
                let rng = rngs.next().expect("a stream per seat");
                if block.end[(t, e)].over() {
                    block.discrete.row_mut(t)[e] = 0; // ignored: the environment resets
                    continue;
                }
                playing += 1;
                if rng.f32() < epsilon {
                    let action = legal::random(block.spec().discrete[0], block.legal.at(t, e), rng);
                    block.discrete.row_mut(t)[e] = action;
                } else {
                    batch.push(block, t, e);
                    places.push((b, e));
                    draws.draw(reading.taus, noise, rng);
                }
            }
        }
        drop(rngs);
        exploring.count(mode, playing);
        if batch.is_empty() {
            return Ok(());
        }
        let outputs = net.run(&batch.seen(), draws, pass)?;
        let shape = [outputs.len() / (places.len() * net.actions()), net.actions()];
        let values = reading.distribution.means(outputs, shape, 0..shape[0], means);
        for (&(b, e), values) in places.iter().zip(values.chunks_exact(net.actions())) {
            let action = argmax(values, blocks[b].legal.at(t, e));
            blocks[b].discrete.row_mut(t)[e] = action as u32;
        }
        Ok(())
    }

    fn state(&mut self) -> State<'_> {
        vec![("act".to_owned(), &mut self.exploring)]
    }
}
