//! Shows how far a run is: a bar on a terminal, a line now and then elsewhere, nothing when quiet.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::dashboard::Board;
use crate::number::{clock, count, fixed, short};
use crate::output;
use crate::session::Session;

/// Time between two updates of the bar.
const BLINK: Duration = Duration::from_millis(200);
/// Time between two lines where there is no bar.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);
/// Time over which frames per second are measured; the rate changes when learning starts.
const SPAN: Duration = Duration::from_secs(30);

/// Values that are shown beside frames, rate and time left; `None` until they are known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Glance {
    /// Mean raw return of the last 100 episodes.
    pub(crate) mean_return: Option<f64>,
    /// Probability of a random action.
    pub(crate) epsilon: Option<f64>,
    /// Loss of the latest updates.
    pub(crate) loss: Option<f64>,
    /// Emulator frames at which the first update is expected; `None` once it was made. No run ends before it.
    pub(crate) first_update: Option<u64>,
    /// Runs that have ended and runs in all, for a group.
    pub(crate) seeds: Option<(usize, usize)>,
}

/// What a run of a group reports to the thread that shows all of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// How far the run is.
    Frames {
        frames: u64,
        /// Mean raw return of its last 100 episodes.
        mean_return: Option<f64>,
    },
    /// A message that stays on the screen.
    Note(String),
}

/// Shows the progress of a run, or of several.
pub(crate) struct Progress {
    way: Way,
    total: u64,
    next: Instant,
    rate: Rate,
}

/// Measures frames per second: moments and the frames done at them, over the last [`SPAN`].
pub(crate) struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// Begins to measure at frame `done`.
    pub(crate) fn new(done: u64) -> Self {
        Self(VecDeque::from([(Instant::now(), done)]))
    }

    /// Frames per second over the last [`SPAN`], given that `frames` are done at `now`.
    pub(crate) fn of(&mut self, now: Instant, frames: u64) -> f64 {
        while self.0.len() > 1 && now - self.0[0].0 > SPAN {
            self.0.pop_front();
        }
        let (then, before) = self.0[0];
        self.0.push_back((now, frames));
        frames.saturating_sub(before) as f64 / (now - then).as_secs_f64().max(1e-9)
    }
}

enum Way {
    Quiet,
    Bar(ProgressBar),
    Lines,
    Told(Box<dyn Fn(Told) + Send>),
    Board(Box<Board>),
}

impl Progress {
    /// Shows a run at frame `done` of `total`. With `json`, whose reader is a program, there are lines instead of a
    /// bar.
    pub(crate) fn new(done: u64, total: u64, quiet: bool, json: bool) -> Self {
        let way = match (quiet, json || !stderr().is_terminal()) {
            (true, _) => Way::Quiet,
            (false, true) => Way::Lines,
            (false, false) => {
                let style =
                    ProgressStyle::with_template("{bar:12} {percent:>3}%  {wide_msg}").expect("the template is right");
                let bar = ProgressBar::new(total).with_style(style).with_position(done);
                // A first block may take long.
                bar.set_message(format!("{}/{} frames", count(done), count(total)));
                bar.tick();
                Way::Bar(bar)
            }
        };
        Self::by(way, done, total)
    }

    /// Reports to `by` instead of showing anything.
    pub(crate) fn told(by: impl Fn(Told) + Send + 'static) -> Self {
        Self::by(Way::Told(Box::new(by)), 0, 0)
    }

    /// Shows a dashboard.
    pub(crate) fn board(board: Board) -> Self {
        Self::by(Way::Board(Box::new(board)), 0, 0)
    }

    fn by(way: Way, done: u64, total: u64) -> Self {
        let next = Instant::now() + if matches!(way, Way::Lines) { PAUSE } else { BLINK };
        Self { way, total, next, rate: Rate::new(done) }
    }

    /// Shows how far `session` is, if enough time has passed. Cheap, so that it may follow every block.
    pub(crate) fn watch(&mut self, session: &Session, glance: &Glance) {
        match &mut self.way {
            Way::Board(board) => board.show(session, glance),
            _ => self.show(session.counts.frames, glance),
        }
    }

    /// Adds a row of metrics to the dashboard, if there is one.
    pub(crate) fn row(&mut self, frames: u64, scalars: &[(&str, f64)]) {
        if let Way::Board(board) = &mut self.way {
            board.row(frames, scalars);
        }
    }

    /// Shows `frames` and `glance`, if enough time has passed. Cheap, so that it may follow every block.
    pub(crate) fn show(&mut self, frames: u64, glance: &Glance) {
        if matches!(self.way, Way::Quiet) {
            return;
        }
        let now = Instant::now();
        if now < self.next {
            return;
        }
        if let Way::Told(by) = &self.way {
            self.next = now + BLINK;
            return by(Told::Frames { frames, mean_return: glance.mean_return });
        }
        let rate = self.rate.of(now, frames);
        let text = text(frames, self.total, rate, glance);
        let total = total(self.total, glance);
        match &self.way {
            Way::Quiet | Way::Told(_) | Way::Board(_) => {}
            Way::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(frames.min(total));
                bar.set_message(text);
                self.next = now + BLINK;
            }
            Way::Lines => {
                output::note(text);
                self.next = now + PAUSE;
            }
        }
    }

    /// Prints a message that stays, above the bar; nothing when quiet.
    pub(crate) fn note(&self, text: &str) {
        match &self.way {
            Way::Quiet => {}
            Way::Bar(bar) => bar.suspend(|| output::note(text)),
            Way::Lines => output::note(text),
            Way::Told(by) => by(Told::Note(text.to_owned())),
            Way::Board(board) => board.note(text),
        }
    }

    /// Prints what went wrong, also when quiet.
    pub(crate) fn fail(&self, text: &str) {
        match &self.way {
            Way::Quiet => output::note(text),
            _ => self.note(text),
        }
    }

    /// Takes the bar or the dashboard away.
    pub(crate) fn finish(&mut self) {
        match &mut self.way {
            Way::Bar(bar) => bar.finish_and_clear(),
            Way::Board(board) => board.finish(),
            _ => {}
        }
    }
}

/// Emulator frames at which a run ends that was asked to end at `asked`: not before its first update.
pub(crate) fn total(asked: u64, glance: &Glance) -> u64 {
    glance.first_update.map_or(asked, |first| first.max(asked))
}

fn text(frames: u64, asked: u64, rate: f64, glance: &Glance) -> String {
    let total = total(asked, glance);
    let until = if total > asked { " to the first update" } else { "" };
    let total = total.max(frames); // a round may go beyond it
    let left = total.saturating_sub(frames) as f64 / rate;
    let left = if left.is_finite() { clock(left as u64) } else { "?".to_owned() };
    let seeds = glance.seeds.map(|(ended, all)| format!("{ended}/{all} seeds  ")).unwrap_or_default();
    let of = |name: &str, value: Option<f64>| value.map(|v| format!("  {name} {}", short(v))).unwrap_or_default();
    // What is cut off where a terminal is narrow comes last.
    format!(
        "{seeds}{}/{} frames{until}  {left} left{}  {} frames/s{}{}",
        count(frames),
        count(total),
        of("return", glance.mean_return),
        fixed(rate, 0),
        of("ε", glance.epsilon),
        of("loss", glance.loss)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_what_is_known_and_nothing_else() {
        let glance = Glance { mean_return: Some(481.25), loss: Some(0.012_343), ..Glance::default() };
        assert_eq!(
            text(4000, 40_000, 10.0, &glance),
            "4,000/40,000 frames  1:00:00 left  return 481.2  10 frames/s  loss 0.01234"
        );
        assert_eq!(text(0, 10, 0.0, &Glance::default()), "0/10 frames  ? left  0 frames/s");
        assert_eq!(text(16, 10, 8.0, &Glance::default()), "16/16 frames  0:00 left  8 frames/s");
        let glance = Glance { seeds: Some((3, 64)), ..Glance::default() };
        assert_eq!(text(30, 640, 10.0, &glance), "3/64 seeds  30/640 frames  1:01 left  10 frames/s");
    }

    #[test]
    fn a_run_that_is_shorter_than_its_warm_up_says_what_it_goes_on_for() {
        let glance = Glance { first_update: Some(16_000), ..Glance::default() };
        assert_eq!(
            text(4000, 2000, 100.0, &glance),
            "4,000/16,000 frames to the first update  2:00 left  100 frames/s"
        );
        assert_eq!(text(4000, 20_000, 100.0, &glance), "4,000/20,000 frames  2:40 left  100 frames/s");
    }
}
