//! Layers with operands, for the tests of all kernels.

use rl_core::{Rng, Stream};

use super::Patches;
use crate::Window;

pub(super) fn draws(len: usize, rng: &mut Rng) -> Vec<f32> {
    (0..len).map(|_| rng.normal() as f32).collect()
}

/// A layer, the shape of its images and its window, with its operands.
pub(super) struct Case {
    pub patches: Patches,
    pub shape: [usize; 3],
    pub window: Window,
    pub n: usize,
    pub images: usize,
    pub x: Vec<f32>,
    pub w: Vec<f32>,
    pub bias: Vec<f32>,
    pub g: Vec<f32>,
}

impl Case {
    pub(super) fn new(shape: [usize; 3], window: Window, n: usize, images: usize) -> Self {
        let [height, width, channels] = shape;
        let patches = if height == 1 && width == 1 && window.padding == [0, 0] {
            Patches::rows(channels)
        } else {
            Patches::window(shape, window)
        };
        let mut rng = Rng::new(images as u64, Stream::Tool(n as u32));
        let (x, w) = (draws(images * patches.input, &mut rng), draws(patches.depth() * n, &mut rng));
        let (bias, g) = (draws(n, &mut rng), draws(images * patches.pixels() * n, &mut rng));
        Self { patches, shape, window, n, images, x, w, bias, g }
    }

    pub(super) fn rows(&self) -> usize {
        self.images * self.patches.pixels()
    }

    /// Place in `x` of input `k` of output row `row`; `None` where it is padding.
    pub(super) fn place(&self, row: usize, k: usize) -> Option<usize> {
        let ([height, width, channels], Window { kernel, stride, padding }) = (self.shape, self.window);
        let across = self.window.output([height, width])?[1];
        let (image, pixel) = (row / self.patches.pixels(), row % self.patches.pixels());
        let (tap, channel) = (k / channels, k % channels);
        let y = (pixel / across * stride[0] + tap / kernel[1]).checked_sub(padding[0]).filter(|y| *y < height)?;
        let x = (pixel % across * stride[1] + tap % kernel[1]).checked_sub(padding[1]).filter(|x| *x < width)?;
        Some(((image * height + y) * width + x) * channels + channel)
    }
}

pub(super) const SQUARE: fn(usize, usize) -> Window =
    |kernel, stride| Window { kernel: [kernel; 2], stride: [stride; 2], padding: [0; 2] };
