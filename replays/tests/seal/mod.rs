//! Seals files again that were changed on purpose, so that what is behind their checksums is tried.

/// Gives the chunks of a recording the numbers and checksums that whoever forges one would.
pub(crate) fn seal(bytes: &mut [u8]) {
    let (mut at, mut number) = (8, 0u32);
    while let Some(head) = bytes.get(at..at + 9) {
        let end = at + 9 + u32::from_le_bytes([head[5], head[6], head[7], head[8]]) as usize;
        if bytes.len() < end + 4 {
            break;
        }
        bytes[at + 1..at + 5].copy_from_slice(&number.to_le_bytes());
        let crc = crc32fast::hash(&bytes[at..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_le_bytes());
        (at, number) = (end + 4, number + 1);
    }
}
