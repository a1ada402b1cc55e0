//! The only place that prints: results on stdout, everything else on stderr.
//!
//! A reader or terminal that went away is no error: what it does not read is not written. A result that cannot be
//! written for want of space is one.

use std::fmt::Display;
use std::io::{BufWriter, Error, ErrorKind, StdoutLock, Write as _};
use std::path::Path;
use std::sync::OnceLock;

/// The first error by which a line of a result was lost.
static LOST: OnceLock<Error> = OnceLock::new();

/// Prints a line of a result on stdout.
pub(crate) fn line(text: impl Display) {
    if let Err(e) = writeln!(std::io::stdout().lock(), "{text}") {
        lose(e);
    }
}

/// Notes that stdout could not be written to, unless its reader or terminal is gone.
pub(crate) fn lose(why: Error) {
    let closed = rustix::io::Errno::IO.raw_os_error(); // of a terminal that is gone
    if why.kind() != ErrorKind::BrokenPipe && why.raw_os_error() != Some(closed) {
        let _ = LOST.set(why); // the first says it
    }
}

/// Why a result could not be written, if one could not.
pub(crate) fn lost() -> Option<&'static Error> {
    LOST.get()
}

/// Prints a line for the person who waits, on stderr.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a path as one word of a shell command, quoted if need be.
pub(crate) fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned()) // a path holds no 0
}

/// Buffered stdout for many lines; the writer ends when their reader has gone away ([`BrokenPipe`]).
///
/// [`BrokenPipe`]: std::io::ErrorKind::BrokenPipe
pub(crate) fn lines() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(std::io::stdout().lock())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_command_is_one_word_of_it() {
        for (path, written) in [("runs/a-1_b.2", "runs/a-1_b.2"), ("my runs/a", "'my runs/a'"), ("", "''")] {
            assert_eq!(word(Path::new(path)), written);
        }
        for path in ["$HOME", "a'b", "a;b", "über alles"] {
            assert_eq!(shlex::split(&word(Path::new(path))).unwrap(), [path]);
        }
    }
}
