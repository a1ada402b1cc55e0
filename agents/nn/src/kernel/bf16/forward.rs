//! Forward pass of linear and convolutional layers with products of bf16, `activation(patches(x) · w + b)`.

use super::unit::{BLOCK, InPlace, PANEL, Packed, SIDE, Unit, multiply, multiply_in_place};
use super::{Images, lie_ready, panels};
use crate::kernel::isa::vectorised;
use crate::kernel::parts::{each, share};
use crate::kernel::patches::{Patches, Pixel};
use crate::kernel::workspace::Workspace;

/// Groups of output rows that are packed and multiplied at a time.
const GROUPS: usize = 2;
/// Columns of a block of a linear layer: long pieces of its rows, which memory likes.
const COLUMNS: usize = 256;
/// Inputs of a linear layer whose weights are packed at a time.
const INPUTS: usize = 512;

/// Forward pass of a linear or convolutional layer with products of bf16:
/// `out [rows, n] = patches(x) · w [depth, n] + bias [n]`, clipped at 0 if `relu`. Operands are rounded to bf16; sums
/// and bias are `f32`.
///
/// # Panics
/// If this CPU does not have `unit`.
pub fn forward<P: Pixel>(unit: Unit, patches: &Patches, x: &[P], w: &[f32], bias: &[f32], relu: bool, out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    if patches.is_rows() {
        return linear(unit, patches, x, w, bias, relu, out);
    }
    let (n, depth) = (bias.len(), patches.depth());
    let mut room = Workspace::new();
    let weights = room.pairs(panels::packed_len(n, depth));
    panels::pairs(depth, |k| &w[k * n..(k + 1) * n], weights);
    let image = patches.pixels() * n;
    let part = share(out.len() / image, depth * image);
    each(out, part * image, |i, out| {
        let images = &x[i * part * patches.input..][..out.len() / image * patches.input];
        convolve(unit, patches, images, weights, bias, relu, out);
    });
}

/// Convolves the images of one part.
fn convolve<P: Pixel>(
    unit: Unit,
    patches: &Patches,
    x: &[P],
    weights: &[u32],
    bias: &[f32],
    relu: bool,
    out: &mut [f32],
) {
    let blocks = bias.len().div_ceil(SIDE);
    let [mut one, mut two] = std::array::from_fn(|_| Workspace::new());
    let images = Images::new(patches, x, &mut one);
    let sums = two.sized(GROUPS * blocks * BLOCK);
    for (step, out) in out.chunks_mut(GROUPS * SIDE * bias.len()).enumerate() {
        let rows = out.len() / bias.len();
        let sums = &mut sums[..rows.div_ceil(SIDE) * blocks * BLOCK];
        multiply_patches(unit, &images, step * GROUPS * SIDE, rows, weights, sums);
        for (sums, out) in sums.chunks_exact(blocks * BLOCK).zip(out.chunks_mut(SIDE * bias.len())) {
            finish(sums, bias, relu, bias.len(), out);
        }
    }
}

/// Product of the patches of `rows` output rows, two groups at most, from `first` on.
fn multiply_patches(unit: Unit, images: &Images<'_>, first: usize, rows: usize, weights: &[u32], sums: &mut [f32]) {
    let patches = images.patches;
    if lie_ready(unit, patches) {
        let mut starts = [0; GROUPS * SIDE];
        starts[..rows].iter_mut().zip(first..).for_each(|(start, row)| *start = images.start(row));
        let a = InPlace {
            values: images.values,
            starts: &starts[..rows],
            offset: 0,
            runs: &patches.runs,
            run: patches.run,
        };
        return multiply_in_place(unit, a, weights, sums, false);
    }
    let depth = patches.depth();
    let [mut one, mut two] = std::array::from_fn(|_| Workspace::new());
    let patch = one.halves(depth);
    let packed = two.pairs(panels::packed_len(rows, depth));
    vectorised(
        #[inline(always)]
        || {
            for (g, packed) in packed.chunks_exact_mut(panels::packed_len(SIDE, depth)).enumerate() {
                for i in 0..SIDE {
                    images.line(first + g * SIDE + i, i, patch, packed);
                }
            }
        },
    );
    multiply(unit, Packed { pairs: packed, rows, inputs: depth }, weights, sums, false);
}

/// Rows of a linear layer's input, of all inputs, as a first factor.
#[derive(Clone, Copy)]
enum Lines<'a> {
    /// Rounded, as they lie: `[rows, width]`.
    InPlace(&'a [u16]),
    /// Groups of packed rows.
    Packed(&'a [u32]),
}

/// Forward pass of a linear layer. Each part packs a block of columns of the weights for itself, so many inputs at a
/// time that they stay in the cache.
fn linear<P: Pixel>(unit: Unit, patches: &Patches, x: &[P], w: &[f32], bias: &[f32], relu: bool, out: &mut [f32]) {
    let n = bias.len();
    let (rows, width) = (out.len() / n, patches.depth());
    let [mut one, mut two, mut three] = std::array::from_fn(|_| Workspace::new());
    let lines = if lie_ready(unit, patches) {
        Lines::InPlace(Images::new(patches, x, &mut one).values)
    } else {
        let (x, packed) = (patches.images(x, &mut one), two.pairs(panels::packed_len(rows, width)));
        panels::lines(rows, width, |r| &x[r * width..(r + 1) * width], packed);
        Lines::Packed(packed)
    };
    let blocks = n.min(COLUMNS).div_ceil(SIDE);
    let sums = three.sized(n.div_ceil(COLUMNS) * rows.div_ceil(SIDE) * blocks * BLOCK);
    each(sums, rows.div_ceil(SIDE) * blocks * BLOCK, |i, sums| {
        let columns = i * COLUMNS..n.min((i + 1) * COLUMNS);
        let mut room = Workspace::new();
        for offset in (0..width).step_by(INPUTS) {
            let inputs = INPUTS.min(width - offset);
            let weights = room.pairs(panels::packed_len(columns.len(), inputs));
            panels::pairs(inputs, |k| &w[(offset + k) * n..][columns.clone()], weights);
            for (g, sums) in sums.chunks_exact_mut(blocks * BLOCK).enumerate() {
                let sums = &mut sums[..columns.len().div_ceil(SIDE) * BLOCK];
                let rows = SIDE.min(rows - g * SIDE);
                match lines {
                    Lines::InPlace(values) => {
                        let starts: [usize; SIDE] = std::array::from_fn(|r| (g * SIDE + r) * width);
                        let a = InPlace { values, starts: &starts[..rows], offset, runs: &[0], run: inputs };
                        multiply_in_place(unit, a, weights, sums, offset > 0);
                    }
                    Lines::Packed(pairs) => {
                        let at = (g * panels::panels(width) + offset / SIDE) * PANEL;
                        let pairs = &pairs[at..][..panels::panels(inputs) * PANEL];
                        multiply(unit, Packed { pairs, rows, inputs }, weights, sums, offset > 0);
                    }
                }
            }
        }
    });
    for (sums, first) in sums.chunks_exact(rows.div_ceil(SIDE) * blocks * BLOCK).zip((0..n).step_by(COLUMNS)) {
        for (sums, out) in sums.chunks_exact(blocks * BLOCK).zip(out.chunks_mut(SIDE * n)) {
            finish(sums, &bias[first..n.min(first + COLUMNS)], relu, n, &mut out[first..]);
        }
    }
}

/// Adds the bias to the blocks of a group of rows, clips, and lays them out in rows of `stride`.
fn finish(sums: &[f32], bias: &[f32], relu: bool, stride: usize, out: &mut [f32]) {
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    vectorised(
        #[inline(always)]
        || {
            for (i, (block, bias)) in sums.chunks_exact(BLOCK).zip(bias.chunks(SIDE)).enumerate() {
                for (sums, out) in block.chunks_exact(SIDE).zip(out.chunks_mut(stride)) {
                    let out = &mut out[i * SIDE..][..bias.len()];
                    for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                        let sum = sum + bias;
                        *out = if sum <= least { least } else { sum }; // what is not a number stays one
                    }
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relu_clips_and_what_is_not_a_number_stays_one() {
        let mut sums = vec![-1.0; BLOCK];
        (sums[0], sums[1]) = (f32::NAN, 2.0);
        let mut out = vec![9.0; BLOCK];
        finish(&sums, &[0.5; SIDE], true, SIDE, &mut out);
        assert!(out[0].is_nan() && out[1] == 2.5 && out[2..].iter().all(|&y| y.to_bits() == 0));
        finish(&sums, &[0.5; SIDE], false, SIDE, &mut out);
        assert!(out[0].is_nan() && out[1] == 2.5 && out[2..].iter().all(|&y| y == -0.5));
    }
}
