//! Grid worlds, each small enough to be a finite MDP that dynamic programming solves.

pub mod world;
mod cells;
mod chart;

pub mod cliff_walking;
pub mod frozen_lake;
pub mod taxi;
