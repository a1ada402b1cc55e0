//! The command line.

use std::process::ExitCode;

use rl_agents::AgentEntry;
use rl_core::EnvEntry;

use crate::tables::Tables;

/// The whole of `rl-run`, over these tables of environments and agents.
pub fn main(envs: &[&'static [EnvEntry]], agents: &[&'static [AgentEntry]]) -> ExitCode {
    let _tables = Tables::new(envs, agents);
    ExitCode::SUCCESS
}
