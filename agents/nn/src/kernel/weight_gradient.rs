//! Gradients of weights, `dw = patches(x)ᵀ · g` or added to `dw`: a product whose sum runs over output rows.
//!
//! A convolution is cut by images, so that each is read while it is in the cache, and the parts' sums are added
//! pairwise. A linear layer is a matter of its own, [`row_gradient`].

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::isa::{dispatch, vectorised};
use super::panels::{Panel, add, load, pack, packed_len, panels, store, widest};
use super::parts::each;
use super::patches::{Patches, Pixel};
use super::row_gradient::row_gradient;
use super::tile::{Sums, accumulate_outer, tiles};
use super::workspace::Workspace;
use crate::parts::{PARALLEL, add_rows};

/// Most output rows that are summed before they are added to the gradient; where there are more rows, a block has at
/// least half of this. It decides the rounding of the gradient.
pub(super) const BLOCK: usize = 128;
/// Multiply-adds of a part of a convolution's images, and the most parts there are; both decide the rounding of the
/// gradient.
const IMAGES: usize = 12 << 20;
const MOST: usize = 8;

/// How a gradient is written to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The gradient replaces the memory's contents, which need not be cleared before.
    Replace,
    /// The gradient is added to the memory's contents.
    Add,
}

impl Write {
    /// Writes the gradient of no rows: zeros where it replaces.
    pub(super) fn nothing(self, dw: &mut [f32]) {
        if self == Self::Replace {
            dw.fill(0.0);
        }
    }
}

/// Adds the gradient of the weights, `patches(x)ᵀ · g`, to `dw [depth, n]`, given `g [rows, n]`, the gradient of the
/// pre-activation.
pub fn weight_gradient<P: Pixel>(patches: &Patches, x: &[P], g: &[f32], n: usize, dw: &mut [f32]) {
    write_weight_gradient(patches, x, g, n, dw, Write::Add);
}

/// Writes or adds the gradient of the weights, `patches(x)ᵀ · g`, to `dw [depth, n]`, as `write` says, given
/// `g [rows, n]`, the gradient of the pre-activation.
pub fn write_weight_gradient<P: Pixel>(patches: &Patches, x: &[P], g: &[f32], n: usize, dw: &mut [f32], write: Write) {
    if g.is_empty() {
        return write.nothing(dw);
    }
    if patches.is_rows() {
        let mut room = Workspace::new();
        return row_gradient(patches.images(x, &mut room), g, n, dw, write);
    }
    let images = x.len() / patches.input;
    let image = patches.pixels() * n;
    let (part, parts) = image_parts(images, g.len() * patches.depth());
    let mut room = Workspace::new();
    let len = dw.len();
    let sums = room.sized(parts * len);
    each(sums, len, |i, dw| {
        let mut write = Write::Replace;
        let range = i * part..images.min((i + 1) * part);
        let (x, g) = (&x[range.start * patches.input..range.end * patches.input], &g[range.start * image..]);
        let step = images_per_step(patches);
        let mut room = Workspace::new();
        for (x, g) in x.chunks(step * patches.input).zip(g.chunks(step * image)) {
            let g = &g[..x.len() / patches.input * image];
            let x = patches.images(x, &mut room);
            dispatch(WeightGradient { patches, x, g, n, dw, write });
            write = Write::Add;
        }
    });
    add_pairwise(sums, len);
    let total = &sums[..len];
    if write == Write::Replace {
        return dw.copy_from_slice(total);
    }
    vectorised(
        #[inline(always)]
        || dw.iter_mut().zip(total).for_each(|(a, b)| *a += b),
    );
}

/// Number of images in a part, and number of parts, given all multiply-adds.
pub(super) fn image_parts(images: usize, cost: usize) -> (usize, usize) {
    let parts = (cost / IMAGES).clamp(1, MOST.min(images.max(1)));
    let part = images.div_ceil(parts);
    (part, images.div_ceil(part.max(1)))
}

/// Blocks of output rows that are summed at a time, at most [`BLOCK`] rows each.
pub(super) fn blocks(rows: usize) -> impl Iterator<Item = Range<usize>> {
    let blocks = rows.div_ceil(BLOCK).max(1);
    (0..blocks).map(move |i| i * rows / blocks..(i + 1) * rows / blocks)
}

/// Number of images that are summed together, so that sums over small outputs are long enough.
fn images_per_step(patches: &Patches) -> usize {
    (BLOCK / patches.pixels()).max(1)
}

/// Adds all parts of `len` to the first, as a binary tree over their numbers.
pub(super) fn add_pairwise(parts: &mut [f32], len: usize) {
    let mut step = len;
    while step < parts.len() {
        for pair in parts.chunks_mut(2 * step) {
            if pair.len() > step {
                let (into, from) = pair.split_at_mut(step);
                let (into, from) = (&mut into[..len], &from[..len]);
                vectorised(
                    #[inline(always)]
                    || into.iter_mut().zip(from).for_each(|(a, b)| *a += *b),
                );
            }
        }
        step *= 2;
    }
}

/// Adds the gradient of the bias, the sum of the rows of `g [rows, n]`, to `db [n]`.
pub fn bias_gradient(g: &[f32], db: &mut [f32]) {
    let n = db.len();
    let mut room = Workspace::new();
    let sums = room.sized(g.len().div_ceil(BLOCK * n) * n); // of each block
    crate::parts::each([(&mut *sums, n)], g.len() >= PARALLEL, |i, [sum]| {
        let block = &g[i * BLOCK * n..g.len().min((i + 1) * BLOCK * n)];
        vectorised(
            #[inline(always)]
            || {
                sum.fill(0.0);
                for row in block.chunks_exact(n) {
                    sum.iter_mut().zip(row).for_each(|(s, g)| *s += g);
                }
            },
        );
    });
    add_rows(db, sums);
}

/// Writes or adds the gradient of the bias, the sum of the rows of `g [rows, n]`, to `db [n]`, as `write` says.
pub fn write_bias_gradient(g: &[f32], db: &mut [f32], write: Write) {
    write.nothing(db);
    bias_gradient(g, db);
}

struct WeightGradient<'a> {
    patches: &'a Patches,
    x: &'a [f32],
    g: &'a [f32],
    n: usize,
    dw: &'a mut [f32],
    write: Write,
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { patches, x, g, n, dw, write } = self;
        let rows = g.len() / n;
        let mut room = Workspace::new();
        let mut starts = [0u32; BLOCK];
        let (mut image, mut pixel) = (0, 0);
        for (i, block) in blocks(rows).enumerate() {
            let starts = &mut starts[..block.len()];
            for start in &mut *starts {
                *start = u32::try_from(image + patches.starts[pixel]).expect("fewer than 2³² values");
                pixel += 1;
                if pixel == patches.starts.len() {
                    (image, pixel) = (image + patches.image, 0);
                }
            }
            let packed = room.sized(packed_len::<S>(starts.len(), n));
            pack(simd, &g[block.start * n..], n, starts.len(), n, packed);
            let write = if i == 0 { write } else { Write::Add };
            for panel in panels::<S>(n) {
                let g = panel.of::<S>(packed, starts.len()); // stays in the cache: the gradient is small
                for (run, offset) in patches.runs.iter().enumerate() {
                    for (k, size) in tiles(patches.run) {
                        let dw = &mut dw[(run * patches.run + k) * n..];
                        tile_of(simd, x, starts, offset + k, size, g, panel, n, dw, write);
                    }
                }
            }
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)] // a block of a matrix product has that many extents
pub(super) fn tile_of<S: Simd>(
    simd: S,
    x: &[f32],
    starts: &[u32],
    at: usize,
    size: usize,
    g: &[f32],
    panel: Panel,
    n: usize,
    dw: &mut [f32],
    write: Write,
) {
    match panel.vectors {
        // Not compiled where registers would not hold it.
        4 if const { widest::<S>() == 4 } => {
            rows_of::<S, 4>(simd, x, starts, at, size, g, panel, n, dw, write);
        }
        2 => rows_of::<S, 2>(simd, x, starts, at, size, g, panel, n, dw, write),
        _ => rows_of::<S, 1>(simd, x, starts, at, size, g, panel, n, dw, write),
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)] // as above
fn rows_of<S: Simd, const V: usize>(
    simd: S,
    x: &[f32],
    starts: &[u32],
    at: usize,
    size: usize,
    g: &[f32],
    panel: Panel,
    n: usize,
    dw: &mut [f32],
    write: Write,
) {
    let (x, dw, width) = (&x[at..], &mut dw[panel.column..], panel.width);
    match size {
        6 => simd.vectorize(Tile::<6, V> { x, starts, g, width, n, dw, write }),
        5 => simd.vectorize(Tile::<5, V> { x, starts, g, width, n, dw, write }),
        4 => simd.vectorize(Tile::<4, V> { x, starts, g, width, n, dw, write }),
        3 => simd.vectorize(Tile::<3, V> { x, starts, g, width, n, dw, write }),
        2 => simd.vectorize(Tile::<2, V> { x, starts, g, width, n, dw, write }),
        _ => simd.vectorize(Tile::<1, V> { x, starts, g, width, n, dw, write }),
    }
}

/// `Σ_p x[starts[p] + r] · g[p]` for row `r` of `dw`, the sum on its own first.
struct Tile<'a, const R: usize, const V: usize> {
    x: &'a [f32],
    starts: &'a [u32],
    g: &'a [f32],
    width: usize,
    n: usize,
    dw: &'a mut [f32],
    write: Write,
}

impl<const R: usize, const V: usize> WithSimd for Tile<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, starts, g, width, n, dw, write } = self;
        let sums: Sums<S, R, V> = accumulate_outer(simd, x, starts, S::as_simd_f32s(g).0.as_chunks::<V>().0);
        for (r, sum) in sums.into_iter().enumerate() {
            let row = &mut dw[r * n..];
            let sum = match write {
                Write::Replace => sum,
                Write::Add => add(simd, load(simd, row, width), sum),
            };
            store(simd, row, sum, width);
        }
    }
}
