//! Deep Q-network (DQN) and its family: one learner, whose extensions can be combined.
//! Source: Mnih et al. 2015; Sutton 1988 (n-step, uncorrected); for each extension its file: `dqn/bootstrap.rs`
//! (double, Munchausen), `dqn/config.rs` (distributions), `dqn/priorities.rs`, `q_net.rs` (dueling), `q_net/dense.rs`
//! (noisy), `dqn/recall.rs` (memory), `dqn/rescale.rs` and `dqn/augment.rs`.
//!
//! The order of work: append the block to the replay, make the updates that are due for its agent steps, copy the
//! target network. In a distributed run agent steps are averaged over its members, so that all make the same updates.
//! Differences from the paper: Adam instead of centred RMSProp, and the loss is the mean over the batch.

use std::ops::Range;
use std::sync::Arc;

use rl_core::{Column, Error, Reduce, Result, Rng, Saved, Solo, Spec, State, Stream};
use rl_nn::{Adam, AdamConfig, Params, tensor};
use rl_replays::{Replay, RewardTransform, Rollout};

use crate::descent::descend;
use crate::epsilon_greedy::{EpsilonGreedy, Reading};
use crate::obs_normaliser::{self, ObsNormaliser};
use crate::progress::Progress;
use crate::q_net::{Draws, QNet};
use crate::reward_scale::RewardScaler;
use crate::{Context, DemonstrationSpec, Learner, Log, Part, Plan, Policy, Schedule, UpdateRatio, guard};

pub(crate) use distribution::ReturnDistribution;
pub(crate) use entries::{C51, DQN, DRQ, IQN, QRDQN, R2D2, RAINBOW};

use augment::Augmenter;
use bootstrap::TdTargets;
use config::Config;
use loss::{Against, Losses};
use minibatch::Minibatch;
use passes::Passes;

mod entries;
mod config;
mod allocation;
mod recall;
mod passes;
mod minibatch;
mod augment;
mod bootstrap;
mod rescale;
mod distribution;
mod loss;
mod priorities;

/// Learner of the DQN family.
pub(crate) struct Dqn {
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
    /// Buffers of the last minibatch; `None` before the first one.
    minibatch: Option<Minibatch>,
    augmenter: Augmenter,
    progress: Progress,
    features: Option<ObsNormaliser>,
    rewards: RewardScaler,
    grad: Vec<f32>,
    drawn: Passes<Draws>,
    estimate: TdTargets,
    targets: Vec<f32>,
    losses: Losses,
    /// Importance-sampling weights of a minibatch, then its new priorities in the replay.
    importance: Vec<f64>,
}

impl Dqn {
    /// Creates an untrained learner; `id` names the agent in error messages.
    ///
    /// # Errors
    /// If a value of the configuration is out of range, or no encoder fits the environment.
    pub(crate) fn new(id: &str, context: &Context<'_>) -> Result<Self> {
        let config = Config::read(context)?;
        crate::config::playable(refuses(id, context.spec))?;
        config.augment.check(context.spec)?;
        obs_normaliser::check(config.normalise_observations, context.spec)?;
        let (shape, seats) = (config.shape(context.precision), context.seats as usize);
        let build =
            || QNet::new(context.spec, &shape, context.device, Rng::new(context.seed, Stream::Init)).map_err(tensor);
        let ((net, params), (target, target_params)) = (build()?, build()?);
        let (capacity, returns) = (config.replay_capacity, config.returns());
        let replay = match config.memory.sequence() {
            None => Replay::new(context.spec, seats, capacity, returns),
            Some(sequence) => Replay::of_sequences(context.spec, seats, capacity, returns, sequence),
        };
        Ok(Self {
            adam: Adam::new(&params, AdamConfig::new(config.adam_eps, config.grad_clip)).map_err(tensor)?,
            replay: if config.priorities.is_uniform() { replay } else { replay.prioritised() },
            minibatch: None,
            augmenter: Augmenter::new(config.augment, context.spec),
            progress: Progress::new(context.seed),
            features: net.standardise().map(|by| ObsNormaliser::new(context.spec.vector, by.clone())),
            rewards: RewardScaler::new(config.reward_scale, config.gamma, config.life_loss, context.seats),
            grad: Vec::new(),
            drawn: Passes::default(),
            estimate: TdTargets::new(&config),
            targets: Vec::new(),
            losses: Losses::new(config.values.loss()),
            importance: Vec::new(),
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

    /// Learning rate of an update that is due after `step` agent steps.
    fn rate(&self, step: u64) -> f64 {
        let Config { lr, lr_end, lr_steps, .. } = self.config;
        Schedule::annealed(lr, lr_end, lr_steps).at(step)
    }

    /// Draws quantiles for the `rows` of each forward pass, and one row of network noise per pass.
    fn draw(&mut self, rows: Passes<usize>) {
        for ((draws, rows), taus) in self.drawn.each_mut().zip(rows).zip(self.estimate.taus()).in_turn() {
            draws.clear();
            if let Some(taus) = taus
                && rows > 0
            {
                draws.draw(rows * taus, self.net.noise(), &mut self.progress.rng);
            }
        }
    }

    /// Makes the updates and target copies that are due since agent step `before`; `transform` transforms rewards.
    ///
    /// With many seats several rounds are due at once. Each uses the learning rate and exponents of the agent step at
    /// which it would have been made with one seat, and a target network that is no older than it would have been then.
    /// Those due before the replay has a transition of n steps, which comes later with more seats, are left out.
    fn catch_up(
        &mut self,
        before: u64,
        transform: RewardTransform,
        reduce: &mut dyn Reduce,
        log: &mut Log,
    ) -> Result<()> {
        let (steps, start) = (self.progress.steps(), self.config.learning_starts);
        if steps < start || !self.replay.has_reach() {
            return Ok(());
        }
        let Config { update_period, updates, .. } = self.config;
        let rounds = before.max(start) / update_period + 1..=steps / update_period;
        let mut copied = before;
        let mut minibatch = self.minibatch.take().unwrap_or_else(|| Minibatch::new(&self.spec, &self.config));
        for step in rounds.map(|round| round * update_period) {
            for _ in 0..updates {
                minibatch.draw(&self.replay, transform, &mut self.progress.rng)?;
                minibatch.standardise(self.net.standardise())?;
                minibatch.augment(&mut self.augmenter, &mut self.progress.rng);
                log.lap(Part::Sample);
                self.update(&mut minibatch, step, reduce, log)?;
            }
            self.copy_target(copied, step)?;
            copied = step;
        }
        self.minibatch = Some(minibatch);
        self.copy_target(copied, steps)
    }

    /// Copies the online network to the target network if that is due after agent step `from`, up to step `to`.
    fn copy_target(&mut self, from: u64, to: u64) -> Result<()> {
        let period = self.config.target_period;
        if to / period > from / period { self.target_params.copy_from(&self.params).map_err(tensor) } else { Ok(()) }
    }

    /// Makes one update on a minibatch, due at agent step `step`, and sets the new priorities of the minibatch.
    fn update(&mut self, batch: &mut Minibatch, step: u64, reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        self.draw(batch.rows());
        self.fit(batch, step, reduce, log).map_err(|error| guard::with_batch(error, || self.columns(batch)))?;
        let Losses { errors, losses, .. } = &self.losses;
        let errors = batch.errors(if self.config.priorities.follow_the_loss() { losses } else { errors });
        self.config.priorities.of(errors, step, &mut self.importance);
        if !self.importance.is_empty() {
            self.replay.set_priorities(batch.drawn().1, &self.importance);
        }
        Ok(())
    }

    /// Makes one optimiser step towards the targets of a minibatch, with the quantiles and noise drawn before.
    fn fit(&mut self, batch: &mut Minibatch, step: u64, reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let number = self.progress.updates + 1;
        self.estimate.of(batch, [&self.net, &self.target], &self.drawn, &mut self.targets)?;
        let online = &self.drawn.online;
        let outputs = batch.forward(&self.net, online)?;
        let values = outputs.to_host().map_err(tensor)?; // [M, W, A]
        self.config.priorities.importance(batch.drawn().0, step, &mut self.importance);
        batch.spread(&mut self.importance);
        let against = Against {
            actions: self.net.actions(),
            chosen: batch.actions(),
            targets: &self.targets,
            taus: &online.taus,
            importance: &self.importance,
        };
        let terms = self.losses.of(self.config.values.distribution(), &values, against);
        log.lap(Part::Forward);
        guard::finite_loss(number, terms.loss, || {
            let told = [("targets", &self.targets), ("outputs", &values)];
            told.into_iter().find_map(|(of, values)| guard::first_not_finite(of, values, batch.len()))
        })?;
        let handle = outputs.handle(&self.losses.by_outputs).map_err(tensor)?;
        let rate = self.rate(step);
        let descent = |params: &Params, grad: &[f32]| self.adam.step(params, grad, rate);
        let norm = descend((&self.params, &mut self.grad), number, &handle, descent, reduce, log)?;
        self.progress.updates = number;
        log.add("lr", rate);
        log.add("q", terms.q);
        log.add("loss", terms.loss);
        log.add("grad_norm", norm);
        Ok(())
    }

    /// Contents of a minibatch as named columns, with its targets and weights, for the report of an error.
    fn columns(&self, batch: &Minibatch) -> Vec<Column> {
        let mut columns = batch.columns(&self.spec);
        columns.push(Column::new("target", batch.len(), self.targets.clone()));
        columns.push(Column::new("importance", batch.len(), self.importance.clone()));
        columns.retain(|column| !column.values.is_empty());
        columns
    }
}

impl Learner for Dqn {
    /// The horizon is `update_period` divided by the seats, at least 1.
    fn plan(&self) -> Plan {
        let horizon = self.config.update_period / u64::from(self.seats);
        let Config { updates, update_period, .. } = self.config;
        let extra = self.net.state_width();
        Plan { horizon: horizon.max(1) as usize, extra, pace: Some(UpdateRatio { updates, steps: update_period }) }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        let values = self.config.values;
        let reading = Reading { distribution: values.distribution(), taus: values.taus().act };
        Ok(Box::new(EpsilonGreedy::new(self.net.clone(), reading, self.config.epsilon, self.seed, seats)))
    }

    fn demonstrations(&self) -> Option<DemonstrationSpec> {
        Some(DemonstrationSpec { seats: self.seats as usize, needs: false })
    }

    /// Appends demonstrations to the replay like own steps, and to the statistics that scale what is drawn from it; their
    /// sequences begin with a recurrent state of zeros.
    fn add_demonstrations(&mut self, blocks: &[Rollout]) -> Result<()> {
        if blocks[0].horizon() >= self.replay.room_in_rows() {
            let message = crate::config::FULL.to_owned();
            return Err(Error::Config { key: "agent.replay_capacity".to_owned(), message });
        }
        self.replay.append(blocks)?;
        self.rewards.transform(blocks, &mut Solo, &mut Log::default())?; // every member is shown the same
        self.features.as_mut().map_or(Ok(()), |features| features.add(blocks, &mut Solo))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let before = self.progress.steps();
        self.replay.append(blocks)?;
        self.progress.count(blocks, reduce)?;
        let transform = self.rewards.transform(blocks, reduce, log)?;
        log.add("epsilon", self.config.epsilon.at(self.progress.steps()));
        log.lap(Part::Sample);
        self.catch_up(before, transform, reduce, log)?;
        if let Some(features) = &mut self.features {
            features.add(blocks, reduce)?;
            log.lap(Part::Other);
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

    fn adopt_weights(&mut self) -> Result<()> {
        self.target_params.copy_from(&self.params).map_err(tensor)
    }

    fn state(&mut self) -> State<'_> {
        let mut state: State<'_> = vec![
            ("target".to_owned(), &mut self.target_params),
            ("adam".to_owned(), &mut self.adam),
            ("replay".to_owned(), &mut self.replay),
            ("progress".to_owned(), &mut self.progress),
        ];
        state.extend(self.features.as_mut().map(|features| ("features".to_owned(), features as &mut dyn Saved)));
        state.extend(self.rewards.saved().map(|rewards| ("rewards".to_owned(), rewards)));
        state
    }
}

/// Why the value-based agent `id` cannot act in an environment of these shapes; `None` if it can.
pub(crate) fn refuses(id: &str, spec: &Spec) -> Option<String> {
    match (spec.discrete.len(), spec.continuous.len()) {
        (1, 0) => None,
        (d, c) => Some(format!("{id} needs exactly one discrete action; this environment has {d}, and {c} continuous")),
    }
}

#[cfg(test)]
mod tests;
