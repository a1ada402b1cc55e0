//! Behaviour cloning: maximum likelihood of the actions of demonstrations.
//! Source: Pomerleau 1989; Bain and Sammut 1995.
//!
//! The agent learns from demonstrations alone: what it plays in its training seats only counts agent steps and shows
//! its present return. The loss is -ln π(a | s), the cross entropy of discrete actions and the Gaussian likelihood of
//! continuous ones. A continuous action that was clipped is learned from as the environment got it, and a step whose
//! action was not legal is left out. Whole games are held out for validation, since steps of one game are too alike.

use std::ops::Range;
use std::sync::Arc;

use rl_core::{Column, Error, Reduce, Result, Rng, Saved, Solo, Spec, State, Stream};
use rl_nn::{Activation, Adam, AdamConfig, HostForward, Params, tensor};
use rl_perception::{EncoderConfig, ObsBatch, Trunk};
use rl_replays::{Rollout, Steps};
use serde::{Deserialize, Serialize};

use crate::descent::{along, descend};
use crate::gather::observed;
use crate::obs_normaliser::{self, ObsNormaliser};
use crate::progress::Progress;
use crate::{
    AgentEntry, Context, DemonstrationSpec, Learner, Log, Part, Plan, Policy, Schedule, UpdateRatio, config, guard,
    on_policy,
};

use cloned_policy::ClonedPolicy;
use demonstrated::Demonstrated;
use likelihood::Likelihood;
use net::PolicyNet;

mod demonstrated;
mod cloned_policy;
mod likelihood;
mod net;

/// Registry entry of behaviour cloning.
pub(crate) const ENTRY: AgentEntry = AgentEntry {
    id: "bc",
    summary: "Behaviour cloning: imitates recordings (agent.demonstrations)",
    refuses: |spec| on_policy::refuses("bc", spec),
    presets: &[
        ("cartpole", include_str!("../../presets/bc/cartpole.toml")),
        ("cartpole-v0", include_str!("../../presets/bc/cartpole.toml")),
        ("acrobot", include_str!("../../presets/bc/classic.toml")),
        ("mountaincar", include_str!("../../presets/bc/classic.toml")),
        ("mountaincar-continuous", include_str!("../../presets/bc/classic.toml")),
        ("pendulum", include_str!("../../presets/bc/classic.toml")),
        ("atari/", include_str!("../../presets/bc/atari.toml")),
    ],
    stochastic: true,
    allocation: |context| {
        let config = Config::read(context)?;
        let seen = context.spec.frame_len() * context.spec.stack + 4 * context.spec.vector;
        let made = (config.batch as u64).saturating_mul(
            (config.trunk.bytes(context.spec.frame) + config::bytes_of_layers(&config.hidden) + seen) as u64,
        );
        let kept = Demonstrated::bytes_for(context.spec, config.capacity);
        let acted = context.spec.symbols.len() + context.spec.discrete.len() + context.spec.continuous.len() + 8;
        let block = config.update_period.saturating_mul((seen + 4 * acted + context.spec.legal_len()) as u64);
        let dense = config::dense_weights(config::inputs(context.spec, config.trunk), &config.hidden, 1);
        let parts = [
            (kept, "agent.capacity"),
            (made, "agent.batch"),
            (block, "agent.update_period"),
            (config::bytes_of(dense), "agent.hidden"),
        ];
        Ok(config::total_allocation(parts))
    },
    build: |context| Ok(Box::new(Bc::new(context)?)),
};

/// The `[agent]` table of behaviour cloning. Agent steps are counted over all seats together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Path of a recording, or of a directory of recordings, to imitate.
    pub demonstrations: String,
    /// Capacity for demonstrations, in steps.
    pub capacity: usize,
    /// Share of the games that is held out for validation, from 0 to below 1.
    pub held_out: f64,
    /// Initial learning rate of Adam.
    pub lr: f64,
    /// Learning rate after `lr_steps` agent steps.
    pub lr_end: f64,
    /// Agent steps over which the learning rate changes; 0 keeps it at `lr`.
    pub lr_steps: u64,
    /// ε of Adam.
    pub adam_eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Batch size: demonstrated steps per update, drawn uniformly.
    pub batch: usize,
    /// Agent steps per round of updates.
    pub update_period: u64,
    /// Optimiser steps per round of updates.
    pub updates: u64,
    /// Agent steps from one validation on the held-out games to the next.
    pub check_period: u64,
    /// Whether features are normalised by their mean and standard deviation in the demonstrations, and clipped to ±10.
    pub normalise_observations: bool,
    /// Convolutional network for frames; unused without frames.
    pub trunk: Trunk,
    /// Widths of the dense layers.
    pub hidden: Vec<usize>,
    /// Activation of the dense layers: `relu` or `tanh`.
    pub activation: Activation,
}

impl Config {
    fn read(context: &Context<'_>) -> Result<Self> {
        let config: Self = config::read(context)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        config::at_least_one(&[
            ("capacity", self.capacity as u64),
            ("batch", self.batch as u64),
            ("update_period", self.update_period),
            ("updates", self.updates),
            ("check_period", self.check_period),
        ])?;
        config::epsilon("adam_eps", self.adam_eps)?;
        config::from_zero_on(&[("lr", self.lr), ("lr_end", self.lr_end), ("grad_clip", self.grad_clip)])?;
        config::widths("hidden", &self.hidden)?;
        config::fractions(&[("held_out", self.held_out)])?;
        if self.held_out == 1.0 {
            let message = "1 leaves no game to learn from".to_owned();
            return Err(Error::Config { key: "agent.held_out".to_owned(), message });
        }
        Ok(())
    }
}

/// Learner of behaviour cloning.
struct Bc {
    config: Config,
    spec: Spec,
    seed: u64,
    seats: u32,
    net: Arc<PolicyNet>,
    params: Params,
    adam: Adam,
    shown: Demonstrated,
    progress: Progress,
    features: Option<ObsNormaliser>,
    likelihood: Likelihood,
    /// The last minibatch.
    steps: Steps,
    flow: HostForward,
    grad: Vec<f32>,
}

impl Bc {
    /// Creates an untrained learner without demonstrations.
    ///
    /// # Errors
    /// If a value of the configuration is out of range, or no encoder fits the environment.
    fn new(context: &Context<'_>) -> Result<Self> {
        let config = Config::read(context)?;
        crate::config::playable(on_policy::refuses("bc", context.spec))?;
        obs_normaliser::check(config.normalise_observations, context.spec)?;
        let Config { trunk, ref hidden, activation, normalise_observations, .. } = config;
        let (hidden, precision) = (hidden.clone(), context.precision);
        let encoder = EncoderConfig { trunk, hidden, activation, layer_norm: false, precision };
        let rng = Rng::new(context.seed, Stream::Init);
        let (net, params) =
            PolicyNet::new(context.spec, &encoder, normalise_observations, context.device, &rng).map_err(tensor)?;
        let adam = AdamConfig::new(config.adam_eps, config.grad_clip);
        Ok(Self {
            adam: Adam::new(&params, adam).map_err(tensor)?,
            shown: Demonstrated::new(context.spec, config.capacity, config.held_out),
            progress: Progress::new(context.seed),
            features: net.standardise().map(|by| ObsNormaliser::new(context.spec.vector, by.clone())),
            likelihood: Likelihood::new(context.spec),
            steps: Steps::new(context.spec, config.batch),
            flow: HostForward::default(),
            grad: Vec::new(),
            spec: context.spec.clone(),
            seed: context.seed,
            seats: context.seats,
            net: Arc::new(net),
            params,
            config,
        })
    }

    /// Makes one optimiser step on a minibatch of the demonstrated steps that are not held out, with the learning rate
    /// of the agent step `since`, at which its round began.
    fn update(&mut self, since: u64, reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let number = self.progress.updates + 1;
        let (rows, rng) = (self.shown.learned(), &mut self.progress.rng);
        let drawn = std::iter::repeat_with(|| rows[rng.below(rows.len() as u32) as usize]);
        let count = self.shown.take(drawn, &mut self.steps);
        self.standardise(count)?;
        log.lap(Part::Sample);
        let outputs = self.net.forward(&seen(&self.spec, &self.steps, count)).map_err(tensor)?; // [B, W]
        let values: Vec<f32> = outputs.flatten_all().and_then(|z| z.to_vec1()).map_err(tensor)?;
        let terms = self.likelihood.of(&values, &self.steps, count);
        log.lap(Part::Forward);
        guard::finite_loss(number, terms.loss, || guard::first_not_finite("outputs of the policy", &values, count))?;
        let handle = along(&outputs, self.likelihood.by_outputs()).map_err(tensor)?;
        let Config { lr, lr_end, lr_steps, .. } = self.config;
        let rate = Schedule::annealed(lr, lr_end, lr_steps).at(since);
        let step = |params: &Params, grad: &[f32]| self.adam.step(params, grad, rate);
        let norm = descend((&self.params, &mut self.grad), number, &handle, step, reduce, log)?;
        self.progress.updates = number;
        log.add("loss", terms.loss);
        if let Some(accuracy) = terms.accuracy {
            log.add("accuracy", accuracy);
        }
        log.add("lr", rate);
        log.add("grad_norm", norm);
        Ok(())
    }

    /// Logs loss and accuracy on the held-out steps.
    fn check(&mut self, log: &mut Log) -> Result<()> {
        let (mut loss, mut right, mut from) = (0.0, 0.0, 0);
        let all = self.shown.held().len();
        while from < all {
            let count = self.shown.take(self.shown.held()[from..].iter().copied(), &mut self.steps);
            self.standardise(count)?;
            self.net.run(&seen(&self.spec, &self.steps, count), &mut self.flow)?;
            let terms = self.likelihood.of(self.flow.values(), &self.steps, count);
            loss += terms.loss * count as f64;
            right += terms.accuracy.unwrap_or_default() * count as f64;
            from += count;
        }
        if all > 0 {
            log.add("held_out_loss", loss / all as f64);
            if !self.spec.discrete.is_empty() {
                log.add("held_out_accuracy", right / all as f64);
            }
        }
        log.lap(Part::Other);
        Ok(())
    }

    fn standardise(&mut self, count: usize) -> Result<()> {
        let features = &mut self.steps.obs.vector.all_mut()[..count * self.spec.vector];
        self.net.standardise().map_or(Ok(()), |by| by.apply(features)).map_err(tensor)
    }

    /// Contents of the last minibatch as named columns, for the report of an error.
    fn columns(&self) -> Vec<Column> {
        let Steps { obs, discrete, continuous, .. } = &self.steps;
        let rows = self.config.batch;
        let names = ["observation.frames", "observation.vector", "observation.symbols"];
        let mut columns = observed(names, &self.spec, rows, (obs.frames.all(), obs.vector.all(), obs.symbols.all()));
        columns.extend([
            Column::new("action.discrete", rows, discrete.all().to_vec()),
            Column::new("action.continuous", rows, continuous.all().to_vec()),
            Column::new("legal", rows, obs.legal.all().to_vec()),
        ]);
        columns.retain(|column| !column.values.is_empty());
        columns
    }
}

/// Views the observations of the first `rows` steps as input of an encoder.
fn seen<'a>(spec: &Spec, steps: &'a Steps, rows: usize) -> ObsBatch<'a> {
    let obs = &steps.obs;
    ObsBatch {
        rows,
        frames: &obs.frames.all()[..rows * spec.frame_len() * spec.stack],
        vector: &obs.vector.all()[..rows * spec.vector],
        symbols: &obs.symbols.all()[..rows * spec.symbols.len()],
    }
}

impl Learner for Bc {
    /// The horizon is `update_period` divided by the seats, at least 1.
    fn plan(&self) -> Plan {
        let Config { updates, update_period, .. } = self.config;
        let horizon = (update_period / u64::from(self.seats)).max(1) as usize;
        Plan { horizon, extra: 0, pace: Some(UpdateRatio { updates, steps: update_period }) }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        Ok(Box::new(ClonedPolicy::new(self.net.clone(), &self.spec, self.seed, seats)))
    }

    fn demonstrations(&self) -> Option<DemonstrationSpec> {
        Some(DemonstrationSpec { seats: 1, needs: true })
    }

    fn add_demonstrations(&mut self, blocks: &[Rollout]) -> Result<()> {
        self.shown.append(blocks)?;
        // Of what is held out too: what was seen says nothing of what was done. Every member is shown the same.
        self.features.as_mut().map_or(Ok(()), |features| features.add(blocks, &mut Solo))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        if self.shown.learned().is_empty() {
            let message =
                "no legal step to learn from: name a recording that has some, and hold less than all of it out"
                    .to_owned();
            return Err(Error::Config { key: "agent.demonstrations".to_owned(), message });
        }
        let before = self.progress.steps();
        self.progress.count(blocks, reduce)?;
        let Config { update_period, updates, check_period, .. } = self.config;
        let after = self.progress.steps();
        for round in before / update_period..after / update_period {
            for _ in 0..updates {
                let done = self.update(round * update_period, reduce, log);
                done.map_err(|error| guard::with_batch(error, || self.columns()))?;
            }
        }
        if after / check_period > before / check_period {
            self.check(log)?;
        }
        Ok(())
    }

    fn updates(&self) -> u64 {
        self.progress.updates
    }

    fn weights(&mut self) -> &mut dyn Saved {
        &mut self.params
    }

    fn state(&mut self) -> State<'_> {
        let mut state: State<'_> = vec![
            ("adam".to_owned(), &mut self.adam),
            ("shown".to_owned(), &mut self.shown),
            ("progress".to_owned(), &mut self.progress),
        ];
        state.extend(self.features.as_mut().map(|features| ("features".to_owned(), features as &mut dyn Saved)));
        state
    }
}

#[cfg(test)]
mod tests;
