//! What training and the dashboard's thread share: training writes, the thread reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rl_core::Canvas;

use super::scene::{Over, Scene};
use super::terminal::Screen;
use crate::console::output;
use crate::console::stop::Stop;
use crate::session::Session;
use crate::training::progress::{Glance, Rate};

/// Time between two updates of what is shown.
const BLINK: Duration = Duration::from_millis(200);

/// How long the thread has to end: it looks up every 200 ms, and draws.
const PATIENCE: Duration = Duration::from_secs(2);

/// What training and the dashboard's thread share.
pub(super) struct Shared {
    pub(super) scene: Mutex<Scene>,
    /// Whether the picture of the game is paused.
    pub(super) still: AtomicBool,
    /// Whether the run has ended: the thread then does too.
    pub(super) over: AtomicBool,
}

impl Shared {
    /// Locks the scene, also after a panic of the other side.
    pub(super) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Training's side of a dashboard.
pub(crate) struct Board {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    next: Instant,
    rate: Rate,
    /// Episodes of the run that were reported so far; `None` at first for a run that is resumed.
    told: Option<u64>,
    /// Frame of the run at the end of the last block.
    block: u64,
    /// Episodes to be shown at the next update, each with the frame of the run at its end.
    waiting: Vec<(u64, Over)>,
    canvas: Canvas,
}

impl Board {
    /// Takes the terminal for a run at frame `done` of `total`; the key to end the run asks `stop`.
    ///
    /// # Errors
    /// If there is no terminal, or it cannot be taken.
    pub(crate) fn open(title: &str, done: u64, total: u64, stop: &Stop) -> anyhow::Result<Self> {
        let scene = Mutex::new(Scene::new(title, done, total));
        let shared = Arc::new(Shared { scene, still: AtomicBool::new(false), over: AtomicBool::new(false) });
        let thread = Screen::open(Arc::clone(&shared), stop.clone())?;
        let (next, rate) = (Instant::now(), Rate::new(done));
        let told = (done == 0).then_some(0);
        let (waiting, canvas) = (Vec::new(), Canvas::new(0, 0));
        Ok(Self { shared, thread: Some(thread), next, rate, told, block: done, waiting, canvas })
    }

    /// Reports what has happened since the last block. Cheap, except a few times a second, when the game is drawn.
    pub(crate) fn show(&mut self, session: &Session, glance: &Glance) {
        let counts = &session.counts;
        // Those that were over before it was looked at have frames that are not known here.
        let fresh = counts.episodes - self.told.unwrap_or(counts.episodes).min(counts.episodes);
        let known = session.window.latest(fresh as usize);
        let (first, count) = (counts.episodes - known.len() as u64, known.len() as u64);
        // When in a block each was over is not told: they are spread evenly over it.
        let (from, frames) = (self.block, counts.frames.saturating_sub(self.block));
        let over = |(nth, (ret, length)): (u64, (f64, u64))| {
            (from + frames * nth / count, Over { number: first + nth, ret, frames: length })
        };
        self.waiting.extend((1..).zip(known).map(over));
        self.block = counts.frames;
        self.told = Some(counts.episodes);
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + BLINK;
        let still = self.shared.still.load(Ordering::Relaxed);
        if !still && let Some(env) = session.seats.envs().next() {
            env.draw(0, &mut self.canvas);
        }
        let mut scene = self.shared.scene();
        self.waiting.drain(..).for_each(|(at, over)| scene.episode(at, over));
        scene.frames = counts.frames;
        scene.agent_steps = counts.agent_steps;
        scene.updates = session.learner.updates();
        scene.rate = self.rate.of(now, counts.frames);
        scene.glance = *glance;
        if !still {
            std::mem::swap(&mut scene.picture, &mut self.canvas);
        }
    }

    /// Adds a row of metrics, measured at `frames`, to the curves.
    pub(crate) fn row(&mut self, frames: u64, scalars: &[(&str, f64)]) {
        self.shared.scene().row(frames, scalars);
    }

    /// Shows a message, which is printed again once the terminal is given back.
    pub(crate) fn note(&self, text: &str) {
        self.shared.scene().note(text);
    }

    /// Ends the thread, gives the terminal back and prints the latest messages.
    pub(crate) fn finish(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        // A terminal that goes away at the wrong moment may hold the thread for ever; the run's checkpoint comes after this.
        let end = Instant::now() + PATIENCE;
        while !thread.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        super::restore();
        self.shared.scene().notes.iter().for_each(output::note);
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.finish();
    }
}
