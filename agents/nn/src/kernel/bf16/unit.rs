//! Products of blocks of bf16 by the instructions that some CPUs have for them.
//!
//! `pulp` knows no bf16, and the tiles of AMX have no stable intrinsics; so this file speaks to both itself. Operands
//! come packed: lines of 16 pairs, a pair being two neighbours of a sum in one `u32`, the even one in its low half; a
//! tile of 16 lines; a panel of two tiles, that is 32 rows (or columns) of 32 inputs.
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

    /// Name in reports, such as `amx-bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amx => "amx-bf16",
            Self::Avx512 => "avx512-bf16",
            Self::Plain => "plain",
        }
    }
}

/// Product of packed matrices, `c += a · bᵀ`, or `c = a · bᵀ` unless `add`. `a` holds groups of 32 rows and `b` groups
/// of 32 columns, each of `panels` panels; `c` has a block of `[32, 32]` for every pair of groups, those of one group
/// of rows together.
///
/// # Panics
/// If the lengths do not fit each other, or the unit is not there.
pub(super) fn multiply(unit: Unit, a: &[u32], b: &[u32], panels: usize, c: &mut [f32], add: bool) {
    let group = panels * PANEL;
    assert!(group > 0 && a.len().is_multiple_of(group) && b.len().is_multiple_of(group), "whole groups");
    assert_eq!(c.len(), a.len() / group * (b.len() / group) * BLOCK, "a block for every pair of groups");
    if c.is_empty() {
        return;
    }
    assert!(unit.is_there(), "no {} here", unit.name());
    match unit {
        // SAFETY: the unit is there, and the lengths fit.
        Unit::Amx => unsafe { amx::multiply(a, b, panels, c, add) },
        // SAFETY: the unit is there, and the lengths fit.
        Unit::Avx512 => unsafe { avx512::multiply(a, b, panels, c, add) },
        Unit::Plain => plain(a, b, panels, c, add),
    }
}

/// Iterates over every block of `c` with its group of rows and its group of columns.
#[inline(always)]
fn blocks<'a>(
    a: &'a [u32],
    b: &'a [u32],
    panels: usize,
    c: &'a mut [f32],
) -> impl Iterator<Item = (&'a [u32], &'a [u32], &'a mut [f32])> {
    let group = panels * PANEL;
    let pairs = a.chunks_exact(group).flat_map(move |a| b.chunks_exact(group).map(move |b| (a, b)));
    pairs.zip(c.chunks_exact_mut(BLOCK)).map(|((a, b), c)| (a, b, c))
}

fn plain(a: &[u32], b: &[u32], panels: usize, c: &mut [f32], add: bool) {
    let halves = |pair: u32| [f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000)];
    for (a, b, c) in blocks(a, b, panels, c) {
        for (i, c) in c.iter_mut().enumerate() {
            let (row, column) = (i / SIDE, i % SIDE);
            let (row, column) = (row / LINE * TILE + row % LINE * LINE, column / LINE * TILE + column % LINE);
            let mut sum = if add { *c } else { 0.0 };
            for (a, b) in a.chunks_exact(PANEL).zip(b.chunks_exact(PANEL)) {
                for pair in 0..LINE {
                    let ([a0, a1], [b0, b1]) = (halves(a[row + pair]), halves(b[column + pair * LINE]));
                    sum = a1.mul_add(b1, a0.mul_add(b0, sum));
                }
            }
            *c = sum;
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    use std::sync::OnceLock;

    use super::{BLOCK, LINE, PANEL, SIDE};

    /// Eight tiles of 16 lines of 64 bytes: what `ldtilecfg` reads.
    #[repr(C, align(64))]
    struct Config {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        line_bytes: [u16; 16],
        lines: [u8; 16],
    }

    static CONFIG: Config = {
        let (mut line_bytes, mut lines) = ([0; 16], [0; 16]);
        let mut tile = 0;
        while tile < 8 {
            (line_bytes[tile], lines[tile]) = (64, 16);
            tile += 1;
        }
        Config { palette: 1, start_row: 0, reserved: [0; 14], line_bytes, lines }
    };

    /// Bits of `edx` of leaf 7.
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;

    /// Whether the CPU has it and the kernel lets this process use it, which it asks for once.
    pub(super) fn is_there() -> bool {
        static THERE: OnceLock<bool> = OnceLock::new();
        *THERE.get_or_init(|| {
            let has = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (BF16 | TILES) == BF16 | TILES;
            has && ask()
        })
    }

    /// Asks the kernel for AMX by `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`: Linux keeps the 8 KiB of tiles
    /// only for processes that asked.
    fn ask() -> bool {
        const ARCH_PRCTL: i64 = 158;
        let result: i64;
        // SAFETY: the call takes two numbers, touches no memory of ours, and clobbers what the convention says.
        unsafe {
            asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") 0x1023_u64, in("rsi") 18_u64,
                out("rcx") _, out("r11") _, options(nostack));
        }
        result == 0
    }

    /// Arguments that the assembly reads from memory, for want of registers.
    #[repr(C)]
    struct Args {
        b: *const u32,
        column_groups: usize,
        panels: usize,
        add: usize,
    }

    /// [`multiply`](super::multiply()).
    ///
    /// # Safety
    /// The unit is there; `a` and `b` hold whole groups of `panels` panels, at least one, and `c` a block for every pair.
    pub(super) unsafe fn multiply(a: &[u32], b: &[u32], panels: usize, c: &mut [f32], add: bool) {
        let args = Args { b: b.as_ptr(), column_groups: b.len() / (panels * PANEL), panels, add: usize::from(add) };
        debug_assert_eq!(a.len() / (panels * PANEL) * args.column_groups * BLOCK, c.len());
        // SAFETY: all tiles are 16 lines of 64 bytes. For every block the innermost loop reads `panels` panels of a group of
        // `a` and of a group of `b`, a panel being two tiles one after the other, so that it ends where the next group
        // begins; the four tiles of the block lie 64 bytes and 16 rows apart in rows of 128 bytes. Tiles are released at
        // the end, so that nothing of them outlives the block of assembly.
        unsafe {
            asm!(
                "ldtilecfg [{at}]",
                "2:", // a group of rows
                "mov {b}, [{args}]",
                "mov {columns}, [{args} + 8]",
                "3:", // a block
                "cmp qword ptr [{args} + 24], 0",
                "jne 4f",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "jmp 5f",
                "4:",
                "tileloadd tmm0, [{c} + {row}]",
                "tileloadd tmm1, [{c} + {row} + 64]",
                "tileloadd tmm2, [{c} + {row} + 2048]",
                "tileloadd tmm3, [{c} + {row} + 2112]",
                "5:",
                "mov {at}, {a}",
                "mov {left}, [{args} + 16]",
                "6:", // a panel
                "tileloadd tmm4, [{at} + {line}]",
                "tileloadd tmm6, [{b} + {line}]",
                "tileloadd tmm7, [{b} + {line} + 1024]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{at} + {line} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {at}, 2048",
                "add {b}, 2048",
                "dec {left}",
                "jnz 6b",
                "tilestored [{c} + {row}], tmm0",
                "tilestored [{c} + {row} + 64], tmm1",
                "tilestored [{c} + {row} + 2048], tmm2",
                "tilestored [{c} + {row} + 2112], tmm3",
                "add {c}, 4096",
                "dec {columns}",
                "jnz 3b",
                "mov {a}, {at}",
                "dec {rows}",
                "jnz 2b",
                "tilerelease",
                at = inout(reg) &raw const CONFIG => _,
                args = in(reg) &raw const args,
                a = inout(reg) a.as_ptr() => _,
                b = out(reg) _,
                c = inout(reg) c.as_mut_ptr() => _,
                rows = inout(reg) a.len() / (panels * PANEL) => _,
                columns = out(reg) _,
                left = out(reg) _,
                row = in(reg) SIDE * size_of::<f32>(),
                line = in(reg) LINE * size_of::<u32>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

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

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32,
        _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{LINE, PANEL, SIDE, TILE};

    /// Rows whose sums are held in registers, by two vectors of columns.
    const ROWS: usize = 8;

    pub(super) fn is_there() -> bool {
        std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bf16")
    }

    /// [`multiply`](super::multiply()).
    ///
    /// # Safety
    /// The unit is there.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn multiply(a: &[u32], b: &[u32], panels: usize, c: &mut [f32], add: bool) {
        for (a, b, c) in super::blocks(a, b, panels, c) {
            for (i, c) in c.chunks_exact_mut(ROWS * SIDE).enumerate() {
                // The first of these rows lies in tile `i / 2`, at line 0 or 8.
                let first = i * ROWS / LINE * TILE + i * ROWS % LINE * LINE;
                let mut sums: [[__m512; 2]; ROWS] = [[_mm512_setzero_ps(); 2]; ROWS];
                if add {
                    for (sums, c) in sums.iter_mut().zip(c.chunks_exact(SIDE)) {
                        *sums = [load(&c[..LINE]), load(&c[LINE..])];
                    }
                }
                for (a, b) in a.chunks_exact(PANEL).zip(b.chunks_exact(PANEL)) {
                    let a = &a[first..first + ROWS * LINE];
                    for pair in 0..LINE {
                        let columns = [pairs(&b[pair * LINE..]), pairs(&b[TILE + pair * LINE..])];
                        for r in 0..ROWS {
                            let row = bf16(_mm512_set1_epi32(a[r * LINE + pair].cast_signed()));
                            sums[r][0] = _mm512_dpbf16_ps(sums[r][0], row, columns[0]);
                            sums[r][1] = _mm512_dpbf16_ps(sums[r][1], row, columns[1]);
                        }
                    }
                }
                for (sums, c) in sums.iter().zip(c.chunks_exact_mut(SIDE)) {
                    let (left, right) = c.split_at_mut(LINE);
                    store(left, sums[0]);
                    store(right, sums[1]);
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(from: &[f32]) -> __m512 {
        let from: &[f32; LINE] = from[..LINE].try_into().expect("a vector");
        // SAFETY: 16 floats, at any address.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(into: &mut [f32], vector: __m512) {
        let into: &mut [f32; LINE] = (&mut into[..LINE]).try_into().expect("a vector");
        // SAFETY: 16 floats, at any address.
        unsafe { _mm512_storeu_ps(into.as_mut_ptr(), vector) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn pairs(from: &[u32]) -> __m512bh {
        let from: &[u32; LINE] = from[..LINE].try_into().expect("a vector");
        // SAFETY: 16 pairs, at any address.
        bf16(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn bf16(bits: __m512i) -> __m512bh {
        // SAFETY: both are 512 bits, and every bit pattern is a value.
        unsafe { std::mem::transmute(bits) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod avx512 {
    pub(super) fn is_there() -> bool {
        false
    }

    /// # Safety
    /// Never called: the unit is not there.
    pub(super) unsafe fn multiply(_: &[u32], _: &[u32], _: usize, _: &mut [f32], _: bool) {
        unreachable!("AVX-512 is of x86-64");
    }
}

#[cfg(test)]
mod tests {
    use rl_core::{Rng, Stream};

    use super::*;

    fn pairs(len: usize, rng: &mut Rng) -> Vec<u32> {
        let mut half = || (rng.normal() as f32).to_bits() >> 16;
        (0..len).map(|_| half() | half() << 16).collect()
    }

    #[test]
    fn every_unit_of_this_cpu_multiplies_alike() {
        let mut rng = Rng::new(3, Stream::Tool(0));
        for (rows, columns, panels) in [(1, 1, 1), (2, 3, 5), (1, 2, 17)] {
            let (a, b) = (pairs(rows * panels * PANEL, &mut rng), pairs(columns * panels * PANEL, &mut rng));
            for add in [false, true] {
                let before: Vec<f32> = (0..rows * columns * BLOCK).map(|_| rng.normal() as f32).collect();
                let mut expected = before.clone();
                multiply(Unit::Plain, &a, &b, panels, &mut expected, add);
                for unit in [Unit::Amx, Unit::Avx512].into_iter().filter(|unit| unit.is_there()) {
                    let mut c = before.clone();
                    multiply(unit, &a, &b, panels, &mut c, add);
                    let worst = c.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(worst < 2e-4, "{} is off by {worst}", unit.name());
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
        for unit in [Unit::Plain, Unit::Avx512, Unit::Amx].into_iter().filter(|unit| unit.is_there()) {
            let mut c = vec![f32::NAN; BLOCK];
            multiply(unit, &a, &b, 1, &mut c, false);
            let found: Vec<usize> = (0..BLOCK).filter(|i| c[*i] != 0.0).collect();
            assert_eq!(found, [17 * SIDE + 30], "{}", unit.name());
            assert!(c[found[0]] == 6.0);
        }
    }
}
