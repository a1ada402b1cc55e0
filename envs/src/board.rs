//! Board games of two players, and who plays them without learning.

pub mod alpha_beta;
pub mod connect_four;
