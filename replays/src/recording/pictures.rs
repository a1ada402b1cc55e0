//! Pictures of an episode, for whoever cannot play it again: that of its beginning, and one after every step.
//!
//! They come in groups, each a chunk that is read without the others: how many (2 bytes), then deflated of every picture its
//! sides, and the reward, the frames and the end of the step before it; the colours, where 256 suffice; and of every picture
//! the runs of pixels that are not as in the one before. What precedes the first picture of a group, or one of another size,
//! is black.

mod projector;
mod reel;

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use rl_core::End;
use serde::{Deserialize, Serialize};

use crate::Rollout;

pub use projector::Projector;
pub use reel::Reel;

/// Pixels of a picture, at most: those of 1920 × 1080.
pub const PIXELS: usize = 1 << 21;

/// Pictures of a group, at most.
const GROUP: usize = 256;

/// Bytes of a group after which no picture is added to it, before it is deflated.
const FULL: usize = 1 << 20;

/// Bytes of a group before it is deflated, at most: one that was nearly full and a picture of which everything changed.
const BODY: usize = 10 << 20;

/// Bytes of what is said of a picture.
const ROW: usize = 2 + 2 + 4 + 4 + 1;

/// What people need to watch pictures, and only the environment could say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// Frames per second at which people watch it.
    pub frame_rate: f64,
    /// What the values of its one discrete action do; empty where they have no names.
    pub action_names: Vec<String>,
}

/// What a step came to; before the first one, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// What it earned, as [`Rollout::reward`] has it.
    pub reward: f32,
    /// Emulator frames that passed.
    pub frames: u32,
    /// What it did to the episode.
    pub end: End,
}

impl Told {
    /// That of row `t` of seat `e`.
    pub fn of(block: &Rollout, t: usize, e: usize) -> Self {
        Self { reward: block.reward[(t, e)], frames: block.frames[(t, e)], end: block.end[(t, e)] }
    }
}

/// Consecutive pictures, packed: a [`Reel`] makes them, a [`Projector`] shows them.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// How many there are.
    pub(super) count: usize,
    /// How many of the episode are before them.
    first: usize,
    /// As it is in a file.
    pub(super) content: Vec<u8>,
    /// Where that begins.
    at: u64,
}

/// Size of a picture.
type Size = (usize, usize);

/// The pictures of an episode that were read, group by group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Groups {
    groups: Vec<Group>,
    sizes: Vec<Size>,
    pub(super) told: Vec<Told>,
}

impl Groups {
    /// Takes the content of the next chunk, which began at byte `at`; `None` if it is something else. What it says of its
    /// pictures is read at once, and they when they are shown.
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

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }
}
