//! Policy of actor-critics: samples actions from a shared network, and stores what the learner needs.

use std::ops::Range;
use std::sync::Arc;

use rl_core::{End, Result, Saved, Spec, State};
use rl_replays::{Outputs, Rollout};

use crate::actor_critic::{ActorCritic, Flows};
use crate::distribution::{ActionDistribution, Actions};
use crate::gather::Gathered;
use crate::states::States;
use crate::streams::Streams;
use crate::{Mode, Policy};

/// Data of the policy that acted in a step, stored in [`Rollout::extra`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour<'a> {
    /// Log-probability of the actions taken.
    pub(crate) log_prob: f32,
    /// Value of the observation.
    pub(crate) value: f32,
    /// Continuous actions as drawn, in units of their intervals; the block holds the clipped ones.
    pub(crate) drawn: &'a [f32],
    /// Recurrent state before the step, `[S]`: zeros where an episode starts.
    pub(crate) state: &'a [f32],
}

impl<'a> Behaviour<'a> {
    /// Stored values per step, for a recurrent state of width `state`.
    pub(crate) fn width(spec: &Spec, state: usize) -> usize {
        2 + spec.continuous.len() + state
    }

    /// Reads the data of step `t` of seat `e` from a block.
    pub(crate) fn at(block: &'a Rollout, t: usize, e: usize) -> Self {
        let (kept, rest) = block.extra.at(t, e).split_at(2);
        let (drawn, state) = rest.split_at(block.spec().continuous.len());
        Self { log_prob: kept[0], value: kept[1], drawn, state }
    }
}

/// Policy that samples every action from its distribution, or takes the most probable one in a greedy evaluation.
///
/// Every seat draws from its own stream, and a seat whose episode is over draws nothing, so that the choice does not
/// depend on how seats are grouped. The value of the true last observation of a truncated episode is stored too, with
/// the recurrent state of that time. The recurrent state is reset where an episode starts.
pub(crate) struct ActorCriticPolicy {
    net: Arc<ActorCritic>,
    streams: Streams,
    states: States,
    dist: ActionDistribution,
    batch: Gathered,
    flows: Flows,
    /// Continuous actions of one seat as they were drawn.
    drawn: Vec<f32>,
}

impl ActorCriticPolicy {
    /// Creates a policy for `seats` (global numbers).
    pub(crate) fn new(net: Arc<ActorCritic>, spec: &Spec, seed: u64, seats: Range<u32>) -> Self {
        let (states, dist) = (States::new(net.state_width(), seats.len()), ActionDistribution::new(spec));
        let (streams, drawn) = (Streams::new(seed, seats), vec![0.0; spec.continuous.len()]);
        Self { net, streams, states, dist, batch: Gathered::default(), flows: Flows::default(), drawn }
    }
}

impl Policy for ActorCriticPolicy {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        let Self { net, streams, states, dist, batch, flows, drawn } = self;
        let explore = mode == Mode::Explore;
        let displayed = blocks.first().is_some_and(Rollout::records_outputs);
        let looks = |end: End| !end.over() || (explore && end == End::Truncated);
        batch.clear();
        states.begin();
        for block in &mut *blocks {
            block.discrete.row_mut(t).fill(0); // stays where the environment resets, which ignores it
            block.continuous.row_mut(t).fill(0.0);
            block.outputs.row_mut(t).fill(f32::NAN);
            for e in 0..block.seats() {
                let looks = looks(block.end[(t, e)]);
                let state = states.next(block.age[(t, e)] == 0, looks);
                if explore {
                    let kept = block.extra.at_mut(t, e);
                    let at = kept.len() - state.len();
                    kept[at..].copy_from_slice(state);
                }
                if looks {
                    batch.push(block, t, e);
                }
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        batch.standardise(net.standardise())?;
        net.run(&batch.seen(), explore || displayed, states.taken(), flows)?;
        states.finish();
        let mut rows = flows.outputs().chunks_exact(dist.width());
        let mut values = flows.values().iter();
        let mut rngs = streams.iter_mut();
        for block in blocks {
            for e in 0..block.seats() {
                let (rng, end) = (rngs.next().expect("a stream per seat"), block.end[(t, e)]);
                if !looks(end) {
                    continue;
                }
                let outputs = rows.next().expect("a row per seat that looks");
                let value = values.next();
                let legal = block.legal.at(t, e);
                let discrete = block.discrete.at_mut(t, e);
                if end.over() {
                    drawn.fill(0.0);
                } else {
                    dist.set(outputs, legal);
                    dist.choose(mode, legal, rng, discrete, drawn);
                    dist.give(drawn, block.continuous.at_mut(t, e));
                    if let Some((said, probabilities)) = block.outputs.at_mut(t, e).split_first_mut() {
                        *said = *value.expect("as many values as rows");
                        dist.probabilities(probabilities);
                    }
                }
                if explore {
                    let actions = Actions { discrete, continuous: drawn };
                    let log_prob = if end.over() { 0.0 } else { dist.log_prob(actions) };
                    let (kept, kept_drawn) = block.extra.at_mut(t, e).split_at_mut(2);
                    kept.copy_from_slice(&[log_prob, *value.expect("as many values as rows")]);
                    kept_drawn[..drawn.len()].copy_from_slice(drawn);
                }
            }
        }
        Ok(())
    }

    fn outputs(&self) -> Option<Outputs> {
        Some(Outputs::Probabilities)
    }

    fn is_recurrent(&self) -> bool {
        self.net.state_width() > 0
    }

    fn state(&mut self) -> State<'_> {
        let recurrent = self.is_recurrent();
        let mut state: State<'_> = vec![("act".to_owned(), &mut self.streams)];
        if recurrent {
            state.push(("memory".to_owned(), &mut self.states as &mut dyn Saved));
        }
        state
    }
}
