//! Plain Rust, one product at a time: what the other units are compared with.
#![forbid(unsafe_code)]

use super::{BLOCK, InPlace, LINE, PANEL, Packed, SIDE, TILE};

/// [`multiply`](super::multiply()).
pub(super) fn multiply(a: &Packed<'_>, b: &Packed<'_>, c: &mut [f32], add: bool) {
    let pair = |row: usize, k: usize| {
        let line = row % SIDE / LINE * TILE + row % LINE * LINE;
        a.pairs[row / SIDE * a.group() + k / LINE * PANEL + line + k % LINE]
    };
    sum(a.count, pair, b, c, add);
}

/// [`multiply_in_place`](super::multiply_in_place()).
pub(super) fn multiply_in_place(a: &InPlace<'_>, b: &Packed<'_>, c: &mut [f32], add: bool) {
    let pair = |row: usize, k: usize| {
        let at = a.starts[row] + a.offset + a.runs[2 * k / a.run] + 2 * k % a.run;
        u32::from(a.values[at]) | u32::from(a.values[at + 1]) << 16
    };
    sum(a.starts.len(), pair, b, c, add);
}

/// Sums every row by every column; `pair(row, k)` is pair `k` of a row.
fn sum(rows: usize, pair: impl Fn(usize, usize) -> u32, b: &Packed<'_>, c: &mut [f32], add: bool) {
    let halves = |pair: u32| [f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000)];
    let group = b.group();
    for (row, column) in (0..rows).flat_map(|row| (0..b.count).map(move |column| (row, column))) {
        let block = row / SIDE * b.groups() + column / SIDE;
        let c = &mut c[block * BLOCK + row % SIDE * SIDE + column % SIDE];
        let first = column / SIDE * group + column % SIDE / LINE * TILE + column % LINE;
        let mut sum = if add { *c } else { 0.0 };
        for k in 0..b.inputs.div_ceil(2) {
            let [a0, a1] = halves(pair(row, k));
            let [b0, b1] = halves(b.pairs[first + k / LINE * PANEL + k % LINE * LINE]);
            sum = a1.mul_add(b1, a0.mul_add(b0, sum));
        }
        *c = sum;
    }
}
