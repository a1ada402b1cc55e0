//! The segments of a ring: so many rows each, which are complete once the row behind them is written. They never change
//! again, so that a checkpoint of a ring of gigabytes costs what was added since the last one.

use std::io::{Read, Write};
use std::ops::Range;

use rl_core::{Open, Result, Segmented};

use crate::Replay;
use crate::saved::{ends, foreign, read_u64};

const MAGIC: &[u8; 8] = b"rlsegmt1";

/// Bytes of a segment: a smaller one is not worth a file, and of a larger one too much waits in memory.
const LEAST: u64 = 1 << 20;
const MOST: u64 = 16 << 20;

/// Rows of the segments of a ring of so many `rows` and `bytes`; 0 where it is too small to have any.
pub(crate) fn rows_of_segment(rows: usize, bytes: u64) -> usize {
    let segment = (bytes / 64).clamp(LEAST, MOST);
    let own = (segment as u128 * rows as u128 / u128::from(bytes.max(1))).max(1) as usize;
    // What is being written and what is forgotten must not meet.
    if own.saturating_mul(4) <= rows { own } else { 0 }
}

impl Replay {
    /// The same empty ring, with segments of `rows` rows.
    ///
    /// # Panics
    /// If something was appended already, or four of them are more than the ring.
    #[must_use]
    pub fn with_segments_of(mut self, rows: usize) -> Self {
        assert!(self.is_empty() && rows.saturating_mul(4) <= self.rows, "an empty ring of four segments or more");
        self.segment = rows;
        self
    }

    /// The row with which the rest begins: behind the last complete segment.
    pub(crate) fn rest(&self) -> u64 {
        // The newest row has no action yet.
        let complete = self.written.saturating_sub(1);
        match self.segment as u64 {
            0 => self.oldest(),
            segment => (complete / segment * segment).max(self.oldest()),
        }
    }

    /// The segments that hold the rows from the oldest to `first`, with which the rest begins.
    pub(crate) fn segments_until(&self, first: u64) -> Range<u64> {
        let (oldest, segment) = (self.oldest(), (self.segment as u64).max(1));
        let end = first / segment;
        if first > oldest { oldest / segment..end } else { end..end }
    }

    fn rows_of(&self, number: u64) -> Option<Range<u64>> {
        let segment = Some(self.segment as u64).filter(|&rows| rows > 0)?;
        Some(number.checked_mul(segment)?..number.checked_add(1)?.checked_mul(segment)?)
    }

    fn load_segment(&mut self, number: u64, from: &mut dyn Read) -> Result<()> {
        let mut magic = [0; 8];
        from.read_exact(&mut magic)?;
        if &magic != MAGIC || read_u64(from)? != number {
            return Err(foreign(&format!("has another thing for its segment {number}")));
        }
        let rows = self.rows_of(number).expect("a segment of rows that were counted");
        self.load_rows(rows, from)?;
        ends(from)
    }
}

impl Segmented for Replay {
    fn segments(&self) -> Range<u64> {
        self.segments_until(self.rest())
    }

    fn save_segment(&self, number: u64, out: &mut dyn Write) -> Result<()> {
        let rows = self.rows_of(number).filter(|rows| self.oldest() <= rows.start && rows.end < self.written);
        let rows = rows.ok_or_else(|| foreign(&format!("does not hold the whole of segment {number}")))?;
        out.write_all(MAGIC)?;
        out.write_all(&number.to_le_bytes())?;
        self.save_rows(rows, out)
    }

    fn save_rest(&self, out: &mut dyn Write) -> Result<()> {
        self.save_from(self.rest(), out)
    }

    /// Reads into the memory that is there. After an error the replay is empty.
    fn load_rest(&mut self, from: &mut dyn Read, open: &mut Open<'_>) -> Result<()> {
        let mut rows_of = |replay: &mut Self, number| replay.load_segment(number, &mut *open(number)?);
        self.load_from(from, &mut rows_of).map_err(|error| self.forget(error))
    }
}

#[cfg(test)]
mod tests {
    use super::rows_of_segment;

    #[test]
    fn segments_are_neither_small_nor_large_and_small_rings_have_none() {
        let frames = 84 * 84 + 17;
        assert_eq!(rows_of_segment(1_000_000, 1_000_000 * frames), 2372, "16 MiB");
        assert_eq!(rows_of_segment(1_000, 1_000 * frames), 148, "1 MiB");
        assert_eq!(rows_of_segment(500, 500 * frames), 0);
        assert_eq!(rows_of_segment(10_000, 10_000 * 40), 0);
        assert_eq!(rows_of_segment(4, 4 << 40), 1, "a row may be larger");
        assert_eq!(rows_of_segment(0, 0), 0);
    }
}
