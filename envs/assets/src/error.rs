//! What can go wrong on the way to an asset.

use std::path::PathBuf;

/// An error with its operands. Those that a second try may mend name the command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The manifest has no such asset.
    #[error("no asset is called {name}: known are {known}")]
    Unknown {
        /// As asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// The asset is not in the cache.
    #[error("{name} is not in the cache (looked for {path}); run `rl-run fetch {name}`")]
    Missing {
        /// Name of the asset.
        name: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// A file of the asset in the cache is not the one that was unpacked.
    #[error(
        "{path} of {name} is missing or was changed since it was unpacked; to mend it: rl-run fetch {name} --force"
    )]
    Changed {
        /// Name of the asset.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// There is no place for a cache.
    #[error("no cache directory: set RL_ASSETS, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// The client could not be run, or reported a failure.
    #[error("fetching {name} failed: {message}; to try again: rl-run fetch {name}")]
    Client {
        /// Name of the asset.
        name: String,
        /// What was run, and the last lines that it wrote.
        message: String,
    },
    /// The file is not the one that the manifest pins.
    #[error(
        "{file} has {bytes} bytes and sha256 {sha256}, expected {expected_bytes} and {expected}; nothing was kept; \
         to try again: rl-run fetch {name}"
    )]
    Hash {
        /// Name of the asset.
        name: String,
        /// The file that the client left.
        file: String,
        /// Its hash.
        sha256: String,
        /// Its size.
        bytes: u64,
        /// The hash in the manifest.
        expected: String,
        /// The size in the manifest.
        expected_bytes: u64,
    },
    /// The archive holds something that it must not.
    #[error("{file}: {message}; nothing was kept; to try again: rl-run fetch {name}")]
    Archive {
        /// Name of the asset.
        name: String,
        /// The archive.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// Reading or writing failed.
    #[error("{path}: {cause}; RL_ASSETS names another place for the cache; to try again: rl-run fetch {name}")]
    Io {
        /// Name of the asset.
        name: String,
        /// The file or directory.
        path: PathBuf,
        /// What the system said; in the message, and no `source`, which whoever prints a chain would print again.
        cause: std::io::Error,
    },
}

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
