//! What can go wrong between a ROM and its next frame.

use std::path::PathBuf;

/// Error of finding a ROM or of running ALE.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is not one of [`GAMES`](crate::GAMES).
    #[error("ALE supports no game called {game}; `rl-run list envs` names all")]
    UnknownGame {
        /// Name that was asked for.
        game: String,
    },
    /// The ROM file cannot be found or read.
    #[error("no ROM at {path}: {cause}; {mend}")]
    Missing {
        /// Path where the ROM was expected.
        path: PathBuf,
        /// Message of the operating system or of the assets cache.
        cause: String,
        /// Advice that ends the message, such as a command that fetches the ROM.
        mend: &'static str,
    },
    /// The file is not a ROM that ALE supports, or not that of the game.
    #[error("{path} (md5 {md5}) is {found}, expected the ROM of {game} that ALE supports; {mend}")]
    Unsupported {
        /// Path of the file.
        path: PathBuf,
        /// MD5 hash of the file, in hexadecimal digits.
        md5: String,
        /// What the file is instead.
        found: String,
        /// Game that was asked for.
        game: String,
        /// Advice that ends the message, such as a command that fetches the ROM.
        mend: &'static str,
    },
    /// ALE failed, with its own message.
    #[error("ALE: {0}")]
    Engine(String),
    /// The bytes are not a saved state of this game.
    #[error("saved state of {game}: {message}")]
    State {
        /// Game of the console that was to load the state.
        game: String,
        /// What in the state does not fit.
        message: String,
    },
}

/// Result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
