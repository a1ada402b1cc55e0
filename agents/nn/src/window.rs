//! Geometry of convolution and pooling: kernel, stride and padding.

/// Kernel size, stride and padding of a convolution or a pooling layer; every pair is `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Size of the kernel in pixels.
    pub kernel: [usize; 2],
    /// Distance in pixels between neighbouring windows.
    pub stride: [usize; 2],
    /// Pixels of padding on each side: above and below, left and right.
    pub padding: [usize; 2],
}

impl Window {
    /// Windows of `size × size` with a stride of `size` and no padding, so that they lie side by side.
    pub fn square(size: usize) -> Self {
        Self { kernel: [size; 2], stride: [size; 2], padding: [0; 2] }
    }

    /// Square window with so much padding that the output on images of `height × width` is `⌈size / stride⌉` along each
    /// axis, like the padding `SAME` of TensorFlow and JAX. Where that takes an odd number of pixels, TensorFlow puts
    /// the larger half behind the image, and this before it: the mirror image, of as many outputs. An even kernel with
    /// a stride of 1 alone has one output too many, as the padding is the same before and behind the image.
    ///
    /// # Panics
    /// If `stride` is 0.
    pub fn same(kernel: usize, stride: usize, [height, width]: [usize; 2]) -> Self {
        let along = |size: usize| {
            let covered = (size.div_ceil(stride).max(1) - 1) * stride + kernel;
            covered.saturating_sub(size).div_ceil(2)
        };
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [along(height), along(width)] }
    }

    /// Height and width of the output on an image of `height × width`, rounded down; `None` where the window does not
    /// fit or the stride is 0.
    pub fn output(&self, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let along = |size: usize, axis: usize| {
            let room = (size + 2 * self.padding[axis]).checked_sub(self.kernel[axis])?;
            (self.kernel[axis] > 0).then_some(room.checked_div(self.stride[axis])? + 1)
        };
        Some([along(height, 0)?, along(width, 1)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_padding_leaves_a_stride_of_the_image() {
        for (kernel, stride) in [(8, 4), (4, 2), (3, 1), (5, 1), (1, 1), (1, 2)] {
            for size in 1..100 {
                let window = Window::same(kernel, stride, [size, 2 * size]);
                let expected = [size.div_ceil(stride), (2 * size).div_ceil(stride)];
                assert_eq!(window.output([size, 2 * size]), Some(expected), "{window:?} on {size}");
            }
        }
        assert_eq!(
            Window::same(4, 1, [10, 10]).output([10, 10]),
            Some([11, 11]),
            "neither 1 nor 2 pixels around make 10"
        );
        // Dopamine's three convolutions of 84 × 84.
        let sides = [(8, 4, 84), (4, 2, 21), (3, 1, 11)].map(|(k, s, side)| Window::same(k, s, [side; 2]).padding[0]);
        assert_eq!(sides, [2, 2, 1]);
    }
}
