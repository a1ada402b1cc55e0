//! Geometry of a layer's inputs: where each output row finds its inputs, and how images are laid out for that.
//!
//! A patch of an image `[H, W, C]` is a few contiguous runs of memory, one per row of the window. Around an image that
//! is padded, and for pixels that are bytes, a copy is made first, image by image, so that kernels see plain floats.

use super::isa::vectorised;
use super::workspace::Workspace;
use crate::Window;

/// Inputs of a convolution that a tile sums before it goes to memory: 256 of them by 16 columns are half of the first
/// level of cache.
const DEPTH: usize = 256;
/// Inputs of a linear layer that a tile sums before it goes to memory, where all columns of a block of weights are
/// packed at a time.
const DEPTH_ROWS: usize = 128;

/// Geometry of a linear or convolutional layer: the inputs of every output row, as offsets into an image (an implicit
/// im2col).
#[derive(Clone, Debug)]
pub struct Patches {
    /// Elements of one image without padding.
    pub(crate) input: usize,
    /// Elements of one image with its padding.
    pub(crate) image: usize,
    /// Start of each output pixel's patch in its padded image.
    pub(crate) starts: Vec<usize>,
    /// Offset of each run in a patch.
    pub(crate) runs: Vec<usize>,
    /// Elements of a run.
    pub(crate) run: usize,
    /// Runs of a window cut into blocks of inputs that are summed at a time; empty for whole rows, which have
    /// [`row_blocks`].
    pub(crate) blocks: Vec<Vec<Segment>>,
    padding: Option<Padding>,
}

/// Part of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// First element, counted from the start of the patch.
    pub offset: usize,
    pub len: usize,
}

/// Zeros around an image; all lengths are in elements.
#[derive(Clone, Copy, Debug)]
struct Padding {
    /// Length of a row without padding.
    row: usize,
    /// Length of a row with padding.
    padded: usize,
    /// Zeros before the first element.
    first: usize,
}

impl Patches {
    /// Geometry of a linear layer: an output row sees a whole row of `width` inputs.
    pub fn rows(width: usize) -> Self {
        let (starts, runs) = (vec![0], vec![0]);
        Self { input: width, image: width, starts, blocks: Vec::new(), runs, run: width, padding: None }
    }

    /// Geometry of a convolution on images `[height, width, channels]`: an output pixel sees the patch under the
    /// window.
    ///
    /// # Panics
    /// If the window does not fit.
    pub fn window([height, width, channels]: [usize; 3], window: Window) -> Self {
        let [down, across] = window.output([height, width]).expect("the window fits the image");
        let ([above, left], [stride_y, stride_x]) = (window.padding, window.stride);
        let padded = (width + 2 * left) * channels;
        let pixels = (0..down).flat_map(|y| (0..across).map(move |x| (y, x)));
        let starts = pixels.map(|(y, x)| y * stride_y * padded + x * stride_x * channels).collect();
        let runs: Vec<usize> = (0..window.kernel[0]).map(|y| y * padded).collect();
        let run = window.kernel[1] * channels;
        let first = above * padded + left * channels;
        Self {
            input: height * width * channels,
            image: (height + 2 * above) * padded,
            starts,
            blocks: blocks(&runs, run, DEPTH),
            runs,
            run,
            padding: (first > 0).then_some(Padding { row: width * channels, padded, first }),
        }
    }

    /// Inputs of an output row: the rows of the weight matrix, `kernel_h · kernel_w · channels` of a convolution.
    pub fn depth(&self) -> usize {
        self.runs.len() * self.run
    }

    /// Output rows of an image: `H' · W'` of a convolution, 1 of a linear layer.
    pub fn pixels(&self) -> usize {
        self.starts.len()
    }

    /// Whether an image is one row, and its output too.
    pub(crate) fn is_rows(&self) -> bool {
        self.starts.len() == 1 && self.runs.len() == 1 && self.padding.is_none() && self.run == self.image
    }

    /// Whether zeros surround an image.
    pub(crate) fn is_padded(&self) -> bool {
        self.padding.is_some()
    }

    /// Images of floats with their padding, `[images, image]`. Rows of floats are returned as they are; all else is
    /// copied to `room`, where the cache holds an image while its patches are read again and again.
    pub(crate) fn images<'a, P: Pixel>(&self, x: &'a [P], room: &'a mut Workspace) -> &'a [f32] {
        if let (true, Some(x)) = (self.is_rows(), P::floats(x)) {
            return x;
        }
        let room = room.sized(x.len() / self.input * self.image);
        self.lay(x, room, P::float);
        room
    }

    /// Copies images to `out` with their padding, `[images, image]`, each value converted by `of`.
    pub(crate) fn lay<P: Pixel, T: Copy + Default>(&self, x: &[P], out: &mut [T], of: impl Fn(P) -> T) {
        vectorised(
            #[inline(always)]
            || {
                let Some(Padding { row, padded, first }) = self.padding else { return copy(x, out, &of) };
                for (x, image) in x.chunks_exact(self.input).zip(out.chunks_exact_mut(self.image)) {
                    let (before, inner) = image.split_at_mut(first);
                    before.fill(T::default());
                    let mut rows = x.chunks_exact(row);
                    for into in inner.chunks_mut(padded) {
                        let held = rows.next().map_or(0, |x| {
                            copy(x, &mut into[..row], &of);
                            row
                        });
                        into[held..].fill(T::default());
                    }
                }
            },
        );
    }

    /// Copies one padded image `from` to `into` without its padding.
    pub(crate) fn crop(&self, from: &[f32], into: &mut [f32]) {
        let Some(Padding { row, padded, first }) = self.padding else {
            return into.copy_from_slice(from);
        };
        for (from, into) in from[first..].chunks(padded).zip(into.chunks_exact_mut(row)) {
            into.copy_from_slice(&from[..row]);
        }
    }
}

/// Copies values, each converted by `of`.
#[inline(always)]
fn copy<P: Copy, T>(x: &[P], out: &mut [T], of: &impl Fn(P) -> T) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out = of(*x));
}

/// Blocks of inputs in a whole row of `width`, as equal as can be.
pub(crate) fn row_blocks(width: usize) -> impl Iterator<Item = Segment> {
    let size = width.div_ceil(width.div_ceil(DEPTH_ROWS).max(1)).max(1);
    (0..width).step_by(size).map(move |offset| Segment { offset, len: size.min(width - offset) })
}

/// Cuts runs into blocks of `most` inputs, as equal as can be.
fn blocks(runs: &[usize], run: usize, most: usize) -> Vec<Vec<Segment>> {
    let depth = runs.len() * run;
    let size = depth.div_ceil(depth.div_ceil(most).max(1));
    let (mut blocks, mut block, mut room) = (Vec::new(), Vec::new(), size);
    for start in runs {
        let mut done = 0;
        while done < run {
            let len = room.min(run - done);
            block.push(Segment { offset: start + done, len });
            (done, room) = (done + len, room - len);
            if room == 0 {
                blocks.push(std::mem::take(&mut block));
                room = size;
            }
        }
    }
    if !block.is_empty() {
        blocks.push(block);
    }
    blocks
}

/// Element type of the inputs: `f32`, or bytes that stand for numbers from 0 to 1.
pub trait Pixel: Copy + Send + Sync {
    /// Returns the values themselves if they are `f32`, else `None`.
    fn floats(x: &[Self]) -> Option<&[f32]>;

    /// Value as a float; a byte becomes its value over 255.
    fn float(self) -> f32;
}

impl Pixel for f32 {
    fn floats(x: &[Self]) -> Option<&[f32]> {
        Some(x)
    }

    #[inline(always)]
    fn float(self) -> f32 {
        self
    }
}

impl Pixel for u8 {
    fn floats(_: &[Self]) -> Option<&[f32]> {
        None
    }

    #[inline(always)]
    fn float(self) -> f32 {
        const SCALE: f32 = 1.0 / 255.0;
        let x = f32::from(self);
        let near = x * SCALE;
        near.mul_add(-255.0, x).mul_add(SCALE, near) // as division rounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_their_255th_to_the_bit() {
        assert!((0..=255).all(|byte: u8| byte.float() == f32::from(byte) / 255.0));
        let (bytes, mut room): (Vec<u8>, _) = ((0..=255).collect(), Workspace::new());
        let scaled = Patches::rows(256).images(&bytes, &mut room);
        assert!(bytes.iter().zip(scaled).all(|(byte, x)| *x == f32::from(*byte) / 255.0));
    }

    #[test]
    fn blocks_cover_every_input_in_order() {
        for (runs, run, most) in [(8, 32, 256), (3, 192, 256), (1, 3136, 128), (5, 7, 9)] {
            let runs: Vec<usize> = (0..runs).map(|y| y * 1000).collect();
            let blocks = blocks(&runs, run, most);
            assert!(blocks.iter().all(|block| block.iter().map(|s| s.len).sum::<usize>() <= most));
            let covered = blocks.iter().flatten().flat_map(|s| s.offset..s.offset + s.len);
            assert!(covered.eq(runs.iter().flat_map(|start| *start..start + run)));
        }
    }
}
