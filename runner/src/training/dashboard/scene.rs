//! What a dashboard shows. Training tells all of it; nothing is asked of the run.

use std::collections::VecDeque;
use std::time::Instant;

use rl_agents::Part;
use rl_core::Canvas;

use super::curve::Curve;
use crate::training::progress::Glance;
use crate::training::time_by_part::KEYS;

/// Most episodes, and most notes, that are kept.
const LATEST: usize = 64;
/// Name of the first curve.
pub(super) const RETURN: &str = "return";
/// Metrics that get no curve: they are counters or shown elsewhere.
const PLAIN: [&str; 2] = ["episodes", "return_100"];

/// An episode that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Over {
    /// Number of the episode in the run, from 1.
    pub(super) number: u64,
    pub(super) ret: f64,
    /// Length in emulator frames.
    pub(super) frames: u64,
}

/// The state of a run as training reported it last.
pub(super) struct Scene {
    /// Agent, environment and seed.
    pub(super) title: String,
    /// Emulator frames so far; the run ends at `total`.
    pub(super) frames: u64,
    pub(super) total: u64,
    pub(super) agent_steps: u64,
    pub(super) updates: u64,
    /// Emulator frames per second of late.
    pub(super) rate: f64,
    pub(super) glance: Glance,
    /// When the dashboard was opened.
    pub(super) since: Instant,
    /// Curves by name; the first is of the returns of episodes.
    pub(super) curves: Vec<Curve>,
    /// Share of each part in the time between the last two rows of metrics.
    pub(super) parts: [f64; Part::ALL.len()],
    /// The latest episodes, oldest first.
    pub(super) over: VecDeque<Over>,
    pub(super) notes: VecDeque<String>,
    /// Picture of the first seat's game.
    pub(super) picture: Canvas,
}

impl Scene {
    /// Makes the scene of a run at frame `done` of `total`.
    pub(super) fn new(title: &str, done: u64, total: u64) -> Self {
        Self {
            title: title.to_owned(),
            frames: done,
            total,
            agent_steps: 0,
            updates: 0,
            rate: 0.0,
            glance: Glance::default(),
            since: Instant::now(),
            curves: vec![Curve::new(RETURN)],
            parts: [0.0; Part::ALL.len()],
            over: VecDeque::new(),
            notes: VecDeque::new(),
            picture: Canvas::new(0, 0),
        }
    }

    /// Adds an episode that ended at frame `at` of the run.
    pub(super) fn episode(&mut self, at: u64, over: Over) {
        self.curves[0].push(at, over.ret);
        push(&mut self.over, over);
    }

    /// Adds the values of a row of metrics to their curves, and takes the shares of time from it.
    pub(super) fn row(&mut self, frames: u64, scalars: &[(&str, f64)]) {
        let of = |key: &str| scalars.iter().find(|(name, _)| *name == key).map_or(0.0, |&(_, seconds)| seconds);
        let seconds = KEYS.map(of);
        let all: f64 = seconds.iter().sum();
        if all > 0.0 {
            self.parts = seconds.map(|seconds| seconds / all);
        }
        for &(name, value) in scalars.iter().filter(|(name, _)| !PLAIN.contains(name) && !KEYS.contains(name)) {
            match self.curves.iter_mut().find(|curve| curve.name == name) {
                Some(curve) => curve.push(frames, value),
                None => {
                    let mut curve = Curve::new(name);
                    curve.push(frames, value);
                    self.curves.push(curve);
                }
            }
        }
    }

    /// Adds a message.
    pub(super) fn note(&mut self, text: &str) {
        push(&mut self.notes, text.to_owned());
    }
}

fn push<T>(latest: &mut VecDeque<T>, next: T) {
    if latest.len() == LATEST {
        latest.pop_front();
    }
    latest.push_back(next);
}
