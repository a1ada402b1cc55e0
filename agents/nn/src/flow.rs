//! Inference on the CPU without a graph: values go from layer to layer in two buffers that are reused.
//!
//! A graph costs a CartPole act several times what its multiplications do. The kernels and their order are those of the
//! layers' own operations, so that the results have the bits of `forward`.

use candle_core::Result;

use crate::affine::Images;
use crate::chain::Layer;
use crate::params::with_values;
use crate::pool::pool_max;
use crate::{Chain, Linear, Recurrent, Residual, Tail, Window};

/// Activations of a batch on the CPU that layers transform one after the other, without candle's graph and gradients.
/// The values have the bits of the layers' `forward`, and the buffers are reused from batch to batch.
#[doc(alias = "no_grad")]
#[derive(Clone, Debug, Default)]
pub struct HostForward {
    now: Vec<f32>,
    next: Vec<f32>,
    /// Scratch memory of a block of layers.
    rooms: [Vec<f32>; 2],
    /// Whether an odd number of layers has been passed.
    odd: bool,
}

impl HostForward {
    /// Clears the values and returns their buffer, for the caller to fill with a batch of inputs, row by row.
    pub fn begin(&mut self) -> &mut Vec<f32> {
        if self.odd {
            self.swap(); // a layer always finds the memory that it used before
        }
        self.now.clear();
        &mut self.now
    }

    /// Begins a batch with images `u8 [B, H, W, C]`, scaled to `[0, 1]`, and runs all layers of `chain` on them.
    ///
    /// # Errors
    /// If the layers are not on the CPU, or the first one is a layer norm.
    ///
    /// # Panics
    /// If the chain has no layers, or the bytes are not images of the first one's input.
    pub fn begin_with_bytes(&mut self, chain: &Chain, images: &[u8]) -> Result<()> {
        self.begin();
        let [first, rest @ ..] = chain.layers() else { panic!("no layer takes the bytes") };
        first.run(Images::Bytes(images), &mut self.next)?;
        self.swap();
        rest.iter().try_for_each(|layer| self.pass(layer))
    }

    /// Current values: the output of the last layer, or the inputs of the batch, row-major.
    pub fn values(&self) -> &[f32] {
        &self.now
    }

    /// Current values, as [`values`](Self::values) returns them, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.now
    }

    /// Runs a linear layer: `[B, inputs]` to `[B, outputs]`.
    ///
    /// # Errors
    /// If the layer is not on the CPU.
    ///
    /// # Panics
    /// If the values are not rows of the layer's inputs.
    pub fn linear(&mut self, layer: &Linear) -> Result<()> {
        layer.affine().run(Images::Floats(&self.now), &mut self.next)?;
        self.swap();
        Ok(())
    }

    /// Runs all layers of a chain: a batch of the first layer's inputs to a batch of the last layer's outputs.
    ///
    /// # Errors
    /// If the layers are not on the CPU.
    ///
    /// # Panics
    /// If the values are not inputs of the first layer.
    pub fn chain(&mut self, chain: &Chain) -> Result<()> {
        chain.layers().iter().try_for_each(|layer| self.pass(layer))
    }

    /// Appends the trainable values of a [`Tail`] to every row: `[B, inputs]` to `[B, inputs + width]`.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If the values are not rows of `inputs`.
    pub fn tail(&mut self, inputs: usize, tail: &Tail) -> Result<()> {
        with_values(tail.values(), |values| self.join(inputs, values.len(), |_, out| out.copy_from_slice(values)))
    }

    /// Runs a residual block on images `[B, H, W, C]`, whose shape stays.
    ///
    /// # Errors
    /// If the block is not on the CPU.
    ///
    /// # Panics
    /// If the values are not images of the block's shape.
    pub fn residual(&mut self, block: &Residual) -> Result<()> {
        let [bent, between] = &mut self.rooms;
        block.run(&self.now, bent, between, &mut self.next)?;
        self.swap();
        Ok(())
    }

    /// Max pooling of images of `shape`, `[H, W, C]`, with the values of [`max_pool`](crate::max_pool).
    ///
    /// # Errors
    /// If the window does not fit the image, or its padding is more than half of the kernel.
    ///
    /// # Panics
    /// If the values are not images of this shape.
    pub fn max_pool(&mut self, shape: [usize; 3], window: Window) -> Result<()> {
        pool_max(&self.now, shape, window, &mut self.next)?;
        self.swap();
        Ok(())
    }

    /// Runs one step of a recurrent layer, `[B, inputs]` to `[B, units]`, and updates its states in place. The layer's
    /// state is the part of each row of `states [B, width]` that begins at column `at`,
    /// [`state_width`](Recurrent::state_width) columns wide.
    ///
    /// # Errors
    /// If the layer is not on the CPU.
    ///
    /// # Panics
    /// If the values are not a row of the layer's inputs for each row of `states`.
    pub fn recurrent(&mut self, layer: &Recurrent, states: &mut [f32], width: usize, at: usize) -> Result<()> {
        layer.step(&self.now, states, width, at, &mut self.next)?;
        self.swap();
        Ok(())
    }

    fn pass(&mut self, layer: &Layer) -> Result<()> {
        layer.run(Images::Floats(&self.now), &mut self.next)?;
        self.swap();
        Ok(())
    }

    /// Appends `more` columns to every row: `[B, width]` to `[B, width + more]`. `fill(row, columns)` writes the new
    /// columns of a row over zeros.
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
