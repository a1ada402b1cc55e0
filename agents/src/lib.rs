//! Agents: one algorithm per file, and the table that lists them.
#![forbid(unsafe_code)]

mod agent;
mod log;

pub use agent::{AgentEntry, Context, Learner, Mode, Plan, Policy};
pub use log::Log;

/// Every agent of this crate.
pub const AGENTS: &[AgentEntry] = &[];
