//! Where a convolution or a pooling layer looks.

/// A window that moves over images; every pair is `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Pixels that it covers.
    pub kernel: [usize; 2],
    /// Steps down and to the right.
    pub stride: [usize; 2],
    /// Pixels around the image: above and below, left and right.
    pub padding: [usize; 2],
}

impl Window {
    /// Windows of `size × size` side by side, without padding.
    pub fn square(size: usize) -> Self {
        Self { kernel: [size; 2], stride: [size; 2], padding: [0; 2] }
    }

    /// Height and width of the output on an image of `height × width`; `None` where the window does not fit.
    pub fn output(&self, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let along = |size: usize, axis: usize| {
            let room = (size + 2 * self.padding[axis]).checked_sub(self.kernel[axis])?;
            (self.kernel[axis] > 0).then_some(room.checked_div(self.stride[axis])? + 1)
        };
        Some([along(height, 0)?, along(width, 1)?])
    }
}
