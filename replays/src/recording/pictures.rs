//! Pictures of an episode, for viewers that cannot replay it: the one of its beginning, and one after every step.
//!
//! Pictures are stored in groups, each a chunk that is read without the others: the number of pictures (2 bytes), then
//! deflated for every picture its sides, and the reward, the frames and the end of the step before it; the colours,
//! where 256 suffice; and for every picture the runs of pixels that differ from the picture before. The first picture
//! of a group, and one of another size, is compared with black.

mod projector;
mod reel;

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use rl_core::End;
use serde::{Deserialize, Serialize};

use crate::Rollout;

pub use projector::Projector;
pub use reel::Reel;

/// Largest number of pixels of a picture: 1920 × 1080 pixels fit.
pub const PIXELS: usize = 1 << 21;

/// Largest number of pictures in a group.
const GROUP: usize = 256;

/// Bytes before compression from which on a group is full and gets no further picture.
const FULL: usize = 1 << 20;

/// Largest size of a group in bytes before compression: a nearly full one, and a picture that changed everywhere.
const BODY: usize = 10 << 20;

/// Bytes of the data beside each picture: sides, reward, frames and end.
const ROW: usize = 2 + 2 + 4 + 4 + 1;

/// How to show the pictures of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// Speed at which people watch, in emulator frames per second; positive and finite.
    pub frame_rate: f64,
    /// Names of the values of the only discrete action; empty where they have no names.
    pub action_names: Vec<String>,
    /// Whether they show more than agents saw; see [`VecEnv::watch`](rl_core::VecEnv::watch).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watched: bool,
}

/// Reward, frames and end of a step, stored beside its picture; zeros beside the picture of the episode's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// Raw reward with the shaping reward, as in [`Rollout::reward`].
    pub reward: f32,
    /// Emulator frames of the step.
    pub frames: u32,
    /// Whether and how the step ended the episode.
    pub end: End,
}

impl Told {
    /// Takes the numbers of seat `e` from row `t` of a block.
    pub fn of(block: &Rollout, t: usize, e: usize) -> Self {
        Self { reward: block.reward[(t, e)], frames: block.frames[(t, e)], end: block.end[(t, e)] }
    }
}

/// A group of consecutive pictures, compressed: a [`Reel`] makes it, a [`Projector`] shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Number of pictures in the group.
    pub count: usize,
    /// Number of pictures of the episode before the group.
    first: usize,
    /// Content of the chunk in the file.
    pub(super) content: Vec<u8>,
    /// Byte of the file at which the chunk begins; 0 for a group that was not read from a file.
    at: u64,
}

/// Width and height of a picture in pixels.
type Size = (usize, usize);

/// The pictures of an episode that were read, group by group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Groups {
    groups: Vec<Group>,
    sizes: Vec<Size>,
    /// Reward, frames and end beside each picture, `[pictures]`.
    pub(super) told: Vec<Told>,
}

impl Groups {
    /// Appends a group from the content of a chunk that began at byte `at`; `None` if the content is not valid.
    ///
    /// The data beside the pictures is unpacked at once, the pixels only when they are shown.
    pub(super) fn push(&mut self, content: Vec<u8>, at: u64) -> Option<()> {
        let (count, deflated) = content.split_first_chunk()?;
        let count = usize::from(u16::from_le_bytes(*count));
        if count == 0 || count > GROUP {
            return None;
        }
        let mut bytes = vec![0; count * ROW];
        DeflateDecoder::new(deflated).read_exact(&mut bytes).ok()?;
        let mut rest = &bytes[..];
        let mut column = |width: usize| rest.split_off(..count * width);
        let sides = [column(2)?, column(2)?].map(|bytes| bytes.as_chunks::<2>().0);
        let numbers = [column(4)?, column(4)?].map(|bytes| bytes.as_chunks::<4>().0);
        for (n, &end) in rest.iter().enumerate() {
            let [width, height] = sides.map(|column| usize::from(u16::from_le_bytes(column[n])));
            let [reward, frames] = numbers.map(|column| u32::from_le_bytes(column[n]));
            let end = End::of_number(end.into())?;
            if width * height > PIXELS {
                return None;
            }
            self.sizes.push((width, height));
            self.told.push(Told { reward: f32::from_bits(reward), frames, end });
        }
        let first = self.sizes.len() - count;
        self.groups.push(Group { count, first, content, at });
        Some(())
    }

    /// Number of pictures in all groups.
    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }
}
