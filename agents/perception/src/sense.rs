//! Everything that is not pixels, as one row of numbers: features first, then each symbol one-hot.

use candle_core::{Device, Result, Tensor};
use rl_core::Spec;

use crate::Seen;

/// Widths of the lanes without pixels.
#[derive(Clone, Debug)]
pub(crate) struct Sense {
    vector: usize,
    symbols: Box<[u32]>,
}

impl Sense {
    pub(crate) fn new(spec: &Spec) -> Self {
        Self { vector: spec.vector, symbols: spec.symbols.clone() }
    }

    /// Numbers per row.
    pub(crate) fn width(&self) -> usize {
        self.vector + self.symbols.iter().map(|&n| n as usize).sum::<usize>()
    }

    /// `[B, width]`.
    pub(crate) fn rows(&self, obs: &Seen<'_>, device: &Device) -> Result<Tensor> {
        let width = self.width();
        if self.symbols.is_empty() {
            assert_eq!(obs.vector.len(), obs.rows * self.vector, "features of {} rows", obs.rows);
            return Tensor::from_slice(obs.vector, (obs.rows, width), device);
        }
        let mut out = Vec::new();
        self.extend(obs, &mut out);
        Tensor::from_vec(out, (obs.rows, width), device)
    }

    /// Appends `[B, width]`.
    pub(crate) fn extend(&self, obs: &Seen<'_>, out: &mut Vec<f32>) {
        let (from, width) = (out.len(), self.width());
        out.resize(from + obs.rows * width, 0.0);
        for (row, out) in out[from..].chunks_exact_mut(width).enumerate() {
            self.write(obs, row, out);
        }
    }

    /// Writes one row into zeros, `[width]`.
    pub(crate) fn write(&self, obs: &Seen<'_>, row: usize, out: &mut [f32]) {
        assert_eq!(obs.vector.len(), obs.rows * self.vector, "features of {} rows", obs.rows);
        assert_eq!(obs.symbols.len(), obs.rows * self.symbols.len(), "symbols of {} rows", obs.rows);
        out[..self.vector].copy_from_slice(&obs.vector[row * self.vector..][..self.vector]);
        let mut at = self.vector;
        for (&symbol, &count) in obs.symbols[row * self.symbols.len()..].iter().zip(&self.symbols) {
            assert!(symbol < count, "symbol {symbol} of {count}");
            out[at + symbol as usize] = 1.0;
            at += count as usize;
        }
    }
}
