//! Worlds of cells, each small enough to be written down as a table.

pub mod frozen_lake;
