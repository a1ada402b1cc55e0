//! The operation of linear and convolutional layers on the CPU: weights, bias and activation at once, own backward.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};

use crate::kernel::{self, Patches, Pixel, Workspace};
use crate::params::{Sink, values, with_values};

/// `activation(patches(x) · w + b)`; its arguments are `x`, of floats or of bytes that
/// go from 0 to 1, `w [depth, n]` and `b [n]`.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub patches: Arc<Patches>,
    pub relu: bool,
    /// Shape of one image of the output.
    pub output: Vec<usize>,
    pub sink: Sink,
    /// Place of the weight in the sink; the bias follows it.
    pub at: usize,
}

impl Affine {
    /// The forward pass alone, on the host: `out` is replaced and keeps its memory.
    pub(crate) fn run<P: Pixel>(&self, x: &[P], w: &Tensor, b: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        if !w.device().is_cpu() {
            bail!("a layer on another device has no values on the host");
        }
        let images = x.len() / self.patches.input;
        assert_eq!(x.len(), images * self.patches.input, "inputs of {} values each", self.patches.input);
        let len = images * self.patches.pixels() * b.elem_count();
        out.truncate(len); // the kernel writes every element: nothing is cleared that need not be
        out.resize(len, 0.0);
        with_values(w, |w| with_values(b, |b| kernel::forward(&self.patches, x, w, b, self.relu, out)))?
    }
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (w, b) = (values(w, w_layout)?, values(b, b_layout)?);
        let images = x_layout.dims()[0];
        let mut out = vec![0.0; images * self.patches.pixels() * b.len()];
        match x {
            CpuStorage::U8(x) => kernel::forward(&self.patches, part(x, x_layout)?, w, b, self.relu, &mut out),
            x => kernel::forward(&self.patches, values(x, x_layout)?, w, b, self.relu, &mut out),
        }
        let mut shape = vec![images];
        shape.extend(&self.output);
        Ok((CpuStorage::F32(out), shape.into()))
    }

    /// Gradients of weight and bias go to the sink while [`Params::backward`](crate::Params::backward) holds it open,
    /// else to candle's store; the input's is computed only where something below needs it.
    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let mut room = Workspace::new();
        with_values(&g, |g| {
            if !self.relu {
                return self.gradients(x, w, b, g);
            }
            let masked = room.sized(g.len());
            with_values(y, |y| kernel::mask(g, y, masked))?;
            self.gradients(x, w, b, masked)
        })?
    }
}

impl Affine {
    /// The gradients, given that of the sum, `g [rows, n]`.
    fn gradients(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        g: &[f32],
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let n = b.elem_count();
        let accumulate = |into: &mut [f32]| {
            let (dw, db) = into.split_at_mut(w.elem_count());
            kernel::bias_gradient(g, db);
            let (storage, layout) = x.storage_and_layout();
            match &*storage {
                Storage::Cpu(CpuStorage::U8(x)) => {
                    kernel::weight_gradient(&self.patches, part(x, layout)?, g, n, dw);
                }
                Storage::Cpu(x) => kernel::weight_gradient(&self.patches, values(x, layout)?, g, n, dw),
                _ => unreachable!("the device is the CPU"),
            }
            Ok::<_, candle_core::Error>(())
        };
        let mut sink = self.sink.lock().expect("no layer panics with it");
        let (dw, db) = if sink.is_empty() {
            let mut own = vec![0.0; w.elem_count() + n];
            accumulate(&mut own)?;
            let db = own.split_off(w.elem_count());
            (Some(Tensor::from_vec(own, w.dims(), w.device())?), Some(Tensor::from_vec(db, n, b.device())?))
        } else {
            accumulate(&mut sink[self.at..][..w.elem_count() + n])?;
            (None, None)
        };
        let dx = if x.track_op() {
            let dx = with_values(w, |w| kernel::input_gradient(&self.patches, w, g, n))?;
            Some(Tensor::from_vec(dx, x.dims(), x.device())?)
        } else {
            None
        };
        Ok((dx, dw, db))
    }
}

/// The contiguous bytes of a storage.
fn part<'a>(all: &'a [u8], layout: &Layout) -> Result<&'a [u8]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&all[from..to]),
        None => bail!("expected contiguous bytes, got {layout:?}"),
    }
}
