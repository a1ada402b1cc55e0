//! Recordings: episodes as small files of actions, from which videos and statistics can be made by replaying them.
//!
//! An episode is determined by the environment with its version and configuration, an episode seed, and the actions, of
//! all seats where several share a world: then each seat's game is recorded by itself, with the actions of all. A
//! recording holds these, and for every step four bits of a checksum of its observation, reward and end, with a hash
//! over the whole episode so far after every chunk of steps: a replay finds out whether it sees the same, and if not,
//! from which step on.
//!
//! A file is a magic number and chunks: kind (1 byte), number (4), length (4), content, CRC-32 of all that (4); numbers are
//! little-endian. First comes the manifest, as JSON; then of each episode its seed, its seat where there are several, its
//! steps by the thousand, deflated, and its outcome; last, how many episodes there are. A file that is cut short is
//! readable up to there.
//!
//! On request a recording also stores the policy's outputs before every N-th step: the state value as `f32`, and a
//! number per action in 8 bits, in 254 steps from the lowest to the highest of its row. A number is off by a 508th of
//! that range at most, so that the precision within a row does not depend on how large the values are.
//!
//! On request it stores the picture after every step too, with its reward, frames and end: that shows games where they
//! cannot be replayed, but cannot be verified.

mod chunk;
mod outputs;
mod pictures;
mod read;
mod seen;
mod write;

use std::collections::BTreeMap;

use rl_core::{End, Spec};
use serde::{Deserialize, Serialize};

use crate::Outputs;

pub use outputs::Output;
pub use pictures::{Group, PIXELS, Pictures, Projector, Reel, Told};
pub use read::{Differs, RecordedEpisode, Recording, Replayed, begins};
pub use seen::seen;
pub use write::Recorder;

/// Newest version of the file format; version 2 may hold outputs, version 3 pictures too, version 4 games of several
/// seats.
pub const VERSION: u32 = 4;

/// Returns the version in which games of worlds of `seats` seats are written: the oldest one that holds them with
/// outputs and pictures.
pub fn version(seats: u32) -> u32 {
    if seats > 1 { VERSION } else { 3 }
}

/// The oldest version of the file format that is still read.
const OLDEST: u32 = 1;

/// Steps per chunk of a file, at most.
const STEPS: usize = 1024;

/// Largest memory, in bytes, for all steps of a recording. No more is written, and a file that needs more is taken for
/// malicious: a hundred half-hour games with outputs at every step need a third of this.
pub const MOST: usize = 1 << 29;

/// Memory, in bytes, that a reader needs for this many steps with their actions and outputs, `numbers` of both together,
/// and for what stands beside their pictures.
pub fn memory(steps: usize, numbers: usize, pictures: usize) -> usize {
    4 * (numbers + 8 * pictures) + steps
}

/// Largest number of discrete and continuous actions of all seats per step, and of outputs per step beside the state value.
pub const WIDTH: usize = 256;

/// Header of a recording: the environment with its configuration, and who played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the file format.
    pub version: u32,
    /// Full name of the environment.
    pub env: String,
    /// Version of the environment's dynamics.
    pub env_version: u32,
    /// The `[env]` table of the environment, as TOML.
    pub config: String,
    /// Hashes of the files that the environment needs, by name.
    pub assets: BTreeMap<String, String>,
    /// Number of seats that share a world, at least 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub seats: u32,
    /// Cardinality of each discrete action, `[seats, discrete]`: a step holds the actions of all seats.
    pub discrete: Vec<u32>,
    /// Number of continuous actions, of all seats.
    pub continuous: usize,
    /// Who chose the actions.
    pub player: Player,
    /// Which policy outputs are stored; `None` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<OutputSampling>,
    /// How to show the stored pictures; `None` where none are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Pictures>,
    /// The program that wrote the file.
    pub made_by: String,
}

/// Which policy outputs a recording stores, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSampling {
    /// Kind of the numbers per action.
    pub kind: Outputs,
    /// Agent steps from one stored output to the next, at least 1; the first is that before step 0 of each episode.
    pub every: u32,
}

impl Manifest {
    /// Why the manifest is invalid; `None` if it can be written and read.
    fn wrong(&self) -> Option<&'static str> {
        if self.words().any(|words| words.contains(char::is_control)) {
            return Some("words with control characters");
        }
        if self.discrete.len().saturating_add(self.continuous) > WIDTH || self.discrete.contains(&0) {
            return Some("actions that no environment has");
        }
        let seats = self.seats as usize;
        let whole = (1..=WIDTH).contains(&seats)
            && self.discrete.len().is_multiple_of(seats)
            && self.continuous.is_multiple_of(seats);
        if !whole || (seats > 1 && self.version < VERSION) {
            return Some("seats that share no world");
        }
        let each = self.discrete.len() / seats;
        if (each..self.discrete.len()).any(|action| self.discrete[action] != self.discrete[action - each]) {
            return Some("seats of different actions");
        }
        if let Some(OutputSampling { every, .. }) = self.outputs {
            let actions = self.discrete.iter().map(|&cardinality| u64::from(cardinality)).sum::<u64>();
            if every == 0 || actions > WIDTH as u64 || self.version < 2 || seats > 1 {
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

    /// All strings of the manifest that may be shown on a terminal.
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

    /// Whether the actions are those of an environment of which each seat has the spec `spec`.
    pub fn is_of(&self, spec: &Spec) -> bool {
        let seats = self.seats as usize;
        let alike = self.discrete.iter().zip(spec.discrete.iter().cycle()).all(|(here, there)| here == there);
        alike && self.discrete.len() == spec.discrete.len() * seats && self.continuous == spec.continuous.len() * seats
    }

    /// Numbers per output beside the state value, `A`: one per value of each discrete action.
    pub fn actions(&self) -> usize {
        self.discrete.iter().fold(0, |sum: usize, &cardinality| sum.saturating_add(cardinality as usize))
    }
}

fn one() -> u32 {
    1
}

fn is_one(seats: &u32) -> bool {
    *seats == 1
}

/// Who chose the actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Player {
    /// A trained agent with fixed weights.
    Agent {
        /// Name of the agent.
        agent: String,
        /// Emulator frames that the agent was trained for.
        frames: u64,
        /// SHA-256 of the weights.
        weights_sha256: String,
        /// How actions were chosen: `greedy` or `sampled`, and ε.
        policy: String,
        /// Seed of the episodes and of the policy's random numbers.
        seed: u64,
    },
    /// An agent during its training.
    Learner {
        /// Name of the agent.
        agent: String,
        /// Emulator frames of the training when the episode had ended.
        frames: u64,
        /// Seed of the run.
        seed: u64,
    },
    /// Uniformly random actions, drawn from a seed.
    Random {
        /// Seed of the random numbers.
        seed: u64,
    },
    /// A person.
    Human {},
}

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Return of the episode: the undiscounted sum of raw rewards.
    pub ret: f64,
    /// Emulator frames of the episode.
    pub frames: u64,
    /// How the last step ended: `Truncated` or `Terminated`.
    pub end: End,
}

/// Why a recording cannot be read, or a picture not be stored.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file is not a recording.
    #[error("is not a recording")]
    Foreign,
    /// The recording has a version of the format that is not supported.
    #[error("is a recording of version {0}, this rl-run reads versions {OLDEST} to {VERSION}")]
    Version(u32),
    /// The file is damaged, or was made by something else.
    #[error("is damaged at byte {at}: {what}")]
    Damaged {
        /// Byte at which the damaged chunk begins.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A picture is too large to be stored.
    #[error(
        "a picture of {width} x {height} pixels is larger than those that recordings keep: {PIXELS} pixels at most"
    )]
    Large {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
