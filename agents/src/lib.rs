//! Reinforcement-learning agents: one algorithm per file, and the registry [`AGENTS`] that lists them.
//!
//! An agent of one's own is an [`AgentEntry`], which builds a [`Learner`], which hands out a [`Policy`] for the seats.
#![forbid(unsafe_code)]

mod agent;
mod config;
mod clock;
mod log;
mod schedule;
mod progress;
mod guard;
mod descent;
mod streams;
mod states;
mod exploring;
pub mod legal;
mod gather;
mod memory;
mod dqn;
mod epsilon_greedy;
mod q_net;
mod ppo;
mod a2c;
mod on_policy;
mod bc;
mod pqn;
mod rounds;
mod impala;
mod vtrace;
mod published;
mod tabular;
mod alphazero;
mod gae;
mod loss;
mod minibatch;
mod actor_critic_policy;
mod actor_critic;
mod policy_head;
mod tower;
mod distribution;
mod categorical;
mod softmax;
mod gaussian;
mod obs_normaliser;
mod reward_scale;
mod running_mean_std;
#[cfg(test)]
mod testing;

/// Re-export of `candle-core`, in the version whose `Device` [`Context`] names.
pub use candle_core;

pub use agent::{AgentEntry, Context, DemonstrationSpec, Learner, Mode, Plan, Policy, UpdateRatio};
pub use alphazero::entry as alphazero;
pub use clock::{Clock, Part, Spent};
pub use log::Log;
pub use published::{Actor, Follower, Published};
pub use reward_scale::RewardScale;
pub use schedule::Schedule;
pub use streams::Streams;

use memory::Memory;

/// Every agent of this crate but [`alphazero()`], which is listed together with a game.
pub const AGENTS: &[AgentEntry] = &[
    dqn::DQN,
    dqn::RAINBOW,
    dqn::C51,
    dqn::QRDQN,
    dqn::IQN,
    dqn::R2D2,
    dqn::DRQ,
    pqn::ENTRY,
    ppo::ENTRY,
    a2c::ENTRY,
    impala::ENTRY,
    bc::ENTRY,
    tabular::ENTRY,
];
