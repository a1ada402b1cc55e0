//! Gradients of weights and inputs with products of bf16.
//!
//! The gradient of a convolution's weights is summed as its transpose, `gᵀ · patches`, so that the smaller factor is
//! the one that is transposed; the gradient of a linear layer's input too, so that its weights are packed as they lie
//! in memory.

use super::unit::{BLOCK, Packed, SIDE, Unit, multiply};
use super::{Images, panels, row_of};
use crate::kernel::Write;
use crate::kernel::input_gradient::mask;
use crate::kernel::isa::vectorised;
use crate::kernel::parts::{each, share};
use crate::kernel::patches::{Patches, Pixel};
use crate::kernel::prefetch::prefetch;
use crate::kernel::weight_gradient::{add_pairwise, image_parts};
use crate::kernel::workspace::Workspace;

/// Fewest output rows that a convolution's gradient sums at a time; it decides the rounding.
const ROWS: usize = 256;
/// Groups of inputs whose gradient is computed before it is added to the input's.
const GROUPS: usize = 4;

/// Writes or adds the gradient of the weights, `patches(x)ᵀ · g` in products of bf16, to `dw [depth, n]`, as `write`
/// says, given `g [rows, n]`, the gradient of the pre-activation.
///
/// # Panics
/// If this CPU does not have `unit`.
pub fn write_weight_gradient<P: Pixel>(
    unit: Unit,
    patches: &Patches,
    x: &[P],
    g: &[f32],
    n: usize,
    dw: &mut [f32],
    write: Write,
) {
    if g.is_empty() {
        return write.nothing(dw);
    }
    if patches.is_rows() {
        let mut room = Workspace::new();
        return linear_weights(unit, patches.images(x, &mut room), g, n, dw, write);
    }
    let depth = patches.depth();
    let image = patches.pixels() * n;
    let (part, parts) = image_parts(g.len() / image, g.len() * depth);
    let (of_n, of_depth) = (n.div_ceil(SIDE), depth.div_ceil(SIDE));
    let len = of_n * of_depth * BLOCK;
    let mut room = Workspace::new();
    let sums = room.sized(parts * len);
    each(sums, len, |i, sums| {
        let step = ROWS.div_ceil(patches.pixels());
        let images = part.min(g.len() / image - i * part);
        let x = x[i * part * patches.input..][..images * patches.input].chunks(step * patches.input);
        let g = g[i * part * image..][..images * image].chunks(step * image);
        for (j, (x, g)) in x.zip(g).enumerate() {
            add_images(unit, patches, x, g, n, sums, j > 0);
        }
    });
    add_pairwise(sums, len);
    let sums = &sums[..len];
    let total = |k: usize, c: usize| sums[(c / SIDE * of_depth + k / SIDE) * BLOCK + c % SIDE * SIDE + k % SIDE];
    for (k, row) in dw.chunks_exact_mut(n).enumerate() {
        match write {
            Write::Replace => row.iter_mut().enumerate().for_each(|(c, dw)| *dw = total(k, c)),
            Write::Add => row.iter_mut().enumerate().for_each(|(c, dw)| *dw += total(k, c)),
        }
    }
}

/// Adds `gᵀ · patches(x)` to the blocks `sums`, or replaces them unless `add`.
fn add_images<P: Pixel>(unit: Unit, patches: &Patches, x: &[P], g: &[f32], n: usize, sums: &mut [f32], add: bool) {
    let depth = patches.depth();
    let [mut one, mut two, mut three, mut four] = std::array::from_fn(|_| Workspace::new());
    let images = Images::new(patches, x, &mut one);
    let rows = images.rows();
    let count = panels::panels(rows);
    let first = two.pairs(panels::packed_len(n, rows));
    panels::pairs(rows, |r| &g[r * n..(r + 1) * n], first);
    panels::turn(first);
    let second = three.pairs(panels::packed_len(depth, rows));
    let room = four.halves(2 * depth);
    vectorised(
        #[inline(always)]
        || {
            for p in 0..count * SIDE / 2 {
                images.pair(p, count, room, second);
            }
        },
    );
    let [a, b] = [(&*first, n), (&*second, depth)].map(|(pairs, count)| Packed { pairs, count, inputs: rows });
    multiply(unit, a, b, sums, add);
}

/// Gradient of a linear layer's weights, `xᵀ · g`, cut by inputs.
fn linear_weights(unit: Unit, x: &[f32], g: &[f32], n: usize, dw: &mut [f32], write: Write) {
    let rows = g.len() / n;
    let width = x.len() / rows;
    let mut room = Workspace::new();
    let second = room.pairs(panels::packed_len(n, rows));
    panels::pairs(rows, |r| &g[r * n..(r + 1) * n], second);
    let part = share(width, g.len()).next_multiple_of(SIDE);
    each(dw, part * n, |i, dw| {
        let [mut one, mut two] = std::array::from_fn(|_| Workspace::new());
        let first = one.pairs(panels::packed_len(SIDE, rows));
        let sums = two.sized(n.div_ceil(SIDE) * BLOCK);
        for (j, dw) in dw.chunks_mut(SIDE * n).enumerate() {
            let at = i * part + j * SIDE;
            let columns = dw.len() / n;
            prefetch(dw);
            panels::pairs(rows, |r| &x[r * width + at..][..columns], first);
            panels::turn(first);
            let a = Packed { pairs: first, count: columns, inputs: rows };
            multiply(unit, a, Packed { pairs: second, count: n, inputs: rows }, sums, false);
            vectorised(
                #[inline(always)]
                || {
                    for (r, dw) in dw.chunks_exact_mut(n).enumerate() {
                        for (block, dw) in sums.chunks_exact(BLOCK).zip(dw.chunks_mut(SIDE)) {
                            let sums = &block[r * SIDE..][..dw.len()];
                            match write {
                                Write::Replace => panels::copy(sums, dw),
                                Write::Add => dw.iter_mut().zip(sums).for_each(|(dw, sum)| *dw += sum),
                            }
                        }
                    }
                },
            );
        }
    });
}

/// Replaces `dx [images, input]` by the gradient of the input of a layer in products of bf16, given the weights
/// `w [depth, n]` and `g [rows, n]`, the gradient of the pre-activation. If the input came from a ReLU, `relu` is that
/// input, and `dx` becomes the gradient before the ReLU: 0 where the input is not above 0.
///
/// # Panics
/// If this CPU does not have `unit`, or `dx` or `relu` has not one value per input.
pub fn write_input_gradient(
    unit: Unit,
    patches: &Patches,
    w: &[f32],
    g: &[f32],
    n: usize,
    relu: Option<&[f32]>,
    dx: &mut [f32],
) {
    let images = g.len() / n / patches.pixels();
    assert!(dx.len() == images * patches.input && relu.is_none_or(|x| x.len() == dx.len()), "one value per input");
    if g.is_empty() {
        return;
    }
    if patches.is_rows() {
        return linear_input(unit, w, g, n, relu, dx);
    }
    let depth = patches.depth();
    let mut room = Workspace::new();
    let weights = room.pairs(panels::packed_len(depth, n));
    panels::lines(depth, n, |k| &w[k * n..(k + 1) * n], weights);
    panels::turn(weights);
    let image = patches.pixels() * n;
    let part = share(images, image * depth);
    each(dx, part * patches.input, |i, dx| {
        let [mut one, mut two, mut three] = std::array::from_fn(|_| Workspace::new());
        let rows = patches.pixels();
        let packed = one.pairs(panels::packed_len(rows, n));
        let sums = two.sized(rows.div_ceil(SIDE) * GROUPS * BLOCK);
        for (j, dx) in dx.chunks_exact_mut(patches.input).enumerate() {
            let at = i * part + j;
            let g = &g[at * image..][..image];
            panels::lines(rows, n, |r| &g[r * n..(r + 1) * n], packed);
            let mut add = |dx: &mut [f32]| {
                dx.fill(0.0);
                for (pairs, first) in
                    weights.chunks(panels::packed_len(GROUPS * SIDE, n)).zip((0..).step_by(GROUPS * SIDE))
                {
                    let inputs = depth.min(first + GROUPS * SIDE) - first;
                    let groups = inputs.div_ceil(SIDE);
                    let sums = &mut sums[..rows.div_ceil(SIDE) * groups * BLOCK];
                    let a = Packed { pairs: packed, count: rows, inputs: n };
                    multiply(unit, a, Packed { pairs, count: inputs, inputs: n }, sums, false);
                    scatter(patches, sums, groups, first, dx);
                }
            };
            if patches.is_padded() {
                let padded = three.sized(patches.image);
                add(padded);
                patches.crop(padded, dx);
            } else {
                add(dx);
            }
            if let Some(x) = relu {
                mask(&x[at * patches.input..], dx);
            }
        }
    });
}

/// Adds the gradients of patches to the image that they came from: the blocks of all output rows, `groups` to a row,
/// from input `first` on.
fn scatter(patches: &Patches, sums: &[f32], groups: usize, first: usize, dx: &mut [f32]) {
    let last = patches.depth().min(first + groups * SIDE);
    vectorised(
        #[inline(always)]
        || {
            for (starts, sums) in patches.starts.chunks(SIDE).zip(sums.chunks_exact(groups * BLOCK)) {
                for (r, start) in starts.iter().enumerate() {
                    let mut k = first;
                    while k < last {
                        // Up to the end of the run or of the block.
                        let (run, offset) = (k / patches.run, k % patches.run);
                        let len = (patches.run - offset).min(SIDE - k % SIDE).min(last - k);
                        let sums = &sums[(k - first) / SIDE * BLOCK + r * SIDE + k % SIDE..][..len];
                        let dx = &mut dx[start + patches.runs[run] + offset..][..len];
                        add(dx, sums);
                        k += len;
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn add(dx: &mut [f32], sums: &[f32]) {
    let ((whole, rest), (sums, last)) = (dx.as_chunks_mut::<SIDE>(), sums.as_chunks::<SIDE>());
    for (dx, sums) in whole.iter_mut().zip(sums) {
        let mut sum = *dx; // apart from `sums`, which the compiler may not take for `dx`
        for j in 0..SIDE {
            sum[j] += sums[j];
        }
        *dx = sum;
    }
    rest.iter_mut().zip(last).for_each(|(dx, sum)| *dx += sum);
}

/// Gradient of a linear layer's input, computed as `w · gᵀ` and transposed block by block.
fn linear_input(unit: Unit, w: &[f32], g: &[f32], n: usize, relu: Option<&[f32]>, dx: &mut [f32]) {
    let (rows, width) = (g.len() / n, w.len() / n);
    let groups = rows.div_ceil(SIDE);
    let [mut one, mut two] = std::array::from_fn(|_| Workspace::new());
    let second = one.pairs(panels::packed_len(rows, n));
    panels::lines(rows, n, |r| &g[r * n..(r + 1) * n], second);
    panels::turn(second);
    let turned = two.sized(width.div_ceil(SIDE) * groups * BLOCK); // by groups of inputs, of rows; rows first in a block
    let part = share(width, g.len()).div_ceil(SIDE);
    each(turned, part * groups * BLOCK, |i, turned| {
        let [mut one, mut two] = std::array::from_fn(|_| Workspace::new());
        let first = one.pairs(panels::packed_len(SIDE, n));
        let sums = two.sized(groups * BLOCK);
        for (j, turned) in turned.chunks_exact_mut(groups * BLOCK).enumerate() {
            let at = (i * part + j) * SIDE;
            let inputs = SIDE.min(width - at);
            panels::lines(inputs, n, |k| row_of(w, n, at + k, 0..n), first);
            let a = Packed { pairs: first, count: inputs, inputs: n };
            multiply(unit, a, Packed { pairs: second, count: rows, inputs: n }, sums, false);
            for (block, turned) in sums.chunks_exact(BLOCK).zip(turned.chunks_exact_mut(BLOCK)) {
                panels::turn_block(block, turned);
            }
        }
    });
    let part = share(rows, width * 16).max(16);
    each(dx, part * width, |i, dx| {
        for (r, dx) in dx.chunks_exact_mut(width).enumerate() {
            let r = i * part + r;
            for (group, dx) in dx.chunks_mut(SIDE).enumerate() {
                let row = (group * groups + r / SIDE) * BLOCK + r % SIDE * SIDE;
                panels::copy(&turned[row..][..dx.len()], dx);
            }
        }
        if let Some(x) = relu {
            mask(&x[i * part * width..], dx);
        }
    });
}
