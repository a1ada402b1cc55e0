//! Storage of experience: rollout blocks, the replay ring, and recordings of episodes as logs of actions.
#![forbid(unsafe_code)]

mod lane;
mod outputs;
mod reward_transform;
mod replay;
mod sequences;
mod priorities;
mod sum_tree;
mod rollout;
mod sample;
mod saved;
mod segments;
mod steps;
mod stack;
pub mod recording;

pub use lane::Lane;
pub use outputs::Outputs;
pub use replay::{NStepReturns, Replay};
pub use reward_transform::RewardTransform;
pub use rollout::{Rollout, played};
pub use sample::{Observations, Sample, Table};
pub use sequences::{Sequence, Sequences};
pub use steps::Steps;
