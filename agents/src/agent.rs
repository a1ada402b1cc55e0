//! The interface of every agent: a policy that acts on rollout blocks, and a learner that learns from them.

use std::ops::Range;

use candle_core::Device;
use rl_core::{Error, Reduce, Result, Spec, State};
use rl_nn::Precision;
use rl_replays::{Outputs, Rollout};
use serde::de::DeserializeOwned;

use crate::{Actor, Log, config};

/// How a policy chooses its actions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Explores as in training: ε-greedy by the agent's schedule, or sampled from the policy.
    Explore,
    /// Acts as an evaluation protocol demands.
    Evaluate {
        /// Probability of a uniformly random action.
        epsilon: f32,
        /// Whether nothing else is left to chance: a stochastic policy takes its most probable action instead of
        /// sampling, quantiles of an implicit network are the middles of equal parts instead of drawn.
        greedy: bool,
    },
}

/// Shape of the rollout blocks that a learner needs, and how often it updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Agent steps per seat and block, `T`.
    pub horizon: usize,
    /// Values per step that the learner's policies store in [`Rollout::extra`].
    pub extra: usize,
    /// Optimiser steps per agent step, once learning has started; `None` where it depends on what is learned, as with a
    /// limit of the KL divergence that ends rounds early.
    pub pace: Option<UpdateRatio>,
}

/// Ratio of optimiser steps to agent steps of all seats: `updates` per `steps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateRatio {
    /// Optimiser steps per round of updates.
    pub updates: u64,
    /// Agent steps, of all seats together, per round of updates.
    pub steps: u64,
}

/// How a learner takes demonstrations: recorded steps of other players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemonstrationSpec {
    /// Seats of the blocks that hold the demonstrations.
    pub seats: usize,
    /// Whether the learner cannot learn without demonstrations.
    pub needs: bool,
}

/// Chooses actions for some seats.
///
/// A policy draws for each seat from the seat's own [`Stream::Act`](rl_core::Stream::Act), so that no bit depends on
/// how seats are grouped. For a seat whose episode is [over](rl_core::End::over) it draws nothing, and the action that
/// it writes is ignored, since the next step resets. The recurrent state is reset where [`Rollout::age`] is 0.
pub trait Policy: Send {
    /// Writes the actions of row `t` of every block, whose seats follow each other in the order of the blocks.
    ///
    /// Discrete actions are legal by [`Rollout::legal`], where it has a width; continuous ones lie within their bounds.
    /// In [`Mode::Explore`] the policy also writes [`Rollout::extra`] and advances its schedules; in an evaluation it
    /// advances only its random streams and recurrent state.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn act(&mut self, blocks: &mut [Rollout], t: usize, mode: Mode) -> Result<()>;

    /// Kind of the numbers that the policy writes to [`Rollout::outputs`] where a block
    /// [records](Rollout::records_outputs) them; `None` if it writes none. Recording changes no action.
    fn outputs(&self) -> Option<Outputs> {
        None
    }

    /// Whether actions depend on earlier steps, by a recurrent state among [`state`](Self::state): such a policy has to be
    /// shown every step of an episode, in order.
    fn is_recurrent(&self) -> bool;

    /// Saved parts of the policy: random streams, counters and recurrent state.
    fn state(&mut self) -> State<'_>;
}

/// Learns from rollout blocks. Off-policy learners append the blocks to a replay that they own.
///
/// `rl-run check --env ENV --agent AGENT`, and `check_agent` of the runner's `Registry`, test what is promised here: bits
/// that depend on the seed alone, states that go on when they are loaded, weights that suffice to play.
pub trait Learner: Send {
    /// Shape of the blocks that this learner needs, and how often it updates.
    fn plan(&self) -> Plan;

    /// A policy for `seats` (global numbers) that always acts with the newest weights: clones of layers share their
    /// parameters, so that an `Arc` of the network, or a clone, follows the learner's steps.
    ///
    /// Evaluations ask for policies too, during training and later of a learner that was just built and given the
    /// weights alone: for other seats than [`Context::seats`] counts, on blocks of one step. They change nothing of it.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn policy(&self, seats: Range<u32>) -> Result<Box<dyn Policy>>;

    /// An actor for `seats`, with its own copy of the weights, that may act in another thread while the learner learns.
    ///
    /// `None` if the learner can only learn from steps of the newest weights (strictly on-policy).
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn actor(&self, _seats: Range<u32>) -> Result<Option<Actor>> {
        Ok(None)
    }

    /// Publishes the current weights to the actors of this learner; does nothing without actors.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn publish(&mut self) -> Result<()> {
        Ok(())
    }

    /// How the learner takes demonstrations, by [`add_demonstrations`](Self::add_demonstrations); `None` if not at all.
    fn demonstrations(&self) -> Option<DemonstrationSpec> {
        None
    }

    /// Adds demonstrations before the first update: blocks with the seats that [`demonstrations`](Self::demonstrations)
    /// names, each beginning with the last row of the block before.
    ///
    /// A seat without a demonstration has rows of age 0 whose end is over. The last row of the last block is row 0 of
    /// the run's first rollout where both have equal seats; else its seats have no demonstration either.
    ///
    /// # Errors
    /// If the learner takes no demonstrations, has no room for them, or they do not begin where those before end.
    fn add_demonstrations(&mut self, _blocks: &[Rollout]) -> Result<()> {
        Err(Error::Config { key: "agent".to_owned(), message: "it learns from no demonstrations".to_owned() })
    }

    /// Learns from one block per group of seats, the groups in the order of their seats.
    ///
    /// How seats are grouped into blocks must not change a bit of the result: [`rl_replays::played`] reads the steps of
    /// all blocks in one order. `reduce` averages over the processes of a run; `log` takes metrics and times.
    ///
    /// # Errors
    /// If a tensor operation fails ([`rl_nn::tensor`] makes the error), a loss is not finite, a process of the run is
    /// lost, or the blocks do not begin where a replay that was loaded ends.
    fn learn(&mut self, blocks: &[Rollout], reduce: &mut dyn Reduce, log: &mut Log) -> Result<()>;

    /// Optimiser steps so far, or rounds of learning where there is no optimiser. No run ends before it is above 0.
    fn updates(&self) -> u64;

    /// Agent steps of all seats that are collected before the first update.
    fn warm_up(&self) -> u64 {
        0
    }

    /// Parameters that a policy needs to act, in a fixed order, for checkpoints, hashing, and evaluation of what was
    /// trained, which loads them alone into a learner that was just built.
    ///
    /// Their format is safetensors, in a checkpoint the file `model.safetensors`: [`rl_nn::Params`] writes such a file.
    fn weights(&mut self) -> &mut dyn rl_core::Saved;

    /// Brings what follows from the [weights](Self::weights) into line with them, after those of another run were loaded
    /// before the first round (`--weights`); not after a checkpoint was loaded.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn adopt_weights(&mut self) -> Result<()> {
        Ok(())
    }

    /// All other state that a resumed run needs: target networks, optimiser moments, replay, counters, random streams. A
    /// part called `features`, the statistics of observations, goes with the weights to another run.
    fn state(&mut self) -> State<'_>;
}

/// Environment shapes, settings and device from which an agent is built.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Shapes of the environment's observations and actions.
    pub spec: &'a Spec,
    /// The `[agent]` table of the resolved preset.
    pub config: &'a toml::Table,
    /// Number of seats that act at once, `N`.
    pub seats: u32,
    /// Seed of the run.
    pub seed: u64,
    /// Device on which tensors live.
    pub device: &'a Device,
    /// Number format in which dense and convolutional layers multiply.
    pub precision: Precision,
}

impl Context<'_> {
    /// Reads the `[agent]` table as the settings `T` of an agent.
    ///
    /// # Errors
    /// If a key is missing, unknown (to a `T` that denies unknown fields) or of another type; the error names it.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T> {
        config::read(self)
    }
}

/// Entry of an agent in the registry that `rl-run` reads.
#[derive(Clone, Copy, Debug)]
pub struct AgentEntry {
    /// Name on the command line.
    pub id: &'static str,
    /// One sentence for `rl-run list`.
    pub summary: &'static str,
    /// Why the agent cannot act in an environment of these shapes; `None` if it can.
    pub refuses: fn(&Spec) -> Option<String>,
    /// Presets: pairs of an environment name or family (`atari/`) and TOML with the tables `[agent]` and `[train]`.
    ///
    /// `[train]` holds `frames`, after which a run ends; `envs`, its seats; `checkpoint_every`, `eval_every` (0 for
    /// never), in emulator frames; `keep_checkpoints`, and if wanted `precision` (`f32` or `bf16`) and `actors`,
    /// threads that act while the learner learns.
    pub presets: &'static [(&'static str, &'static str)],
    /// Whether the policy samples its actions, unless an evaluation asks for the most probable one.
    pub stochastic: bool,
    /// Bytes of memory that the learner will allocate, and the setting that lowers them; asked before it is built.
    pub allocation: fn(&Context<'_>) -> Result<(u64, &'static str)>,
    /// Builds the learner.
    pub build: fn(&Context<'_>) -> Result<Box<dyn Learner>>,
}
