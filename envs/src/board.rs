//! Board games of two players, and scripted opponents for them.

pub mod alpha_beta;
pub mod connect_four;
