//! Agents: one algorithm per file, and the table that lists them.
#![forbid(unsafe_code)]

mod agent;
mod clock;
mod dqn;
mod gather;
mod greedy;
mod kept;
mod log;
mod q_net;
mod schedule;

pub use agent::{AgentEntry, Context, Learner, Mode, Pace, Plan, Policy};
pub use clock::{Clock, Part, Spent};
pub use dqn::{Config as DqnConfig, Dqn, LifeLoss};
pub use log::Log;
pub use schedule::Schedule;

/// Every agent of this crate.
pub const AGENTS: &[AgentEntry] = &[dqn::ENTRY];
