//! Runs agents on environments: the library behind `rl-run`.
//!
//! A user's binary is `rl_runner::main(&[ENVS, MY_ENVS], &[AGENTS, PLANNERS, MY_AGENTS])`; a program with a loop of its
//! own has a [`Trainer`].
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod trainer;
mod tables;
mod planners;
mod contract;
mod preset;
mod needs;
mod training;
mod session;
mod collect;
mod checkpoint;
mod run_dir;
mod games;
mod trained;
mod saliency;
mod viewer;
mod console;
mod file;
mod assets;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod toy;

/// Re-export of `candle-core`, in the version whose `Device` [`TrainerConfig`] takes.
pub use candle_core;

pub use cli::main;
pub use planners::PLANNERS;
pub use trainer::{Registry, Trainer, TrainerConfig};
