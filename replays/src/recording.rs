//! The action log: episodes as small files, from which everything that people look at can be made again.
//!
//! An episode is fixed by the environment with its version and configuration, an episode seed, and the actions. A recording
//! holds these, and of every step four bits of a checksum of what was seen, with a hash of all of it now and then: whoever
//! plays the actions again learns whether the same is seen, and if not, from which step on.
//!
//! A file is a magic number and chunks: kind (1 byte), number (4), length (4), content, CRC-32 of all that (4); numbers are
//! little-endian. First comes the manifest, as JSON; then of each episode its seed, its steps by the thousand, deflated, and
//! its outcome; last, how many episodes there are. What is cut short is readable up to there.
//!
//! On request it also keeps what the player thought before every N-th step: the value as it was, and a number per
//! action in 8 bits, in 254 steps from the lowest to the highest of its row. A number is off by a 508th of that range at
//! most, so that what is told apart within a row stays apart, however large the values are.
//!
//! On request it keeps the picture after every step too, with what the step came to: that shows games where nobody can play
//! them again, and proves nothing.

mod chunk;
mod outputs;
mod pictures;
mod read;
mod seen;
mod write;

use std::collections::BTreeMap;

use rl_core::End;
use serde::{Deserialize, Serialize};

use crate::Outputs;

pub use outputs::Output;
pub use pictures::{Group, PIXELS, Pictures, Projector, Reel, Told};
pub use read::{Differs, Played, Recording, Replayed};
pub use seen::seen;
pub use write::Recorder;

/// Raised with every change of the format: 2 may hold outputs, 3 pictures.
pub const VERSION: u32 = 3;

/// The oldest version that is still read.
const OLDEST: u32 = 1;

/// Steps of a chunk.
const STEPS: usize = 1024;

/// Values of an action, and numbers of its outputs, at most: a limit for what is read from a file.
pub const WIDTH: usize = 256;

/// Whose episodes they are, and where they can be played again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of this format.
    pub version: u32,
    /// Full name of the environment.
    pub env: String,
    /// Version of its dynamics.
    pub env_version: u32,
    /// Its `[env]` table, as TOML.
    pub config: String,
    /// Hashes of the files that it needs, by name.
    pub assets: BTreeMap<String, String>,
    /// Cardinality of each discrete value of an action.
    pub discrete: Vec<u32>,
    /// Continuous values of an action.
    pub continuous: usize,
    /// Who chose the actions.
    pub player: Player,
    /// What is kept of what the player thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<OutputSampling>,
    /// How to watch the pictures, where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Pictures>,
    /// The program that wrote it.
    pub made_by: String,
}

/// Which outputs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSampling {
    /// What they are.
    pub kind: Outputs,
    /// Those before every N-th step of an episode, the first included.
    pub every: u32,
}

impl Manifest {
    /// What no recording has of what it says; `None` if it can be recorded and read.
    fn wrong(&self) -> Option<&'static str> {
        if self.words().any(|words| words.contains(char::is_control)) {
            return Some("words with control characters");
        }
        if self.discrete.len().saturating_add(self.continuous) > WIDTH || self.discrete.contains(&0) {
            return Some("actions that no environment has");
        }
        if let Some(OutputSampling { every, .. }) = self.outputs {
            let actions = self.discrete.iter().map(|&cardinality| u64::from(cardinality)).sum::<u64>();
            if every == 0 || actions > WIDTH as u64 || self.version < 2 {
                return Some("outputs that nobody keeps");
            }
        }
        if let Some(Pictures { frame_rate, .. }) = self.pictures
            && (!(frame_rate > 0.0 && frame_rate.is_finite()) || self.version < 3)
        {
            return Some("pictures that nobody keeps");
        }
        None
    }

    /// What may come to be shown on a terminal.
    fn words(&self) -> impl Iterator<Item = &str> {
        let player = match &self.player {
            Player::Agent { agent, weights_sha256, policy, .. } => vec![agent, weights_sha256, policy],
            Player::Learner { agent, .. } => vec![agent],
            Player::Random { .. } | Player::Human {} => Vec::new(),
        };
        let names = self.pictures.iter().flat_map(|pictures| &pictures.action_names);
        let assets = self.assets.iter().flat_map(|(name, hash)| [name, hash]);
        [&self.env, &self.made_by].into_iter().chain(player).chain(assets).chain(names).map(String::as_str)
    }

    /// Numbers of the outputs of a step beside the value, `A`.
    pub fn actions(&self) -> usize {
        self.discrete.iter().fold(0, |sum: usize, &cardinality| sum.saturating_add(cardinality as usize))
    }
}

/// Who chose the actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Player {
    /// An agent.
    Agent {
        /// Its name.
        agent: String,
        /// Frames that it was trained for.
        frames: u64,
        /// SHA-256 of its weights.
        weights_sha256: String,
        /// How it chose: `greedy`, or `sampled`, and its ε.
        policy: String,
        /// Seed of the games and of its draws.
        seed: u64,
    },
    /// An agent that learned on the way.
    Learner {
        /// Its name.
        agent: String,
        /// Frames of its training when the episode had ended.
        frames: u64,
        /// Seed of the run.
        seed: u64,
    },
    /// Uniformly random actions, drawn from a seed.
    Random {
        /// The seed.
        seed: u64,
    },
    /// A person.
    Human {},
}

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Sum of raw rewards.
    pub ret: f64,
    /// Emulator frames.
    pub frames: u64,
    /// `Truncated` or `Terminated`.
    pub end: End,
}

/// Why a file is no recording that can be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Not a recording.
    #[error("is not a recording")]
    Foreign,
    /// A recording in another version of the format.
    #[error("is a recording of version {0}, this rl-run reads versions {OLDEST} to {VERSION}")]
    Version(u32),
    /// Some byte is not what was written.
    #[error("is damaged at byte {at}: {what}")]
    Damaged {
        /// Where the chunk begins.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A picture that cannot be kept.
    #[error(
        "a picture of {width} x {height} pixels is larger than those that recordings keep: {PIXELS} pixels at most"
    )]
    Large {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
