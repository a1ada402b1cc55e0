//! A forward pass on the host without a graph: values go from layer to layer in two buffers that keep their memory.
//!
//! A graph costs a CartPole act several times what its multiplications do. The kernels and their order are those of the
//! layers' own operations, so the bits are too.

use candle_core::Result;

use crate::{Conv2d, Linear};

/// The values of a batch between two layers.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    now: Vec<f32>,
    next: Vec<f32>,
    /// Whether an odd number of layers has been passed.
    odd: bool,
}

impl Flow {
    /// An empty batch, to be filled.
    pub fn begin(&mut self) -> &mut Vec<f32> {
        if self.odd {
            self.swap(); // a layer always finds the memory that it used before
        }
        self.now.clear();
        &mut self.now
    }

    /// Begins with what `layer` makes of images of bytes, `[B, H, W, C]`, taken as numbers from 0 to 1.
    ///
    /// # Errors
    /// If the layer is not on the CPU.
    ///
    /// # Panics
    /// If the bytes are not images of the layer's input.
    pub fn begin_with_bytes(&mut self, layer: &Conv2d, images: &[u8]) -> Result<()> {
        self.begin();
        layer.run(images, &mut self.next)?;
        self.swap();
        Ok(())
    }

    /// The values as the last layer left them.
    pub fn values(&self) -> &[f32] {
        &self.now
    }

    /// `[B, inputs]` to `[B, outputs]`.
    ///
    /// # Errors
    /// If the layer is not on the CPU.
    ///
    /// # Panics
    /// If the values are not rows of the layer's inputs.
    pub fn linear(&mut self, layer: &Linear) -> Result<()> {
        layer.run(&self.now, &mut self.next)?;
        self.swap();
        Ok(())
    }

    /// `[B, H, W, C]` to `[B, H', W', channels]`.
    ///
    /// # Errors
    /// If the layer is not on the CPU.
    ///
    /// # Panics
    /// If the values are not images of the layer's input.
    pub fn conv2d(&mut self, layer: &Conv2d) -> Result<()> {
        layer.run(&self.now, &mut self.next)?;
        self.swap();
        Ok(())
    }

    /// Rows of `width` values become rows of `width + more`, the new ones written by `fill`, row by row.
    ///
    /// # Panics
    /// If the values are not rows of `width`.
    pub fn join(&mut self, width: usize, more: usize, mut fill: impl FnMut(usize, &mut [f32])) {
        let rows = self.now.len() / width;
        assert_eq!(self.now.len(), rows * width, "rows of {width} values");
        self.next.clear();
        for (row, values) in self.now.chunks_exact(width).enumerate() {
            self.next.extend_from_slice(values);
            let from = self.next.len();
            self.next.resize(from + more, 0.0);
            fill(row, &mut self.next[from..]);
        }
        self.swap();
    }

    fn swap(&mut self) {
        std::mem::swap(&mut self.now, &mut self.next);
        self.odd = !self.odd;
    }
}
