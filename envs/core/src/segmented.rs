//! State most of which never changes again: it is kept in segments that are written once, and a small rest.

use std::io::{Read, Write};
use std::ops::Range;

use crate::Result;

/// Finds the segment of a number.
pub type Open<'a> = dyn FnMut(u64) -> Result<Box<dyn Read>> + 'a;

/// A part of a session that grows at one end and is forgotten at the other.
pub trait Segmented {
    /// The segments that belong to it now, besides its rest: each is complete, and stays as it is. Of the first, the beginning
    /// may be forgotten already, so that it can no longer be saved.
    fn segments(&self) -> Range<u64>;

    /// Writes a segment.
    ///
    /// # Errors
    /// If the writer fails, or some of the segment is not there, not yet or not any more.
    fn save_segment(&self, number: u64, out: &mut dyn Write) -> Result<()>;

    /// Writes everything that is in none of its [`segments`](Segmented::segments).
    ///
    /// # Errors
    /// If the writer fails.
    fn save_rest(&self, out: &mut dyn Write) -> Result<()>;

    /// Replaces the part by what [`save_rest`](Segmented::save_rest) wrote, and by the segments that it had then.
    ///
    /// # Errors
    /// If a reader fails, a segment is missing, or the content is not such a part.
    fn load_rest(&mut self, from: &mut dyn Read, open: &mut Open<'_>) -> Result<()>;
}
