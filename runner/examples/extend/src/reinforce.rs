//! An agent with a network: REINFORCE, a policy gradient on the returns of whole episodes.
//! Source: Williams 1992; Sutton and Barto 2018, sections 13.3 and 13.4, without γ^t. Returns are normalised over a batch:
//! their mean is the baseline.

use std::ops::Range;

use rl_agents::candle_core::{self, Device, Tensor};
use rl_agents::{AgentEntry, Context, Learner, Log, Mode, Plan, Policy, Streams, legal};
use rl_core::{Error, Postcard, Reduce, Result, Rng, Saved, Spec, State, Stream};
use rl_nn::{Activation, Adam, AdamConfig, Linear, Params, log_softmax, softmax, tensor};
use rl_replays::Rollout;
use serde::{Deserialize, Serialize};

pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "reinforce",
    summary: "Policy gradient on the returns of whole episodes",
    refuses: |spec| {
        let acts = spec.discrete.len() == 1 && spec.continuous.is_empty() && !spec.mask;
        let fits = acts && spec.frame_len() == 0 && width(spec) > 0;
        (!fits).then(|| "it needs features, no frames, and one discrete action that is always legal".to_owned())
    },
    presets: &[("corridor", PRESET), ("cartpole", PRESET)],
    stochastic: true,
    allocation: |context| {
        // Weights, two moments, a gradient and what it is made of; episodes are small beside the runner's own.
        let each = width(context.spec) + 1 + context.spec.discrete[0] as usize;
        let weights = context.settings::<Config>()?.hidden.saturating_mul(each) as u64;
        Ok((weights.saturating_mul(20), "agent.hidden"))
    },
    build: |context| Ok(Box::new(Reinforce::new(context)?)),
};

const PRESET: &str = "[agent]\nlr = 0.01\ngamma = 0.95\nhidden = 32\nepisodes = 16\n\n[train]\nframes = 60000\n\
    envs = 8\ncheckpoint_every = 20000\nkeep_checkpoints = 2\neval_every = 0\n";

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    lr: f64,
    gamma: f32,
    hidden: usize,
    /// Episodes per update.
    episodes: usize,
}

/// Two layers from features to logits. A clone shares the parameters: a policy's follows the learner's steps.
#[derive(Clone)]
struct Net {
    hidden: Linear,
    logits: Linear,
}

impl Net {
    fn new(params: &mut Params, spec: &Spec, hidden: usize) -> candle_core::Result<Self> {
        let actions = spec.discrete[0] as usize;
        Ok(Self {
            hidden: Linear::new(&mut params.layer("hidden"), width(spec), hidden, Activation::Tanh)?,
            logits: Linear::new(&mut params.layer("logits"), hidden, actions, Activation::None)?,
        })
    }

    /// Logits of the actions, `[B, A]`, for `features [B, F]`.
    fn logits(&self, features: &[f32], rows: usize, device: &Device) -> candle_core::Result<Tensor> {
        let x = Tensor::from_slice(features, (rows, features.len() / rows), device)?;
        self.logits.forward(&self.hidden.forward(&x)?)
    }
}

/// Number of features of an observation: its vector, and each symbol one-hot.
fn width(spec: &Spec) -> usize {
    spec.vector + spec.symbols.iter().map(|&count| count as usize).sum::<usize>()
}

fn push_features(block: &Rollout, t: usize, e: usize, out: &mut Vec<f32>) {
    out.extend_from_slice(block.vector.at(t, e));
    for (&symbol, &count) in block.symbols.at(t, e).iter().zip(&block.spec().symbols) {
        out.extend((0..count).map(|value| f32::from(u8::from(value == symbol))));
    }
}

/// Steps of an episode, or of several one after the other.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Steps {
    features: Vec<f32>,
    actions: Vec<u32>,
    /// Rewards while an episode is open, then the return from each step on.
    returns: Vec<f32>,
    episodes: usize,
}

struct Reinforce {
    config: Config,
    seed: u64,
    device: Device,
    params: Params,
    net: Net,
    adam: Adam,
    /// The episode under way in each seat.
    open: Postcard<Vec<Steps>>,
    /// Episodes that ended since the last update.
    batch: Postcard<Steps>,
    updates: Postcard<u64>,
    grad: Vec<f32>,
}

impl Reinforce {
    fn new(context: &Context<'_>) -> Result<Self> {
        let config: Config = context.settings()?;
        for (key, value) in [("agent.hidden", config.hidden), ("agent.episodes", config.episodes)] {
            if value == 0 {
                return Err(Error::Config { key: key.to_owned(), message: "must be at least 1".to_owned() });
            }
        }
        let mut params = Params::new(context.device, Rng::new(context.seed, Stream::Init));
        let net = Net::new(&mut params, context.spec, config.hidden).map_err(tensor)?;
        let adam = Adam::new(&params, AdamConfig::new(1e-8, 0.0)).map_err(tensor)?;
        let open = Postcard(vec![Steps::default(); context.seats as usize]);
        let (seed, device) = (context.seed, context.device.clone());
        let (batch, updates, grad) = Default::default();
        Ok(Self { config, seed, device, params, net, adam, open, batch, updates, grad })
    }

    fn update(&mut self, reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let batch = std::mem::take(&mut self.batch.0);
        match batch.returns.is_empty() {
            true => self.grad = vec![0.0; self.params.len()], // another member's episodes are longer
            false => self.differentiate(&batch).map_err(tensor)?,
        }
        reduce.mean(&mut self.grad)?;
        self.updates.0 += 1;
        let step = self.adam.step(&self.params, &self.grad, self.config.lr).map_err(tensor)?;
        log.add("grad_norm", step.made(self.updates.0)?);
        Ok(())
    }

    /// Computes the gradient of the loss, the mean of -ln π(action) · normalised return.
    fn differentiate(&mut self, Steps { features, actions, returns, .. }: &Steps) -> candle_core::Result<()> {
        let rows = returns.len();
        let mean = returns.iter().sum::<f32>() / rows as f32;
        let variance = returns.iter().map(|ret| (ret - mean).powi(2)).sum::<f32>() / rows as f32;
        let logits = self.net.logits(features, rows, &self.device)?;
        let width = logits.elem_count() / rows;
        // The gradient of the loss by each log-probability: 0 but for the actions that were taken.
        let mut by = vec![0.0; logits.elem_count()];
        for (row, (&action, ret)) in by.chunks_exact_mut(width).zip(actions.iter().zip(returns)) {
            row[action as usize] = (mean - ret) / ((variance.sqrt() + 1e-6) * rows as f32);
        }
        let by = Tensor::from_slice(&by, logits.dims(), &self.device)?;
        let loss = (log_softmax(&logits)? * by)?.sum_all()?;
        self.params.backward(&loss, &mut self.grad)
    }
}

impl Learner for Reinforce {
    fn plan(&self) -> Plan {
        Plan { horizon: 16, extra: 0, pace: None } // updates follow episodes
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        let (net, device, features) = (self.net.clone(), self.device.clone(), Vec::new());
        Ok(Box::new(Samples { net, device, features, streams: Streams::new(self.seed, seats) }))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        // By time, then by seat, so that it does not matter how seats are grouped into blocks.
        for t in 0..blocks[0].horizon() {
            let seats = blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
            for (n, (block, e)) in seats.enumerate() {
                let open = &mut self.open.0[n];
                if block.age[(t, e)] == 0 {
                    *open = Steps::default(); // what is open has no end where an engine was lost
                }
                if !block.valid(t, e) {
                    continue;
                }
                push_features(block, t, e, &mut open.features);
                open.actions.push(block.discrete[(t, e)]);
                open.returns.push(block.reward[(t + 1, e)]);
                // There is no value to bootstrap from: a truncated episode counts as if it were over.
                if block.end[(t + 1, e)].over() {
                    let mut steps = std::mem::take(open);
                    let mut ret = 0.0;
                    for reward in steps.returns.iter_mut().rev() {
                        ret = *reward + self.config.gamma * ret;
                        *reward = ret;
                    }
                    self.batch.0.features.append(&mut steps.features);
                    self.batch.0.actions.append(&mut steps.actions);
                    self.batch.0.returns.append(&mut steps.returns);
                    self.batch.0.episodes += 1;
                }
            }
        }
        // Members of a run update together: when they have enough episodes on average.
        let mut episodes = [self.batch.0.episodes as f32];
        reduce.mean(&mut episodes)?;
        if episodes[0] >= self.config.episodes as f32 { self.update(reduce, log) } else { Ok(()) }
    }

    fn updates(&self) -> u64 {
        self.updates.0
    }

    fn weights(&mut self) -> &mut dyn Saved {
        &mut self.params
    }

    fn state(&mut self) -> State<'_> {
        vec![
            ("adam".to_owned(), &mut self.adam),
            ("open".to_owned(), &mut self.open),
            ("batch".to_owned(), &mut self.batch),
            ("updates".to_owned(), &mut self.updates),
        ]
    }
}

/// Draws each action by its probability.
struct Samples {
    net: Net,
    device: Device,
    streams: Streams,
    features: Vec<f32>,
}

impl Policy for Samples {
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()> {
        self.features.clear();
        let mut rows = 0;
        for block in blocks.iter() {
            for e in (0..block.seats()).filter(|&e| !block.end[(t, e)].over()) {
                push_features(block, t, e, &mut self.features);
                rows += 1;
            }
        }
        if rows == 0 {
            return Ok(());
        }
        let logits = self.net.logits(&self.features, rows, &self.device).map_err(tensor)?;
        let all = softmax(&logits).and_then(|all| all.flatten_all()?.to_vec1::<f32>()).map_err(tensor)?;
        let (mut probabilities, mut streams) = (all.chunks_exact(all.len() / rows), self.streams.iter_mut());
        for block in blocks {
            for e in 0..block.seats() {
                let rng = streams.next().expect("a stream per seat");
                if block.end[(t, e)].over() {
                    continue; // the next step resets: a policy draws nothing there
                }
                let row = probabilities.next().expect("a row per seat that plays");
                block.discrete[(t, e)] = match mode {
                    Mode::Evaluate { epsilon, .. } if rng.f32() < epsilon => rng.below(row.len() as u32),
                    Mode::Evaluate { greedy: true, .. } => legal::argmax(row, &[]) as u32,
                    _ => sample(row, rng),
                };
            }
        }
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        false
    }

    fn state(&mut self) -> State<'_> {
        vec![("streams".to_owned(), &mut self.streams)]
    }
}

fn sample(probabilities: &[f32], rng: &mut Rng) -> u32 {
    let mut left = rng.f32();
    let drawn = probabilities.iter().position(|probability| {
        left -= probability;
        left < 0.0
    });
    drawn.unwrap_or(probabilities.len() - 1) as u32
}
