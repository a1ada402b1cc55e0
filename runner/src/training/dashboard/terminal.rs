//! The terminal: taken whole, drawn on a few times a second by a thread of its own, and given back whatever happens.

use std::io::{self, IsTerminal as _, Stderr, stderr, stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use rl_core::is_catching;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::SIGINT;
use signal_hook::low_level::raise;

use super::board::Shared;
use super::paint::{Look, paint};
use super::picture::Palette;
use crate::console::stop::Stop;
use crate::console::usage::usage;

/// Time between two drawings, where no key is pressed.
const BLINK: Duration = Duration::from_millis(200);

/// Whether the terminal is taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back if it is taken.
pub(crate) fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Nobody is left to be told of an error.
        let _ = disable_raw_mode();
        let _ = execute!(stderr(), LeaveAlternateScreen, Show);
    }
}

/// The thread that draws the dashboard and reads keys.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    shared: Arc<Shared>,
    stop: Stop,
    look: Look,
}

impl Screen {
    /// Takes the terminal and starts the thread.
    ///
    /// # Errors
    /// If there is no terminal, or it cannot be taken.
    pub(super) fn open(shared: Arc<Shared>, stop: Stop) -> anyhow::Result<JoinHandle<()>> {
        if !(stdin().is_terminal() && stderr().is_terminal()) {
            bail!(usage("--tui: this is not a terminal; without --tui, progress is printed in lines"));
        }
        if std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb") {
            bail!(usage("--tui: TERM is dumb, which draws nothing; without --tui, progress is printed in lines"));
        }
        hush();
        enable_raw_mode().context("--tui")?;
        TAKEN.store(true, Ordering::SeqCst);
        let taken = execute!(stderr(), EnterAlternateScreen).and_then(|()| {
            let terminal = Terminal::new(CrosstermBackend::new(stderr()))?;
            let look = Look { palette: Palette::of_terminal(), ..Look::default() };
            let screen = Self { terminal, shared, stop, look };
            Builder::new().name("dashboard".to_owned()).spawn(|| screen.run())
        });
        taken.inspect_err(|_| restore()).context("--tui")
    }

    /// Draws and reads keys until the run is over, the terminal is given back, or it fails, which does not end the run.
    fn run(mut self) {
        let over = |shared: &Shared| shared.over.load(Ordering::Relaxed) || !TAKEN.load(Ordering::SeqCst);
        while !over(&self.shared) && self.turn().is_ok() {}
    }

    fn turn(&mut self) -> io::Result<()> {
        self.look.stopping = self.stop.asked();
        let (shared, look) = (&self.shared, &mut self.look);
        self.terminal.draw(|frame| paint(frame, &shared.scene(), look))?;
        wait(BLINK)?;
        // Whether or not there is: a change of size waits to be read too, and would take the place of the next key.
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                self.press(key);
            }
            wait(Duration::ZERO)?; // is the terminal still there?
        }
        Ok(())
    }

    fn press(&mut self, key: KeyEvent) {
        let interrupts = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if interrupts {
            // A key only because the terminal is taken: whoever hears the signal knows the first from the second.
            let _ = raise(SIGINT); // it is one that there is
        } else if key.code == KeyCode::Char('q') {
            self.stop.ask();
        } else if key.code == KeyCode::Char(' ') {
            self.look.still = !self.look.still;
            self.shared.still.store(self.look.still, Ordering::Relaxed);
        } else {
            self.look.press(key.code);
        }
    }
}

/// Waits for keys, up to `time`.
///
/// # Errors
/// If the terminal is gone: crossterm, whose wait this takes the place of, would read its end again and again.
fn wait(time: Duration) -> io::Result<()> {
    let keyboard = stdin();
    let mut watched = [PollFd::new(&keyboard, PollFlags::IN)];
    let time = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos() as _ };
    match poll(&mut watched, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    let found = watched[0].revents();
    if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

/// Installs a panic hook that gives the terminal back before a panic is printed, unless the panic is being caught.
fn hush() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !is_catching() {
            restore();
        }
        usual(info);
    }));
}
