//! AlphaZero: a network learns, by self-play, the policy and value that a tree search guided by it finds.
//! Source: Silver et al. 2018, "A general reinforcement learning algorithm that masters chess, shogi, and Go through
//! self-play"; the search of Danihelka et al. 2022, which improves the policy with as few as 16 simulations.
//!
//! The game is a type parameter, from which the search knows the rules; who lists the agent names the game. An
//! observation must determine the position completely.

mod experience;
mod forest;
mod halving;
mod loss;
mod net;
mod planner;
mod search_policy;

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use rl_core::{Column, Game, Reduce, Result, Rng, Saved, Spec, State, Stream};
use rl_nn::{AdamConfig, Optimiser, OptimiserConfig, Params, tensor};
use rl_replays::Rollout;
use serde::{Deserialize, Serialize};

use crate::descent::{along, descend};
use crate::progress::Progress;
use crate::{AgentEntry, Context, Learner, Log, Part, Plan, Policy, Schedule, UpdateRatio, config, guard};
use experience::Experience;
use forest::{Forest, Sigma};
use loss::{Target, loss};
use net::{Net, Shape};
use planner::Search;
use search_policy::SearchPolicy;

/// Makes the registry entry `id` of an AlphaZero agent for the game `G`.
///
/// Its environments must have one discrete action with a mask of legal moves, show in `vector` what [`Game::observe`]
/// writes, which [`Game::recognise`] reads back, and nothing else, and reward the side that made the last move. The id
/// `alphazero` itself is taken by Connect Four where `rl_runner::PLANNERS` is listed too.
pub const fn entry<G: Game>(id: &'static str, presets: &'static [(&'static str, &'static str)]) -> AgentEntry {
    AgentEntry {
        id,
        summary: "self-play by tree search, guided by a network that learns from it",
        refuses: refuses::<G>,
        presets,
        stochastic: false,
        allocation: |context| {
            let config = Config::read(context)?;
            let trees = |simulations| Forest::<G>::bytes_for(context.seats as usize, simulations);
            let trees = trees(config.simulations).saturating_add(trees(config.eval_simulations));
            let step = 4 * (G::PLANES.iter().product::<usize>() + 2 * G::ACTIONS + 8) as u64;
            let block = step.saturating_mul(config.horizon as u64).saturating_mul(context.seats.into());
            let kept = Experience::<G>::bytes_for(config.replay_capacity);
            // Outputs of the convolutions and their gradients.
            let board = G::PLANES[..2].iter().product::<usize>() * config.channels * (2 * config.blocks + 1);
            let made = (config.batch as u64).saturating_mul(2 * 4 * board as u64);
            let (channels, layers) = (config.channels as u64, 2 * config.blocks as u64);
            let weights = (9 * channels).saturating_mul(channels).saturating_mul(layers); // of 3 x 3
            let flat = G::PLANES[..2].iter().product::<usize>() * config.channels;
            let heads = config::weights(flat, config.hidden).saturating_add(config::weights(flat, G::ACTIONS));
            let parts = [
                (kept, "agent.replay_capacity"),
                (trees, "agent.simulations"),
                (block, "agent.horizon"),
                (made, "agent.batch"),
                (config::bytes_of(weights), "agent.channels"),
                (config::bytes_of(heads), "agent.channels or agent.hidden"),
            ];
            Ok(config::total_allocation(parts))
        },
        build: |context| Ok(Box::new(AlphaZero::<G>::new(context)?)),
    }
}

/// The `[agent]` table of AlphaZero. Moves are counted over all seats together, except in `horizon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Initial learning rate of Adam.
    pub lr: f64,
    /// Learning rate after `lr_steps` moves.
    pub lr_end: f64,
    /// Moves over which the learning rate changes; 0 keeps `lr`.
    pub lr_steps: u64,
    /// ε of Adam.
    pub adam_eps: f64,
    /// Largest global norm of the gradient; 0 for no limit.
    pub grad_clip: f64,
    /// Weight of the value loss, half the squared error.
    pub value_coef: f64,
    /// Share of the search's value in value targets, 0 to 1; the rest is the outcome of the game.
    pub search_value: f64,
    /// Moves per seat between rounds of updates.
    pub horizon: usize,
    /// Optimiser steps per round of updates.
    pub updates: usize,
    /// Batch size: positions per update, each in a random one of its symmetric images.
    pub batch: usize,
    /// Capacity of the replay in positions of finished games.
    pub replay_capacity: usize,
    /// Moves before the first update.
    pub learning_starts: u64,
    /// Simulations of the search per move in self-play.
    pub simulations: usize,
    /// Simulations of the search per move in evaluations and matches.
    pub eval_simulations: usize,
    /// Largest number of moves that a search considers at its root.
    pub considered: usize,
    /// c_visit of σ(q) = (c_visit + max visits) · c_scale · q, with q from 0 to 1.
    pub sigma_visit: f64,
    /// c_scale of σ(q) = (c_visit + max visits) · c_scale · q, with q from 0 to 1.
    pub sigma_scale: f64,
    /// Channels of every convolution.
    pub channels: usize,
    /// Residual blocks of two convolutions.
    pub blocks: usize,
    /// Width of the value's dense layer.
    pub hidden: usize,
}

impl Config {
    fn read(context: &Context<'_>) -> Result<Self> {
        let config: Self = config::read(context)?;
        config::at_least_one(&[
            ("horizon", config.horizon as u64),
            ("updates", config.updates as u64),
            ("batch", config.batch as u64),
            ("replay_capacity", config.replay_capacity as u64),
            ("simulations", config.simulations as u64),
            ("eval_simulations", config.eval_simulations as u64),
            ("considered", config.considered as u64),
        ])?;
        config::units(&[("channels", config.channels), ("hidden", config.hidden)])?;
        config::at_most(&[
            ("blocks", config.blocks as u64, 1 << 10),
            ("batch", config.batch as u64, 1 << 16),
            ("horizon", config.horizon as u64, 1 << 16),
        ])?;
        config::epsilon("adam_eps", config.adam_eps)?;
        config::from_zero_on(&[
            ("lr", config.lr),
            ("lr_end", config.lr_end),
            ("grad_clip", config.grad_clip),
            ("value_coef", config.value_coef),
            ("sigma_visit", config.sigma_visit),
            ("sigma_scale", config.sigma_scale),
        ])?;
        let most = config.simulations.max(config.eval_simulations) as f64;
        if !((config.sigma_visit + most) * config.sigma_scale).is_finite() {
            let message = "values scaled by it are beyond what a number can hold".to_owned();
            return Err(config::bad("sigma_scale", message));
        }
        config::fractions(&[("search_value", config.search_value)])?;
        Ok(config)
    }
}

/// Learner of AlphaZero.
struct AlphaZero<G: Game> {
    config: Config,
    seed: u64,
    seats: u32,
    lr: Schedule,
    net: Arc<Net>,
    params: Params,
    optimiser: Optimiser,
    experience: Experience<G>,
    progress: Progress,
    batch: Batch,
    grad: Vec<f32>,
}

/// Buffers of an update.
#[derive(Default)]
struct Batch {
    /// Observations of the positions, `[B, H, W, C]`.
    planes: Vec<f32>,
    /// Policy targets, `[B, A]`.
    policies: Vec<f32>,
    /// Whether the rules allow each move, `[B, A]`.
    legal: Vec<bool>,
    /// Value targets for the side to move, `[B]`.
    values: Vec<f32>,
    /// Gradient of the loss by the logits, `[B, A]`.
    by_logits: Vec<f32>,
    /// Gradient of the loss by the values, `[B]`.
    by_values: Vec<f32>,
}

impl<G: Game> AlphaZero<G> {
    fn new(context: &Context<'_>) -> Result<Self> {
        let config = Config::read(context)?;
        crate::config::playable(refuses::<G>(context.spec))?;
        let Config { channels, blocks, hidden, .. } = config;
        let (planes, actions, precision) = (G::PLANES, G::ACTIONS, context.precision);
        let shape = Shape { planes, actions, channels, blocks, hidden, precision };
        let (net, params) = Net::new(shape, context.device, &Rng::new(context.seed, Stream::Init)).map_err(tensor)?;
        let adam = AdamConfig::new(config.adam_eps, config.grad_clip);
        Ok(Self {
            lr: Schedule::annealed(config.lr, config.lr_end, config.lr_steps),
            optimiser: Optimiser::new(&params, OptimiserConfig::Adam(adam)).map_err(tensor)?,
            experience: Experience::new(config.replay_capacity, config.search_value, context.seats as usize),
            progress: Progress::new(context.seed),
            batch: Batch::default(),
            grad: Vec::new(),
            seed: context.seed,
            seats: context.seats,
            net: Arc::new(net),
            params,
            config,
        })
    }

    /// Settings of a search with this number of simulations.
    fn search(&self, simulations: usize) -> Search {
        let Config { considered, sigma_visit, sigma_scale, .. } = self.config;
        let sigma = Sigma { visit: sigma_visit, scale: sigma_scale };
        Search { simulations, considered: considered.min(G::ACTIONS), sigma }
    }

    /// Draws a minibatch, every position in a random one of its symmetric images.
    fn draw(&mut self) {
        let Batch { planes, policies, legal, values, .. } = &mut self.batch;
        let width = G::PLANES.iter().product::<usize>();
        planes.resize(self.config.batch * width, 0.0);
        policies.resize(self.config.batch * G::ACTIONS, 0.0);
        legal.resize(self.config.batch * G::ACTIONS, false);
        values.clear();
        for row in 0..self.config.batch {
            let drawn = self.experience.draw(&mut self.progress.rng);
            let symmetry = self.progress.rng.below(G::SYMMETRIES as u32) as usize;
            let position = drawn.position.image(symmetry);
            position.observe(&mut planes[row * width..(row + 1) * width]);
            for (action, &probability) in drawn.policy.iter().enumerate() {
                let at = row * G::ACTIONS + G::image_of(action, symmetry);
                (policies[at], legal[at]) = (probability, drawn.position.legal(action));
            }
            values.push(drawn.value);
        }
    }

    /// Contents of the current minibatch as named columns, for the report of an error.
    fn columns(&self) -> Vec<Column> {
        let Batch { planes, policies, legal, values, .. } = &self.batch;
        let ([height, width, channels], rows) = (G::PLANES, values.len());
        vec![
            Column { name: "observation", shape: vec![rows, height, width, channels], values: planes.clone().into() },
            Column::new("policy", rows, policies.clone()),
            Column::new("legal", rows, legal.iter().map(|&legal| u8::from(legal)).collect::<Vec<u8>>()),
            Column::new("target", rows, values.clone()),
        ]
    }

    /// Makes one optimiser step on the current minibatch with learning rate `rate`.
    fn fit(&mut self, rate: f64, reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let number = self.progress.updates + 1;
        let Batch { planes, policies, legal, values, by_logits, by_values } = &mut self.batch;
        let (logits, valued) = self.net.forward(planes).map_err(tensor)?; // [B, A] and [B]
        let host = |x: &Tensor| x.flatten_all().and_then(|x| x.to_vec1::<f32>()).map_err(tensor);
        let (z, v) = (host(&logits)?, host(&valued)?);
        let targets = policies.chunks_exact(G::ACTIONS).zip(&*values).map(|(policy, &value)| Target { policy, value });
        let allowed = |row: usize, action: usize| legal[row * G::ACTIONS + action];
        let gradients = (&mut *by_logits, &mut *by_values);
        let terms = loss((&z, &v), targets, allowed, self.config.value_coef, gradients);
        log.lap(Part::Forward);
        guard::finite_loss(number, terms.loss, || {
            let told = [("logits", &z), ("values", &v)];
            told.into_iter().find_map(|(of, values)| guard::first_not_finite(of, values, v.len()))
        })?;
        let handle = along(&logits, by_logits).and_then(|sum| sum + along(&valued, by_values)?).map_err(tensor)?;
        let step = |params: &Params, grad: &[f32]| self.optimiser.step(params, grad, rate);
        let norm = descend((&self.params, &mut self.grad), number, &handle, step, reduce, log)?;
        self.progress.updates = number;
        log.add("loss", terms.loss);
        log.add("policy_loss", terms.policy_loss);
        log.add("value_loss", terms.value_loss);
        log.add("entropy", terms.entropy);
        log.add("grad_norm", norm);
        Ok(())
    }
}

impl<G: Game> Learner for AlphaZero<G> {
    fn plan(&self) -> Plan {
        let Config { horizon, updates, .. } = self.config;
        let pace = Some(UpdateRatio { updates: updates as u64, steps: horizon as u64 * u64::from(self.seats) });
        Plan { horizon, extra: G::ACTIONS + 1, pace }
    }

    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>> {
        let Config { simulations, eval_simulations, .. } = self.config;
        let searches = [simulations, eval_simulations].map(|simulations| self.search(simulations));
        Ok(Box::new(SearchPolicy::<G>::new(self.net.clone(), searches, self.seed, seats)))
    }

    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()> {
        let rate = self.lr.at(self.progress.steps());
        self.progress.count(blocks, reduce)?;
        self.experience.append(blocks)?;
        log.add("lr", rate);
        log.add("positions", self.experience.len() as f64);
        // Members wait for the last of them to have seen the end of a game.
        let mut ready = [if self.experience.len() > 0 { 1.0 } else { 0.0 }];
        reduce.mean(&mut ready)?;
        if ready[0] < 1.0 || self.progress.steps() < self.config.learning_starts {
            return Ok(());
        }
        for _ in 0..self.config.updates {
            self.draw();
            log.lap(Part::Sample);
            self.fit(rate, reduce, log).map_err(|error| guard::with_batch(error, || self.columns()))?;
        }
        log.lap(Part::Other);
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
            ("optimiser".to_owned(), &mut self.optimiser as &mut dyn Saved),
            ("experience".to_owned(), &mut self.experience),
            ("progress".to_owned(), &mut self.progress),
        ]
    }
}

fn refuses<G: Game>(spec: &Spec) -> Option<String> {
    let width = G::PLANES.iter().product();
    let game = Spec { vector: width, mask: true, discrete: [G::ACTIONS as u32].into(), ..Spec::none() };
    (*spec != game).then(|| {
        let planes = G::PLANES.map(|side| side.to_string()).join(" x ");
        let moves = G::ACTIONS;
        format!("it plays the board game alone whose rules it is built with, of {planes} features and {moves} moves")
    })
}

#[cfg(test)]
mod tests;
