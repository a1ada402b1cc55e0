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
    /// A value of the configuration cannot be played.
    #[error("{key}: {message}")]
    Config {
        /// The key, by its name in a `.cfg`.
        key: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A file that the engine needs is not there.
    #[error("{what} is not at {}", path.display())]
    Missing {
        /// What the file is.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The engine is not the one that this controller was written for.
    #[error(
        "the engine is version {found}, this controller speaks with 1.3.2: `rl-run fetch vizdoom --force` brings it"
    )]
    Version {
        /// What it says of itself.
        found: String,
    },
    /// The engine said that it cannot go on.
    #[error("the engine failed: {message}")]
    Engine {
        /// Its message, and the end of its output.
        message: String,
    },
    /// The engine is no more.
    #[error("the engine died: {message}")]
    Died {
        /// How, and the end of its output.
        message: String,
    },
    /// The engine lives and does not answer.
    #[error("the engine has not answered for {seconds} s")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// A command is longer than a message of the engine's queue.
    #[error("command of {bytes} bytes, at most {most} fit: {command}")]
    Command {
        /// The command.
        command: String,
        /// Its length.
        bytes: usize,
        /// What fits.
        most: usize,
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
