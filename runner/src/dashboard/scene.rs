//! What a dashboard shows: all of it is told by training, none of it is asked for.

use std::collections::VecDeque;
use std::time::Instant;

use rl_agents::Part;
use rl_core::Canvas;

use super::curve::Curve;
use crate::progress::Glance;
use crate::spent::KEYS;

/// Episodes and notes that are kept.
const LATEST: usize = 64;
/// What the first curve is of.
pub(super) const RETURN: &str = "return";
/// Values of a row of metrics that are no curves: they count, or are shown elsewhere.
const PLAIN: [&str; 2] = ["episodes", "return_100"];

/// An episode that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Over {
    /// From 1.
    pub(super) number: u64,
    pub(super) ret: f64,
    /// Emulator frames.
    pub(super) frames: u64,
}

/// A run as it was last told of.
pub(super) struct Scene {
    /// Agent, environment and seed.
    pub(super) title: String,
    /// Emulator frames so far, and those that it is to train for.
    pub(super) frames: u64,
    pub(super) total: u64,
    pub(super) agent_steps: u64,
    pub(super) updates: u64,
    /// Frames per second of late.
    pub(super) rate: f64,
    pub(super) glance: Glance,
    /// When it began to be watched.
    pub(super) since: Instant,
    /// The returns of episodes first.
    pub(super) curves: Vec<Curve>,
    /// Shares of the time since the row of metrics before the last.
    pub(super) parts: [f64; Part::ALL.len()],
    /// The latest last.
    pub(super) over: VecDeque<Over>,
    pub(super) notes: VecDeque<String>,
    /// The first seat's game.
    pub(super) picture: Canvas,
}

impl Scene {
    /// Of a run at frame `done` of `total`.
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

    /// An episode that was over at frame `at` of the run.
    pub(super) fn episode(&mut self, at: u64, over: Over) {
        self.curves[0].push(at, over.ret);
        push(&mut self.over, over);
    }

    /// A row of metrics.
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

    /// Something that stays.
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
