//! Policy of behaviour cloning: samples from the network's distributions, or takes the most probable actions.

use std::ops::Range;
use std::sync::Arc;

use rl_core::{Result, Spec, State};
use rl_nn::HostForward;
use rl_replays::{Outputs, Rollout};

use super::net::PolicyNet;
use crate::distribution::ActionDistribution;
use crate::gather::Gathered;
use crate::streams::Streams;
use crate::{Mode, Policy};

/// Policy that samples from a shared network.
///
/// Every seat draws from its own stream, and a seat whose episode is over draws nothing, so that the choice does not
/// depend on how seats are grouped.
pub(crate) struct ClonedPolicy {
    net: Arc<PolicyNet>,
    streams: Streams,
    dist: ActionDistribution,
    batch: Gathered,
    flow: HostForward,
    /// Continuous actions of one seat as they were drawn.
    drawn: Vec<f32>,
}

impl ClonedPolicy {
    /// Creates a policy for `seats` (global numbers).
    pub(crate) fn new(net: Arc<PolicyNet>, spec: &Spec, seed: u64, seats: Range<u32>) -> Self {
        let (streams, drawn) = (Streams::new(seed, seats), vec![0.0; spec.continuous.len()]);
        Self {
            net,
            streams,
            dist: ActionDistribution::new(spec),
            batch: Gathered::default(),
            flow: HostForward::default(),
            drawn,
        }
    }
}

impl Policy for ClonedPolicy {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { net, streams, dist, batch, flow, drawn } = self;
        batch.clear();
        for block in &mut *blocks {
            block.discrete.row_mut(t).fill(0); // stays where the environment resets, which ignores it
            block.continuous.row_mut(t).fill(0.0);
            block.outputs.row_mut(t).fill(f32::NAN);
            (0..block.seats()).filter(|&e| !block.end[(t, e)].over()).for_each(|e| batch.push(block, t, e));
        }
        if batch.is_empty() {
            return Ok(());
        }
        batch.standardise(net.standardise())?;
        net.run(&batch.seen(), flow)?;
        let mut rows = flow.values().chunks_exact(dist.width());
        let mut rngs = streams.iter_mut();
        for block in blocks {
            for e in 0..block.seats() {
                let rng = rngs.next().expect("a stream per seat");
                if block.end[(t, e)].over() {
                    continue;
                }
                let legal = block.legal.at(t, e);
                dist.set(rows.next().expect("a row per seat that plays"), legal);
                let discrete = block.discrete.at_mut(t, e);
                dist.choose(mode, legal, rng, discrete, drawn);
                dist.give(drawn, block.continuous.at_mut(t, e));
                if let Some((_, probabilities)) = block.outputs.at_mut(t, e).split_first_mut() {
                    dist.probabilities(probabilities); // it has no value to say
                }
            }
        }
        Ok(())
    }

    fn outputs(&self) -> Option<Outputs> {
        Some(Outputs::Probabilities)
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        vec![("act".to_owned(), &mut self.streams)]
    }
}
