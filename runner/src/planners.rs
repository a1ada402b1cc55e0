//! Agents that know the rules of a game: one line for each game that they can search.
//!
//! Agents name no environment and environments no agent, so it is here that they meet.

use rl_agents::AgentEntry;
use rl_envs::board::connect_four;

/// Every planner of this suite.
pub static PLANNERS: &[AgentEntry] = &[rl_agents::alphazero::<connect_four::Position>(
    "alphazero",
    &[("connectfour", include_str!("../../presets/alphazero/connectfour.toml"))],
)];
