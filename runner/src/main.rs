//! `rl-run`: every environment and agent of this project.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Training allocates the same few megabytes at every update: this one keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rl_runner::main(&[rl_envs::ENVS], &[rl_agents::AGENTS, rl_runner::PLANNERS])
}
