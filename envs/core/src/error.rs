//! What can go wrong below the runner.

use crate::Column;

/// An error with its operands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value of a preset is out of range or does not fit.
    #[error("{key}: {message}")]
    Config {
        /// Path of the key, such as `env.sticky`.
        key: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A file that the environment needs is missing or damaged.
    #[error("{name}: {message}")]
    Asset {
        /// The file or package.
        name: String,
        /// What is wrong and the command that mends it.
        message: String,
    },
    /// The engine behind an environment failed.
    #[error("environment {env}: {message}")]
    Engine {
        /// Name of the environment.
        env: String,
        /// What the engine said.
        message: String,
    },
    /// The engine behind an environment is no more. The episode is lost, and a reset starts another engine.
    #[error("environment {env}: {message}")]
    Lost {
        /// Name of the environment.
        env: String,
        /// What became of it.
        message: String,
    },
    /// A saved state does not fit the object that reads it.
    #[error("saved state of {part}: {message}")]
    State {
        /// Name of the part.
        part: String,
        /// What does not fit.
        message: String,
    },
    /// A loss, a gradient or a parameter is not a finite number.
    #[error("update {update}: {what}")]
    NotFinite {
        /// Number of the update, the first being 1.
        update: u64,
        /// Which tensor, and what is wrong with it.
        what: String,
        /// What the update learned from; nothing where its learner does not tell.
        batch: Vec<Column>,
    },
    /// Tensors failed.
    #[error("tensor: {0}")]
    Tensor(String),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
