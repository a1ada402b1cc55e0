//! `--tui`: shows a run on a terminal while it trains: curves, where the time goes, the last episodes, and the first
//! seat's game.
//!
//! Training tells a [`Board`] what happened, a few times a second and within microseconds; a thread of its own draws
//! and takes keys. It affects the run only by a request to stop, like that of Ctrl-C. The terminal is restored however
//! the program ends: normally, by an error, a panic or a second Ctrl-C.

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

/// A dashboard, of which a build without the feature `tui` has none.
#[cfg(not(feature = "tui"))]
pub(crate) enum Board {}

#[cfg(not(feature = "tui"))]
mod none {
    use super::Board;
    use crate::console::stop::Stop;
    use crate::console::usage::usage;
    use crate::session::Session;
    use crate::training::progress::Glance;

    impl Board {
        /// Returns an error that says how to get dashboards.
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

/// Does nothing: without dashboards no terminal is taken.
#[cfg(not(feature = "tui"))]
pub(crate) fn restore() {}
