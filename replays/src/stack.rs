//! Frame stacking: makes the stack that a policy sees of single frames, for rollouts and for the replay.

use rl_core::Spec;

/// Writes a frame stack `[H, W, stack·C]` to `out`, oldest frame first; `frame(back)` is `back` rows before the last.
///
/// `age` is the number of steps from the reset to the newest frame: rows before the reset are padded with the first
/// frame of the episode, so that a stack never spans two episodes.
pub(crate) fn gather<'a>(stack: usize, channels: usize, age: u32, frame: impl Fn(usize) -> &'a [u8], out: &mut [u8]) {
    if (stack, channels) == (4, 1) {
        return interleave([4, 3, 2, 1].map(|s| frame(history(s, age))), out);
    }
    for s in 0..stack {
        let from = frame(history(stack - s, age));
        for (pixel, from) in out.chunks_exact_mut(stack * channels).zip(from.chunks_exact(channels)) {
            pixel[s * channels..(s + 1) * channels].copy_from_slice(from);
        }
    }
}

/// Rows before the newest that a frame stack needs at most.
pub(crate) fn most(spec: &Spec) -> usize {
    spec.stack - 1
}

/// Rows from the oldest of the last `stack` frames to the newest one, which is `age` steps after the reset.
pub(crate) fn history(stack: usize, age: u32) -> usize {
    (stack - 1).min(age as usize)
}

/// Single-channel frames in one pass that the compiler vectorises: what nearly every pixel agent asks for.
fn interleave<const S: usize>(frames: [&[u8]; S], out: &mut [u8]) {
    let pixels = out.as_chunks_mut::<S>().0;
    let frames = frames.map(|frame| &frame[..pixels.len()]);
    for (i, pixel) in pixels.iter_mut().enumerate() {
        *pixel = std::array::from_fn(|s| frames[s][i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte `b` of the frame `back` rows before is `10·back + b`.
    fn stacked(stack: usize, channels: usize, age: u32) -> Vec<u8> {
        let frames: Vec<Vec<u8>> =
            (0..4).map(|back| (0..2 * channels as u8).map(|b| 10 * back + b).collect()).collect();
        let mut out = vec![99; 2 * channels * stack];
        gather(stack, channels, age, |back| &frames[back], &mut out);
        out
    }

    #[test]
    fn the_oldest_frame_comes_first() {
        assert_eq!(stacked(4, 1, 9), [30, 20, 10, 0, 31, 21, 11, 1]);
        assert_eq!(stacked(3, 1, 2), [20, 10, 0, 21, 11, 1]);
        assert_eq!(stacked(2, 2, 5), [10, 11, 0, 1, 12, 13, 2, 3]);
    }

    #[test]
    fn the_first_frame_of_the_episode_pads() {
        assert_eq!(stacked(4, 1, 1), [10, 10, 10, 0, 11, 11, 11, 1]);
        assert_eq!(stacked(3, 1, 0), [0, 0, 0, 1, 1, 1]);
    }
}
