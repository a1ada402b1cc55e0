//! Plain Rust, one product at a time: what the other units are compared with.

use super::{BLOCK, InPlace, LINE, PANEL, Packed, SIDE, TILE};

/// [`multiply`](super::multiply()).
pub(super) fn multiply(a: &Packed<'_>, b: &[u32], c: &mut [f32], add: bool) {
    let group = a.group();
    let pair = |row: usize, k: usize| {
        let line = row % SIDE / LINE * TILE + row % LINE * LINE;
        a.pairs[row / SIDE * group + k / LINE * PANEL + line + k % LINE]
    };
    each(a.rows, group, b, c, add, pair);
}

/// [`multiply_in_place`](super::multiply_in_place()).
pub(super) fn multiply_in_place(a: &InPlace<'_>, b: &[u32], c: &mut [f32], add: bool) {
    let pair = |row: usize, k: usize| {
        let at = a.starts[row] + a.offset + a.runs[2 * k / a.run] + 2 * k % a.run;
        u32::from(a.values[at]) | u32::from(a.values[at + 1]) << 16
    };
    each(a.starts.len(), a.group(), b, c, add, pair);
}

/// Sums every row of `rows` by every column; `pair(row, k)` is pair `k` of a row.
fn each(rows: usize, group: usize, b: &[u32], c: &mut [f32], add: bool, pair: impl Fn(usize, usize) -> u32) {
    let halves = |pair: u32| [f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000)];
    let blocks = b.len() / group;
    for (g, c) in c.chunks_exact_mut(blocks * BLOCK).enumerate() {
        for (b, c) in b.chunks_exact(group).zip(c.chunks_exact_mut(BLOCK)) {
            for (i, c) in c.iter_mut().enumerate().take((rows - g * SIDE) * SIDE) {
                let (row, column) = (g * SIDE + i / SIDE, i % SIDE / LINE * TILE + i % LINE);
                let mut sum = if add { *c } else { 0.0 };
                for k in 0..group / SIDE {
                    let ([a0, a1], [b0, b1]) =
                        (halves(pair(row, k)), halves(b[k / LINE * PANEL + column + k % LINE * LINE]));
                    sum = a1.mul_add(b1, a0.mul_add(b0, sum));
                }
                *c = sum;
            }
        }
    }
}
