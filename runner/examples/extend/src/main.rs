//! `rl-run` with two environments and two agents of one's own, without a fork: a corridor, a game of tag for two, a table and a
//! network.
//!
//! ```text
//! cargo run -p rl-extend-example -- --env corridor --agent qtable --run /tmp/corridor
//! cargo run -p rl-extend-example -- --env cartpole --agent reinforce --run /tmp/cartpole
//! cargo run -p rl-extend-example -- --env corridor --agent ppo --run /tmp/corridor-ppo
//! cargo run -p rl-extend-example -- --env frozenlake --agent qtable --run /tmp/lake
//! cargo run -p rl-extend-example -- --env tag --agent ppo --run /tmp/tag
//! ```
#![forbid(unsafe_code)]

mod corridor;
mod qtable;
mod reinforce;
mod tag;

use std::process::ExitCode;

const MY_ENVS: &[rl_core::EnvEntry] = &[corridor::ENTRY, tag::ENTRY];
const MY_AGENTS: &[rl_agents::AgentEntry] = &[qtable::ENTRY, reinforce::ENTRY];

fn main() -> ExitCode {
    rl_runner::main(&[rl_envs::ENVS, MY_ENVS], &[rl_agents::AGENTS, rl_runner::PLANNERS, MY_AGENTS])
}
