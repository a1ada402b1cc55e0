//! AVX-512 vectors of pairs: a pair of a row, in all lanes, times a line of 16 columns.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{BLOCK, InPlace, LINE, PANEL, Packed, SIDE, TILE};

/// Rows whose sums are held in registers, by two vectors of columns.
const ROWS: usize = 8;

type Sums = [[__m512; 2]; ROWS];

pub(super) fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bf16")
}

/// [`multiply`](super::multiply()). Eight rows are summed at a time: eights after the last row are left out, and so are
/// pairs after the last input.
///
/// # Safety
/// The unit is there.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply(a: &Packed<'_>, b: &[u32], c: &mut [f32], add: bool) {
    let (group, pairs) = (a.group(), a.inputs.div_ceil(2));
    let blocks = b.len() / group;
    for (g, (a_group, c)) in a.pairs.chunks_exact(group).zip(c.chunks_exact_mut(blocks * BLOCK)).enumerate() {
        let eights = (a.rows - g * SIDE).div_ceil(ROWS).min(SIDE / ROWS);
        for (b, c) in b.chunks_exact(group).zip(c.chunks_exact_mut(BLOCK)) {
            for (i, c) in c.chunks_exact_mut(ROWS * SIDE).take(eights).enumerate() {
                // The first of these rows lies in tile `i / 2`, at line 0 or 8.
                let first = i * ROWS / LINE * TILE + i * ROWS % LINE * LINE;
                let mut sums = begin(c, add);
                let panels = a_group.chunks_exact(PANEL).zip(b.as_chunks().0);
                for ((a, b), done) in panels.zip((0..pairs).step_by(LINE)) {
                    let lines: [&[u32; LINE]; ROWS] = std::array::from_fn(|r| line(&a[first + r * LINE..]));
                    add_panel(&mut sums, b, pairs - done, |r, pair| lines[r][pair]);
                }
                end(&sums, c);
            }
        }
    }
}

/// [`multiply_in_place`](super::multiply_in_place()).
///
/// # Safety
/// The unit is there.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply_in_place(a: &InPlace<'_>, b: &[u32], c: &mut [f32], add: bool) {
    let group = a.group();
    let blocks = b.len() / group;
    for (i, starts) in a.starts.chunks(ROWS).enumerate() {
        // After the last row comes that row again.
        let starts: [usize; ROWS] = std::array::from_fn(|r| starts[r.min(starts.len() - 1)] + a.offset);
        for (j, b) in b.chunks_exact(group).enumerate() {
            let at = (i * ROWS / SIDE * blocks + j) * BLOCK + i * ROWS % SIDE * SIDE;
            let c = &mut c[at..at + ROWS * SIDE];
            let mut sums = begin(c, add);
            let mut panels = b.as_chunks().0.iter();
            for run in a.runs {
                // The panels come second, so that none is taken at the end of a run.
                for (block, b) in (0..a.run).step_by(SIDE).zip(&mut panels) {
                    let lines: [&[[u16; 2]; LINE]; ROWS] =
                        std::array::from_fn(|r| line(a.values[starts[r] + run + block..][..SIDE].as_chunks().0));
                    add_panel(&mut sums, b, LINE, |r, pair| bytemuck::cast(lines[r][pair]));
                }
            }
            end(&sums, c);
        }
    }
}

/// Sums of eight rows: what `c` holds, or zeros unless `add`.
#[inline]
#[target_feature(enable = "avx512f")]
fn begin(c: &[f32], add: bool) -> Sums {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    if add {
        for (sums, c) in sums.iter_mut().zip(c.chunks_exact(SIDE)) {
            *sums = [load(&c[..LINE]), load(&c[LINE..])];
        }
    }
    sums
}

/// Adds the products of a panel's first `pairs` pairs, up to 16, of which the first factor has `a(row, pair)`.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add_panel(sums: &mut Sums, b: &[u32; PANEL], pairs: usize, a: impl Fn(usize, usize) -> u32) {
    for pair in 0..LINE.min(pairs) {
        let columns = [load_pairs(&b[pair * LINE..]), load_pairs(&b[TILE + pair * LINE..])];
        for (r, sums) in sums.iter_mut().enumerate() {
            let row = bf16(_mm512_set1_epi32(a(r, pair).cast_signed()));
            sums[0] = _mm512_dpbf16_ps(sums[0], row, columns[0]);
            sums[1] = _mm512_dpbf16_ps(sums[1], row, columns[1]);
        }
    }
}

/// Stores the sums of eight rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn end(sums: &Sums, c: &mut [f32]) {
    for (sums, c) in sums.iter().zip(c.chunks_exact_mut(SIDE)) {
        let (left, right) = c.split_at_mut(LINE);
        store(left, sums[0]);
        store(right, sums[1]);
    }
}

#[inline(always)]
fn line<T>(from: &[T]) -> &[T; LINE] {
    from[..LINE].try_into().expect("a line")
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &[f32]) -> __m512 {
    // SAFETY: 16 floats, at any address.
    unsafe { _mm512_loadu_ps(line(from).as_ptr()) }
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
fn load_pairs(from: &[u32]) -> __m512bh {
    // SAFETY: 16 pairs, at any address.
    bf16(unsafe { _mm512_loadu_si512(line(from).as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn bf16(bits: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits, and every bit pattern is a value.
    unsafe { std::mem::transmute(bits) }
}
