//! `rl-run`: every environment and agent of this project.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rl_runner::main(&[rl_envs::ENVS], &[rl_agents::AGENTS])
}
