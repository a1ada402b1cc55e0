//! What can go wrong between us and the engine.

use std::path::PathBuf;

/// Error of reading a configuration or of playing with the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line of a `.cfg` file is not valid.
    #[error("{}:{line}: {key}: {message}", file.display())]
    Cfg {
        /// Path of the `.cfg` file.
        file: PathBuf,
        /// Number of the line, the first being 1.
        line: usize,
        /// Key of the line, as it is written there.
        key: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A value of the configuration cannot be played.
    #[error("{key}: {message}")]
    Config {
        /// Name of the key in a `.cfg` file.
        key: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A file that the engine needs is not there.
    #[error("{what} is not at {}", path.display())]
    Missing {
        /// Purpose of the file, such as `the engine`.
        what: &'static str,
        /// Path where the file was expected.
        path: PathBuf,
    },
    /// The engine is not of version 1.3.2, for which this crate was written.
    #[error(
        "the engine is version {found}, this controller speaks with 1.3.2: `rl-run fetch vizdoom --force` brings it"
    )]
    Version {
        /// Version that the engine reports.
        found: String,
    },
    /// The engine reported an error and cannot go on.
    #[error("the engine failed: {message}")]
    Engine {
        /// Message of the engine, and the end of its output.
        message: String,
    },
    /// The process of the engine has ended.
    #[error("the engine died: {message}")]
    Died {
        /// Exit status or signal, and the end of the engine's output.
        message: String,
    },
    /// The engine is alive but does not answer.
    #[error("the engine has not answered for {seconds} s")]
    Silent {
        /// Seconds for which an answer was awaited, rounded up.
        seconds: u64,
    },
    /// A console command does not fit into a message of the engine's queue.
    #[error("command of {bytes} bytes, at most {most} fit: {command}")]
    Command {
        /// Text of the command.
        command: String,
        /// Length of the command in bytes.
        bytes: usize,
        /// Largest length that fits, in bytes.
        most: usize,
    },
    /// Reading, writing or a call of the system failed.
    #[error("{doing}: {source}")]
    Io {
        /// Description of the failed operation, such as `reading a.cfg`.
        doing: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

impl Error {
    /// Error about an engine that was waited for that long.
    pub(crate) fn silent(patience: std::time::Duration) -> Self {
        Self::Silent { seconds: u64::try_from(patience.as_millis().div_ceil(1000)).unwrap_or(u64::MAX) }
    }
}

/// Result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Returns a function for `map_err` that turns an error of the operating system into [`Error::Io`] with a description.
pub(crate) fn doing<E: Into<std::io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Error {
    let doing = doing.into();
    move |source| Error::Io { doing, source: source.into() }
}
