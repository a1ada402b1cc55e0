//! Minibatches of on-policy learners: single steps, or sequences of the steps of a seat where the network has a memory.
//!
//! A sequence begins with the stored recurrent state of the policy, which is reset where an episode starts. Rows
//! without a step, the last observations of episodes, pass through the network but do not enter the loss.
//! Source: Huang et al. 2022, "The 37 implementation details of PPO", of the LSTM: states that reset, seats that stay in order.

use rl_core::{Column, Spec};
use rl_replays::Rollout;

use crate::actor_critic_policy::Behaviour;
use crate::gather::Gathered;
use crate::rounds::AdvantageStep;
use crate::tower::SequenceLayout;

/// A minibatch of played steps, whose buffers are reused from update to update.
#[derive(Clone, Debug, Default)]
pub(crate) struct Minibatch {
    /// Observations of all rows.
    pub(crate) seen: Gathered,
    /// Steps to learn from, in the order of the network's outputs.
    pub(crate) steps: Vec<AdvantageStep>,
    /// Order of the rows in sequences; `None` without a recurrent layer.
    pub(crate) sequences: Option<SequenceLayout>,
}

impl Minibatch {
    /// Fills the minibatch with the steps whose numbers are in `part`.
    pub(crate) fn of_steps(&mut self, blocks: &[Rollout], steps: &[AdvantageStep], part: &[u32]) {
        self.seen.clear();
        self.steps.clear();
        self.sequences = None;
        for step in part.iter().map(|&i| &steps[i as usize]) {
            self.seen.push(&blocks[step.block as usize], step.t as usize, step.e as usize);
            self.steps.push(*step);
        }
    }

    /// Fills the minibatch with the sequences whose numbers are in `part`, each of `length` rows of one seat.
    ///
    /// Sequences are numbered by time, then by seat. `seats` are all seats as (block, index in it); `steps` are all
    /// played steps, sorted by [`AdvantageStep::place`].
    pub(crate) fn of_sequences(
        &mut self,
        blocks: &[Rollout],
        seats: &[(u32, u32)],
        length: usize,
        steps: &[AdvantageStep],
        part: &[u32],
    ) {
        self.seen.clear();
        self.steps.clear();
        let sequences = self.sequences.get_or_insert_default();
        sequences.begin(length);
        for row in 0..length {
            for &number in part {
                let (first, seat) = (number as usize / seats.len() * length, number as usize % seats.len());
                let ((block, e), t) = (seats[seat], first + row);
                let place = (t as u32, block, e);
                let (block, e) = (&blocks[block as usize], e as usize);
                self.seen.push(block, t, e);
                sequences.starts.push(if block.age[(t, e)] == 0 { 1.0 } else { 0.0 });
                if row == 0 {
                    sequences.states.extend_from_slice(Behaviour::at(block, t, e).state);
                }
                if let Ok(found) = steps.binary_search_by_key(&place, AdvantageStep::place) {
                    sequences.wanted.push(sequences.starts.len() as u32 - 1);
                    self.steps.push(steps[found]);
                }
            }
        }
    }

    /// Contents of the minibatch as named columns, for the report of an error.
    ///
    /// Advantages are not normalised. With a recurrent layer observations are of all rows of the sequences, and the
    /// other columns only of rows with a step.
    pub(crate) fn columns(&self, spec: &Spec, blocks: &[Rollout]) -> Vec<Column> {
        let rows = self.steps.len();
        let steps = || self.steps.iter().map(|step| (&blocks[step.block as usize], step.t as usize, step.e as usize));
        let kept = || steps().map(|(block, t, e)| Behaviour::at(block, t, e));
        let discrete: Vec<u32> = steps().flat_map(|(block, t, e)| block.discrete.at(t, e)).copied().collect();
        let drawn: Vec<f32> = kept().flat_map(|kept| kept.drawn).copied().collect();
        let legal: Vec<u8> = steps().flat_map(|(block, t, e)| block.legal.at(t, e)).copied().collect();
        let mut columns = self.seen.columns(spec);
        columns.extend([
            Column::new("action.discrete", rows, discrete),
            Column::new("action.continuous", rows, drawn),
            Column::new("legal", rows, legal),
            Column::new("reward", rows, steps().map(|(block, t, e)| block.reward[(t + 1, e)]).collect::<Vec<f32>>()),
            Column::new("log_prob", rows, kept().map(|kept| kept.log_prob).collect::<Vec<f32>>()),
            Column::new("value", rows, kept().map(|kept| kept.value).collect::<Vec<f32>>()),
            Column::new("advantage", rows, self.steps.iter().map(|step| step.advantage).collect::<Vec<f32>>()),
            Column::new("target", rows, self.steps.iter().map(|step| step.target).collect::<Vec<f32>>()),
        ]);
        if let Some(SequenceLayout { steps, starts, states, wanted }) = &self.sequences {
            columns.extend([
                Column::new("sequence.starts", *steps, starts.clone()),
                Column::new("sequence.states", starts.len() / steps, states.clone()),
                Column::new("sequence.wanted", wanted.len(), wanted.clone()),
            ]);
        }
        columns.retain(|column| !column.values.is_empty());
        columns
    }
}
