//! `--tui`: a run as it goes, on a terminal: curves, where the time goes, the last episodes, and the first seat's game.
//!
//! Training tells a [`Board`] what happened, a few times a second and at a cost of microseconds; a thread of its own draws and
//! takes keys. Nothing that it does reaches the run but the request to stop, which is that of Ctrl-C. Whatever ends the
//! program, the terminal is given back as it was: at the end, after an error, after a panic, and by a second Ctrl-C.

#[cfg(feature = "tui")]
mod board;
#[cfg(feature = "tui")]
mod curve;
#[cfg(feature = "tui")]
mod paint;
#[cfg(feature = "tui")]
mod picture;
#[cfg(feature = "tui")]
mod scene;
#[cfg(feature = "tui")]
mod terminal;
#[cfg(all(test, feature = "tui"))]
mod tests;

#[cfg(feature = "tui")]
pub(crate) use board::Board;
#[cfg(feature = "tui")]
pub(crate) use terminal::restore;

/// A build without dashboards has none.
#[cfg(not(feature = "tui"))]
pub(crate) enum Board {}

#[cfg(not(feature = "tui"))]
mod none {
    use super::Board;
    use crate::progress::Glance;
    use crate::session::Session;
    use crate::stop::Stop;
    use crate::usage::usage;

    impl Board {
        /// Says how to get one.
        pub(crate) fn open(_title: &str, _done: u64, _total: u64, _stop: &Stop) -> anyhow::Result<Self> {
            Err(usage(
                "--tui: this rl-run was built without the feature `tui`: `cargo build --release -p rl-runner --features tui` has it",
            ))
        }

        pub(crate) fn show(&mut self, _session: &Session, _glance: &Glance) {
            match *self {}
        }

        pub(crate) fn row(&mut self, _frames: u64, _scalars: &[(&str, f64)]) {
            match *self {}
        }

        pub(crate) fn note(&self, _text: &str) {
            match *self {}
        }

        pub(crate) fn finish(&mut self) {
            match *self {}
        }
    }
}

/// Nothing to give back.
#[cfg(not(feature = "tui"))]
pub(crate) fn restore() {}
