//! ε-greedy action choice on the values of a shared network.
//!
//! What noisy weights and implicit quantiles draw, every seat draws from its own stream at every step. An evaluation takes
//! the means of noisy weights, without noise.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;

use rl_core::{Result, Saved, State};
use rl_replays::Rollout;
use serde::{Deserialize, Serialize};

use crate::dqn::Distribution;
use crate::gather::Gathered;
use crate::q_net::{Draws, Pass, QNet, argmax};
use crate::streams::Streams;
use crate::{Mode, Policy, Schedule, kept, legal};

/// Takes a random action with probability ε, else the first of the best; only among legal ones.
///
/// Every seat draws from its own stream, and a seat whose episode is over draws nothing, so that the choice does not
/// depend on how seats are grouped.
pub(crate) struct Greedy {
    net: Arc<QNet>,
    reading: Reading,
    epsilon: Schedule,
    /// Agent steps of all seats of the run per step counted here.
    scale: u64,
    memory: Memory,
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

/// What the next action depends on.
#[derive(Serialize, Deserialize)]
struct Memory {
    /// Agent steps made while exploring.
    steps: u64,
    rngs: Streams,
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
        let scale = u64::from((all / (seats.len() as u32).max(1)).max(1));
        let memory = Memory { steps: 0, rngs: Streams::new(seed, seats) };
        let (batch, draws, pass) = Default::default();
        Self { net, reading, epsilon, scale, memory, batch, draws, pass, means: Vec::new(), places: Vec::new() }
    }
}

impl Policy for Greedy {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { net, reading, memory, batch, draws, pass, means, places, .. } = self;
        let noise = if mode == Mode::Explore { net.noise() } else { 0 };
        let epsilon = match mode {
            Mode::Explore => self.epsilon.at(memory.steps * self.scale) as f32,
            Mode::Evaluate { epsilon, .. } => epsilon,
        };
        batch.clear();
        draws.clear();
        places.clear();
        let mut rngs = memory.rngs.iter_mut();
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
        if mode == Mode::Explore {
            memory.steps += playing;
        }
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
        vec![("act".to_owned(), &mut self.memory)]
    }
}

impl Saved for Memory {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        kept::write(self, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let Memory { steps, rngs } = kept::read("policy", from)?;
        *self = Memory { steps, rngs: rngs.instead_of(&self.rngs)? };
        Ok(())
    }
}
