//! Where experience rests: rollout blocks that travel, and the replay ring that remembers.
#![forbid(unsafe_code)]

mod lane;
mod rollout;

pub use lane::Lane;
pub use rollout::Rollout;
