//! Reinforcement-learning agents: one algorithm per file, and the registry [`AGENTS`] that lists them.
#![forbid(unsafe_code)]

mod agent;
mod config;
mod clock;
mod log;
mod schedule;
mod life_loss;
mod progress;
mod guard;
mod descent;
mod streams;
mod states;
mod exploring;
mod legal;
mod gather;
mod memory;
mod dqn;
mod greedy;
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
mod sampled;
mod actor_critic;
mod policy_head;
mod tower;
mod distribution;
mod categorical;
mod softmax;
mod gaussian;
mod features;
mod reward_scale;
mod running;
#[cfg(test)]
mod testing;

pub use agent::{AgentEntry, Context, DemonstrationSpec, Learner, Mode, Plan, Policy, UpdateRatio};
pub use alphazero::entry as alphazero;
pub use clock::{Clock, Part, Spent};
pub use life_loss::LifeLoss;
pub use log::Log;
pub use published::{Actor, Follower, Published};
pub use reward_scale::RewardScale;
pub use schedule::Schedule;

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
