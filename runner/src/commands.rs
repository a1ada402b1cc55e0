//! The commands of `rl-run`, a file each. `rl-run watch` and `rl-run play` are in [`crate::viewer`].

pub(crate) mod train;
pub(crate) mod resume;
pub(crate) mod evaluate;
pub(crate) mod record;
pub(crate) mod verify;
pub(crate) mod export;
pub(crate) mod publish;
pub(crate) mod versus;
pub(crate) mod solve;
pub(crate) mod rollout;
pub(crate) mod check;
pub(crate) mod plot;
pub(crate) mod report;
pub(crate) mod list;
pub(crate) mod plan;
pub(crate) mod bench;
pub(crate) mod profile;
pub(crate) mod fetch;
pub(crate) mod doctor;
pub(crate) mod completions;
