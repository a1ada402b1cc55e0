//! A run while it trains: what was ordered, the loop, what is shown of it (a bar, a dashboard) and measured, and many runs
//! side by side.

pub(crate) mod order;
pub(crate) mod fresh;
pub(crate) mod go_on;
pub(crate) mod train_loop;
pub(crate) mod watch;
pub(crate) mod dashboard;
pub(crate) mod progress;
pub(crate) mod verbosity;
pub(crate) mod time_by_part;
pub(crate) mod measure;
pub(crate) mod group;
pub(crate) mod seeds;
