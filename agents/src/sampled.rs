//! Sampling actions from the policy of a shared network, and keeping what its learner needs.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;

use rl_core::{End, Result, Saved, Spec, State};
use rl_replays::Rollout;

use crate::actor_critic::{ActorCritic, Flows};
use crate::categorical::Categorical;
use crate::gather::Gathered;
use crate::streams::Streams;
use crate::{Mode, Policy, kept};

/// What is kept of a step in [`Rollout::extra`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// Logarithm of the probability of the actions taken.
    pub(crate) log_prob: f32,
    /// Value of what was seen.
    pub(crate) value: f32,
}

impl Behaviour {
    /// Values per step.
    pub(crate) const WIDTH: usize = 2;

    /// That of step `t` of seat `e`.
    pub(crate) fn at(block: &Rollout, t: usize, e: usize) -> Self {
        let kept = block.extra.at(t, e);
        Self { log_prob: kept[0], value: kept[1] }
    }
}

/// Draws every action from its distribution, or takes the most probable where an evaluation asks for it.
///
/// Every seat draws from its own stream, and a seat whose episode is over draws nothing, so that the choice does not
/// depend on how seats are grouped. The value of a truncated seat's true last observation is kept all the same.
pub(crate) struct Sampled {
    net: Arc<ActorCritic>,
    memory: Memory,
    dist: Categorical,
    batch: Gathered,
    flows: Flows,
}

/// What the next action depends on.
struct Memory(Streams);

impl Sampled {
    /// A policy for `seats`.
    pub(crate) fn new(net: Arc<ActorCritic>, spec: &Spec, seed: u64, seats: Range<u32>) -> Self {
        let (memory, dist) = (Memory(Streams::new(seed, seats)), Categorical::new(spec));
        Self { net, memory, dist, batch: Gathered::default(), flows: Flows::default() }
    }
}

impl Policy for Sampled {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { net, memory, dist, batch, flows } = self;
        let explore = mode == Mode::Explore;
        let looks = |end: End| !end.over() || (explore && end == End::Truncated);
        batch.clear();
        for block in &*blocks {
            (0..block.envs()).filter(|&e| looks(block.end[(t, e)])).for_each(|e| batch.push(block, t, e));
        }
        if batch.is_empty() {
            blocks.iter_mut().for_each(|block| block.discrete.row_mut(t).fill(0));
            return Ok(());
        }
        net.run(&batch.seen(), explore, flows)?;
        let mut rows = flows.logits().chunks_exact(dist.width());
        let mut values = flows.values().iter();
        let mut rngs = memory.0.iter_mut();
        for block in blocks {
            let width = block.discrete.width();
            for (e, actions) in block.discrete.row_mut(t).chunks_exact_mut(width).enumerate() {
                let (rng, end) = (rngs.next().expect("a stream per seat"), block.end[(t, e)]);
                actions.fill(0); // ignored where the environment resets
                if !looks(end) {
                    continue;
                }
                let logits = rows.next().expect("a row per seat that looks");
                let legal = block.legal.at(t, e);
                if !end.over() {
                    dist.set(logits, legal);
                    match mode {
                        Mode::Evaluate { epsilon, .. } if epsilon > 0.0 && rng.f32() < epsilon => {
                            dist.uniform(legal, rng, actions);
                        }
                        Mode::Evaluate { greedy: true, .. } => dist.mode(actions),
                        _ => dist.sample(rng, actions),
                    }
                }
                if explore {
                    let kept = &mut block.extra.row_mut(t)[e * Behaviour::WIDTH..][..Behaviour::WIDTH];
                    let log_prob = if end.over() { 0.0 } else { dist.log_prob(actions) };
                    kept.copy_from_slice(&[log_prob, *values.next().expect("as many values as rows")]);
                }
            }
        }
        Ok(())
    }

    fn state(&mut self) -> State<'_> {
        vec![("act".to_owned(), &mut self.memory)]
    }
}

impl Saved for Memory {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        kept::write(&self.0, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let streams: Streams = kept::read("policy", from)?;
        self.0 = streams.instead_of(&self.0)?;
        Ok(())
    }
}
