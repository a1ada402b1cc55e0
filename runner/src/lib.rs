//! Runs agents on environments: the library behind `rl-run`.
//!
//! A user's binary is `rl_runner::main(&[ENVS, MY_ENVS], &[AGENTS, MY_AGENTS])`.
#![forbid(unsafe_code)]

mod usage;
mod tables;
mod preset;
mod cli;

pub use cli::main;
