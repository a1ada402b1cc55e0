//! `rl-run` with an environment and two agents of one's own, a table and a network, without a fork.
//!
//! ```text
//! cargo run -p rl-extend-example -- --env corridor --agent qtable --run /tmp/corridor
//! cargo run -p rl-extend-example -- --env cartpole --agent reinforce --run /tmp/cartpole
//! cargo run -p rl-extend-example -- --env corridor --agent ppo --run /tmp/corridor-ppo
//! cargo run -p rl-extend-example -- --env frozenlake --agent qtable --run /tmp/lake
//! ```
#![forbid(unsafe_code)]

mod corridor;
mod qtable;
mod reinforce;

use std::process::ExitCode;

const MY_ENVS: &[rl_core::EnvEntry] = &[corridor::ENTRY];
const MY_AGENTS: &[rl_agents::AgentEntry] = &[qtable::ENTRY, reinforce::ENTRY];

fn main() -> ExitCode {
    rl_runner::main(&[rl_envs::ENVS, MY_ENVS], &[rl_agents::AGENTS, rl_runner::PLANNERS, MY_AGENTS])
}
