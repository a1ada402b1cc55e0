//! Linear and convolutional layers with products of bf16: operands are rounded to 8 bits of mantissa, sums and
//! everything that is kept have 24.
//!
//! Every product of a layer becomes one of factors packed into panels: for an output row its patch, for a gradient of
//! weights the output rows of some images. Forward passes by another unit than AMX read patches and rows where they
//! lie, if their runs fill whole panels. The order of a sum depends on the shape alone, as in f32; its rounding depends
//! on the unit too.

mod forward;
mod gradient;
mod panels;
mod unit;

pub use forward::forward;
pub use gradient::{write_input_gradient, write_weight_gradient};
pub use unit::Unit;

use std::ops::Range;

use panels::Half as _;

use super::isa::vectorised;
use super::patches::{Patches, Pixel};
use super::prefetch::prefetch;
use super::workspace::Workspace;

#[cfg(test)]
mod tests;

/// Whether a layer of `n` outputs is large enough for bf16 to pay off: at least 32 inputs per output row and 16
/// outputs.
pub fn serves(patches: &Patches, n: usize) -> bool {
    patches.depth() >= unit::SIDE && n >= unit::LINE
}

/// Rows of weights that are asked for ahead of need; other numbers were not measured.
const AHEAD: usize = 16;

/// Some columns of row `k` of the weights `w [depth, n]` of a linear layer; a later row is asked for.
#[inline(always)]
fn row_of(w: &[f32], n: usize, k: usize, columns: Range<usize>) -> &[f32] {
    let later = (k + AHEAD) * n;
    prefetch(w.get(later + columns.start..later + columns.end).unwrap_or_default());
    &w[k * n..][columns]
}

/// Images rounded to bf16, with their padding: `[images, image]`.
struct Images<'a> {
    patches: &'a Patches,
    values: &'a [u16],
}

impl<'a> Images<'a> {
    fn new<P: Pixel>(patches: &'a Patches, x: &[P], room: &'a mut Workspace) -> Self {
        let values = room.halves(x.len() / patches.input * patches.image);
        patches.lay(
            x,
            values,
            #[inline(always)]
            |x| x.float().half(),
        );
        Self { patches, values }
    }

    /// Number of output rows.
    fn rows(&self) -> usize {
        self.values.len() / self.patches.image * self.patches.pixels()
    }

    /// Packs the patches of output rows from `first` on into groups, and zeros after the last one. `room` holds a patch.
    fn lines(&self, first: usize, room: &mut [u16], groups: &mut [u32]) {
        vectorised(
            #[inline(always)]
            || {
                let len = panels::packed_len(unit::SIDE, self.patches.depth());
                for (g, group) in groups.chunks_exact_mut(len).enumerate() {
                    for i in 0..unit::SIDE {
                        self.line(first + g * unit::SIDE + i, i, room, group);
                    }
                }
            },
        );
    }

    /// Packs the patch of an output row, or zeros after the last one, as line `i` of a group. `room` holds a patch.
    #[inline(always)]
    fn line(&self, row: usize, i: usize, room: &mut [u16], group: &mut [u32]) {
        if row >= self.rows() {
            panels::line::<u16>(&[], i, group);
        } else if self.patches.run.is_multiple_of(unit::SIDE) {
            let (start, mut panels) = (self.start(row), group.as_chunks_mut().0.iter_mut());
            for offset in &self.patches.runs {
                for (from, panel) in self.run(start + offset).iter().zip(&mut panels) {
                    panels::whole_line(from, i, panel);
                }
            }
        } else {
            self.copy(row, room);
            panels::line(room, i, group);
        }
    }

    /// Packs the patches of output rows `2 p` and `2 p + 1` as line `p` of all groups. `room` holds two patches.
    #[inline(always)]
    fn pair(&self, p: usize, panels: usize, room: &mut [u16], groups: &mut [u32]) {
        if self.patches.run.is_multiple_of(unit::SIDE) && 2 * p + 1 < self.rows() {
            let (even, odd) = (self.start(2 * p), self.start(2 * p + 1));
            let mut groups = groups.chunks_exact_mut(panels * unit::PANEL);
            for offset in &self.patches.runs {
                let both = self.run(even + offset).iter().zip(self.run(odd + offset));
                for ((even, odd), group) in both.zip(&mut groups) {
                    panels::whole_pair(even, odd, p, group);
                }
            }
            return;
        }
        let (even, odd) = room.split_at_mut(self.patches.depth());
        let [even, odd] = [(2 * p, even), (2 * p + 1, odd)].map(|(row, patch)| {
            if row >= self.rows() {
                return &[][..];
            }
            self.copy(row, patch);
            patch
        });
        panels::pair(even, odd, p, panels, groups);
    }

    /// Offset of the patch of an output row.
    #[inline(always)]
    fn start(&self, row: usize) -> usize {
        let Patches { image, ref starts, .. } = *self.patches;
        row / starts.len() * image + starts[row % starts.len()]
    }

    /// Run of a patch in whole blocks.
    #[inline(always)]
    fn run(&self, start: usize) -> &[[u16; unit::SIDE]] {
        self.values[start..][..self.patches.run].as_chunks().0
    }

    /// Copies the patch of an output row.
    #[inline(always)]
    fn copy(&self, row: usize, into: &mut [u16]) {
        let start = self.start(row);
        let Patches { ref runs, run, .. } = *self.patches;
        for (offset, into) in runs.iter().zip(into.chunks_exact_mut(run)) {
            panels::copy(&self.values[start + offset..][..run], into);
        }
    }
}
