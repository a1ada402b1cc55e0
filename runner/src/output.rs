//! The only place that prints: results on stdout, everything else on stderr.
//!
//! A reader that went away is no error: what it does not read is not written.

use std::fmt::Display;
use std::io::{BufWriter, StdoutLock, Write as _};

/// One line of a result, on stdout.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// One line for the person who waits, on stderr.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Many lines on stdout, for a writer that ends when their reader has gone away ([`BrokenPipe`]).
///
/// [`BrokenPipe`]: std::io::ErrorKind::BrokenPipe
pub(crate) fn lines() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(std::io::stdout().lock())
}
