//! What every command says to a person and hears from them: results and notes, numbers, mistakes, how far it is, and the
//! signals that stop it.

pub(crate) mod output;
pub(crate) mod number;
pub(crate) mod usage;
pub(crate) mod nearest;
pub(crate) mod stop;
pub(crate) mod waiting;
