//! The errors of everything below the runner: environments, learners and saved state.

use crate::Column;

/// Error of an environment, a learner or a saved state.
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
        /// Name of the file or package.
        name: String,
        /// What is wrong, and the command that repairs it.
        message: String,
    },
    /// The engine behind an environment failed.
    #[error("environment {env}: {message}")]
    Engine {
        /// Name of the environment.
        env: String,
        /// Message of the engine.
        message: String,
    },
    /// The engine behind an environment died or does not answer. The episode is lost, and a reset starts another
    /// engine.
    #[error("environment {env}: {message}")]
    Lost {
        /// Name of the environment.
        env: String,
        /// How the engine was lost.
        message: String,
    },
    /// A saved state does not fit the object that reads it.
    #[error("saved state of {part}: {message}")]
    State {
        /// Name of the part of the state, such as `env`.
        part: String,
        /// What in the state does not fit.
        message: String,
    },
    /// A loss, a gradient or a parameter is not a finite number.
    #[error("update {update}: {what}")]
    NotFinite {
        /// Number of the update, the first being 1.
        update: u64,
        /// Name of the tensor, and what is wrong with it.
        what: String,
        /// Batch that the update learned from; empty where the learner does not report it.
        batch: Vec<Column>,
    },
    /// An operation on tensors failed: the error of the tensor library, to be downcast by whoever knows it.
    #[error("tensor: {0}")]
    Tensor(Box<dyn std::error::Error + Send + Sync>),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
