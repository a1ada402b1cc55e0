//! Copies the state of a session in memory; training waits only for that when a checkpoint is due.
//!
//! Segments of a large replay are not copied: each was handed on once while training went on.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Context as _;

use crate::session::{Session, WEIGHTS};

/// Which parts to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All parts, so that the run can be resumed.
    Whole,
    /// The weights alone, for evaluations.
    Weights,
}

/// The parts of a session at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) frames: u64,
    pub(crate) updates: u64,
    pub(crate) parts: Vec<Part>,
}

/// A part of a session as bytes.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Numbers of the segments that belong to the part beside `bytes`.
    pub(crate) segments: Range<u64>,
}

impl Snapshot {
    /// Copies the parts of `session`, without segments that were handed on.
    ///
    /// # Errors
    /// If a part cannot be saved.
    pub(crate) fn take(session: &mut Session, extent: Extent, handed: &Handed) -> anyhow::Result<Self> {
        let (frames, updates) = (session.counts.frames, session.learner.updates());
        let mut parts = Vec::new();
        session.visit(&mut |name, part| {
            if extent == Extent::Weights && name != WEIGHTS {
                return Ok(());
            }
            let (mut bytes, mut segments) = (Vec::new(), 0..0);
            let saved = match part.segmented().filter(|part| handed.has(name, &part.segments())) {
                Some(part) => {
                    segments = part.segments();
                    part.save_rest(&mut bytes)
                }
                None => part.save(&mut bytes),
            };
            saved.with_context(|| format!("part {name}"))?;
            parts.push(Part { name: name.to_owned(), bytes, segments });
            Ok(())
        })?;
        Ok(Self { frames, updates, parts })
    }
}

/// The segments that were handed on: for each part the range of numbers that is still needed.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    parts: BTreeMap<String, Range<u64>>,
    /// Whether no part of the learner has segments, so that it need not be asked again.
    none: bool,
}

impl Handed {
    /// Starts from the segments of a checkpoint that a run goes on from, given in order.
    pub(crate) fn of<'a>(segments: impl Iterator<Item = &'a (String, u64)>) -> Self {
        let mut handed = Self::default();
        for (part, number) in segments {
            handed.parts.entry(part.clone()).or_insert(*number..*number).end = number + 1;
        }
        handed
    }

    /// Calls `take` with part, number and bytes of every segment that was not handed on before.
    ///
    /// # Errors
    /// The first error of `take`.
    pub(crate) fn hand_on(
        &mut self,
        session: &mut Session,
        mut take: impl FnMut(&str, u64, Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.none {
            return Ok(());
        }
        self.none = true;
        session.visit_learner(&mut |name, part| {
            let Some(part) = part.segmented() else { return Ok(()) };
            self.none = false;
            let segments = part.segments();
            let handed = self.parts.entry(name.to_owned()).or_default();
            handed.start = handed.start.max(segments.start);
            for number in segments.start.max(handed.end)..segments.end {
                let mut bytes = Vec::new();
                // One that is half overwritten belongs to no checkpoint without the rows of the others: see `has`.
                if part.save_segment(number, &mut bytes).is_err() {
                    continue;
                }
                if number != handed.end {
                    handed.start = number;
                }
                handed.end = number + 1;
                take(name, number, bytes)?;
            }
            Ok(())
        })
    }

    /// Calls `take` with part, number and bytes of every segment that was handed on, is still needed and is `gone`, and
    /// returns how many there were. Leaves out the newest, which are `under_way`.
    ///
    /// # Errors
    /// The first error of `take`.
    pub(crate) fn hand_on_again(
        &mut self,
        session: &mut Session,
        under_way: u64,
        gone: impl Fn(&str, u64) -> bool,
        mut take: impl FnMut(&str, u64, Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let mut count = 0;
        session.visit_learner(&mut |name, part| {
            let (Some(part), Some(handed)) = (part.segmented(), self.parts.get_mut(name)) else { return Ok(()) };
            let (first, end) = (handed.start.max(part.segments().start), handed.end.saturating_sub(under_way));
            for number in (first..end).filter(|&number| gone(name, number)) {
                let mut bytes = Vec::new();
                match part.save_segment(number, &mut bytes) {
                    Ok(()) => take(name, number, bytes)?,
                    Err(_) => handed.start = number + 1, // half overwritten: a checkpoint has its rows, see `has`
                }
                count += 1;
            }
            Ok(())
        })?;
        Ok(count)
    }

    /// Whether all of these segments of the part `name` were handed on.
    fn has(&self, name: &str, segments: &Range<u64>) -> bool {
        let held = |held: &Range<u64>| held.start <= segments.start && segments.end <= held.end;
        segments.is_empty() || self.parts.get(name).is_some_and(held)
    }
}
