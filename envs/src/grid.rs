//! Worlds of cells, each small enough to be written down as a table.

pub mod world;
mod cells;
mod chart;

pub mod cliff_walking;
pub mod frozen_lake;
pub mod taxi;
