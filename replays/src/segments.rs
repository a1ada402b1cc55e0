//! Incremental checkpoints of a ring: segments of a fixed number of rows, complete once the row after it is written.
//!
//! A complete segment never changes again, so that a checkpoint of a ring of gigabytes costs only what was added since
//! the last one.

use std::io::{Read, Write};
use std::ops::Range;

use rl_core::{Open, Result, Segmented};

use crate::Replay;
use crate::saved::{ends, foreign, read_u64};

const MAGIC: &[u8; 8] = b"rlsegmt1";

/// Smallest size of a segment in bytes: smaller ones are not worth a file.
const LEAST: u64 = 1 << 20;
/// Largest size of a segment in bytes: of larger ones too much would wait in memory.
const MOST: u64 = 16 << 20;

/// Rows per segment for a ring of `rows` rows that takes `bytes` bytes; 0 where the ring is too small for segments.
pub(crate) fn rows_of_segment(rows: usize, bytes: u64) -> usize {
    let segment = (bytes / 64).clamp(LEAST, MOST);
    let own = (segment as u128 * rows as u128 / u128::from(bytes.max(1))).max(1) as usize;
    // What is being written and what is forgotten must not meet.
    if own.saturating_mul(4) <= rows { own } else { 0 }
}

impl Replay {
    /// Sets the length of the checkpoint segments of an empty ring to `rows` rows; 0 for no segments.
    ///
    /// # Panics
    /// If something was appended already, or four segments have more rows than the ring.
    #[must_use]
    pub fn with_segments_of(mut self, rows: usize) -> Self {
        assert!(self.is_empty() && rows.saturating_mul(4) <= self.rows, "an empty ring of four segments or more");
        self.segment = rows;
        self
    }

    /// First row after the last complete segment, from which on rows are saved with the rest of the state.
    pub(crate) fn rest(&self) -> u64 {
        // The newest row has no action yet.
        let complete = self.written.saturating_sub(1);
        match self.segment as u64 {
            0 => self.oldest(),
            segment => (complete / segment * segment).max(self.oldest()),
        }
    }

    /// Numbers of the segments that hold the rows from the oldest present up to row `first`, exclusive.
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

    /// Reads into the memory that is already allocated. After an error the replay is empty.
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
