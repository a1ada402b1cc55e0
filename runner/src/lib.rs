//! Runs agents on environments: the library behind `rl-run`.
//!
//! A user's binary is `rl_runner::main(&[ENVS, MY_ENVS], &[AGENTS, PLANNERS, MY_AGENTS])`; a program with a loop of its
//! own has a [`Trainer`].
#![forbid(unsafe_code)]

// Each uses only those after it, and fuzzing any.
mod cli;
mod commands;
mod viewer;
mod trainer;
mod registry;
mod saliency;
mod contract;
mod training;
mod trained;
mod checkpoint;
mod session;
mod run_dir;
mod games;
mod needs;
mod preset;
mod machine;
mod collect;
mod planners;
mod tables;
mod assets;
mod file;
mod console;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod toy;

/// Re-export of `candle-core`, in the version whose `Device` [`TrainerConfig`] takes.
pub use candle_core;

pub use cli::main;
pub use planners::PLANNERS;
pub use registry::{Registry, TrainerConfig};
pub use trainer::Trainer;
