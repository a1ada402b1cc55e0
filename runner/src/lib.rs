//! Runs agents on environments: the library behind `rl-run`.
//!
//! A user's binary is `rl_runner::main(&[ENVS, MY_ENVS], &[AGENTS, PLANNERS, MY_AGENTS])`; a program with a loop of its
//! own has a [`Trainer`].
#![forbid(unsafe_code)]

mod cli;
mod usage;
mod output;
mod number;
mod tables;
mod planners;
mod preset;
mod settings;
mod env_choice;
mod named;
mod claim;
mod run_dir;
mod needs;
mod ram;
mod stop;
mod waiting;
mod session;
mod collect;
mod workers;
mod actors;
mod start;
mod order;
mod initial;
mod schedules;
mod train;
mod resume;
mod train_loop;
mod non_finite;
mod seeds;
mod group;
mod interval;
mod watch;
mod time_by_part;
mod appended;
mod metrics;
mod episode_log;
mod digests;
mod events;
mod progress;
mod verbosity;
mod dashboard;
mod manifest;
mod snapshot;
mod check;
mod checkpoint;
mod writer;
mod state_sink;
mod verify;
mod learner;
mod games;
mod trained;
mod evaluate;
mod score;
mod solve;
mod file;
mod picture;
mod takes;
mod tape;
mod record;
mod model;
mod publish;
mod assets;
mod playback;
mod screening;
mod certify;
mod demonstrations;
mod saliency;
mod export;
mod viewer;
mod plot;
mod report;
mod versus;
mod same_experiment;
mod list;
mod fetch;
mod doctor;
mod completions;
mod rollout;
mod measure;
mod profile;
mod ensure_assets;
mod bench;
mod plan;
mod segment_store;
mod trainer;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod toy;

/// Re-export of `candle-core`, in the version whose `Device` [`TrainerConfig`] takes.
pub use candle_core;

pub use cli::main;
pub use planners::PLANNERS;
pub use trainer::{Registry, Trainer, TrainerConfig};
