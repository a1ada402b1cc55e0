//! Shows a waiting person how far a command is, as a bar on a terminal or a line now and then elsewhere, and heeds
//! their request to stop.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io::{self, IsTerminal as _, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use rustix::termios::tcgetwinsize;

use crate::console::number::counted;
use crate::console::number::{clock, count};
use crate::console::output;
use crate::console::stop::Stop;

/// Time between two lines where there is no bar.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);
/// Columns that a bar takes before its text.
pub(crate) const BEFORE: usize = 19;
/// Columns of a terminal that does not say how many it has; indicatif takes as many.
const COLUMNS: u16 = 80;

/// Whether progress is shown, for several commands.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Quiet {
    /// No progress, only the result
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// How progress is shown and whether to stop; by default nothing is shown and nobody stops it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    stop: Stop,
    way: Way,
    /// What is left of the command if it is stopped, for the message.
    left: &'static str,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default)]
enum Way {
    #[default]
    Quiet,
    Bar,
    Lines,
}

/// The error of a command that was asked to stop before its end; the exit code is [`STOPPED`](crate::console::stop::STOPPED).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stopped(&'static str);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped before the end: {}", self.0)
    }
}

impl std::error::Error for Stopped {}

impl Waiting {
    /// Listens to signals from now on. Shows nothing if `quiet`, and lines instead of a bar if stderr is no terminal.
    /// `left` says what is left of the command if it is stopped, such as `nothing was recorded`.
    ///
    /// # Errors
    /// If the system refuses a handler or a thread.
    pub(crate) fn listen(quiet: bool, left: &'static str) -> io::Result<Self> {
        let way = match (quiet, stderr().is_terminal()) {
            (true, _) => Way::Quiet,
            (false, true) => Way::Bar,
            (false, false) => Way::Lines,
        };
        Ok(Self { stop: Stop::listen(None, || {})?, way, left })
    }

    /// For work within a command that shows its own progress; `stop` stops it.
    pub(crate) fn unseen(stop: &Stop) -> Self {
        Self { stop: stop.clone(), way: Way::Quiet, left: "nothing is kept of it" }
    }

    /// Who is asked to stop.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Whether someone asked to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.asked()
    }

    /// Returns an error if someone asked to stop.
    ///
    /// # Errors
    /// [`Stopped`].
    pub(crate) fn go_on(&self) -> Result<(), Stopped> {
        if self.stopped() { Err(Stopped(self.left)) } else { Ok(()) }
    }

    /// Begins a bar of `total` units of work, such as `games`. It disappears when it is dropped.
    pub(crate) fn bar(&self, total: usize, units: impl Into<Cow<'static, str>>) -> Bar {
        let work = Work { total: total as u64, units: units.into(), frames: Arc::default() };
        let shown = match self.way {
            Way::Quiet => Shown::Nowhere,
            Way::Lines => Shown::Lines { begin: Instant::now(), next: Cell::new(Instant::now() + PAUSE) },
            Way::Bar => {
                let told = work.clone();
                let told = move |state: &ProgressState, to: &mut dyn fmt::Write| {
                    let text = told.text(state.pos(), state.elapsed());
                    let _ = to.write_str(fitting(&text, room())); // a string has room
                };
                let style = ProgressStyle::with_template("{bar:12} {percent:>3}%  {told}");
                let style = style.expect("the template is right").with_key("told", told);
                Shown::Bar(ProgressBar::new(total as u64).with_style(style))
            }
        };
        Bar { work, shown }
    }
}

/// Shows how far some work is.
pub(crate) struct Bar {
    work: Work,
    shown: Shown,
}

enum Shown {
    Nowhere,
    Bar(ProgressBar),
    Lines { begin: Instant, next: Cell<Instant> },
}

/// Work that is done unit by unit.
#[derive(Clone)]
struct Work {
    total: u64,
    units: Cow<'static, str>,
    /// Emulator frames so far, 0 if nobody counts them: all units may end late.
    frames: Arc<AtomicU64>,
}

impl Work {
    /// Writes how far the work is and, once something is done, how long the rest will take.
    fn text(&self, done: u64, gone: Duration) -> String {
        let Self { total, units, frames } = self;
        let frames = match frames.load(Ordering::Relaxed) {
            0 => String::new(),
            frames => format!("  {}", counted(frames as usize, "frame")),
        };
        let left = match done {
            0 => String::new(),
            _ => {
                let left = gone.as_secs_f64() / done as f64 * total.saturating_sub(done) as f64;
                format!(", {} left", clock(left as u64))
            }
        };
        format!("{}/{} {units}{frames}  {} gone{left}", count(done), count(*total), clock(gone.as_secs()))
    }
}

impl Bar {
    /// Shows that `done` units are done. Cheap, so that it may follow every step.
    pub(crate) fn reach(&self, done: usize) {
        match &self.shown {
            Shown::Nowhere => {}
            Shown::Bar(bar) => bar.set_position(done as u64),
            Shown::Lines { begin, next } => {
                let now = Instant::now();
                if now >= next.get() {
                    next.set(now + PAUSE);
                    output::note(self.work.text(done as u64, now - *begin));
                }
            }
        }
    }

    /// Adds emulator frames that were stepped.
    pub(crate) fn stepped(&self, frames: u64) {
        self.work.frames.fetch_add(frames, Ordering::Relaxed);
    }

    /// Prints a message that stays, above the bar.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        match &self.shown {
            Shown::Bar(bar) => bar.suspend(|| output::note(text)),
            _ => output::note(text),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// The first fields of a text, two spaces apart, that fit into these columns: half a number is another number.
pub(crate) fn fitting(text: &str, columns: usize) -> &str {
    let ends = text.match_indices("  ").map(|(end, _)| end).chain([text.len()]);
    let fits = |&end: &usize| text[..end].chars().count() <= columns;
    ends.take_while(fits).last().map_or("", |end| &text[..end])
}

/// Columns that a bar on this terminal leaves to its text.
pub(crate) fn room() -> usize {
    let size = tcgetwinsize(stderr()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    usize::from(size.map_or(COLUMNS, |size| size.ws_col)).saturating_sub(BEFORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_knows_what_is_left_before_something_is_done() {
        let work = Work { total: 100, units: "games".into(), frames: Arc::default() };
        let text = |done, seconds| work.text(done, Duration::from_secs(seconds));
        assert_eq!(text(0, 7), "0/100 games  0:07 gone");
        work.frames.store(4096, Ordering::Relaxed);
        assert_eq!(text(0, 8), "0/100 games  4,096 frames  0:08 gone");
        assert_eq!(text(25, 60), "25/100 games  4,096 frames  1:00 gone, 3:00 left");
        assert_eq!(text(100, 61), "100/100 games  4,096 frames  1:01 gone, 0:00 left");
    }
}
