//! ε-greedy action choice on the values of a shared network.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;

use rl_core::{Result, Saved, State};
use rl_nn::Flow;
use rl_replays::Rollout;
use serde::{Deserialize, Serialize};

use crate::gather::Gathered;
use crate::q_net::{QNet, argmax};
use crate::streams::Streams;
use crate::{Mode, Policy, Schedule, kept, legal};

/// Takes a random action with probability ε, else the first of the best; only among legal ones.
///
/// Every seat draws from its own stream, and a seat whose episode is over draws nothing, so that the choice does not
/// depend on how seats are grouped.
pub(crate) struct Greedy {
    net: Arc<QNet>,
    epsilon: Schedule,
    /// Agent steps of all seats of the run per step counted here.
    scale: u64,
    memory: Memory,
    batch: Gathered,
    flow: Flow,
    /// Block and seat of each row of `batch`.
    places: Vec<(usize, usize)>,
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
    pub(crate) fn new(net: Arc<QNet>, epsilon: Schedule, seed: u64, seats: Range<u32>, all: u32) -> Self {
        let scale = u64::from((all / (seats.len() as u32).max(1)).max(1));
        let memory = Memory { steps: 0, rngs: Streams::new(seed, seats) };
        Self { net, epsilon, scale, memory, batch: Gathered::default(), flow: Flow::default(), places: Vec::new() }
    }
}

impl Policy for Greedy {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { net, memory, batch, flow, places, .. } = self;
        let epsilon = match mode {
            Mode::Explore => self.epsilon.at(memory.steps * self.scale) as f32,
            Mode::Evaluate { epsilon, .. } => epsilon,
        };
        batch.clear();
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
                }
            }
        }
        if mode == Mode::Explore {
            memory.steps += playing;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let values = net.values(&batch.seen(), flow)?;
        for (&(b, e), values) in places.iter().zip(values.chunks_exact(values.len() / places.len())) {
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
