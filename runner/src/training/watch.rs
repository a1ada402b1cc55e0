//! Shows and measures a run while it trains: the bar for people, rows of metrics for programs. Nothing here decides the
//! run.

use std::time::Instant;

use rl_agents::Log;

use crate::run_dir::metrics::{Metrics, Point};
use crate::session::Session;
use crate::training::progress::{Glance, Progress};
use crate::training::time_by_part::KEYS;

/// Watches one sitting of a run.
pub(crate) struct Watch {
    /// Measurements of the learner since the last row; empty whenever a checkpoint is written.
    pub(crate) log: Log,
    /// Files of metrics; `None` when `verify` repeats a run.
    metrics: Option<Metrics>,
    progress: Progress,
    glance: Glance,
    /// Values to add to the next row.
    extra: Vec<(&'static str, f64)>,
    /// When the last row was written, and its frames. No frame has two rows, except for an evaluation.
    last: (Instant, u64),
}

impl Watch {
    /// Begins to watch `session`, whose frames so far have been measured.
    pub(crate) fn new(metrics: Option<Metrics>, progress: Progress, session: &Session) -> Self {
        let last = (Instant::now(), session.counts.frames);
        Self { log: Log::default(), metrics, progress, glance: Glance::default(), extra: Vec::new(), last }
    }

    /// Seconds of all sittings up to the last row; 0 without metrics.
    pub(crate) fn seconds(&self) -> f64 {
        self.metrics.as_ref().map_or(0.0, Metrics::seconds)
    }

    /// Moves the bar. Cheap, so that it may follow every block.
    pub(crate) fn show(&mut self, session: &Session) {
        self.glance.mean_return = session.window.mean_return();
        let (counts, learner) = (&session.counts, &session.learner);
        self.glance.first_update = match (learner.updates(), counts.agent_steps) {
            (0, 1..) => {
                let first = u128::from(learner.warm_up()) * u128::from(counts.frames) / u128::from(counts.agent_steps);
                Some(u64::try_from(first).unwrap_or(u64::MAX).max(counts.frames))
            }
            _ => None,
        };
        self.progress.watch(session, &self.glance);
    }

    /// Adds a value to the next row.
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.extra.push((name, value));
    }

    /// Prints a message that stays.
    pub(crate) fn note(&self, text: &str) {
        self.progress.note(text);
    }

    /// Writes a row of means since the row before, unless there is nothing new.
    ///
    /// # Errors
    /// If it cannot be written, as when the disk is full.
    pub(crate) fn row(&mut self, session: &Session) -> anyhow::Result<()> {
        let counts = &session.counts;
        // Of an evaluation that is played again as a run goes on there may be something new all the same.
        if counts.frames == self.last.1 && self.extra.is_empty() {
            return Ok(());
        }
        let told = self.log.drain();
        let of = |name: &str| told.iter().find(|(known, _)| *known == name).map(|&(_, value)| value);
        self.glance.epsilon = of("epsilon").or(self.glance.epsilon);
        self.glance.loss = of("loss").or(self.glance.loss);
        let (now, frames) = (Instant::now(), (counts.frames - self.last.1) as f64);
        let mut scalars = vec![("episodes", counts.episodes as f64)];
        if frames > 0.0 {
            scalars.push(("frames_per_s", frames / (now - self.last.0).as_secs_f64().max(1e-9)));
        }
        scalars.extend(session.window.mean_return().map(|value| ("return_100", value)));
        scalars.extend(session.window.mean_frames().map(|value| ("length_100", value)));
        scalars.extend(told);
        scalars.append(&mut self.extra);
        let spent = self.log.clock.take();
        scalars.extend(KEYS.iter().zip(spent).map(|(&key, part)| (key, part.as_secs_f64())));
        self.last = (now, counts.frames);
        let point =
            Point { frames: counts.frames, agent_steps: counts.agent_steps, updates: session.learner.updates() };
        self.progress.row(counts.frames, &scalars);
        self.metrics.as_mut().map_or(Ok(()), |metrics| metrics.row(point, &scalars))
    }

    /// Takes the bar or the dashboard away.
    pub(crate) fn finish(&mut self) {
        self.progress.finish();
    }
}
