//! Products of blocks of bf16 by the instructions that some CPUs have for them.
//!
//! `pulp` knows no bf16, and the tiles of AMX have no stable intrinsics; so this file and its folder speak to them.
//! Operands come packed: lines of 16 pairs, a pair being two neighbours of a sum in one `u32`, the even one in its low
//! half; a tile of 16 lines; a panel of two tiles, that is 32 rows (or columns) of 32 inputs. A first factor may also
//! lie as it is, for a unit that [reads in place](Unit::reads_in_place).
#![allow(unsafe_code)]

use std::sync::OnceLock;

/// Rows and columns of a block of the result, and inputs of a panel.
pub(super) const SIDE: usize = 32;
/// Pairs of a line, and lines of a tile.
pub(super) const LINE: usize = 16;
/// Pairs of a tile.
pub(super) const TILE: usize = LINE * LINE;
/// Pairs of a panel.
pub(super) const PANEL: usize = 2 * TILE;
/// Values of a block.
pub(super) const BLOCK: usize = SIDE * SIDE;

/// Instructions that multiply bf16 and add up `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// AMX, tiles in registers of their own: `tdpbf16ps`.
    Amx,
    /// AVX-512 vectors: `vdpbf16ps`.
    Avx512,
    /// Plain Rust, one product at a time: the reference of the tests, on any CPU.
    Plain,
}

impl Unit {
    /// Fastest unit that this CPU has, without [`Unit::Plain`]; `None` if it has no other.
    pub fn best() -> Option<Self> {
        static BEST: OnceLock<Option<Unit>> = OnceLock::new();
        *BEST.get_or_init(|| [Self::Amx, Self::Avx512].into_iter().find(|unit| unit.is_there()))
    }

    /// Whether this CPU has the unit and the operating system lets this process use it.
    pub fn is_there(self) -> bool {
        match self {
            Self::Amx => amx::is_there(),
            Self::Avx512 => avx512::is_there(),
            Self::Plain => true,
        }
    }

    /// Whether rows that are not packed can be read, by [`multiply_in_place`]. AMX takes the lines of a tile at one
    /// distance from each other, which patches of a convolution do not keep.
    pub(super) fn reads_in_place(self) -> bool {
        self != Self::Amx
    }

    /// Name in reports, such as `amx-bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx-bf16",
            Self::Avx512 => "avx512-bf16",
            Self::Plain => "plain",
        }
    }
}

/// Rows of a first factor, or columns of a second one, as panels.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    /// Groups of 32 rows or columns, each of as many panels as the inputs fill, filled up with zeros.
    pub pairs: &'a [u32],
    /// Number of rows or columns.
    pub count: usize,
    pub inputs: usize,
}

impl Packed<'_> {
    /// Pairs of a group.
    fn group(&self) -> usize {
        self.inputs.div_ceil(SIDE) * PANEL
    }

    fn groups(&self) -> usize {
        self.count.div_ceil(SIDE)
    }

    /// Whether the groups are whole, and not empty.
    fn is_whole(&self) -> bool {
        self.inputs > 0 && self.pairs.len() == self.groups() * self.group()
    }
}

/// Rows of a first factor as they lie in memory: row `r` is the runs of `run` numbers from `starts[r] + offset` on, one
/// at each of `runs`.
#[derive(Clone, Copy)]
pub(super) struct InPlace<'a> {
    pub values: &'a [u16],
    pub starts: &'a [usize],
    pub offset: usize,
    pub runs: &'a [usize],
    /// A multiple of 32.
    pub run: usize,
}

/// Product of packed matrices, `c += a · bᵀ`, or `c = a · bᵀ` unless `add`. `c` has a block of `[32, 32]` for every pair
/// of groups, those of one group of rows together; what a block has after the last row and column is unspecified.
///
/// # Panics
/// If the lengths do not fit each other, or the unit is not there.
pub(super) fn multiply(unit: Unit, a: Packed<'_>, b: Packed<'_>, c: &mut [f32], add: bool) {
    assert!(a.is_whole() && b.is_whole() && a.inputs == b.inputs, "whole groups of equal inputs");
    assert_eq!(c.len(), a.groups() * b.groups() * BLOCK, "a block for every pair of groups");
    assert!(unit.is_there(), "no {} here", unit.name());
    if c.is_empty() {
        return;
    }
    match unit {
        // SAFETY: the unit is there, and the lengths fit.
        Unit::Amx => unsafe { amx::multiply(a.pairs, b.pairs, a.inputs.div_ceil(SIDE), c, add) },
        // SAFETY: the unit is there.
        Unit::Avx512 => unsafe { avx512::multiply(&a, &b, c, add) },
        Unit::Plain => plain::multiply(&a, &b, c, add),
    }
}

/// Product as of [`multiply`], equal to the bit, of rows that are not packed.
///
/// # Panics
/// If the lengths do not fit each other, or the unit does not [read in place](Unit::reads_in_place), or is not there.
pub(super) fn multiply_in_place(unit: Unit, a: InPlace<'_>, b: Packed<'_>, c: &mut [f32], add: bool) {
    assert!(a.run.is_multiple_of(SIDE) && a.runs.len() * a.run == b.inputs, "whole panels of equal inputs");
    assert!(b.is_whole(), "whole groups of columns");
    assert_eq!(c.len(), a.starts.len().div_ceil(SIDE) * b.groups() * BLOCK, "a block for every pair of groups");
    assert!(unit.reads_in_place() && unit.is_there(), "no {} here that reads in place", unit.name());
    if c.is_empty() {
        return;
    }
    match unit {
        // SAFETY: the unit is there.
        Unit::Avx512 => unsafe { avx512::multiply_in_place(&a, &b, c, add) },
        Unit::Amx => unreachable!("refused above"),
        Unit::Plain => plain::multiply_in_place(&a, &b, c, add),
    }
}

mod plain;

#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(not(target_arch = "x86_64"))]
mod avx512 {
    use super::{InPlace, Packed};

    pub(super) fn is_there() -> bool {
        false
    }

    /// # Safety
    /// Never called: the unit is not there.
    pub(super) unsafe fn multiply(_: &Packed<'_>, _: &Packed<'_>, _: &mut [f32], _: bool) {
        unreachable!("AVX-512 is of x86-64");
    }

    /// # Safety
    /// Never called: the unit is not there.
    pub(super) unsafe fn multiply_in_place(_: &InPlace<'_>, _: &Packed<'_>, _: &mut [f32], _: bool) {
        unreachable!("AVX-512 is of x86-64");
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod amx {
    pub(super) fn is_there() -> bool {
        false
    }

    /// # Safety
    /// Never called: the unit is not there.
    pub(super) unsafe fn multiply(_: &[u32], _: &[u32], _: usize, _: &mut [f32], _: bool) {
        unreachable!("AMX is asked for on Linux on x86-64 only");
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{Rng, Stream};

    use super::*;
    use crate::kernel::bf16::panels::{self, Half as _};

    fn others() -> impl Iterator<Item = Unit> {
        [Unit::Amx, Unit::Avx512].into_iter().filter(|unit| unit.is_there())
    }

    /// What a result has in its rows and columns.
    fn table(c: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        let blocks = columns.div_ceil(SIDE);
        let at = |r: usize, k: usize| (r / SIDE * blocks + k / SIDE) * BLOCK + r % SIDE * SIDE + k % SIDE;
        (0..rows).flat_map(|r| (0..columns).map(move |k| c[at(r, k)])).collect()
    }

    #[test]
    fn every_unit_of_this_cpu_multiplies_alike() {
        let mut rng = Rng::new(3, Stream::Tool(0));
        for (rows, columns, inputs) in [
            (32, 32, 32),
            (64, 96, 160),
            (32, 64, 544),
            (1, 1, 32),
            (9, 33, 37),
            (50, 17, 65),
            (50, 17, 64),
            (40, 48, 96),
            (0, 5, 32),
            (5, 0, 32),
        ] {
            let mut draw = |count: usize| -> Vec<u16> {
                let numbers = (0..count * inputs).map(|_| (rng.normal() as f32).half());
                numbers.collect()
            };
            let (left, right) = (draw(rows), draw(columns));
            let packed = |numbers: &[u16], count: usize| {
                let mut packed = vec![u32::MAX; panels::packed_len(count, inputs)];
                panels::lines(count, inputs, |r| &numbers[r * inputs..][..inputs], &mut packed);
                packed
            };
            let (first, mut second) = (packed(&left, rows), packed(&right, columns));
            panels::turn(&mut second);
            let a = Packed { pairs: &first, count: rows, inputs };
            let b = Packed { pairs: &second, count: columns, inputs };
            let before: Vec<f32> = (0..a.groups() * b.groups() * BLOCK).map(|_| rng.normal() as f32).collect();
            for add in [false, true] {
                let product = |unit: Unit| {
                    let mut c = before.clone();
                    multiply(unit, a, b, &mut c, add);
                    table(&c, rows, columns)
                };
                let expected = product(Unit::Plain);
                for unit in others().chain([Unit::Plain]) {
                    let found = product(unit);
                    let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 2e-4);
                    assert!(near, "{} of {rows} × {columns} × {inputs}", unit.name());
                    if unit.reads_in_place() && inputs % SIDE == 0 {
                        let direct = in_place(unit, &left, rows, b, before.clone(), add);
                        assert!(table(&direct, rows, columns) == found, "{} in place", unit.name());
                    }
                }
            }
        }
    }

    /// Product of rows that lie apart from each other, each in two runs behind a gap, or in one.
    fn in_place(unit: Unit, rows: &[u16], count: usize, b: Packed<'_>, mut c: Vec<f32>, add: bool) -> Vec<f32> {
        let (inputs, offset) = (b.inputs, 5);
        let run = if inputs.is_multiple_of(2 * SIDE) { inputs / 2 } else { inputs };
        let runs: Vec<usize> = (0..inputs / run).map(|i| i * (run + 3)).collect();
        let width = 2 * inputs;
        let mut values = vec![u16::MAX; offset + count * width];
        for (r, row) in rows.chunks_exact(inputs).enumerate() {
            for (row, at) in row.chunks_exact(run).zip(&runs) {
                values[offset + r * width + at..][..run].copy_from_slice(row);
            }
        }
        let starts: Vec<usize> = (0..count).map(|r| r * width).collect();
        multiply_in_place(unit, InPlace { values: &values, starts: &starts, offset, runs: &runs, run }, b, &mut c, add);
        c
    }

    /// The assembly of AMX counts on what is checked before.
    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let (group, c) = (vec![0; PANEL], vec![0.0; BLOCK]);
        let whole = Packed { pairs: &group, count: SIDE, inputs: SIDE };
        let refused = |a: Packed<'_>, b: Packed<'_>, c: &[f32]| {
            let product = || multiply(Unit::Plain, a, b, &mut c.to_vec(), false);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(product)).is_err()
        };
        assert!(!refused(whole, whole, &c));
        let (short, deep) = (Packed { pairs: &group[1..], ..whole }, Packed { inputs: SIDE - 1, ..whole });
        let (many, none) = (Packed { count: SIDE + 1, ..whole }, Packed { inputs: 0, ..whole });
        for wrong in [short, deep, many, none] {
            assert!(refused(wrong, whole, &c) && refused(whole, wrong, &c));
        }
        assert!(refused(none, none, &c) && refused(whole, whole, &c[1..]));
        let (values, runs) = (vec![0; SIDE], [0]);
        let in_place = |unit: Unit, run: usize, c: &[f32]| {
            let a = InPlace { values: &values, starts: &[0], offset: 0, runs: &runs, run };
            let product = || multiply_in_place(unit, a, whole, &mut c.to_vec(), false);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(product)).is_err()
        };
        assert!(!in_place(Unit::Plain, SIDE, &c));
        assert!(in_place(Unit::Plain, SIDE / 2, &c) && in_place(Unit::Plain, SIDE, &c[1..]));
        assert!(in_place(Unit::Amx, SIDE, &c), "AMX reads packed rows alone");
    }

    #[test]
    fn a_block_is_rows_by_columns() {
        // Row 17 holds 3 at input 5, column 30 holds 2 there.
        let (mut a, mut b) = (vec![0; PANEL], vec![0; PANEL]);
        let odd = |x: f32| x.to_bits() & 0xffff_0000;
        a[TILE + LINE + 2] = odd(3.0);
        b[TILE + 2 * LINE + 14] = odd(2.0);
        for unit in others().chain([Unit::Plain]) {
            let mut c = vec![f32::NAN; BLOCK];
            let [a, b] = [&a, &b].map(|pairs| Packed { pairs, count: SIDE, inputs: SIDE });
            multiply(unit, a, b, &mut c, false);
            let found: Vec<usize> = (0..BLOCK).filter(|i| c[*i] != 0.0).collect();
            assert_eq!(found, [17 * SIDE + 30], "{}", unit.name());
            assert!(c[found[0]] == 6.0);
        }
    }
}
