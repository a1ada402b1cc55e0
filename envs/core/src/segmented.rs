//! State most of which never changes again: it is kept in segments that are written once, and a small rest.

use std::io::{Read, Write};
use std::ops::Range;

use crate::Result;

/// Function that opens the saved segment with a given number for reading.
pub type Open<'a> = dyn FnMut(u64) -> Result<Box<dyn Read>> + 'a;

/// Saved state that grows at its end and may drop its beginning, such as a replay buffer. Full segments are saved once,
/// and a checkpoint rewrites only the rest.
pub trait Segmented {
    /// Returns the numbers of the full segments that the state consists of, besides its rest; their content never
    /// changes. The beginning of the first one may have been dropped already, so that it can no longer be saved.
    fn segments(&self) -> Range<u64>;

    /// Writes the segment `number` to `out`.
    ///
    /// # Errors
    /// If the writer fails, or the segment is not full yet or partly dropped.
    fn save_segment(&self, number: u64, out: &mut dyn Write) -> Result<()>;

    /// Writes everything that is in none of the [`segments`](Segmented::segments) to `out`.
    ///
    /// # Errors
    /// If the writer fails.
    fn save_rest(&self, out: &mut dyn Write) -> Result<()>;

    /// Replaces the state by what [`save_rest`](Segmented::save_rest) wrote and by the segments of that moment, which
    /// `open` opens.
    ///
    /// # Errors
    /// If a reader fails, a segment is missing, or the content is not a state of this kind.
    fn load_rest(&mut self, from: &mut dyn Read, open: &mut Open<'_>) -> Result<()>;
}
