//! What can go wrong between a ROM and its next frame.

use std::path::PathBuf;

/// An error with its operands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The list of games has no such name.
    #[error("ALE supports no game called {game}; `rl-run list envs` names all")]
    UnknownGame {
        /// As asked for.
        game: String,
    },
    /// The ROM is nowhere.
    #[error("no ROM at {path}: {cause}; {mend}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system or the cache said.
        cause: String,
        /// What mends it.
        mend: &'static str,
    },
    /// The file is not a ROM that ALE supports, or not that of the game.
    #[error("{path} (md5 {md5}) is {found}, expected the ROM of {game} that ALE supports; {mend}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Its hash.
        md5: String,
        /// What it is instead.
        found: String,
        /// The game asked for.
        game: String,
        /// What mends it.
        mend: &'static str,
    },
    /// ALE refused, with its own words.
    #[error("ALE: {0}")]
    Engine(String),
    /// The bytes are not a state of this game.
    #[error("saved state of {game}: {message}")]
    State {
        /// The game that was to read it.
        game: String,
        /// What does not fit.
        message: String,
    },
}

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
