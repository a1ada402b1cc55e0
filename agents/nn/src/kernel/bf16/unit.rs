//! Products of blocks of bf16 by the instructions that some CPUs have for them.
//!
//! `pulp` knows no bf16, and the tiles of AMX have no stable intrinsics; so its folder speaks to both itself.
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

    /// Whether rows that are not packed can be read, by [`multiply_in_place`]: AMX takes lines of a tile at one distance.
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

/// Rows of a first factor as panels.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    /// Groups of 32 rows, each of as many panels as the inputs fill; after the last row and input come zeros.
    pub pairs: &'a [u32],
    pub rows: usize,
    pub inputs: usize,
}

impl Packed<'_> {
    /// Pairs of a group.
    fn group(&self) -> usize {
        self.inputs.div_ceil(SIDE) * PANEL
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

impl InPlace<'_> {
    /// Pairs of a group of columns.
    fn group(&self) -> usize {
        self.runs.len() * self.run / SIDE * PANEL
    }
}

/// Product of packed matrices, `c += a · bᵀ`, or `c = a · bᵀ` unless `add`. `b` holds groups of 32 columns, of as many
/// panels as those of `a`; `c` has a block of `[32, 32]` for every pair of groups, those of one group of rows together.
/// What a block has after the last row is unspecified.
///
/// # Panics
/// If the lengths do not fit each other, or the unit is not there.
pub(super) fn multiply(unit: Unit, a: Packed<'_>, b: &[u32], c: &mut [f32], add: bool) {
    let group = a.group();
    assert!(
        group > 0 && a.pairs.len() == a.rows.div_ceil(SIDE) * group && b.len().is_multiple_of(group),
        "whole groups"
    );
    assert_eq!(c.len(), a.pairs.len() / group * (b.len() / group) * BLOCK, "a block for every pair of groups");
    if c.is_empty() {
        return;
    }
    assert!(unit.is_there(), "no {} here", unit.name());
    match unit {
        // SAFETY: the unit is there, and the lengths fit.
        Unit::Amx => unsafe { amx::multiply(a.pairs, b, group / PANEL, c, add) },
        // SAFETY: the unit is there.
        Unit::Avx512 => unsafe { avx512::multiply(&a, b, c, add) },
        Unit::Plain => plain::multiply(&a, b, c, add),
    }
}

/// Product as of [`multiply`], equal to the bit, of rows that are not packed.
///
/// # Panics
/// If the lengths do not fit each other, or the unit does not [read in place](Unit::reads_in_place), or is not there.
pub(super) fn multiply_in_place(unit: Unit, a: InPlace<'_>, b: &[u32], c: &mut [f32], add: bool) {
    let group = a.group();
    assert!(group > 0 && a.run.is_multiple_of(SIDE) && b.len().is_multiple_of(group), "whole panels and groups");
    assert_eq!(c.len(), a.starts.len().div_ceil(SIDE) * (b.len() / group) * BLOCK, "a block for every pair of groups");
    if c.is_empty() {
        return;
    }
    assert!(unit.is_there(), "no {} here", unit.name());
    match unit {
        Unit::Amx => unreachable!("AMX reads packed lines alone"),
        // SAFETY: the unit is there.
        Unit::Avx512 => unsafe { avx512::multiply_in_place(&a, b, c, add) },
        Unit::Plain => plain::multiply_in_place(&a, b, c, add),
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod plain;

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

#[cfg(not(target_arch = "x86_64"))]
mod avx512 {
    use super::{InPlace, Packed};

    pub(super) fn is_there() -> bool {
        false
    }

    /// # Safety
    /// Never called: the unit is not there.
    pub(super) unsafe fn multiply(_: &Packed<'_>, _: &[u32], _: &mut [f32], _: bool) {
        unreachable!("AVX-512 is of x86-64");
    }

    /// # Safety
    /// Never called: the unit is not there.
    pub(super) unsafe fn multiply_in_place(_: &InPlace<'_>, _: &[u32], _: &mut [f32], _: bool) {
        unreachable!("AVX-512 is of x86-64");
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{Rng, Stream};

    use super::*;
    use crate::kernel::bf16::panels;

    fn pairs(len: usize, rng: &mut Rng) -> Vec<u32> {
        let mut half = || (rng.normal() as f32).to_bits() >> 16;
        (0..len).map(|_| half() | half() << 16).collect()
    }

    fn others() -> impl Iterator<Item = Unit> {
        [Unit::Amx, Unit::Avx512].into_iter().filter(|unit| unit.is_there())
    }

    /// Rows of a result of `blocks` blocks to a group of rows, without those after the last row.
    fn rows_of(c: &[f32], rows: usize, blocks: usize) -> Vec<&[f32]> {
        let row = |r: usize, block: usize| &c[(r / SIDE * blocks + block) * BLOCK + r % SIDE * SIDE..][..SIDE];
        (0..rows).flat_map(|r| (0..blocks).map(move |block| row(r, block))).collect()
    }

    #[test]
    fn every_unit_of_this_cpu_multiplies_alike() {
        let mut rng = Rng::new(3, Stream::Tool(0));
        for (rows, columns, inputs) in
            [(32, 1, 32usize), (64, 3, 160), (32, 2, 544), (1, 1, 32), (9, 2, 37), (50, 1, 65)]
        {
            let depth = inputs.next_multiple_of(SIDE);
            let numbers = pairs(rows * depth / 2, &mut rng);
            let mut numbers: Vec<u16> = bytemuck::cast_slice(&numbers).to_vec();
            numbers.chunks_exact_mut(depth).for_each(|row| row[inputs..].fill(0));
            let mut packed = vec![u32::MAX; panels::packed_len(rows, depth)];
            panels::lines(rows, depth, |r| &numbers[r * depth..][..depth], &mut packed);
            let a = Packed { pairs: &packed, rows, inputs };
            let starts: Vec<usize> = (0..rows).map(|r| r * depth).collect();
            let (runs, run): (Vec<usize>, _) =
                if inputs == 160 { (vec![0, 32, 64, 96, 128], 32) } else { (vec![0], depth) };
            let in_place = InPlace { values: &numbers, starts: &starts, offset: 0, runs: &runs, run };
            let b = pairs(columns * depth / SIDE * PANEL, &mut rng);
            for add in [false, true] {
                let before: Vec<f32> =
                    (0..rows.div_ceil(SIDE) * columns * BLOCK).map(|_| rng.normal() as f32).collect();
                let mut expected = before.clone();
                multiply(Unit::Plain, a, &b, &mut expected, add);
                let expected = rows_of(&expected, rows, columns);
                for unit in others().chain([Unit::Plain]) {
                    let mut c = before.clone();
                    multiply(unit, a, &b, &mut c, add);
                    let found = rows_of(&c, rows, columns);
                    let differences =
                        found.iter().zip(&expected).flat_map(|(a, b)| a.iter().zip(*b).map(|(a, b)| a - b));
                    let worst = differences.fold(0.0, |worst: f32, d| worst.max(d.abs()));
                    assert!(worst < 2e-4, "{} is off by {worst}", unit.name());
                    if unit.reads_in_place() {
                        let mut direct = before.clone();
                        multiply_in_place(unit, in_place, &b, &mut direct, add);
                        assert!(rows_of(&direct, rows, columns) == found, "{} in place", unit.name());
                    }
                }
            }
        }
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
            multiply(unit, Packed { pairs: &a, rows: SIDE, inputs: SIDE }, &b, &mut c, false);
            let found: Vec<usize> = (0..BLOCK).filter(|i| c[*i] != 0.0).collect();
            assert_eq!(found, [17 * SIDE + 30], "{}", unit.name());
            assert!(c[found[0]] == 6.0);
        }
    }
}
