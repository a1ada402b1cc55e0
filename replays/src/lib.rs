//! Where experience rests: rollout blocks that travel, and the replay ring that remembers.
#![forbid(unsafe_code)]

mod lane;
mod replay;
mod sequences;
mod priorities;
mod sum_tree;
mod rollout;
mod sample;
mod saved;
mod segments;
mod stack;

pub use lane::Lane;
pub use replay::{Replay, Targets, sign};
pub use rollout::{Rollout, played};
pub use sample::{Sample, Seen, Table};
pub use sequences::{Sequence, Sequences};
