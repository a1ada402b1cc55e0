//! Forward pass of linear and convolutional layers with products of bf16, `activation(patches(x) · w + b)`.

use super::unit::{BLOCK, InPlace, PANEL, Packed, SIDE, Unit, multiply, multiply_in_place};
use super::{Images, panels, row_of};
use crate::kernel::isa::vectorised;
use crate::kernel::parts::{each, share};
use crate::kernel::patches::{Patches, Pixel};
use crate::kernel::workspace::Workspace;

/// Groups of output rows that are multiplied at a time.
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
    let in_place = unit.reads_in_place() && patches.run.is_multiple_of(SIDE);
    Forward { unit, in_place, patches, bias, relu }.run(x, w, out);
}

/// Forward pass of a layer.
#[derive(Clone, Copy)]
struct Forward<'a> {
    unit: Unit,
    /// Whether patches are read where they lie in rounded images, instead of being packed.
    in_place: bool,
    patches: &'a Patches,
    bias: &'a [f32],
    relu: bool,
}

impl Forward<'_> {
    fn run<P: Pixel>(self, x: &[P], w: &[f32], out: &mut [f32]) {
        let Self { patches, bias, .. } = self;
        if out.is_empty() {
            return;
        }
        if patches.is_rows() {
            return self.linear(x, w, out);
        }
        let (n, inputs) = (bias.len(), patches.depth());
        let mut room = Workspace::new();
        let pairs = room.pairs(panels::packed_len(n, inputs));
        panels::pairs(inputs, |k| &w[k * n..(k + 1) * n], pairs);
        let weights = Packed { pairs, count: n, inputs };
        let image = patches.pixels() * n;
        let part = share(out.len() / image, inputs * image);
        each(out, part * image, |i, out| {
            let images = &x[i * part * patches.input..][..out.len() / image * patches.input];
            self.convolve(images, weights, out);
        });
    }

    /// Convolves the images of one part.
    fn convolve<P: Pixel>(self, x: &[P], weights: Packed<'_>, out: &mut [f32]) {
        let Self { unit, in_place, patches, bias, .. } = self;
        let (n, inputs, blocks) = (bias.len(), patches.depth(), bias.len().div_ceil(SIDE));
        let [mut one, mut two, mut three, mut four] = std::array::from_fn(|_| Workspace::new());
        let images = Images::new(patches, x, &mut one);
        let sums = two.sized(GROUPS * blocks * BLOCK);
        for (step, out) in out.chunks_mut(GROUPS * SIDE * n).enumerate() {
            let (first, rows) = (step * GROUPS * SIDE, out.len() / n);
            let sums = &mut sums[..rows.div_ceil(SIDE) * blocks * BLOCK];
            if in_place {
                let mut starts = [0; GROUPS * SIDE];
                starts.iter_mut().zip(first..first + rows).for_each(|(start, row)| *start = images.start(row));
                let (starts, runs) = (&starts[..rows], &patches.runs);
                let a = InPlace { values: images.values, starts, offset: 0, runs, run: patches.run };
                multiply_in_place(unit, a, weights, sums, false);
            } else {
                let pairs = three.pairs(panels::packed_len(rows, inputs));
                images.lines(first, four.halves(inputs), pairs);
                multiply(unit, Packed { pairs, count: rows, inputs }, weights, sums, false);
            }
            for (sums, out) in sums.chunks_exact(blocks * BLOCK).zip(out.chunks_mut(SIDE * n)) {
                finish(sums, bias, self.relu, n, out);
            }
        }
    }

    /// Forward pass of a linear layer. Each part packs a block of columns of the weights for itself, so many inputs at
    /// a time that they stay in the cache.
    fn linear<P: Pixel>(self, x: &[P], w: &[f32], out: &mut [f32]) {
        let Self { unit, in_place, patches, bias, relu } = self;
        let (n, width) = (bias.len(), patches.depth());
        let rows = out.len() / n;
        let [mut one, mut two, mut three] = std::array::from_fn(|_| Workspace::new());
        let first = if in_place {
            Rows::InPlace(Images::new(patches, x, &mut one).values)
        } else {
            let (x, packed) = (patches.images(x, &mut one), two.pairs(panels::packed_len(rows, width)));
            panels::lines(rows, width, |r| &x[r * width..(r + 1) * width], packed);
            Rows::Packed(packed)
        };
        let blocks = n.min(COLUMNS).div_ceil(SIDE);
        let sums = three.sized(n.div_ceil(COLUMNS) * rows.div_ceil(SIDE) * blocks * BLOCK);
        each(sums, rows.div_ceil(SIDE) * blocks * BLOCK, |i, sums| {
            let columns = i * COLUMNS..n.min((i + 1) * COLUMNS);
            let mut room = Workspace::new();
            for offset in (0..width).step_by(INPUTS) {
                let inputs = INPUTS.min(width - offset);
                let pairs = room.pairs(panels::packed_len(columns.len(), inputs));
                panels::pairs(inputs, |k| row_of(w, n, offset + k, columns.clone()), pairs);
                let weights = Packed { pairs, count: columns.len(), inputs };
                for (g, sums) in sums.chunks_exact_mut(blocks * BLOCK).enumerate() {
                    let sums = &mut sums[..columns.len().div_ceil(SIDE) * BLOCK];
                    let count = SIDE.min(rows - g * SIDE);
                    match first {
                        Rows::InPlace(values) => {
                            let starts: [usize; SIDE] = std::array::from_fn(|r| (g * SIDE + r) * width);
                            let a = InPlace { values, starts: &starts[..count], offset, runs: &[0], run: inputs };
                            multiply_in_place(unit, a, weights, sums, offset > 0);
                        }
                        Rows::Packed(pairs) => {
                            let at = (g * panels::panels(width) + offset / SIDE) * PANEL;
                            let pairs = &pairs[at..][..panels::panels(inputs) * PANEL];
                            multiply(unit, Packed { pairs, count, inputs }, weights, sums, offset > 0);
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
}

/// Rows of a linear layer's input, of all inputs, as a first factor.
#[derive(Clone, Copy)]
enum Rows<'a> {
    /// Rounded, as they lie: `[rows, width]`.
    InPlace(&'a [u16]),
    /// Groups of packed rows.
    Packed(&'a [u32]),
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
    use crate::Window;
    use crate::kernel::case::{Case, SQUARE};

    /// AMX packs what other units read in place.
    #[test]
    fn packed_and_in_place_end_in_equal_bits() {
        for case in [
            Case::new([1, 1, 1120], SQUARE(1, 1), 300, 40),
            Case::new([12, 12, 4], SQUARE(8, 4), 16, 3),
            Case::new([20, 20, 32], SQUARE(4, 2), 64, 5),
            Case::new([9, 9, 32], Window { padding: [1, 1], ..SQUARE(3, 1) }, 40, 3),
        ] {
            let Case { patches, bias, .. } = &case;
            let bytes: Vec<u8> = (0..case.x.len()).map(|i| (i * 7 % 256) as u8).collect();
            for unit in [Unit::Plain, Unit::Avx512].into_iter().filter(|unit| unit.is_there()) {
                let both = |run: &dyn Fn(Forward<'_>, &mut [f32])| {
                    let [packed, read] = [false, true].map(|in_place| {
                        let mut out = vec![f32::NAN; case.g.len()];
                        run(Forward { unit, in_place, patches, bias, relu: false }, &mut out);
                        out
                    });
                    assert!(packed == read, "{} of {:?}", unit.name(), case.shape);
                };
                both(&|forward, out| forward.run(&case.x, &case.w, out));
                both(&|forward, out| forward.run(&bytes, &case.w, out));
            }
        }
    }

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
