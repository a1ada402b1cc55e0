//! A command that someone waits for: how far it is, as a bar on a terminal, and whether they asked it to stop.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;
use crate::stop::Stop;

/// Who waits, and what they see; by default nobody and nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    stop: Stop,
    /// Whether bars are shown.
    shown: bool,
    /// What has come of it where it is stopped.
    left: &'static str,
}

/// Someone asked the command to stop before its end: the error that leaves it, with exit code
/// [`STOPPED`](crate::stop::STOPPED).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stopped(&'static str);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped before the end: {}", self.0)
    }
}

impl std::error::Error for Stopped {}

impl Waiting {
    /// Listens to signals from now on. `quiet` shows no bar, nor is there one where stderr is no terminal. `left` says what has
    /// come of the command where it is stopped, such as `nothing was recorded`.
    ///
    /// # Errors
    /// If the system refuses a handler or a thread.
    pub(crate) fn listen(quiet: bool, left: &'static str) -> io::Result<Self> {
        Ok(Self { stop: Stop::listen(None)?, shown: !quiet && stderr().is_terminal(), left })
    }

    /// Of work within a command that shows how far it is itself, and can be stopped by `stop`.
    pub(crate) fn unseen(stop: &Stop) -> Self {
        Self { stop: stop.clone(), shown: false, left: "nothing is kept of it" }
    }

    /// Whether someone asked to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.asked()
    }

    /// Goes on unless someone asked to stop.
    ///
    /// # Errors
    /// [`Stopped`], if they did.
    pub(crate) fn go_on(&self) -> Result<(), Stopped> {
        if self.stopped() { Err(Stopped(self.left)) } else { Ok(()) }
    }

    /// A bar of work that has begun: so many `units`, such as `games`. It is gone when it is dropped.
    pub(crate) fn bar(&self, total: usize, units: impl Into<Cow<'static, str>>) -> Bar {
        if !self.shown {
            return Bar(ProgressBar::hidden());
        }
        let style = "{bar:24} {percent:>3}%  {pos}/{len} {msg}  {elapsed} gone, {eta} left";
        let style = ProgressStyle::with_template(style).expect("the template is right");
        Bar(ProgressBar::new(total as u64).with_style(style).with_message(units))
    }
}

/// How far the work is.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// So much of it is done; cheap, so it may follow every step.
    pub(crate) fn reach(&self, done: usize) {
        self.0.set_position(done as u64);
    }

    /// Says something that stays, above the bar.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        self.0.suspend(|| output::note(text));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
