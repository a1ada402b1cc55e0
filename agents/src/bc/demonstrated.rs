//! Store of demonstrations: steps of whole games, some of which are held out for validation.

use std::io::{Read, Write};
use std::ops::Range;

use rl_core::{Error, LifeLoss, Open, Result, Saved, Segmented, Spec};
use rl_replays::{NStepReturns, Replay, Rollout, Steps};

use crate::{config, legal};

/// Returns are not used: with `n_step` 1 a step is complete once the row after it is written.
const TARGETS: NStepReturns = NStepReturns { n_step: 1, gamma: 1.0, life_loss: LifeLoss::Ignore };

/// Demonstrated steps of one seat, split into training and held-out games.
pub(crate) struct Demonstrated {
    spec: Spec,
    ring: Replay,
    /// Share of the games that is held out.
    share: f64,
    /// Rows of the steps that are learned from.
    learned: Vec<u64>,
    /// Rows of the steps that are held out.
    held: Vec<u64>,
    /// Games so far.
    games: u64,
    /// Row from which on steps are not split yet.
    sorted: u64,
}

impl Demonstrated {
    /// Allocates an empty store for `capacity` steps, which holds out the given share of the games.
    pub(crate) fn new(spec: &Spec, capacity: usize, share: f64) -> Self {
        let ring = Replay::new(spec, 1, capacity, TARGETS);
        Self { spec: spec.clone(), ring, share, learned: Vec::new(), held: Vec::new(), games: 0, sorted: 0 }
    }

    /// Bytes of a store for `capacity` steps.
    pub(crate) fn bytes_for(spec: &Spec, capacity: usize) -> u64 {
        Replay::bytes_for(spec, 1, capacity, TARGETS.n_step, None)
    }

    /// Appends blocks of one seat, and splits their steps.
    ///
    /// # Errors
    /// If the steps would overwrite older ones, or do not begin with the newest row.
    pub(crate) fn append(&mut self, blocks: &[Rollout]) -> Result<()> {
        if blocks[0].horizon() >= self.ring.room_in_rows() {
            let message = config::FULL.to_owned();
            return Err(Error::Config { key: "agent.capacity".to_owned(), message });
        }
        self.ring.append(blocks)?;
        self.sort();
        Ok(())
    }

    /// Rows of the steps that are learned from.
    pub(crate) fn learned(&self) -> &[u64] {
        &self.learned
    }

    /// Rows of the steps that are held out.
    pub(crate) fn held(&self) -> &[u64] {
        &self.held
    }

    /// Copies the steps of `rows` to `out` until it is full or none is left, and returns their number.
    pub(crate) fn take(&self, rows: impl Iterator<Item = u64>, out: &mut Steps) -> usize {
        self.ring.steps_of(&mut rows.map(|row| (row, 0)), out)
    }

    /// Splits the complete steps that are not split yet: of every 1 / `share` games the last is held out, so that the
    /// first games, where there are few, are learned from. A step whose action was not legal is left out: a policy
    /// gives it probability 0, so that its loss would be infinite.
    fn sort(&mut self) {
        let newest = self.ring.len() as u64 - 1;
        let mut step = Steps::new(&self.spec, usize::from(self.spec.mask));
        for (row, _) in self.ring.transitions_from(self.sorted) {
            let first = self.ring.age((row, 0)) == 0 || self.games == 0;
            self.games += u64::from(first);
            if self.ring.steps_of(&mut [(row, 0)].into_iter(), &mut step) > 0
                && !legal::all(&self.spec.discrete, step.discrete.row(0), step.obs.legal.row(0))
            {
                continue;
            }
            let share = |games: u64| (games as f64 * self.share).floor();
            let held = share(self.games) > share(self.games - 1);
            if held { &mut self.held } else { &mut self.learned }.push(row);
        }
        self.sorted = newest;
    }

    fn sort_anew(&mut self) {
        (self.games, self.sorted) = (0, 0);
        self.learned.clear();
        self.held.clear();
        if !self.ring.is_empty() {
            self.sort();
        }
    }
}

impl Saved for Demonstrated {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        self.ring.save(out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let done = self.ring.load(from);
        self.sort_anew();
        done
    }

    fn segmented(&mut self) -> Option<&mut dyn Segmented> {
        if self.ring.segmented().is_some() { Some(self) } else { None }
    }
}

impl Segmented for Demonstrated {
    fn segments(&self) -> Range<u64> {
        self.ring.segments()
    }

    fn save_segment(&self, number: u64, out: &mut dyn Write) -> Result<()> {
        self.ring.save_segment(number, out)
    }

    fn save_rest(&self, out: &mut dyn Write) -> Result<()> {
        self.ring.save_rest(out)
    }

    fn load_rest(&mut self, from: &mut dyn Read, open: &mut Open<'_>) -> Result<()> {
        let done = self.ring.load_rest(from, open);
        self.sort_anew();
        done
    }
}
