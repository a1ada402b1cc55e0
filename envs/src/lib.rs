//! Environments: one per file, and the table that lists them.
//!
//! A new environment is a file that implements [`Env`](rl_core::Env), a preset in `presets/env`, and a line below.
#![forbid(unsafe_code)]

#[cfg(any(feature = "atari", feature = "doom"))]
mod area;
#[cfg(feature = "atari")]
pub mod atari;
pub mod board;
pub mod cards;
pub mod classic;
#[cfg(feature = "doom")]
pub mod doom;
pub mod grid;
mod settings;

use rl_core::EnvEntry;

pub use settings::Observe;

/// Every environment of this suite, in the order in which `rl-run list envs` shows them.
pub static ENVS: &[EnvEntry] = &[
    grid::frozen_lake::ENTRY,
    grid::frozen_lake::ENTRY_8X8,
    grid::cliff_walking::ENTRY,
    grid::cliff_walking::ENTRY_SLIPPERY,
    grid::taxi::ENTRY,
    cards::blackjack::ENTRY,
    board::connect_four::ENTRY,
    classic::cartpole::ENTRY,
    classic::cartpole::ENTRY_V0,
    classic::cartpole::ENTRY_POSITIONS,
    classic::mountain_car::ENTRY,
    classic::mountain_car_continuous::ENTRY,
    classic::acrobot::ENTRY,
    classic::pendulum::ENTRY,
    #[cfg(feature = "atari")]
    atari::ENTRY,
    #[cfg(feature = "doom")]
    doom::ENTRY,
];
