//! What can go wrong between us and the engine.

use std::path::PathBuf;

/// An error with its operands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line of a `.cfg` is not what the grammar allows.
    #[error("{}:{line}: {key}: {message}", file.display())]
    Cfg {
        /// The file.
        file: PathBuf,
        /// Its line, the first being 1.
        line: usize,
        /// The key of the line, as it is written there.
        key: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Reading, writing or a call of the system failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Says what was being done when a call of the system failed.
pub(crate) fn doing<E: Into<std::io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Error {
    let doing = doing.into();
    move |source| Error::Io { doing, source: source.into() }
}
