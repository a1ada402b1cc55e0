//! Where experience rests: rollout blocks that travel, and the replay ring that remembers.
#![forbid(unsafe_code)]

mod lane;
mod counted;
mod replay;
mod sequences;
mod priorities;
mod sum_tree;
mod rollout;
mod sample;
mod saved;
mod stack;

pub use counted::Counted;
pub use lane::Lane;
pub use replay::{Replay, Targets};
pub use rollout::{Rollout, played};
pub use sample::{Sample, Seen, Table};
pub use sequences::{Sequence, Sequences};
