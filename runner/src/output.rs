//! The only place that prints: results on stdout, everything else on stderr.
//!
//! A reader that went away, or a terminal, is no error: what it does not read is not written. A result that found no room is one.

use std::fmt::Display;
use std::io::{BufWriter, Error, ErrorKind, StdoutLock, Write as _};
use std::path::Path;
use std::sync::OnceLock;

/// Why a line of a result is not where it was to go.
static LOST: OnceLock<Error> = OnceLock::new();

/// One line of a result, on stdout.
pub(crate) fn line(text: impl Display) {
    if let Err(e) = writeln!(std::io::stdout().lock(), "{text}") {
        lose(e);
    }
}

/// Notes that stdout took less than it was given.
pub(crate) fn lose(why: Error) {
    let closed = rustix::io::Errno::IO.raw_os_error(); // of a terminal that is gone
    if why.kind() != ErrorKind::BrokenPipe && why.raw_os_error() != Some(closed) {
        let _ = LOST.set(why); // the first says it
    }
}

/// Why a result was lost, if one was.
pub(crate) fn lost() -> Option<&'static Error> {
    LOST.get()
}

/// One line for the person who waits, on stderr.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A path as a shell reads it in a command: in quotes where it needs some.
pub(crate) fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned()) // a path holds no 0
}

/// Many lines on stdout, for a writer that ends when their reader has gone away ([`BrokenPipe`]).
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
