//! The face of every agent: a policy that acts on blocks and a learner that reads them.

use std::ops::Range;

use candle_core::Device;
use rl_core::{Error, Reduce, Result, Spec, State};
use rl_nn::Precision;
use rl_replays::{Outputs, Rollout};

use crate::{Actor, Log};

/// How a policy chooses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// As training asks: ε-greedy by its schedule, or sampled.
    Explore,
    /// As an evaluation protocol asks.
    Evaluate {
        /// Probability of a uniformly random action.
        epsilon: f32,
        /// Whether a stochastic policy takes its most probable action instead of sampling.
        greedy: bool,
    },
}

/// The blocks that a learner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Steps per block.
    pub horizon: usize,
    /// Values per step that its policies keep in [`Rollout::extra`].
    pub extra: usize,
    /// How many updates it makes once it learns.
    pub pace: UpdateRatio,
}

/// A ratio of updates to agent steps of all seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateRatio {
    /// So many optimiser steps
    pub updates: u64,
    /// follow so many agent steps.
    pub steps: u64,
}

/// Who is shown what others did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemonstrationSpec {
    /// Seats of the blocks in which it is shown.
    pub seats: usize,
    /// Whether nothing is learned without it.
    pub needs: bool,
}

/// Acts for some seats.
///
/// It draws for each seat from that seat's own [`Stream::Act`](rl_core::Stream::Act), so that no bit depends on how seats are
/// grouped. In rows whose end is [over](rl_core::End::over) it draws nothing, and what it writes is ignored: the next step
/// resets. What it remembers of a seat begins anew where [`Rollout::age`] is 0.
pub trait Policy: Send {
    /// Writes the actions of row `t` of every block, whose seats follow each other in the order of the blocks: discrete ones that
    /// [`Rollout::legal`] allows, where it has a width, and continuous ones within their bounds. In [`Mode::Explore`] it also
    /// writes [`Rollout::extra`], and moves on what a schedule counts; in an evaluation it moves on nothing but its draws and
    /// its memory.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()>;

    /// What it says of its choices in [`Rollout::outputs`], where a block [asks](Rollout::asks); `None` if nothing. Being asked
    /// changes no action.
    fn outputs(&self) -> Option<Outputs> {
        None
    }

    /// Random streams, counters and recurrent state.
    fn state(&mut self) -> State<'_>;
}

/// Learns from blocks. Off-policy learners append them to a replay that they own.
pub trait Learner {
    /// The blocks that this learner wants.
    fn plan(&self) -> Plan;

    /// A policy for `seats` (global numbers) that always acts with the newest weights.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>>;

    /// An actor for `seats`, with weights of its own, that may act in another thread while this learner learns; `None` if it
    /// learns from what the newest weights did and from nothing else.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn actor(&self, _seats: Range<u32>) -> Result<Option<Actor>> {
        Ok(None)
    }

    /// Shows its actors the weights as they are now; without actors nothing is done.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn publish(&mut self) -> Result<()> {
        Ok(())
    }

    /// How it wants to be [shown](Self::add_demonstrations) what others did before it learns; `None` if it learns from its own steps alone.
    fn demonstrations(&self) -> Option<DemonstrationSpec> {
        None
    }

    /// Takes steps of others, before anything is learned: blocks of the seats that its [`demonstrations`](Self::demonstrations) names, each
    /// beginning with the last row of the one before. A seat rests in rows of age 0 whose end is over. The last row of the last
    /// block is row 0 of what is played next where it has the seats of the run, else it rests too.
    ///
    /// # Errors
    /// If it has no room for them.
    fn add_demonstrations(&mut self, _blocks: &[Rollout]) -> Result<()> {
        Err(Error::Config { key: "agent".to_owned(), message: "it learns from no demonstrations".to_owned() })
    }

    /// Learns from one block per group of seats, the groups in the order of their seats.
    ///
    /// How seats are grouped is the business of whoever steps them and decides no bit: [`rl_replays::played`] reads the
    /// steps of all blocks in one order. [`Log::lap`] says which part of the work is done.
    ///
    /// # Errors
    /// If a tensor operation fails, a loss is not finite, or a member of the run is lost.
    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()>;

    /// Optimiser steps so far.
    fn updates(&self) -> u64;

    /// Agent steps that it collects before its first update: how long the shortest run is.
    fn warm_up(&self) -> u64 {
        0
    }

    /// Parameters in their fixed order, for hashing and for evaluation alone. They are saved as safetensors, since a checkpoint
    /// keeps them as `model.safetensors`: [`rl_nn::Params`] writes such a file.
    fn weights(&mut self) -> &mut dyn rl_core::Saved;

    /// Everything else that decides the future: targets, moments, replay, counters, random streams.
    fn state(&mut self) -> State<'_>;
}

/// What an agent is built from.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Shapes of the environment.
    pub spec: &'a Spec,
    /// The `[agent]` table of the resolved preset.
    pub config: &'a toml::Table,
    /// Seats that act at once.
    pub seats: u32,
    /// Seed of the run.
    pub seed: u64,
    /// Where tensors live.
    pub device: &'a Device,
    /// What encoders multiply.
    pub precision: Precision,
}

/// An agent that `rl-run` can name.
#[derive(Clone, Copy, Debug)]
pub struct AgentEntry {
    /// Name on the command line.
    pub id: &'static str,
    /// One sentence for `rl-run list`.
    pub summary: &'static str,
    /// Why this agent cannot serve an environment of these shapes, if it cannot.
    pub refuses: fn(&Spec) -> Option<String>,
    /// Complete TOML with the tables `[agent]` and `[train]`, by environment name or family (`atari/`). `[train]` holds `frames`,
    /// after which a run ends; `envs`, its seats; `checkpoint_every`, `eval_every` (0 for never), in frames;
    /// `keep_checkpoints`, and if wanted `precision` (`f32` or `bf16`) and `actors`, threads that act while it learns.
    pub presets: &'static [(&'static str, &'static str)],
    /// Whether its policy samples its actions, unless an evaluation asks for the most probable one.
    pub stochastic: bool,
    /// Bytes of memory that the learner will allocate, and the key that lowers them: asked before it is built.
    pub memory: fn(&Context<'_>) -> Result<(u64, &'static str)>,
    /// Builds the learner.
    pub build: fn(&Context<'_>) -> Result<Box<dyn Learner>>,
}
