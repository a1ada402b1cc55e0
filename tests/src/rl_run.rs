//! `rl-run` for tests: cargo gives a test the path of a binary of its own package only.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rl_runner::main(&[rl_envs::ENVS], &[rl_agents::AGENTS, rl_runner::PLANNERS])
}
