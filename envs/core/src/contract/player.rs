//! An environment that plays random actions.

use std::ops::Range;

use super::rows::{Actions, cover, difference};
use super::{Coverage, Subject};
use crate::{Act, Result, RowsBuf, Spec, VecEnv};

/// Seats of an environment, their random actions, and the buffer that their rows are written into.
pub(super) struct Player<'a> {
    subject: &'a Subject<'a>,
    pub(super) env: Box<dyn VecEnv>,
    pub(super) spec: Spec,
    pub(super) actions: Actions,
    pub(super) buffer: RowsBuf,
    pattern: u8,
    pub(super) played: Coverage,
}

type Done = std::result::Result<(), String>;

impl<'a> Player<'a> {
    /// Builds the seats of `worlds` from the run seed `seed`; `actions` is the seed of their random actions. Bytes that
    /// the environment does not write keep the value `pattern`.
    pub(super) fn new(
        subject: &'a Subject<'a>,
        seed: u64,
        worlds: Range<u32>,
        actions: u64,
        pattern: u8,
    ) -> std::result::Result<Self, String> {
        let env = subject.seat(seed, worlds).map_err(|e| e.to_string())?;
        let (spec, seats) = (env.spec().clone(), env.seats());
        let (actions, buffer) = (Actions::new(&spec, seats, actions), RowsBuf::new(&spec, seats));
        Ok(Self { subject, env, spec, actions, buffer, pattern, played: Coverage::default() })
    }

    /// Replaces the random actions by those of another seed.
    pub(super) fn act_by(&mut self, seed: u64) {
        self.actions = Actions::new(&self.spec, self.env.seats(), seed);
    }

    pub(super) fn reset(&mut self) -> Done {
        cover(&mut self.buffer, self.pattern);
        self.env.reset(self.buffer.rows()).map_err(|e| format!("a reset failed: {e}"))
    }

    /// Begins the episodes with the seeds `seeds`, one per seat.
    pub(super) fn begin(&mut self, seeds: &[u64]) -> Done {
        cover(&mut self.buffer, self.pattern);
        self.env.begin(seeds, self.buffer.rows()).map_err(|e| format!("an episode did not begin: {e}"))
    }

    /// Steps all seats with the next random actions.
    pub(super) fn step(&mut self) -> Done {
        cover(&mut self.buffer, self.pattern);
        self.actions.draw(&self.spec);
        let answered = self.env.step(self.actions.act(), self.buffer.rows());
        self.answered(answered)
    }

    /// Steps all seats with the actions `act`.
    pub(super) fn take(&mut self, act: Act<'_>) -> Done {
        cover(&mut self.buffer, self.pattern);
        let answered = self.env.step(act, self.buffer.rows());
        self.answered(answered)
    }

    /// Resets and steps this player and `other` and compares their rows; `why` ends the message where they differ.
    pub(super) fn beside(&mut self, other: &mut Self, why: &str) -> Done {
        self.reset()?;
        other.reset()?;
        for step in 0..=self.subject.steps {
            if let Some(what) = difference(&self.buffer, &other.buffer) {
                return Err(format!("step {step}: {what}, {why}"));
            }
            if step < self.subject.steps {
                self.step()?;
                other.step()?;
            }
        }
        Ok(())
    }

    fn answered(&mut self, answered: Result<()>) -> Done {
        let step = self.played.steps + 1;
        answered.map_err(|e| format!("step {step} of seat {} failed: {e}", self.env.serving()))?;
        if let Some(loss) = self.env.take_crashes().first() {
            return Err(format!("step {step}: {loss}: its engine was lost, and nothing is said of the promise"));
        }
        self.played.steps = step;
        self.played.episodes += self.buffer.episodes.len();
        if (self.subject.stop)() { Err(format!("stopped after step {step}")) } else { Ok(()) }
    }

    pub(super) fn row(&self) -> RowsBuf {
        self.buffer.clone()
    }
}
