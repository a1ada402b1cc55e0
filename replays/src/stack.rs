//! How single frames become the stack that a policy sees: stated once, for blocks and for the replay.

/// Writes `[H, W, stack·C]`, oldest frame first, from the frame that is `back` rows before the newest, `frame(back)`.
///
/// `age` is the newest frame's steps since the reset: rows before it are padded with the first frame of the episode, so a
/// stack never spans two episodes.
pub(crate) fn gather<'a>(stack: usize, channels: usize, age: u32, frame: impl Fn(usize) -> &'a [u8], out: &mut [u8]) {
    for s in 0..stack {
        let from = frame(history(stack - s, age));
        for (pixel, from) in out.chunks_exact_mut(stack * channels).zip(from.chunks_exact(channels)) {
            pixel[s * channels..(s + 1) * channels].copy_from_slice(from);
        }
    }
}

/// How many rows before the newest the oldest of its last `stack` frames stands.
pub(crate) fn history(stack: usize, age: u32) -> usize {
    (stack - 1).min(age as usize)
}
