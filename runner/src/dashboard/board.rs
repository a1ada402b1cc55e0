//! Where training leaves what a dashboard shows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rl_core::Canvas;

use super::scene::{Over, Scene};
use super::terminal::Screen;
use crate::output;
use crate::progress::{Glance, Rate};
use crate::session::Session;
use crate::stop::Stop;

/// Time between two looks at the run.
const BLINK: Duration = Duration::from_millis(200);

/// What both sides know.
pub(super) struct Shared {
    pub(super) scene: Mutex<Scene>,
    /// Whether the picture stands still.
    pub(super) still: AtomicBool,
    /// Whether the run is over, or nobody looks any more.
    pub(super) over: AtomicBool,
}

impl Shared {
    /// The scene; a panic while it was held spoils nothing.
    pub(super) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side of the run.
pub(crate) struct Board {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    next: Instant,
    rate: Rate,
    /// Episodes that were told; none of a run that goes on from elsewhere.
    told: Option<u64>,
    /// Frame of the run at the end of the last block.
    block: u64,
    /// Those that wait to be told, each with the frame of the run.
    waiting: Vec<(u64, Over)>,
    canvas: Canvas,
}

impl Board {
    /// Takes the terminal, for a run at frame `done` of `total`; whoever looks at it may ask `stop`.
    ///
    /// # Errors
    /// If there is no terminal, or it refuses.
    pub(crate) fn open(title: &str, done: u64, total: u64, stop: &Stop) -> anyhow::Result<Self> {
        let scene = Mutex::new(Scene::new(title, done, total));
        let shared = Arc::new(Shared { scene, still: AtomicBool::new(false), over: AtomicBool::new(false) });
        let thread = Screen::open(Arc::clone(&shared), stop.clone())?;
        let (next, rate) = (Instant::now(), Rate::new(done));
        let told = (done == 0).then_some(0);
        let (waiting, canvas) = (Vec::new(), Canvas::new(0, 0));
        Ok(Self { shared, thread: Some(thread), next, rate, told, block: done, waiting, canvas })
    }

    /// Takes what has happened since the last block: cheap but for a few times a second, when the game is drawn.
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

    /// A row of metrics.
    pub(crate) fn row(&mut self, frames: u64, scalars: &[(&str, f64)]) {
        self.shared.scene().row(frames, scalars);
    }

    /// Something that stays, on the terminal too once that is given back.
    pub(crate) fn note(&self, text: &str) {
        self.shared.scene().note(text);
    }

    /// Gives the terminal back.
    pub(crate) fn finish(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        let _ = thread.join();
        super::restore();
        self.shared.scene().notes.iter().for_each(output::note);
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.finish();
    }
}
