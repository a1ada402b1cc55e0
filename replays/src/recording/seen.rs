//! What a step showed, as a number: equal where everything that a player could see is equal.

use sha2::{Digest, Sha256};

use crate::Rollout;

/// CRC-32 of row `t` of seat `e`: observation, reward, end and frames, to the bit.
pub fn seen(block: &Rollout, t: usize, e: usize) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(block.frame_at(t, e));
    hash.update(block.legal.at(t, e));
    block.vector.at(t, e).iter().for_each(|value| hash.update(&value.to_bits().to_le_bytes()));
    block.symbols.at(t, e).iter().for_each(|value| hash.update(&value.to_le_bytes()));
    hash.update(&block.reward[(t, e)].to_bits().to_le_bytes());
    hash.update(&[block.end[(t, e)] as u8]);
    hash.update(&block.frames[(t, e)].to_le_bytes());
    hash.finalize()
}

/// A hash of everything that was seen since the episode began.
#[derive(Clone, Debug)]
pub(super) struct History(Sha256);

impl History {
    pub(super) fn begin(seed: u64) -> Self {
        Self(Sha256::new_with_prefix(seed.to_le_bytes()))
    }

    pub(super) fn push(&mut self, seen: u32) {
        self.0.update(seen.to_le_bytes());
    }

    pub(super) fn hash(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(digest[..8].try_into().expect("eight of 32 bytes"))
    }
}
