//! Checksums of the results of steps, by which a replay is verified.

use sha2::{Digest, Sha256};

use crate::Rollout;

/// CRC-32 of the observation, reward, end and frames of seat `e` in row `t`, bit for bit.
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

/// Running SHA-256 of the seed and the checksums of all steps of an episode so far.
#[derive(Clone, Debug)]
pub(super) struct History(Sha256);

impl History {
    /// Begins an episode.
    pub(super) fn begin(seed: u64) -> Self {
        Self(Sha256::new_with_prefix(seed.to_le_bytes()))
    }

    /// Adds the checksum of the next step.
    pub(super) fn push(&mut self, seen: u32) {
        self.0.update(seen.to_le_bytes());
    }

    /// First 64 bits of the hash so far.
    pub(super) fn hash(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(digest[..8].try_into().expect("eight of 32 bytes"))
    }
}
