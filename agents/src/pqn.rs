//! Parallelised Q-learning (PQN): updates on the newest rollout, without a replay and without a target network.
//!
//! Layer normalisation keeps values from diverging, which is what replay and target network are for in DQN. Targets are
//! Q(λ) returns of the values that were acted on: with V(s) = max Q(s, ·), `R = r + γ (V' + λ (R' - V'))` is a value
//! plus its generalised advantage, so that targets are computed by GAE as in actor-critics. Returns are not cut at
//! random actions, as Watkins's Q(λ) would: this is Peng's Q(λ), as in the paper.
//! Source: Gallici et al. 2024, "Simplifying deep temporal difference learning"; Peng and Williams 1996. Differences from the
//! authors' program: a truncated episode bootstraps from its true last observation, no step is left out of an epoch, and
//! initial weights are PyTorch's.

use std::ops::Range;
use std::sync::Arc;

use rl_core::{Column, LifeLoss, Reduce, Result, Rng, Saved, State, Stream};
use rl_nn::{AdamConfig, InitScheme, Optimiser, OptimiserConfig, Params, tensor};
use rl_perception::Trunk;
use rl_replays::{RewardTransform, Rollout};
use serde::{Deserialize, Serialize};

use crate::descent::descend;
use crate::dqn::{ReturnDistribution, refuses};
use crate::epsilon_greedy::{EpsilonGreedy, Reading};
use crate::gae::Gae;
use crate::gather::Gathered;
use crate::obs_normaliser::{self, ObsNormaliser};
use crate::progress::Progress;
use crate::q_net::{Draws, Pass, QNet, Shape};
use crate::reward_scale::{RewardScale, RewardScaler};
use crate::rounds::{self, AdvantageStep, Scratch, parts};
use crate::{
    AgentEntry, Context, Learner, Log, Memory, Part, Plan, Policy, Schedule, UpdateRatio, config, guard, legal,
    on_policy,
};

/// Registry entry of PQN.
pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "pqn",
    summary: "Parallelised Q-learning: Q(λ) on the newest steps of all seats, without replay or target network",
    refuses: |spec| refuses("pqn", spec),
    presets: &[
        ("cartpole", include_str!("../../presets/pqn/cartpole.toml")),
        ("cartpole-v0", include_str!("../../presets/pqn/cartpole.toml")),
        ("frozenlake", include_str!("../../presets/pqn/frozenlake.toml")),
        ("atari/kung_fu_master", include_str!("../../presets/pqn/kung_fu_master.toml")),
        ("atari/", include_str!("../../presets/pqn/atari.toml")),
    ],
    stochastic: false,
    allocation: |context| {
        let config = Config::read(context)?;
        let shape = [config.horizon, config.minibatches, 0];
        on_policy::allocation(context, shape, Trunk::Nature, &config.hidden, Memory::None {})
    },
    build: |context| Ok(Box::new(Pqn::new(context)?)),
};

/// Optimiser of PQN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Rectified Adam, as in the PQN paper.
    RAdam,
    /// Plain Adam.
    Adam,
}

/// The `[agent]` table of PQN. Agent steps are counted over all seats together, except in `horizon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Initial learning rate.
    pub lr: f64,
    /// Learning rate after `lr_steps` agent steps.
    pub lr_end: f64,
    /// Agent steps over which the learning rate changes; 0 keeps `lr`.
    pub lr_steps: u64,
    /// Optimiser, `radam` or `adam`, with the decay rates of its paper.
    pub optimiser: Kind,
    /// ε of the optimiser.
    pub eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Discount per agent step, 0 to 1.
    pub gamma: f64,
    /// λ of the Q(λ) returns, 0 to 1: 0 for one-step targets.
    pub lambda: f64,
    /// Agent steps per seat between rounds of updates.
    pub horizon: usize,
    /// Passes over the steps of a rollout per round of updates.
    pub epochs: usize,
    /// Minibatches per epoch, each for one optimiser step; their sizes differ by at most one step.
    pub minibatches: usize,
    /// Whether features are normalised by their running mean and standard deviation, and clipped to ±10.
    pub normalise_observations: bool,
    /// How rewards are clipped or normalised.
    pub reward_scale: RewardScale,
    /// Whether a lost life ends a return.
    pub life_loss: LifeLoss,
    /// Whether every layer has layer normalisation before its ReLU.
    pub layer_norm: bool,
    /// Widths of the dense layers.
    pub hidden: Vec<usize>,
    /// Probability of a random action while training (ε-greedy), by agent steps.
    pub epsilon: Schedule,
}

impl Config {
    fn read(context: &Context<'_>) -> Result<Self> {
        let config: Self = config::read(context)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        config::at_least_one(&[
            ("horizon", self.horizon as u64),
            ("epochs", self.epochs as u64),
            ("minibatches", self.minibatches as u64),
        ])?;
        config::epsilon("eps", self.eps)?;
        config::from_zero_on(&[("lr", self.lr), ("lr_end", self.lr_end), ("grad_clip", self.grad_clip)])?;
        config::widths("hidden", &self.hidden)?;
        config::fractions(&[("gamma", self.gamma), ("lambda", self.lambda)])?;
        self.epsilon.check("agent.epsilon", 0.0, 1.0)
    }

    fn gae(&self) -> Gae {
        Gae { gamma: self.gamma as f32, lambda: self.lambda as f32, life_loss: self.life_loss }
    }

    fn optimiser(&self) -> OptimiserConfig {
        let adam = AdamConfig::new(self.eps, self.grad_clip);
        match self.optimiser {
            Kind::RAdam => OptimiserConfig::RAdam(adam),
            Kind::Adam => OptimiserConfig::Adam(adam),
        }
    }
}

/// Learner of PQN.
pub(crate) struct Pqn {
    config: Config,
    seed: u64,
    seats: u32,
    net: Arc<QNet>,
    params: Params,
    optimiser: Optimiser,
    progress: Progress,
    features: Option<ObsNormaliser>,
    rewards: RewardScaler,
    batch: Batch,
    grad: Vec<f32>,
}

/// Buffers of a round of updates.
#[derive(Default)]
struct Batch {
    /// Greatest action values of the last row, `[N]`, over the seats of all blocks.
    last: Vec<f32>,
    room: Scratch,
    steps: Vec<AdvantageStep>,
    /// Shuffled numbers of all steps: the order of an epoch.
    order: Vec<u32>,
    seen: Gathered,
    pass: Pass,
    /// Gradient of the loss by the values, `[B, A]`.
    by_values: Vec<f32>,
}

impl Batch {
    /// Contents of the minibatch of the steps `part` as named columns, for the report of an error.
    fn columns(&self, blocks: &[Rollout], part: &[u32]) -> Vec<Column> {
        let (rows, steps) = (part.len(), || part.iter().map(|&i| &self.steps[i as usize]));
        let at = || steps().map(|step| (&blocks[step.block as usize], step.t as usize, step.e as usize));
        let mut columns = blocks.first().map_or_else(Vec::new, |block| self.seen.columns(block.spec()));
        columns.extend([
            Column::new("action", rows, at().map(|(block, t, e)| block.discrete[(t, e)]).collect::<Vec<u32>>()),
            Column::new("reward", rows, at().map(|(block, t, e)| block.reward[(t + 1, e)]).collect::<Vec<f32>>()),
            Column::new("advantage", rows, steps().map(|step| step.advantage).collect::<Vec<f32>>()),
            Column::new("target", rows, steps().map(|step| step.target).collect::<Vec<f32>>()),
        ]);
        columns
    }
}

impl Pqn {
    /// Creates an untrained learner.
    ///
    /// # Errors
    /// If a setting is out of range, the agent cannot act in the environment, or no encoder fits it.
    pub(crate) fn new(context: &Context<'_>) -> Result<Self> {
        let config = Config::read(context)?;
        crate::config::playable(refuses("pqn", context.spec))?;
        obs_normaliser::check(config.normalise_observations, context.spec)?;
        config::minibatches(config.minibatches, context.seats, config.horizon, 1)?;
        let shape = Shape {
            trunk: Trunk::Nature,
            hidden: config.hidden.clone(),
            memory: Memory::None {},
            width: 1,
            dueling: false,
            noisy: 0.0,
            embedding: None,
            layer_norm: config.layer_norm,
            standardise: config.normalise_observations,
            init: InitScheme::Torch,
            precision: context.precision,
        };
        let rng = Rng::new(context.seed, Stream::Init);
        let (net, params) = QNet::new(context.spec, &shape, context.device, rng).map_err(tensor)?;
        Ok(Self {
            optimiser: Optimiser::new(&params, config.optimiser()).map_err(tensor)?,
            progress: Progress::new(context.seed),
            features: net.standardise().map(|by| ObsNormaliser::new(context.spec.vector, by.clone())),
            rewards: RewardScaler::new(config.reward_scale, config.gamma, config.life_loss, context.seats),
            batch: Batch::default(),
            grad: Vec::new(),
            seed: context.seed,
            seats: context.seats,
            net: Arc::new(net),
            params,
            config,
        })
    }

    /// Computes the Q(λ) targets of all played steps.
    fn estimate(&mut self, blocks: &[Rollout], transform: RewardTransform) -> Result<()> {
        let Batch { last, room, steps, seen, pass, .. } = &mut self.batch;
        seen.clear();
        let ends = || blocks.iter().flat_map(|block| (0..block.seats()).map(move |e| (block, e)));
        ends().for_each(|(block, e)| seen.push(block, block.horizon(), e));
        seen.standardise(self.net.standardise())?;
        let values = self.net.run(&seen.seen(), &Draws::default(), &mut [], pass)?; // [B, A]
        last.clear();
        let rows = values.chunks_exact(self.net.actions());
        last.extend(
            ends().zip(rows).map(|((block, e), row)| row[legal::argmax(row, block.legal.at(block.horizon(), e))]),
        );
        let value = |block: &Rollout, t, e| block.extra.at(t, e)[0];
        rounds::estimate(&self.config.gae(), blocks, transform, last, value, room, steps);
        Ok(())
    }

    /// Makes one optimiser step on the minibatch of the steps numbered `part`.
    fn update(
        &mut self,
        blocks: &[Rollout],
        part: &[u32],
        rate: f64,
        reduce: &mut dyn Reduce,
        log: &mut Log,
    ) -> Result<()> {
        let number = self.progress.updates + 1;
        let Batch { steps, seen, by_values, .. } = &mut self.batch;
        let steps = || part.iter().map(|&i| steps[i as usize]);
        seen.clear();
        steps().for_each(|step| seen.push(&blocks[step.block as usize], step.t as usize, step.e as usize));
        seen.standardise(self.net.standardise())?;
        log.lap(Part::Sample);
        let outputs = self.net.forward(&seen.seen(), &Draws::default(), None).map_err(tensor)?;
        let values = outputs.to_host().map_err(tensor)?; // [B, A]
        let taken = steps().map(|step| blocks[step.block as usize].discrete[(step.t as usize, step.e as usize)]);
        let aims = taken.zip(steps().map(|step| step.target));
        let terms = squared_error(&values, self.net.actions(), aims, by_values);
        log.lap(Part::Forward);
        guard::finite_loss(number, terms.loss, || {
            let targets: Vec<f32> = steps().map(|step| step.target).collect();
            let told = [("values", &values), ("targets", &targets)];
            told.into_iter().find_map(|(of, values)| guard::first_not_finite(of, values, part.len()))
        })?;
        let handle = outputs.handle(by_values).map_err(tensor)?;
        let step = |params: &Params, grad: &[f32]| self.optimiser.step(params, grad, rate);
        let norm = descend((&self.params, &mut self.grad), number, &handle, step, reduce, log)?;
        self.progress.updates = number;
        log.add("loss", terms.loss);
        log.add("q", terms.q);
        log.add("grad_norm", norm);
        Ok(())
    }
}

/// Means over a minibatch.
struct Terms {
    /// Half the squared error.
    loss: f64,
    /// Value of the action taken.
    q: f64,
}

/// The loss of `values [B, A]`, given the action taken and the target of each row, and its gradient in `by`.
fn squared_error(values: &[f32], actions: usize, aims: impl Iterator<Item = (u32, f32)>, by: &mut Vec<f32>) -> Terms {
    by.clear();
    by.resize(values.len(), 0.0);
    let share = 1.0 / (values.len() / actions).max(1) as f64;
    let mut terms = Terms { loss: 0.0, q: 0.0 };
    for ((values, by), (action, target)) in values.chunks_exact(actions).zip(by.chunks_exact_mut(actions)).zip(aims) {
        let q = f64::from(values[action as usize]);
        let error = q - f64::from(target);
        by[action as usize] = (share * error) as f32;
        terms.loss += share * 0.5 * error * error;
        terms.q += share * q;
    }
    terms
}

impl Learner for Pqn {
    fn plan(&self) -> Plan {
        let Config { horizon, epochs, minibatches, .. } = self.config;
        let pace = UpdateRatio {
            updates: (epochs as u64).saturating_mul(minibatches as u64),
            steps: horizon as u64 * u64::from(self.seats),
        };
        Plan { horizon, extra: 1, pace: Some(pace) }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        let reading = Reading { distribution: ReturnDistribution::Expected, taus: 0 };
        let (net, epsilon) = (self.net.clone(), self.config.epsilon);
        Ok(Box::new(EpsilonGreedy::new(net, reading, epsilon, self.seed, seats).storing_values()))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let before = self.progress.steps();
        let Config { lr, lr_end, lr_steps, epochs, .. } = self.config;
        let rate = Schedule::annealed(lr, lr_end, lr_steps).at(before);
        self.progress.count(blocks, reduce)?;
        let transform = self.rewards.transform(blocks, reduce, log)?;
        self.estimate(blocks, transform)?;
        log.add("lr", rate);
        log.add("epsilon", self.config.epsilon.at(self.progress.steps()));
        let minibatches = self.config.minibatches.min((self.progress.steps() - before) as usize);
        let mut order = std::mem::take(&mut self.batch.order);
        order.clear();
        order.extend(0..self.batch.steps.len() as u32);
        for _ in 0..epochs {
            if minibatches > 1 {
                self.progress.rng.shuffle(&mut order);
            }
            for part in parts(order.len(), minibatches) {
                let done = self.update(blocks, &order[part.clone()], rate, reduce, log);
                done.map_err(|error| guard::with_batch(error, || self.batch.columns(blocks, &order[part])))?;
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

#[cfg(test)]
mod tests;
