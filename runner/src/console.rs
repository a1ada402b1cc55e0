//! What a person at a terminal sees and does: results and notes, numbers, mistakes, bars, the dashboard, and the signals
//! that stop a command.

pub(crate) mod output;
pub(crate) mod number;
pub(crate) mod usage;
pub(crate) mod stop;
pub(crate) mod progress;
pub(crate) mod waiting;
pub(crate) mod verbosity;
pub(crate) mod dashboard;
