//! What an update learns from: single transitions, or, where the network has a memory, sequences.
//!
//! Of a sequence every step counts as a transition does. The rows before the steps warm the memory up: no gradient goes back
//! through them, and on the CPU they leave no graph. Both networks begin with what the policy remembered when it acted.

use rl_core::{Column, Result, Rng, Spec};
use rl_nn::{Standardise, tensor};
use rl_perception::ObsBatch;
use rl_replays::{Observations, Replay, RewardTransform, Sample, Sequences};

use super::Config;
use super::augment::Augmenter;
use super::passes::Passes;
use crate::gather::observed;
use crate::q_net::{Draws, Outputs, Pass, QNet};
use crate::tower;

/// What is seen where a transition begins, and where it leads.
const OBSERVATION: [&str; 3] = ["observation.frames", "observation.vector", "observation.symbols"];
const NEXT: [&str; 3] = ["next.frames", "next.vector", "next.symbols"];

/// A minibatch that keeps its memory from update to update.
pub(crate) enum Minibatch {
    Transitions(Box<Sample>),
    Sequences(Box<Unrolled>),
}

/// Sequences, and what is made of them on the way to the outputs.
pub(crate) struct Unrolled {
    pub(crate) sample: Sequences,
    /// Rows before the steps, and how many of these.
    burn_in: usize,
    steps: usize,
    /// What the largest error counts.
    eta: f64,
    pass: Pass,
    /// The rows that are learned from, as the graph takes them.
    learned: tower::Sequences,
    /// Largest error, sum and number of errors of each sequence.
    seen: Vec<[f64; 3]>,
    errors: Vec<f64>,
}

/// A transition as its target is made.
pub(crate) struct Taken<'a> {
    /// The rows of the passes where it leads and where it begins.
    pub(crate) next: usize,
    pub(crate) here: usize,
    pub(crate) action: usize,
    pub(crate) reward: f32,
    pub(crate) discount: f32,
    /// What is legal in both; empty where everything is.
    pub(crate) legal_next: &'a [u8],
    pub(crate) legal_here: &'a [u8],
}

impl Minibatch {
    /// Room for what `config` learns from at once.
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
            learned: tower::Sequences::default(),
            seen: Vec::new(),
            errors: Vec::new(),
        }))
    }

    /// Draws another one, with returns of what is `counted` of rewards now.
    pub(crate) fn draw(&mut self, replay: &Replay, counted: RewardTransform, rng: &mut Rng) -> Result<()> {
        match self {
            Self::Transitions(sample) => replay.sample(rng, counted, sample),
            Self::Sequences(unrolled) => replay.sample_sequences(rng, counted, &mut unrolled.sample),
        }
    }

    /// Standardises its features, where anything does, by what is known now. Both networks are shown the same: the target
    /// network's own statistics would be older, and no better.
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

    /// Moves and lights its frames.
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

    /// Rows of each pass; 0 for one that another pass makes along.
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

    /// What `net` says of the rows where transitions lead, or of all rows, `[R, W, A]`.
    pub(crate) fn ahead<'a>(&self, net: &QNet, draws: &Draws, pass: &'a mut Pass) -> Result<&'a [f32]> {
        match self {
            Self::Transitions(sample) => net.run(&seen(&sample.next, sample.rows()), draws, &mut [], pass),
            Self::Sequences(unrolled) => {
                let Sequences { obs, starts, states, .. } = &unrolled.sample;
                net.unroll(&seen(obs, starts.len()), starts, states, draws, pass)
            }
        }
    }

    /// What it says of the rows where they begin; nothing where [`ahead`](Minibatch::ahead) says it already.
    pub(crate) fn here<'a>(&self, net: &QNet, draws: &Draws, pass: &'a mut Pass) -> Result<Option<&'a [f32]>> {
        match self {
            Self::Transitions(sample) => net.run(&seen(&sample.obs, sample.rows()), draws, &mut [], pass).map(Some),
            Self::Sequences(_) => Ok(None),
        }
    }

    /// The graph of what it says of them, `[M, W, A]`.
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

    /// What is in it, each kind by its name: observations where transitions begin and lead, or of all rows of sequences.
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

    /// What each draw was made in proportion to, `[B]`, and where it stands.
    pub(crate) fn drawn(&self) -> (&[f64], &[u64]) {
        match self {
            Self::Transitions(sample) => (&sample.priorities, &sample.places),
            Self::Sequences(unrolled) => (&unrolled.sample.priorities, &unrolled.sample.places),
        }
    }

    /// Makes `[M]` of `[B]`: what a draw counts, each of its transitions does.
    pub(crate) fn spread(&self, importance: &mut Vec<f64>) {
        if let Self::Sequences(unrolled) = self {
            let count = importance.len();
            for &row in &unrolled.sample.here {
                importance.push(importance[row as usize % count]);
            }
            importance.drain(..count);
        }
    }

    /// What the priority of each draw follows, `[B]`, of the errors of all transitions, `[M]`.
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

/// Observations of a minibatch as an encoder takes them.
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
