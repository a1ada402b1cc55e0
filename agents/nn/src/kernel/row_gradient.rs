//! Gradient of a linear layer's weights, `dw = xᵀ · g`.
//!
//! The work is cut by inputs, that is by rows of `dw`, so that nothing is added up across threads. All parts need all
//! of `g`, which is packed once for them, a few blocks of rows at a time. A part goes through a strip of its rows at a
//! time: a panel of `g` and a copy of the strip's inputs stay in the first level of cache, and `dw`, which may be
//! larger than any cache, is written nearly from front to back.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::isa::dispatch;
use super::panels::{pack, packed_floats, panels};
use super::parts::{each, share};
use super::prefetch::prefetch;
use super::tile::{ROWS, tiles};
use super::weight_gradient::{BLOCK, Write, blocks, tile_of};
use super::workspace::Workspace;

/// Inputs of a part, at least.
const INPUTS: usize = 96;
/// Floats of packed blocks that go together, so that they stay in the second level of cache.
const HELD: usize = 1 << 18;
/// Inputs of a strip.
const STRIP: usize = 3 * ROWS;

/// Writes or adds the gradient of the weights to `dw [width, n]`, as `write` says, given the input `x [rows, width]`
/// and `g [rows, n]`, the gradient of the pre-activation.
pub(super) fn row_gradient(x: &[f32], g: &[f32], n: usize, dw: &mut [f32], write: Write) {
    let (rows, width) = (g.len() / n, dw.len() / n);
    let blocks: Vec<Range<usize>> = blocks(rows).collect();
    let floats = packed_floats(rows.div_ceil(blocks.len()), n);
    let part = share(width, rows * n).max(INPUTS);
    let mut room = Workspace::new();
    for (group, blocks) in blocks.chunks((HELD / floats).max(1)).enumerate() {
        let packed = room.sized(blocks.len() * floats);
        each(packed, floats, |i, into| dispatch(Pack { g: &g[blocks[i].start * n..blocks[i].end * n], n, into }));
        let g = &*packed;
        each(dw, part * n, |i, dw| {
            let write = if group == 0 { write } else { Write::Add };
            dispatch(Part { x, width, blocks, g, floats, n, first: i * part, dw, write });
        });
    }
}

struct Pack<'a> {
    /// Gradient of the pre-activation in a block of rows.
    g: &'a [f32],
    n: usize,
    into: &'a mut [f32],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { g, n, into } = self;
        pack(simd, g, n, g.len() / n, n, into);
    }
}

struct Part<'a> {
    x: &'a [f32],
    width: usize,
    blocks: &'a [Range<usize>],
    /// Packed, `floats` of them per block.
    g: &'a [f32],
    floats: usize,
    n: usize,
    /// First input of this part.
    first: usize,
    /// Rows of this part's inputs.
    dw: &'a mut [f32],
    write: Write,
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, width, blocks, g, floats, n, first, dw, write } = self;
        let starts: [u32; BLOCK] = std::array::from_fn(|row| (row * STRIP) as u32);
        let mut inputs = [0.0; BLOCK * STRIP];
        // Each panel fetches its share of the next strip.
        let share = STRIP.div_ceil(panels::<S>(n).count());
        for (i, (rows, g)) in blocks.iter().zip(g.chunks_exact(floats)).enumerate() {
            let x = &x[rows.start * width + first..];
            let starts = &starts[..rows.len()];
            let write = if i == 0 { write } else { Write::Add };
            for strip in 0..dw.len().div_ceil(STRIP * n) {
                let dw = &mut dw[strip * STRIP * n..];
                let (dw, next) = dw.split_at_mut(dw.len().min(STRIP * n));
                let held = dw.len() / n;
                let mut next = next.chunks(n).take(STRIP);
                for (into, row) in inputs.chunks_exact_mut(STRIP).zip(x.chunks(width)).take(starts.len()) {
                    into[..held].copy_from_slice(&row[strip * STRIP..][..held]);
                }
                for panel in panels::<S>(n) {
                    next.by_ref().take(share).for_each(prefetch);
                    let g = panel.of::<S>(g, starts.len());
                    for (k, size) in tiles(held) {
                        tile_of(simd, &inputs, starts, k, size, g, panel, n, &mut dw[k * n..], write);
                    }
                }
            }
        }
    }
}
