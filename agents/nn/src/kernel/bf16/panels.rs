//! Operands of [`multiply`](super::unit::multiply()): floats rounded to bf16 and packed into panels.
//!
//! Rows of a first factor are lines, as they lie in memory. Rows of a second factor are its inputs, which go into pairs
//! two by two. Either becomes the other when each of its tiles is transposed, so that a factor that lies the wrong way
//! is packed as it lies and then transposed.

use super::unit::{BLOCK, LINE, PANEL, SIDE, TILE};
use crate::kernel::isa::vectorised;

/// Number that is rounded to bf16.
pub(super) trait Half: Copy + Sync {
    /// Bits of the number in bf16, rounded to the nearest, ties to even.
    fn half(self) -> u16;
}

impl Half for f32 {
    #[inline(always)]
    fn half(self) -> u16 {
        let bits = self.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
        // A NaN must not be rounded up to infinity.
        let bits = if bits & 0x7fff_ffff > 0x7f80_0000 { bits | 0x40_0000 } else { rounded };
        (bits >> 16) as u16
    }
}

impl Half for u16 {
    #[inline(always)]
    fn half(self) -> u16 {
        self
    }
}

/// Number of panels in a sum over `inputs` inputs.
pub(super) fn panels(inputs: usize) -> usize {
    inputs.div_ceil(SIDE)
}

/// Number of pairs in all groups of `lines` rows or columns of `inputs` inputs.
pub(super) fn packed_len(lines: usize, inputs: usize) -> usize {
    lines.div_ceil(SIDE) * panels(inputs) * PANEL
}

/// Packs the rows of a first factor; `row(i)` is row `i` of `rows`, of `inputs` numbers. Whole groups are filled up
/// with zeros.
pub(super) fn lines<'a, H: Half + 'a>(rows: usize, inputs: usize, row: impl Fn(usize) -> &'a [H], into: &mut [u32]) {
    let group = panels(inputs) * PANEL;
    vectorised(
        #[inline(always)]
        || {
            for (g, into) in into.chunks_exact_mut(group).enumerate() {
                for i in 0..SIDE {
                    let row = if g * SIDE + i < rows { row(g * SIDE + i) } else { &[] };
                    line(row, i, into);
                }
            }
        },
    );
}

/// Packs the inputs of a second factor; `row(k)` is input `k` of `inputs`, a number for every column. Whole panels are
/// filled up with zeros.
pub(super) fn pairs<'a, H: Half + 'a>(inputs: usize, row: impl Fn(usize) -> &'a [H], into: &mut [u32]) {
    vectorised(
        #[inline(always)]
        || {
            for k in (0..panels(inputs) * SIDE).step_by(2) {
                let even = if k < inputs { row(k) } else { &[] };
                let odd = if k + 1 < inputs { row(k + 1) } else { &[] };
                pair(even, odd, k / 2, panels(inputs), into);
            }
        },
    );
}

/// Packs `row`, filled up with zeros, as line `i` of a group.
#[inline(always)]
pub(super) fn line<H: Half>(row: &[H], i: usize, group: &mut [u32]) {
    let (whole, mut rest) = row.as_chunks();
    let mut panels = group.as_chunks_mut().0.iter_mut();
    for (from, panel) in whole.iter().zip(&mut panels) {
        whole_line(from, i, panel);
    }
    for panel in panels {
        let mut last = [0; SIDE];
        for (last, from) in last.iter_mut().zip(rest) {
            *last = from.half();
        }
        whole_line(&last, i, panel);
        rest = &[];
    }
}

/// Packs 32 numbers as line `i` of a panel.
#[inline(always)]
pub(super) fn whole_line<H: Half>(from: &[H; SIDE], i: usize, panel: &mut [u32; PANEL]) {
    let at = i / LINE * TILE + i % LINE * LINE;
    let mut line = [0; LINE]; // apart from the panel, which the compiler may not take for `from`
    // As single numbers: those of a line follow each other.
    for (half, from) in bytemuck::cast_mut::<[u32; LINE], [u16; SIDE]>(&mut line).iter_mut().zip(from) {
        *half = from.half();
    }
    panel[at..at + LINE].copy_from_slice(&line);
}

/// Packs inputs `even` and `odd`, filled up with zeros, as line `p` of every group of columns; `p` counts over all
/// panels.
#[inline(always)]
pub(super) fn pair<H: Half>(even: &[H], odd: &[H], p: usize, panels: usize, into: &mut [u32]) {
    let [evens, odds] = [even, odd].map(<[H]>::as_chunks::<SIDE>);
    for (g, into) in into.chunks_exact_mut(panels * PANEL).enumerate() {
        if let (Some(even), Some(odd)) = (evens.0.get(g), odds.0.get(g)) {
            whole_pair(even, odd, p, into);
        } else {
            whole_pair(&padded(evens, g), &padded(odds, g), p, into);
        }
    }
}

/// Block `g` of a row, given its whole blocks and the rest, in bf16 and filled up with zeros.
#[inline(always)]
fn padded<H: Half>((whole, rest): (&[[H; SIDE]], &[H]), g: usize) -> [u16; SIDE] {
    let from = match whole.get(g) {
        Some(whole) => whole,
        None if g == whole.len() => rest,
        None => &[],
    };
    let mut block = [0; SIDE];
    for (block, from) in block.iter_mut().zip(from) {
        *block = from.half();
    }
    block
}

/// Packs 32 columns of inputs `even` and `odd` as line `p` of one group; `p` counts over all panels.
#[inline(always)]
pub(super) fn whole_pair<H: Half>(even: &[H; SIDE], odd: &[H; SIDE], p: usize, group: &mut [u32]) {
    let at = p / LINE * PANEL + p % LINE * LINE;
    for tile in 0..2 {
        let mut line = [0; LINE]; // apart from the group, as above
        for j in 0..LINE {
            line[j] = joined(even[tile * LINE + j], odd[tile * LINE + j]);
        }
        group[at + tile * TILE..][..LINE].copy_from_slice(&line);
    }
}

#[inline(always)]
fn joined<H: Half>(even: H, odd: H) -> u32 {
    u32::from(even.half()) | u32::from(odd.half()) << 16
}

/// Transposes every tile in place: a packed first factor becomes a second one, and the other way round.
pub(super) fn turn(packed: &mut [u32]) {
    vectorised(
        #[inline(always)]
        || {
            for tile in packed.as_chunks_mut::<TILE>().0 {
                transpose(tile);
            }
        },
    );
}

/// Copies numbers by 32 as long as there are as many: for so few, a call of memcpy costs more than the copy.
#[inline(always)]
pub(super) fn copy<T: Copy>(from: &[T], into: &mut [T]) {
    let ((from, last), (into, rest)) = (from.as_chunks::<SIDE>(), into.as_chunks_mut::<SIDE>());
    into.iter_mut().zip(from).for_each(|(into, from)| *into = *from);
    rest.iter_mut().zip(last).for_each(|(into, from)| *into = *from);
}

/// Writes the transpose of a block of results, `[32, 32]`, to `into`.
pub(super) fn turn_block(block: &[f32], into: &mut [f32]) {
    let into: &mut [f32; BLOCK] = into.try_into().expect("a block");
    vectorised(
        #[inline(always)]
        || {
            for (i, row) in block.as_chunks::<SIDE>().0.iter().enumerate() {
                for j in 0..SIDE {
                    into[j * SIDE + i] = row[j];
                }
            }
        },
    );
}

/// Transposes a tile of `[16, 16]` pairs in place. Four times, lines `i` and `i + 8` are interleaved to lines `2 i` and
/// `2 i + 1`.
#[inline(always)]
fn transpose(tile: &mut [u32; TILE]) {
    for _ in 0..LINE.ilog2() {
        let mut next = [0; TILE];
        for i in 0..LINE / 2 {
            for j in 0..LINE {
                next[2 * i * LINE + 2 * j] = tile[i * LINE + j];
                next[2 * i * LINE + 2 * j + 1] = tile[(i + LINE / 2) * LINE + j];
            }
        }
        *tile = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_to_the_nearest_and_ties_to_even() {
        for (x, expected) in [
            (0x3f80_0000, 0x3f80),
            (0x3f80_7fff, 0x3f80),
            (0x3f80_8000, 0x3f80),
            (0x3f80_8001, 0x3f81),
            (0x3f81_8000, 0x3f82),
            (0xbf81_8000, 0xbf82),
            (0x7f7f_ffff, 0x7f80), // the largest number becomes infinite
            (0x7f80_0000, 0x7f80),
            (0x7f80_0001, 0x7fc0), // a NaN stays one
            (0xffff_ffff, 0xffff),
        ] {
            assert_eq!(f32::from_bits(x).half(), expected, "{x:x}");
        }
    }

    #[test]
    fn a_factor_that_is_turned_is_its_transpose() {
        for (rows, inputs) in [(1, 1), (32, 32), (33, 70), (5, 100)] {
            let matrix: Vec<f32> = (0..rows * inputs).map(|i| i as f32 % 251.0).collect();
            let row = |i: usize| &matrix[i * inputs..(i + 1) * inputs];
            let mut as_lines = vec![u32::MAX; packed_len(rows, inputs)];
            lines(rows, inputs, row, &mut as_lines);
            let transposed: Vec<f32> = (0..rows * inputs).map(|i| matrix[i % rows * inputs + i / rows]).collect();
            let input = |k: usize| &transposed[k * rows..(k + 1) * rows];
            let mut as_pairs = vec![u32::MAX; packed_len(rows, inputs)];
            pairs(inputs, input, &mut as_pairs);
            turn(&mut as_lines);
            assert_eq!(as_lines, as_pairs, "{rows} rows of {inputs}");
        }
    }
}
