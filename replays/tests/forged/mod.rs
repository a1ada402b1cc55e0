//! Recordings that nobody would write.

use rl_replays::recording::Manifest;

use crate::seal::seal;

/// The same recording with another manifest.
pub(crate) fn under(bytes: &[u8], manifest: &Manifest) -> Vec<u8> {
    let (manifest, head) = (serde_json::to_vec(manifest).unwrap(), &bytes[8..17]);
    let length = u32::from_le_bytes([head[5], head[6], head[7], head[8]]) as usize;
    let mut forged = bytes[..13].to_vec();
    forged.extend((manifest.len() as u32).to_le_bytes());
    forged.extend(manifest);
    forged.extend(&bytes[17 + length..]);
    seal(&mut forged);
    forged
}
