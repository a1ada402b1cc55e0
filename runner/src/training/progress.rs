//! Shows how far a run is: a bar on a terminal, a line now and then elsewhere, nothing when quiet.

use std::collections::VecDeque;
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::console::number::{clock, count, fixed, short};
use crate::console::output;
use crate::console::waiting::{PAUSE, fitting, room};
use crate::session::Session;
use crate::training::dashboard::Board;

/// Time between two updates of the bar.
const BLINK: Duration = Duration::from_millis(200);
/// Time over which frames per second are measured; the rate changes when learning starts.
const SPAN: Duration = Duration::from_secs(30);
/// What a bar looks like.
const TEMPLATE: &str = "{bar:12} {percent:>3}%  {wide_msg}";
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
                let bar = ProgressBar::new(total).with_style(style());
                // A first block may take long.
                draw(&bar, fitting(&format!("{}/{} frames", count(done), count(total)), room()), done, total);
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
                draw(bar, fitting(&text, room()), frames, total);
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

/// Time that is left to the first update, if it is still to come, else to the end of the run: the rate of frames is
/// another after it.
pub(crate) fn left(frames: u64, asked: u64, rate: f64, glance: &Glance) -> String {
    let (end, of) = glance.first_update.map_or((asked, "left"), |first| (first, "to the first update"));
    let seconds = end.saturating_sub(frames) as f64 / rate;
    let time = if seconds.is_finite() { clock(seconds as u64) } else { "?".to_owned() };
    format!("{time} {of}")
}

fn text(frames: u64, asked: u64, rate: f64, glance: &Glance) -> String {
    let total = total(asked, glance).max(frames); // a round may go beyond it
    let seeds = glance.seeds.map(|(ended, all)| format!("{ended}/{all} seeds  ")).unwrap_or_default();
    let of = |name: &str, value: Option<f64>| value.map(|v| format!("  {name} {}", short(v))).unwrap_or_default();
    // What is left out where a terminal is narrow comes last.
    format!(
        "{seeds}{}/{} frames  {}{}  {} frames/s{}{}",
        count(frames),
        count(total),
        left(frames, asked, rate, glance),
        of("return", glance.mean_return),
        fixed(rate, 0),
        of("ε", glance.epsilon),
        of("loss", glance.loss)
    )
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(TEMPLATE).expect("the template is right")
}

/// Moves a bar and changes its text, and draws it once: between the two its percentage would be that of another text.
fn draw(bar: &ProgressBar, text: &str, frames: u64, total: u64) {
    let bar = bar.clone().with_message(text.to_owned()).with_position(frames.min(total)); // neither draws
    bar.update(|state| state.set_len(total));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;
    use crate::console::waiting::BEFORE;

    /// A terminal of 60 columns that keeps what is written on it.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<Vec<String>>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            60
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push(text.to_owned());
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

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
    fn before_the_first_update_the_time_to_it_is_told_and_not_that_of_the_run() {
        let glance = Glance { first_update: Some(16_000), ..Glance::default() };
        for (frames, asked, told) in [
            (4000, 20_000, "4,000/20,000 frames  2:00 to the first update  100 frames/s"),
            (16_000, 20_000, "16,000/20,000 frames  0:00 to the first update  100 frames/s"),
            // A run that is shorter than its warm-up goes on until then.
            (4000, 2000, "4,000/16,000 frames  2:00 to the first update  100 frames/s"),
        ] {
            assert_eq!(text(frames, asked, 100.0, &glance), told);
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let text = "10,535/12,000 frames  0:00 left  return 81.50";
        let cases = [
            (45, text),
            (44, "10,535/12,000 frames  0:00 left"),
            (30, "10,535/12,000 frames"),
            (20, "10,535/12,000 frames"),
            (19, ""),
        ];
        for (columns, shown) in cases {
            assert_eq!(fitting(text, columns), shown, "{columns}");
        }
        let text = "ε 0.04000  loss 1.200e-5"; // of letters, not bytes
        assert_eq!([23, 24].map(|columns| fitting(text, columns)), ["ε 0.04000", text]);
    }

    #[test]
    fn a_percentage_is_never_shown_beside_the_text_of_another() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        let bar = ProgressBar::with_draw_target(Some(1), target).with_style(style());
        draw(&bar, "25 frames", 25, 100);
        draw(&bar, "50 frames", 50, 100);
        draw(&bar, &"x".repeat(60), 60, 60);
        let written = paper.0.lock().unwrap().clone();
        let drawn: Vec<String> = written
            .iter()
            .filter(|text| !text.trim().is_empty())
            .map(|text| text.chars().skip(13).collect()) // the bar
            .collect();
        let last = format!("100%  {}", "x".repeat(60 - BEFORE));
        assert_eq!(drawn, [" 25%  25 frames", " 50%  50 frames", last.as_str()]);
    }
}
