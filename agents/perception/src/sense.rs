//! Parts of an observation without pixels, as one row of numbers: features first, then each symbol one-hot.

use candle_core::{Device, Result, Tensor};
use rl_core::Spec;

use crate::ObsBatch;

/// Number of features, and number of values of each symbol.
#[derive(Clone, Debug)]
pub(crate) struct Sense {
    vector: usize,
    symbols: Box<[u32]>,
}

impl Sense {
    /// Sizes of the features and symbols of `spec`.
    pub(crate) fn new(spec: &Spec) -> Self {
        Self { vector: spec.vector, symbols: spec.symbols.clone() }
    }

    /// Number of values in a row: features, and one per value of each symbol.
    pub(crate) fn width(&self) -> usize {
        self.vector + self.symbols.iter().map(|&n| n as usize).sum::<usize>()
    }

    /// Rows of a batch as a tensor, `[B, width]`.
    pub(crate) fn rows(&self, obs: &ObsBatch<'_>, device: &Device) -> Result<Tensor> {
        let width = self.width();
        if self.symbols.is_empty() {
            assert_eq!(obs.vector.len(), obs.rows * self.vector, "features of {} rows", obs.rows);
            return Tensor::from_slice(obs.vector, (obs.rows, width), device);
        }
        let mut out = Vec::new();
        self.extend(obs, &mut out);
        Tensor::from_vec(out, (obs.rows, width), device)
    }

    /// Appends the rows of a batch, `[B, width]`, to `out`.
    pub(crate) fn extend(&self, obs: &ObsBatch<'_>, out: &mut Vec<f32>) {
        let (from, width) = (out.len(), self.width());
        out.resize(from + obs.rows * width, 0.0);
        for (row, out) in out[from..].chunks_exact_mut(width).enumerate() {
            self.write(obs, row, out);
        }
    }

    /// Writes observation `row` to `out [width]`, which holds zeros.
    pub(crate) fn write(&self, obs: &ObsBatch<'_>, row: usize, out: &mut [f32]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_has_places_of_its_own_behind_the_features() {
        let sense = Sense::new(&Spec { vector: 2, symbols: [3, 2].into(), discrete: [2].into(), ..Spec::none() });
        let (vector, symbols) = ([0.5, -1.0, 7.0, 8.0], [2, 0, 0, 1]);
        let mut out = Vec::new();
        sense.extend(&ObsBatch { rows: 2, frames: &[], vector: &vector, symbols: &symbols }, &mut out);
        assert_eq!(out, [0.5, -1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 7.0, 8.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
