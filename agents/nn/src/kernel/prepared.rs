//! Weights of a linear layer, packed once for many products: the steps of a recurrence.
//!
//! A product with more than a few rows packs its weights, which costs a step of a recurrence as much as a tenth of its
//! multiplications; here they are packed once. Results have the bits of [`forward`](super::forward()).

use pulp::{Simd, WithSimd};

use super::forward::{COLUMNS, Linear, Step, cut, linear, whole_rows};
use super::isa::dispatch;
use super::panels::{pack, pack_transposed, packed_floats, packed_len};
use super::parts::{each, share};
use super::patches::row_blocks;
use super::tile::ROWS;
use super::workspace::Workspace;

/// Rows up to which it does not pay to pack the weights once for all products.
const FEW: usize = 3 * ROWS;

/// Weights `[width, n]` that are packed once, for many products of a fixed number of rows.
pub(crate) struct Prepared<'a> {
    /// Weights as they lie in memory, or packed into panels, one block of columns after the other.
    values: &'a [f32],
    packed: bool,
    width: usize,
    n: usize,
}

impl<'a> Prepared<'a> {
    /// Prepares `w [width, n]` for products of `rows` rows.
    pub(crate) fn new(w: &'a [f32], n: usize, rows: usize, room: &'a mut Workspace) -> Self {
        let (width, packed) = (w.len() / n, rows > FEW);
        let values = if packed { pack_all(w, width, n, false, room) } else { w };
        Self { values, packed, width, n }
    }

    /// Prepares the transpose of `w [n, width]` for products of `rows` rows.
    pub(crate) fn transposed(w: &[f32], width: usize, rows: usize, room: &'a mut Workspace) -> Self {
        let (n, packed) = (w.len() / width, rows > FEW);
        let values = if packed {
            pack_all(w, width, n, true, room)
        } else {
            let turned = room.sized(w.len());
            super::transpose(w, width, turned);
            turned
        };
        Self { values, packed, width, n }
    }

    /// Computes `out [rows, n] = x [rows, width] · w + bias [n]`.
    pub(crate) fn forward(&self, x: &[f32], bias: &[f32], out: &mut [f32]) {
        let Self { values, packed, width, n } = *self;
        if out.is_empty() {
            return;
        }
        if !packed {
            return linear(Linear { x, width, w: values, n, bias, relu: false }, out);
        }
        cut(out, n, share(out.len() / n, width * n), |row, columns, stride, out| {
            let (x, packed) = (&x[row * width..], &values[columns.start * width..]);
            dispatch(Product { x, width, packed, bias: &bias[columns], stride, out });
        });
    }
}

/// Packs weights `[width, n]`, or the transpose of `[n, width]`, block of columns by block of columns.
fn pack_all<'r>(w: &[f32], width: usize, n: usize, transposed: bool, room: &'r mut Workspace) -> &'r [f32] {
    let packed = room.sized(packed_floats(width, n));
    each(packed, width * COLUMNS, |i, into| {
        let first = i * COLUMNS;
        dispatch(Pack { w, width, n, first, columns: COLUMNS.min(n - first), transposed, into });
    });
    packed
}

/// Packing of a block of columns.
struct Pack<'a> {
    w: &'a [f32],
    width: usize,
    n: usize,
    first: usize,
    columns: usize,
    transposed: bool,
    into: &'a mut [f32],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { w, width, n, first, columns, transposed, mut into } = self;
        for block in row_blocks(width) {
            let (now, rest) = into.split_at_mut(packed_len::<S>(block.len, columns));
            if transposed {
                pack_transposed::<S>(&w[first * width + block.offset..], width, block.len, columns, now);
            } else {
                pack(simd, &w[block.offset * n + first..], n, block.len, columns, now);
            }
            into = rest;
        }
    }
}

/// Product of all rows with a block of columns of packed weights.
struct Product<'a> {
    x: &'a [f32],
    width: usize,
    /// Packed weights from the block's first column on.
    packed: &'a [f32],
    bias: &'a [f32],
    /// Distance from one row of `out` to the next.
    stride: usize,
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, width, mut packed, bias, stride, out } = self;
        for block in row_blocks(width) {
            let (now, rest) = packed.split_at(packed_len::<S>(block.len, bias.len()));
            packed = rest;
            let step = Step { bias, first: block.offset == 0, relu: false, stride, ahead: 0 };
            whole_rows(simd, x, width, block, now, step, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{Rng, Stream};

    use super::*;
    use crate::kernel::{Patches, forward};

    #[test]
    fn prepared_weights_give_the_bits_of_a_product_by_itself() {
        let mut rng = Rng::new(0, Stream::Tool(0));
        for (rows, width, n) in [(1, 5, 7), (13, 300, 65), (32, 37, 1), (40, 260, 600), (900, 33, 130), (1100, 33, 300)]
        {
            let mut draws = |len: usize| (0..len).map(|_| rng.normal() as f32).collect::<Vec<f32>>();
            let (x, w, bias) = (draws(rows * width), draws(width * n), draws(n));
            let mut turned = vec![0.0; w.len()];
            super::super::transpose(&w, n, &mut turned);
            let mut expected = vec![0.0; rows * n];
            forward(&Patches::rows(width), &x, &w, &bias, false, &mut expected);
            for threads in [1, 2, 4] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let (mut one, mut two) = (Workspace::new(), Workspace::new());
                    let both =
                        [Prepared::new(&w, n, rows, &mut one), Prepared::transposed(&turned, width, rows, &mut two)];
                    for prepared in both {
                        let mut out = vec![0.0; rows * n];
                        prepared.forward(&x, &bias, &mut out);
                        assert!(out == expected, "{rows} rows, {width} by {n}, {threads} threads");
                    }
                });
            }
        }
    }
}
