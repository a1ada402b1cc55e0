//! Learner of PPO, A2C and IMPALA: rollouts of all seats, advantages, epochs of minibatches, and no replay.
//!
//! With a memory, minibatches consist of whole sequences instead of steps. In a distributed run all members make as
//! many minibatches as the mean of their steps allows, and average the gradients of each minibatch.
//! Source: Mnih et al. 2016; Schulman et al. 2017.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use rl_core::{Reduce, Result, Rng, Saved, Spec, State, Stream};
use rl_nn::{Activation, Optimiser, OptimiserConfig, Params, tensor};
use rl_perception::{EncoderConfig, Trunk};
use rl_replays::{RewardTransform, Rollout};

use crate::actor_critic::{ActorCritic, Flows};
use crate::actor_critic_policy::{ActorCriticPolicy, Behaviour};
use crate::config;
use crate::descent::descend;
use crate::distribution::Actions;
use crate::gae::Gae;
use crate::loss::{Loss, Step, Weights};
use crate::minibatch::Minibatch;
use crate::obs_normaliser::{self, ObsNormaliser};
use crate::progress::Progress;
use crate::published::Published;
use crate::reward_scale::{RewardScale, RewardScaler};
use crate::rounds::{self, AdvantageStep, Scratch, parts};
use crate::vtrace::{Corrected, Correction, VtraceEvaluator};
use crate::{Actor, Context, Learner, Log, Memory, Part, Plan, Policy, Schedule, UpdateRatio, guard};

/// Settings of the on-policy learner, which PPO, A2C and IMPALA derive from their `[agent]` tables.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Agent steps per seat between rounds of updates.
    pub(crate) horizon: usize,
    /// Passes over the steps of a rollout.
    pub(crate) epochs: usize,
    /// Minibatches per epoch, each for one optimiser step.
    pub(crate) minibatches: usize,
    /// Learning rate by agent steps of all seats.
    pub(crate) lr: Schedule,
    /// Optimiser with its constants.
    pub(crate) optimiser: OptimiserConfig,
    /// Discount, λ and treatment of lost lives in advantages.
    pub(crate) gae: Gae,
    /// Off-policy correction for actors with older weights; `None` for learning from the newest weights only.
    pub(crate) lagging: Option<Lagging>,
    /// Whether features are normalised by their running mean and standard deviation, and clipped to ±10.
    pub(crate) normalise_observations: bool,
    /// How rewards are clipped or normalised.
    pub(crate) reward_scale: RewardScale,
    /// Whether advantages are normalised to mean 0 and standard deviation 1 in every minibatch of more than one step.
    pub(crate) normalise: bool,
    /// Surrogate objective, and weights of the parts of the loss.
    pub(crate) weights: Weights,
    /// Clip range ε of the probability ratio, by agent steps of all seats; infinite for no clipping.
    pub(crate) clip: Schedule,
    /// Approximate KL divergence from the policy that acted, above which a round of updates ends; 0 for no limit.
    pub(crate) target_kl: f64,
    /// Convolutional network for frames; unused without frames.
    pub(crate) trunk: Trunk,
    /// Widths of the dense layers below the heads.
    pub(crate) hidden: Vec<usize>,
    /// Activation of the dense layers.
    pub(crate) activation: Activation,
    /// Recurrent layer between the dense layers and the heads.
    pub(crate) memory: Memory,
}

/// Learning from actors whose weights are older than the learner's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lagging {
    /// Clips of the importance weights of V-trace.
    pub(crate) correction: Correction,
    /// Largest age of the actors' weights, in rounds of updates.
    pub(crate) most: usize,
}

/// On-policy learner of an actor-critic: PPO, A2C or IMPALA.
pub(crate) struct OnPolicy {
    settings: Settings,
    spec: Spec,
    seed: u64,
    seats: u32,
    encoder: EncoderConfig,
    net: Arc<ActorCritic>,
    params: Params,
    published: Published,
    optimiser: Optimiser,
    progress: Progress,
    features: Option<ObsNormaliser>,
    rewards: RewardScaler,
    batch: Batch,
    evaluator: VtraceEvaluator,
    loss: Loss,
    grad: Vec<f32>,
}

/// Buffers of a round of updates.
#[derive(Default)]
struct Batch {
    /// Bootstrap values of the last row, `[N]`, over the seats of all blocks.
    last: Vec<f32>,
    room: Scratch,
    corrected: Corrected,
    /// Steps that were played, by time, then by seat.
    steps: Vec<AdvantageStep>,
    /// Every seat as its block and its index there.
    seats: Vec<(u32, u32)>,
    /// Recurrent states of all seats, `[N, S]`.
    states: Vec<f32>,
    /// Shuffled numbers of all steps or sequences: the order of an epoch.
    order: Vec<u32>,
    minibatch: Minibatch,
    flows: Flows,
}

impl OnPolicy {
    /// Creates an untrained learner; `id` names the agent in error messages.
    ///
    /// # Errors
    /// If the agent cannot act in the environment, a setting is out of range, or no encoder fits the environment.
    pub(crate) fn new(id: &str, context: &Context<'_>, settings: Settings) -> Result<Self> {
        crate::config::playable(refuses(id, context.spec))?;
        obs_normaliser::check(settings.normalise_observations, context.spec)?;
        let (horizon, memory) = (settings.horizon, settings.memory);
        config::minibatches(settings.minibatches, context.seats, horizon, memory.steps().unwrap_or(1))?;
        config::widths("hidden", &settings.hidden)?;
        let rng = Rng::new(context.seed, Stream::Init);
        let Settings { trunk, ref hidden, activation, memory, .. } = settings;
        let (hidden, precision) = (hidden.clone(), context.precision);
        let encoder = EncoderConfig { trunk, hidden, activation, layer_norm: false, precision };
        let standardise = settings.normalise_observations;
        let (net, params) =
            ActorCritic::new(context.spec, &encoder, memory, standardise, context.device, &rng).map_err(tensor)?;
        let (gamma, life_loss) = (f64::from(settings.gae.gamma), settings.gae.life_loss);
        Ok(Self {
            optimiser: Optimiser::new(&params, settings.optimiser).map_err(tensor)?,
            progress: Progress::new(context.seed),
            features: net.standardise().map(|by| ObsNormaliser::new(context.spec.vector, by.clone())),
            rewards: RewardScaler::new(settings.reward_scale, gamma, life_loss, context.seats),
            batch: Batch::default(),
            evaluator: VtraceEvaluator::new(context.spec),
            published: Published::default(),
            loss: Loss::new(context.spec),
            grad: Vec::new(),
            spec: context.spec.clone(),
            seed: context.seed,
            seats: context.seats,
            encoder,
            net: Arc::new(net),
            params,
            settings,
        })
    }

    /// Estimates advantages and value targets of all played steps.
    fn estimate(&mut self, blocks: &[Rollout], transform: RewardTransform) -> Result<()> {
        self.values_after(blocks)?;
        let Batch { last, room, corrected, steps, .. } = &mut self.batch;
        let gae = &self.settings.gae;
        let Some(Lagging { correction, .. }) = self.settings.lagging else {
            let value = |block: &Rollout, t, e| Behaviour::at(block, t, e).value;
            rounds::estimate(gae, blocks, transform, last, value, room, steps);
            return Ok(());
        };
        corrected.clear();
        let mut first = 0;
        for block in blocks {
            let last = &last[first..first + block.seats()];
            if block.weights_version == self.progress.updates {
                self.evaluator.reuse_stored(block, last);
            } else {
                self.evaluator.evaluate(&self.net, block, last)?;
            }
            corrected.append(correction, gae, block, transform, &self.evaluator.evaluated);
            first += block.seats();
        }
        rounds::list(blocks, |at, _, _, _| (corrected.advantages[at], corrected.targets[at]), steps);
        Ok(())
    }

    /// Computes the bootstrap values of the last row, from the recurrent states after the last step.
    fn values_after(&mut self, blocks: &[Rollout]) -> Result<()> {
        let Batch { last, seats, states, minibatch: Minibatch { seen, .. }, flows, .. } = &mut self.batch;
        let horizon = blocks.first().map_or(0, Rollout::horizon);
        seats.clear();
        states.clear();
        for (b, block) in blocks.iter().enumerate() {
            seats.extend((0..block.seats()).map(|e| (b as u32, e as u32)));
            (0..block.seats()).for_each(|e| states.extend_from_slice(Behaviour::at(block, horizon - 1, e).state));
        }
        let mut run = |t: usize, states: &mut [f32]| {
            seen.clear();
            seats.iter().for_each(|&(block, e)| seen.push(&blocks[block as usize], t, e as usize));
            seen.standardise(self.net.standardise())?;
            self.net.run(&seen.seen(), true, states, flows)
        };
        if !states.is_empty() {
            // What was remembered before the last step is kept, what after it is not: that step is made again. A seat that
            // starts anew has no step before the row after the last, whose value nobody asks for.
            run(horizon - 1, states)?;
        }
        run(horizon, states)?;
        last.clear();
        last.extend_from_slice(flows.values());
        Ok(())
    }

    /// Makes one optimiser step on the minibatch of the steps or sequences numbered `part`.
    ///
    /// Returns false, without a step, if the KL divergence from the policy that acted is above its limit.
    fn update(
        &mut self,
        blocks: &[Rollout],
        part: &[u32],
        now: Now,
        reduce: &mut dyn Reduce,
        log: &mut Log,
    ) -> Result<bool> {
        let number = self.progress.updates + 1;
        let Batch { steps, seats, minibatch, .. } = &mut self.batch;
        match self.settings.memory.steps() {
            None => minibatch.of_steps(blocks, steps, part),
            Some(length) => minibatch.of_sequences(blocks, seats, length, steps, part),
        }
        let Minibatch { seen, steps, sequences } = minibatch;
        seen.standardise(self.net.standardise())?;
        let advantages = steps.iter().map(|step| step.advantage);
        let (mean, scale) = if self.settings.normalise { standard(advantages) } else { (0.0, 1.0) };
        log.lap(Part::Sample);

        let (outputs, values) = self.net.forward(&seen.seen(), sequences.as_ref()).map_err(tensor)?; // [B, W] and [B]
        let host = |x: &Tensor| x.flatten_all().and_then(|x| x.to_vec1::<f32>()).map_err(tensor);
        let (z, v) = (host(&outputs)?, host(&values)?);
        let steps = steps.iter().map(|&AdvantageStep { block, t, e, advantage, target }| {
            let (block, t, e) = (&blocks[block as usize], t as usize, e as usize);
            let Behaviour { log_prob, value, drawn, .. } = Behaviour::at(block, t, e);
            let actions = Actions { discrete: block.discrete.at(t, e), continuous: drawn };
            let advantage = (f64::from(advantage) - mean) * scale;
            Step { actions, legal: block.legal.at(t, e), log_prob, value, advantage, target }
        });
        let terms = self.loss.of(&self.settings.weights, now.clip, &z, &v, steps.clone());
        log.lap(Part::Forward);
        guard::finite_loss(number, terms.loss, || {
            let targets: Vec<f32> = steps.map(|step| step.target).collect();
            let told = [("outputs of the policy", &z), ("values", &v), ("targets", &targets)];
            told.into_iter().find_map(|(of, values)| guard::first_not_finite(of, values, v.len()))
        })?;
        if self.settings.target_kl > 0.0 {
            let mut kl = [terms.approx_kl as f32];
            reduce.mean(&mut kl)?;
            if f64::from(kl[0]) > self.settings.target_kl {
                log.add("approx_kl", terms.approx_kl); // else no metric would show what ended the round
                return Ok(false);
            }
        }
        let handle = self.loss.handle(&outputs, &values).map_err(tensor)?;
        let step = |params: &Params, grad: &[f32]| self.optimiser.step(params, grad, now.rate);
        let norm = descend((&self.params, &mut self.grad), number, &handle, step, reduce, log)?;
        self.progress.updates = number;
        terms.tell(log);
        log.add("grad_norm", norm);
        Ok(true)
    }
}

/// Learning rate and clip range of a round of updates.
#[derive(Clone, Copy)]
struct Now {
    rate: f64,
    clip: f64,
}

impl Learner for OnPolicy {
    fn plan(&self) -> Plan {
        let Settings { horizon, epochs, minibatches, .. } = self.settings;
        let pace = UpdateRatio {
            updates: (epochs as u64).saturating_mul(minibatches as u64),
            steps: horizon as u64 * u64::from(self.seats),
        };
        let pace = (self.settings.target_kl == 0.0).then_some(pace); // a round may end early
        Plan { horizon, extra: Behaviour::width(&self.spec, self.net.state_width()), pace }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        Ok(Box::new(ActorCriticPolicy::new(self.net.clone(), &self.spec, self.seed, seats)))
    }

    fn actor(&self, seats: Range<u32>) -> Result<Option<Actor>> {
        let Some(Lagging { most, .. }) = self.settings.lagging else { return Ok(None) };
        let rng = Rng::new(self.seed, Stream::Init);
        let Settings { memory, normalise_observations: standardise, .. } = self.settings;
        let device = self.params.device();
        let (net, params) =
            ActorCritic::new(&self.spec, &self.encoder, memory, standardise, device, &rng).map_err(tensor)?;
        let policy = Box::new(ActorCriticPolicy::new(Arc::new(net), &self.spec, self.seed, seats));
        Ok(Some(Actor { policy, weights: self.published.follow(params), max_lag: most }))
    }

    fn publish(&mut self) -> Result<()> {
        self.published.publish(&self.params, self.progress.updates)
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let before = self.progress.steps();
        let now = Now { rate: self.settings.lr.at(before), clip: self.settings.clip.at(before) };
        self.progress.count(blocks, reduce)?;
        let transform = self.rewards.transform(blocks, reduce, log)?;
        self.estimate(blocks, transform)?;
        log.add("lr", now.rate);
        if self.settings.lagging.is_some() {
            let lags = blocks.iter().map(|block| self.progress.updates.saturating_sub(block.weights_version));
            log.add("lag", lags.sum::<u64>() as f64 / blocks.len() as f64);
        } else if let Some(explained) = explained_variance(&self.batch.steps) {
            log.add("explained_variance", explained);
        }
        // Sequences are as many in every member of the run; steps are not, where seats were reset.
        let (count, mean) = match self.settings.memory.steps() {
            None => (self.batch.steps.len(), (self.progress.steps() - before) as usize),
            Some(length) => [self.settings.horizon / length * self.batch.seats.len(); 2].into(),
        };
        let minibatches = self.settings.minibatches.min(mean);
        let mut order = std::mem::take(&mut self.batch.order);
        order.clear();
        order.extend(0..count as u32);
        'round: for _ in 0..self.settings.epochs {
            if minibatches > 1 {
                self.progress.rng.shuffle(&mut order);
            }
            for part in parts(order.len(), minibatches) {
                let done = self.update(blocks, &order[part], now, reduce, log);
                let batch = || self.batch.minibatch.columns(&self.spec, blocks);
                if !done.map_err(|error| guard::with_batch(error, batch))? {
                    break 'round;
                }
            }
        }
        self.batch.order = order;
        if let Some(features) = &mut self.features {
            features.add(blocks, reduce)?;
        }
        log.lap(Part::Other);
        Ok(())
    }

    fn updates(&self) -> u64 {
        self.progress.updates
    }

    fn weights(&mut self) -> &mut dyn Saved {
        &mut self.params
    }

    fn state(&mut self) -> State<'_> {
        let mut state: State<'_> =
            vec![("optimiser".to_owned(), &mut self.optimiser), ("progress".to_owned(), &mut self.progress)];
        state.extend(self.features.as_mut().map(|features| ("features".to_owned(), features as &mut dyn Saved)));
        state.extend(self.rewards.saved().map(|rewards| ("rewards".to_owned(), rewards)));
        state
    }
}

/// Mean of the values, and the factor that makes their standard deviation 1; (0, 1) for fewer than two values.
///
/// Source: PyTorch implementations of PPO, for the n - 1 and the 1e-8.
fn standard(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = values.clone().count();
    if count < 2 {
        return (0.0, 1.0);
    }
    let mean = values.clone().map(f64::from).sum::<f64>() / count as f64;
    let squares: f64 = values.map(|value| (f64::from(value) - mean).powi(2)).sum();
    (mean, 1.0 / ((squares / (count - 1) as f64).sqrt() + 1e-8))
}

/// Explained variance of the values, 1 - Var(target - value) / Var(target); `None` where targets do not vary.
///
/// It is 1 for perfect predictions, and 0 or less for those no better than a constant.
fn explained_variance(steps: &[AdvantageStep]) -> Option<f64> {
    let variance = |of: fn(&AdvantageStep) -> f32| {
        let mean = steps.iter().map(|step| f64::from(of(step))).sum::<f64>() / steps.len() as f64;
        steps.iter().map(|step| (f64::from(of(step)) - mean).powi(2)).sum::<f64>()
    };
    let all = variance(|step| step.target);
    // The advantage is the target less the value.
    (all > 0.0).then(|| 1.0 - variance(|step| step.advantage) / all)
}

/// Bytes of `1 + lag` rounds of blocks, of a minibatch and the network's activations for it, and of wide layers, and
/// the setting that lowers most of them.
///
/// # Errors
/// If a layer is wider than allowed.
pub(crate) fn allocation(
    context: &Context<'_>,
    [horizon, minibatches, lag]: [usize; 3],
    trunk: Trunk,
    hidden: &[usize],
    memory: Memory,
) -> Result<(u64, &'static str)> {
    config::widths("hidden", hidden)?; // before they are multiplied
    let spec = context.spec;
    let actions = spec.discrete.len() + spec.continuous.len();
    let towers = if spec.frame_len() > 0 { 1 } else { 2 }; // without frames the critic has one of its own
    let kept = Behaviour::width(spec, memory.state_width().saturating_mul(towers));
    let lanes = 4 * (spec.vector + spec.symbols.len() + actions + kept + 8) + spec.legal_len();
    let steps = (horizon as u64).saturating_mul(u64::from(context.seats));
    let layers = config::bytes_of_layers(hidden).saturating_mul(towers);
    let row = spec.frame_len() * spec.stack + trunk.bytes(spec.frame) + layers;
    let gathered = (steps / minibatches.max(1) as u64).saturating_mul(row as u64);
    let blocks = steps.saturating_mul((spec.frame_len() + lanes) as u64);
    let inputs = config::inputs(spec, trunk);
    let last = hidden.last().copied().unwrap_or(inputs);
    let (weights, key) = config::bytes_of_weights(config::dense_weights(inputs, hidden, 1), last, memory.units());
    let parts = [
        (blocks.saturating_add(gathered), "agent.horizon"),
        (blocks.saturating_mul(lag as u64), "agent.max_lag"),
        (weights.saturating_mul(towers as u64), key),
    ];
    Ok(config::total_allocation(parts))
}

/// Why the policy-based agent `id` cannot act in an environment of these shapes; `None` if it can.
pub(crate) fn refuses(id: &str, spec: &Spec) -> Option<String> {
    let none = spec.discrete.is_empty() && spec.continuous.is_empty();
    none.then(|| format!("{id} needs an action to choose; this environment has none"))
}

#[cfg(test)]
mod tests;
