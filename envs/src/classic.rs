//! Classic control: a few numbers of physics and one lever.

pub mod cartpole;
