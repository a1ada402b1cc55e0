//! Deep Q-network with switches for double Q-learning and n-step returns.
//! Source: Mnih et al. 2015; van Hasselt et al. 2016 (double); Sutton 1988 (n-step, uncorrected).
//!
//! The order of a step: append the block to the replay, make the updates that its agent steps owe, copy the target. In a
//! run of several members the steps that count are the mean of theirs, so that all owe the same updates.
//! Differences from the paper: Adam instead of centred RMSProp, and the loss is the mean over the batch.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use rl_core::{Error, Reduce, Result, Rng, Saved, Spec, State, Stream};
use rl_nn::{Activation, Adam, AdamConfig, Flow, Params, huber, tensor};
use rl_perception::{EncoderConfig, Seen};
use rl_replays::{Replay, Rollout, Sample, Targets};
use serde::{Deserialize, Serialize};

use crate::greedy::Greedy;
use crate::progress::Progress;
use crate::q_net::{QNet, argmax};
use crate::{AgentEntry, Context, Learner, LifeLoss, Log, Pace, Part, Plan, Policy, Schedule, config, guard};

/// The entry of the table.
pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "dqn",
    summary: "Deep Q-network with replay and target network; double and n-step by switch",
    refuses,
    presets: &[
        ("cartpole", include_str!("../../presets/dqn/cartpole.toml")),
        ("cartpole-v0", include_str!("../../presets/dqn/cartpole.toml")),
        ("frozenlake", include_str!("../../presets/dqn/frozenlake.toml")),
        ("frozenlake8x8", include_str!("../../presets/dqn/frozenlake8x8.toml")),
        ("acrobot", include_str!("../../presets/dqn/acrobot.toml")),
        ("cliffwalking", include_str!("../../presets/dqn/cliffwalking.toml")),
        ("taxi", include_str!("../../presets/dqn/taxi.toml")),
        ("atari/kung_fu_master", include_str!("../../presets/dqn/kung_fu_master.toml")),
        ("atari/", include_str!("../../presets/dqn/atari.toml")),
    ],
    stochastic: false,
    memory,
    build: |context| Ok(Box::new(Dqn::new(context)?)),
};

/// The `[agent]` table. Every count of steps is of agent steps, of all seats together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Learning rate of Adam at first.
    pub lr: f64,
    /// Learning rate after `lr_steps`.
    pub lr_end: f64,
    /// Agent steps over which the learning rate changes; 0 keeps it at `lr`.
    pub lr_steps: u64,
    /// ε of Adam.
    pub adam_eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Discount per agent step, 0 to 1.
    pub gamma: f64,
    /// Rewards summed before the bootstrap.
    pub n_step: usize,
    /// Whether the online network chooses the action that the target network values.
    pub double: bool,
    /// Transitions per update.
    pub batch: usize,
    /// Agent steps that the replay remembers.
    pub replay_capacity: usize,
    /// Agent steps before the first update.
    pub learning_starts: u64,
    /// Agent steps per round of updates.
    pub update_period: u64,
    /// Updates of a round.
    pub updates: u64,
    /// Agent steps between copies of the online network to the target network.
    pub target_period: u64,
    /// Probability of a random action while training.
    pub epsilon: Schedule,
    /// Whether only the sign of a reward counts.
    pub reward_clip: bool,
    /// What a lost life means.
    pub life_loss: LifeLoss,
    /// Widths of the dense layers.
    pub hidden: Vec<usize>,
}

impl Config {
    fn read(context: &Context<'_>) -> Result<Self> {
        let config: Self = config::read(context)?;
        config.check()?;
        Ok(config)
    }

    fn returns(&self) -> Targets {
        Targets {
            n_step: self.n_step,
            gamma: self.gamma as f32,
            reward_clip: self.reward_clip,
            life_loss_terminal: self.life_loss == LifeLoss::Terminal,
        }
    }

    fn check(&self) -> Result<()> {
        config::at_least_one(&[
            ("n_step", self.n_step as u64),
            ("batch", self.batch as u64),
            ("replay_capacity", self.replay_capacity as u64),
            ("update_period", self.update_period),
            ("updates", self.updates),
            ("target_period", self.target_period),
        ])?;
        config::from_zero_on(&[
            ("lr", self.lr),
            ("lr_end", self.lr_end),
            ("adam_eps", self.adam_eps),
            ("grad_clip", self.grad_clip),
        ])?;
        config::fractions(&[("gamma", self.gamma)])?;
        self.epsilon.check("agent.epsilon", 0.0, 1.0)
    }
}

/// The learner.
pub struct Dqn {
    config: Config,
    spec: Spec,
    seed: u64,
    seats: u32,
    net: Arc<QNet>,
    params: Params,
    target: QNet,
    target_params: Params,
    adam: Adam,
    replay: Replay,
    /// Memory of the last minibatch.
    sample: Option<Sample>,
    progress: Progress,
    grad: Vec<f32>,
    flows: [Flow; 2],
}

impl Dqn {
    /// A learner that has seen nothing.
    ///
    /// # Errors
    /// If a value of the configuration is out of range, or no encoder fits the environment.
    pub fn new(context: &Context<'_>) -> Result<Self> {
        let config = Config::read(context)?;
        if let Some(reason) = refuses(context.spec) {
            return Err(Error::Config { key: "agent".to_owned(), message: reason });
        }
        let build = || {
            let encoder = EncoderConfig { hidden: config.hidden.clone(), activation: Activation::Relu };
            QNet::new(context.spec, &encoder, context.device, Rng::new(context.seed, Stream::Init)).map_err(tensor)
        };
        let ((net, params), (target, target_params)) = (build()?, build()?);
        let adam = AdamConfig { beta1: 0.9, beta2: 0.999, eps: config.adam_eps, clip: config.grad_clip };
        Ok(Self {
            adam: Adam::new(&params, adam).map_err(tensor)?,
            replay: Replay::new(context.spec, context.seats as usize, config.replay_capacity, config.returns()),
            sample: None,
            progress: Progress::new(context.seed),
            grad: Vec::new(),
            flows: Default::default(),
            spec: context.spec.clone(),
            seed: context.seed,
            seats: context.seats,
            net: Arc::new(net),
            params,
            target,
            target_params,
            config,
        })
    }

    /// The learning rate now.
    fn rate(&self) -> f64 {
        let Config { lr, lr_end, lr_steps, .. } = self.config;
        Schedule::annealed(lr, lr_end, lr_steps).at(self.progress.steps())
    }

    /// What the value of each transition should be, `[B]`.
    fn targets(&mut self, batch: &Sample) -> Result<Vec<f32>> {
        let next = seen(&batch.next, batch.rows());
        let [flow, other] = &mut self.flows;
        let values = self.target.values(&next, flow)?; // [B, A]
        let chooser = if self.config.double { self.net.values(&next, other)? } else { values };
        let actions = self.spec.discrete[0] as usize;
        let target = |row: usize| {
            let range = row * actions..(row + 1) * actions;
            let best = argmax(&chooser[range.clone()], batch.next.legal.row(row));
            // A terminal row does not look at what follows, be it infinite.
            let future = if batch.discount[row] == 0.0 { 0.0 } else { batch.discount[row] * values[range][best] };
            batch.reward[row] + future
        };
        Ok((0..batch.rows()).map(target).collect())
    }

    /// One optimiser step: mean Huber loss of the chosen actions' values against their targets.
    fn update(&mut self, batch: &Sample, reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let device = self.params.device().clone();
        let targets = self.targets(batch)?;
        let rows = batch.rows();
        let number = self.progress.updates + 1;
        let loss = (|| {
            let q = self.net.forward(&seen(&batch.obs, rows))?; // [B, A]
            let action = Tensor::from_slice(batch.action.all(), (rows, 1), &device)?;
            let q = q.gather(&action, 1)?.squeeze(1)?; // [B]
            let loss = huber(&q, &Tensor::from_slice(&targets, rows, &device)?)?.mean_all()?; // []
            log.lap(Part::Forward);
            self.params.backward(&loss, &mut self.grad)?;
            log.lap(Part::Backward);
            log.add("q", f64::from(q.mean_all()?.to_scalar::<f32>()?));
            loss.to_scalar::<f32>()
        })()
        .map_err(tensor)?;
        let culprit = || guard::first_not_finite("targets", &targets);
        guard::finite_loss(number, f64::from(loss), culprit)?;
        log.lap(Part::Other);
        reduce.mean(&mut self.grad)?;
        log.lap(Part::Reduce);
        let norm = self.adam.step(&self.params, &self.grad, self.rate()).map_err(tensor)?;
        log.lap(Part::Optimiser);
        guard::finite_norm(number, norm, &self.grad, &self.params)?;
        self.progress.updates = number;
        log.add("loss", f64::from(loss));
        log.add("grad_norm", norm);
        Ok(())
    }
}

impl Learner for Dqn {
    /// Blocks of as many steps as a round of updates takes from all seats, one at least.
    fn plan(&self) -> Plan {
        let horizon = self.config.update_period / u64::from(self.seats);
        let Config { updates, update_period, .. } = self.config;
        Plan { horizon: horizon.max(1) as usize, extra: 0, pace: Pace { updates, steps: update_period } }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        Ok(Box::new(Greedy::new(self.net.clone(), self.config.epsilon, self.seed, seats, self.seats)))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let before = self.progress.steps();
        self.replay.append(blocks);
        self.progress.count(blocks, reduce)?;
        log.lap(Part::Sample);
        let (steps, start) = (self.progress.steps(), self.config.learning_starts);
        log.add("epsilon", self.config.epsilon.at(steps));
        if steps < start {
            return Ok(());
        }
        let crossed = |period: u64| steps / period - before / period;
        let rounds = steps / self.config.update_period - before.max(start) / self.config.update_period;
        let mut sample = self.sample.take().unwrap_or_else(|| Sample::new(&self.spec, self.config.batch));
        for _ in 0..rounds * self.config.updates {
            self.replay.sample(&mut self.progress.rng, &mut sample)?;
            log.lap(Part::Sample);
            self.update(&sample, reduce, log)?;
        }
        self.sample = Some(sample);
        if crossed(self.config.target_period) > 0 {
            self.target_params.copy_from(&self.params).map_err(tensor)?;
        }
        Ok(())
    }

    fn updates(&self) -> u64 {
        self.progress.updates
    }

    fn warm_up(&self) -> u64 {
        self.config.learning_starts
    }

    fn weights(&mut self) -> &mut dyn Saved {
        &mut self.params
    }

    fn state(&mut self) -> State<'_> {
        vec![
            ("target".to_owned(), &mut self.target_params),
            ("adam".to_owned(), &mut self.adam),
            ("replay".to_owned(), &mut self.replay),
            ("progress".to_owned(), &mut self.progress),
        ]
    }
}

/// The replay is nearly all of it: networks, moments and gradients are some megabytes.
fn memory(context: &Context<'_>) -> Result<(u64, &'static str)> {
    let Config { replay_capacity, n_step, .. } = Config::read(context)?;
    Ok((Replay::bytes_for(context.spec, context.seats as usize, replay_capacity, n_step), "agent.replay_capacity"))
}

/// A minibatch's observations as an encoder takes them.
fn seen(obs: &rl_replays::Seen, rows: usize) -> Seen<'_> {
    Seen { rows, frames: obs.frames.all(), vector: obs.vector.all(), symbols: obs.symbols.all() }
}

fn refuses(spec: &Spec) -> Option<String> {
    match (spec.discrete.len(), spec.continuous.len()) {
        (1, 0) => None,
        (d, c) => Some(format!("dqn needs exactly one discrete action; this environment has {d}, and {c} continuous")),
    }
}

#[cfg(test)]
mod tests;
