//! Minibatches of the DQN family: single transitions, or sequences where the network has a memory.
//!
//! Every step of a sequence enters the loss like a transition. The rows before the steps are the burn-in: no gradient
//! goes back through them, and on the CPU they leave no graph. Both networks begin with the recurrent state of the
//! policy when it acted.

use rl_core::{Column, Result, Rng, Spec};
use rl_nn::{Standardise, tensor};
use rl_perception::ObsBatch;
use rl_replays::{Observations, Replay, RewardTransform, Sample, Sequences};

use super::Config;
use super::augment::Augmenter;
use super::passes::Passes;
use crate::gather::observed;
use crate::q_net::{Draws, Outputs, Pass, QNet};
use crate::tower::SequenceLayout;

/// Column names of the observations in which actions were taken.
const OBSERVATION: [&str; 3] = ["observation.frames", "observation.vector", "observation.symbols"];
/// Column names of the observations from which returns bootstrap.
const NEXT: [&str; 3] = ["next.frames", "next.vector", "next.symbols"];

/// A minibatch of `M` transitions, whose buffers are reused from update to update.
pub(crate) enum Minibatch {
    /// Single transitions.
    Transitions(Box<Sample>),
    /// Sequences, for a network with a memory.
    Sequences(Box<Unrolled>),
}

/// Sequences, with the buffers of the way to the network's outputs.
pub(crate) struct Unrolled {
    /// The sequences drawn.
    pub(crate) sample: Sequences,
    /// Rows of a sequence before its steps.
    burn_in: usize,
    /// Rows of a sequence whose steps are learned from.
    steps: usize,
    /// Weight of the largest error in the priority of a sequence; the mean error has weight `1 - eta`.
    eta: f64,
    pass: Pass,
    /// The rows that are learned from, as the graph takes them.
    learned: SequenceLayout,
    /// Largest error, sum and number of errors of each sequence.
    seen: Vec<[f64; 3]>,
    errors: Vec<f64>,
}

/// One transition of a minibatch, as its target needs it.
pub(crate) struct Taken<'a> {
    /// Row, in the outputs of the passes, of the observation from which the return bootstraps.
    pub(crate) next: usize,
    /// Row, in the outputs of the passes, of the observation in which the action was taken.
    pub(crate) here: usize,
    /// The action taken.
    pub(crate) action: usize,
    /// Discounted sum of the transformed rewards.
    pub(crate) reward: f32,
    /// Factor of the bootstrap value; 0 after a terminal step.
    pub(crate) discount: f32,
    /// Action mask of the observation from which the return bootstraps; empty where every action is legal.
    pub(crate) legal_next: &'a [u8],
    /// Action mask of the observation in which the action was taken; empty where every action is legal.
    pub(crate) legal_here: &'a [u8],
}

impl Minibatch {
    /// Allocates a minibatch of the size that `config` asks for.
    pub(crate) fn new(spec: &Spec, config: &Config) -> Self {
        let (Some(sequence), Some(unroll)) = (config.memory.sequence(), config.memory.unroll()) else {
            return Self::Transitions(Box::new(Sample::new(spec, config.batch)));
        };
        Self::Sequences(Box::new(Unrolled {
            sample: Sequences::new(spec, config.batch, sequence.rows(config.n_step), sequence.state),
            burn_in: unroll.burn_in,
            steps: unroll.steps,
            eta: unroll.eta,
            pass: Pass::default(),
            learned: SequenceLayout::default(),
            seen: Vec::new(),
            errors: Vec::new(),
        }))
    }

    /// Fills the minibatch with new draws from the replay; `transform` transforms the rewards of the returns.
    ///
    /// # Errors
    /// If the replay holds nothing that can be drawn yet.
    pub(crate) fn draw(&mut self, replay: &Replay, transform: RewardTransform, rng: &mut Rng) -> Result<()> {
        match self {
            Self::Transitions(sample) => replay.sample(rng, transform, sample),
            Self::Sequences(unrolled) => replay.sample_sequences(rng, transform, &mut unrolled.sample),
        }
    }

    /// Normalises the features by the current running statistics; does nothing where `by` is `None`.
    ///
    /// Both networks see the same features: the target network's own statistics would be older, and no better.
    pub(crate) fn standardise(&mut self, by: Option<&Standardise>) -> Result<()> {
        let Some(by) = by else { return Ok(()) };
        match self {
            Self::Transitions(sample) => {
                by.apply(sample.obs.vector.all_mut()).and_then(|()| by.apply(sample.next.vector.all_mut()))
            }
            Self::Sequences(unrolled) => by.apply(unrolled.sample.obs.vector.all_mut()),
        }
        .map_err(tensor)
    }

    /// Augments the frames by random shifts and intensities.
    pub(crate) fn augment(&mut self, augmenter: &mut Augmenter, rng: &mut Rng) {
        match self {
            Self::Transitions(sample) => augmenter.transitions(sample, rng),
            Self::Sequences(unrolled) => augmenter.sequences(&mut unrolled.sample, rng),
        }
    }

    /// Number of transitions, `M`.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Transitions(sample) => sample.rows(),
            Self::Sequences(unrolled) => unrolled.sample.here.len(),
        }
    }

    /// Rows of each forward pass; 0 for a pass whose outputs another pass yields too.
    pub(crate) fn rows(&self) -> Passes<usize> {
        match self {
            Self::Transitions(sample) => {
                let rows = sample.rows();
                Passes { next: rows, choice: rows, here: rows, online: rows }
            }
            Self::Sequences(unrolled) => {
                let all = unrolled.sample.starts.len();
                Passes { next: all, choice: all, here: 0, online: self.len() }
            }
        }
    }

    /// Outputs of `net`, `[R, W, A]`, for the observations from which returns bootstrap, or for all rows of sequences.
    pub(crate) fn ahead<'a>(&self, net: &QNet, draws: &Draws, pass: &'a mut Pass) -> Result<&'a [f32]> {
        match self {
            Self::Transitions(sample) => net.run(&seen(&sample.next, sample.rows()), draws, &mut [], pass),
            Self::Sequences(unrolled) => {
                let Sequences { obs, starts, states, .. } = &unrolled.sample;
                net.unroll(&seen(obs, starts.len()), starts, states, draws, pass)
            }
        }
    }

    /// Outputs of `net`, `[M, W, A]`, for the observations in which actions were taken; `None` for sequences, where
    /// [`ahead`](Minibatch::ahead) yields them too.
    pub(crate) fn here<'a>(&self, net: &QNet, draws: &Draws, pass: &'a mut Pass) -> Result<Option<&'a [f32]>> {
        match self {
            Self::Transitions(sample) => net.run(&seen(&sample.obs, sample.rows()), draws, &mut [], pass).map(Some),
            Self::Sequences(_) => Ok(None),
        }
    }

    /// Outputs of `net`, `[M, W, A]`, for the observations in which actions were taken, with the graph for gradients.
    pub(crate) fn forward(&mut self, net: &QNet, draws: &Draws) -> Result<Outputs> {
        let unrolled = match self {
            Self::Transitions(sample) => {
                return net.forward(&seen(&sample.obs, sample.rows()), draws, None).map_err(rl_nn::tensor);
            }
            Self::Sequences(unrolled) => unrolled,
        };
        let Unrolled { sample, burn_in, steps, pass, learned, .. } = &mut **unrolled;
        let count = sample.count();
        let [from, to] = [*burn_in, *burn_in + *steps].map(|row| row * count);
        let states = net.remember(&part(sample, 0, from), &sample.starts[..from], &sample.states, pass)?;
        learned.begin(*steps);
        learned.states.extend_from_slice(states);
        learned.starts.extend_from_slice(&sample.starts[from..to]);
        learned.wanted.extend(sample.here.iter().map(|row| row - from as u32));
        net.forward(&part(sample, from, to), draws, Some(learned)).map_err(rl_nn::tensor)
    }

    /// The `m`th transition.
    pub(crate) fn taken(&self, m: usize) -> Taken<'_> {
        match self {
            Self::Transitions(sample) => Taken {
                next: m,
                here: m,
                action: sample.discrete.row(m)[0] as usize,
                reward: sample.reward[m],
                discount: sample.discount[m],
                legal_next: sample.next.legal.row(m),
                legal_here: sample.obs.legal.row(m),
            },
            Self::Sequences(unrolled) => {
                let Sequences { obs, here, next, discrete, reward, discount, .. } = &unrolled.sample;
                let (here, next) = (here[m] as usize, next[m] as usize);
                Taken {
                    next,
                    here,
                    action: discrete[m] as usize,
                    reward: reward[m],
                    discount: discount[m],
                    legal_next: obs.legal.row(next),
                    legal_here: obs.legal.row(here),
                }
            }
        }
    }

    /// The actions taken, `[M]`.
    pub(crate) fn actions(&self) -> &[u32] {
        match self {
            Self::Transitions(sample) => sample.discrete.all(),
            Self::Sequences(unrolled) => &unrolled.sample.discrete,
        }
    }

    /// Contents of the minibatch as named columns, for the report of an error.
    pub(crate) fn columns(&self, spec: &Spec) -> Vec<Column> {
        let of = |names, obs: &Observations, rows| {
            observed(names, spec, rows, (obs.frames.all(), obs.vector.all(), obs.symbols.all()))
        };
        let rows = self.len();
        let (mut columns, reward, discount) = match self {
            Self::Transitions(sample) => {
                let mut columns = of(OBSERVATION, &sample.obs, rows);
                columns.extend(of(NEXT, &sample.next, rows));
                (columns, &sample.reward, &sample.discount)
            }
            Self::Sequences(unrolled) => {
                let Sequences { obs, starts, states, here, next, reward, discount, .. } = &unrolled.sample;
                let mut columns = of(OBSERVATION, obs, starts.len());
                let count = unrolled.sample.count();
                columns.extend([
                    Column::new("sequence.starts", unrolled.sample.rows(), starts.clone()),
                    Column::new("sequence.states", count, states.clone()),
                    Column::new("sequence.here", rows, here.clone()),
                    Column::new("sequence.next", rows, next.clone()),
                ]);
                (columns, reward, discount)
            }
        };
        let drawn = self.drawn().0;
        columns.extend([
            Column::new("action", rows, self.actions().to_vec()),
            Column::new("reward", rows, reward.clone()),
            Column::new("discount", rows, discount.clone()),
            Column::new("priority", drawn.len(), drawn.to_vec()),
        ]);
        columns
    }

    /// Priorities with which the transitions or sequences were drawn, and their numbers in the replay, `[B]` each.
    pub(crate) fn drawn(&self) -> (&[f64], &[u64]) {
        match self {
            Self::Transitions(sample) => (&sample.priorities, &sample.places),
            Self::Sequences(unrolled) => (&unrolled.sample.priorities, &unrolled.sample.places),
        }
    }

    /// Expands weights from one per draw, `[B]`, to one per transition, `[M]`: each gets that of its sequence.
    pub(crate) fn spread(&self, importance: &mut Vec<f64>) {
        if let Self::Sequences(unrolled) = self {
            let count = importance.len();
            for &row in &unrolled.sample.here {
                importance.push(importance[row as usize % count]);
            }
            importance.drain(..count);
        }
    }

    /// Errors of the draws, `[B]`, from those of all transitions, `[M]`: for a sequence η · largest + (1 - η) · mean.
    pub(crate) fn errors<'a>(&'a mut self, all: &'a [f64]) -> &'a [f64] {
        let unrolled = match self {
            Self::Transitions(_) => return all,
            Self::Sequences(unrolled) => unrolled,
        };
        let Unrolled { sample, eta, seen, errors, .. } = &mut **unrolled;
        seen.clear();
        seen.resize(sample.count(), [0.0; 3]);
        for (&row, &error) in sample.here.iter().zip(all) {
            let [most, sum, count] = &mut seen[row as usize % sample.count()];
            (*most, *sum, *count) = (most.max(error), *sum + error, *count + 1.0);
        }
        errors.clear();
        errors.extend(seen.iter().map(|[most, sum, count]| *eta * most + (1.0 - *eta) * sum / count));
        errors
    }
}

/// Views `rows` observations of a minibatch as input of an encoder.
pub(crate) fn seen(obs: &Observations, rows: usize) -> ObsBatch<'_> {
    ObsBatch { rows, frames: obs.frames.all(), vector: obs.vector.all(), symbols: obs.symbols.all() }
}

/// The rows `from..to` of sequences.
fn part(sample: &Sequences, from: usize, to: usize) -> ObsBatch<'_> {
    fn cut<T>(all: &[T], [from, to, rows]: [usize; 3]) -> &[T] {
        let width = all.len() / rows;
        &all[from * width..to * width]
    }
    let (obs, range) = (&sample.obs, [from, to, sample.starts.len()]);
    ObsBatch {
        rows: to - from,
        frames: cut(obs.frames.all(), range),
        vector: cut(obs.vector.all(), range),
        symbols: cut(obs.symbols.all(), range),
    }
}
