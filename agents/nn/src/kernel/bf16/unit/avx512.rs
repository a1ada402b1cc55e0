//! AVX-512 vectors of pairs: a pair of a row, in all lanes, times a line of 16 columns.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_storeu_ps,
};

use super::{BLOCK, InPlace, LINE, PANEL, Packed, SIDE, TILE};

/// Rows whose sums are held in registers, by one or two vectors of columns.
const ROWS: usize = 8;

/// Sums of eight rows by `V` vectors of columns.
type Sums<const V: usize> = [[__m512; V]; ROWS];

pub(super) fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bf16")
}

/// [`multiply`](super::multiply()), by eight rows. Eights after the last row are left out, and so are pairs after the
/// last input and vectors after the last column.
///
/// # Safety
/// The unit is there.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply(a: &Packed<'_>, b: &Packed<'_>, c: &mut [f32], add: bool) {
    let group = a.group();
    let blocks = b.groups();
    for (g, (a_group, c)) in a.pairs.chunks_exact(group).zip(c.chunks_exact_mut(blocks * BLOCK)).enumerate() {
        let eights = (a.count - g * SIDE).div_ceil(ROWS);
        for (j, (b_group, c)) in b.pairs.chunks_exact(group).zip(c.chunks_exact_mut(BLOCK)).enumerate() {
            let narrow = b.count - j * SIDE <= LINE;
            for (i, c) in c.chunks_exact_mut(ROWS * SIDE).take(eights).enumerate() {
                // The first of these rows lies in tile `i / 2`, at line 0 or 8.
                let first = i * ROWS / LINE * TILE + i * ROWS % LINE * LINE;
                if narrow {
                    packed_rows::<1>(a_group, first, a.inputs, b_group, c, add);
                } else {
                    packed_rows::<2>(a_group, first, a.inputs, b_group, c, add);
                }
            }
        }
    }
}

/// Product of eight rows of a group, whose lines begin at `first` in each panel, and a group of columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn packed_rows<const V: usize>(a: &[u32], first: usize, inputs: usize, b: &[u32], c: &mut [f32], add: bool) {
    let mut sums = begin::<V>(c, add);
    let pairs = inputs.div_ceil(2);
    for ((a, b), done) in a.chunks_exact(PANEL).zip(b.as_chunks().0).zip((0..pairs).step_by(LINE)) {
        let lines: [&[u32; LINE]; ROWS] = std::array::from_fn(|r| line(&a[first + r * LINE..]));
        add_panel(&mut sums, b, pairs - done, |r, pair| lines[r][pair]);
    }
    end(&sums, c);
}

/// [`multiply_in_place`](super::multiply_in_place()), likewise.
///
/// # Safety
/// The unit is there.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply_in_place(a: &InPlace<'_>, b: &Packed<'_>, c: &mut [f32], add: bool) {
    let group = b.group();
    let blocks = b.groups();
    for (starts, c) in a.starts.chunks(SIDE).zip(c.chunks_exact_mut(blocks * BLOCK)) {
        for (j, (b_group, c)) in b.pairs.chunks_exact(group).zip(c.chunks_exact_mut(BLOCK)).enumerate() {
            let narrow = b.count - j * SIDE <= LINE;
            for (starts, c) in starts.chunks(ROWS).zip(c.chunks_exact_mut(ROWS * SIDE)) {
                // After the last row comes that row again.
                let starts = std::array::from_fn(|r| starts[r.min(starts.len() - 1)] + a.offset);
                if narrow {
                    rows_in_place::<1>(a, starts, b_group, c, add);
                } else {
                    rows_in_place::<2>(a, starts, b_group, c, add);
                }
            }
        }
    }
}

/// Product of eight rows, from `starts` on, and a group of columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn rows_in_place<const V: usize>(a: &InPlace<'_>, starts: [usize; ROWS], b: &[u32], c: &mut [f32], add: bool) {
    let mut sums = begin::<V>(c, add);
    let mut panels = b.as_chunks().0.iter();
    for run in a.runs {
        // The panels come second, so that none is taken at the end of a run.
        for (at, b) in (*run..run + a.run).step_by(SIDE).zip(&mut panels) {
            let lines: [&[[u16; 2]; LINE]; ROWS] =
                std::array::from_fn(|r| line(a.values[starts[r] + at..][..SIDE].as_chunks().0));
            add_panel(&mut sums, b, LINE, |r, pair| bytemuck::cast(lines[r][pair]));
        }
    }
    end(&sums, c);
}

/// Sums of eight rows: what `c` holds, or zeros unless `add`.
#[inline]
#[target_feature(enable = "avx512f")]
fn begin<const V: usize>(c: &[f32], add: bool) -> Sums<V> {
    let mut sums = [[_mm512_setzero_ps(); V]; ROWS];
    if add {
        for (sums, c) in sums.iter_mut().zip(c.chunks_exact(SIDE)) {
            for (sum, c) in sums.iter_mut().zip(c.chunks_exact(LINE)) {
                *sum = load(c);
            }
        }
    }
    sums
}

/// Adds the products of a panel's first `pairs` pairs, up to 16, of which the first factor has `a(row, pair)`.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add_panel<const V: usize>(sums: &mut Sums<V>, b: &[u32; PANEL], pairs: usize, a: impl Fn(usize, usize) -> u32) {
    for pair in 0..LINE.min(pairs) {
        let mut columns = [bf16(_mm512_setzero_si512()); V];
        for (v, columns) in columns.iter_mut().enumerate() {
            *columns = load_pairs(&b[v * TILE + pair * LINE..]);
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let row = bf16(_mm512_set1_epi32(a(r, pair).cast_signed()));
            for (sum, columns) in sums.iter_mut().zip(columns) {
                *sum = _mm512_dpbf16_ps(*sum, row, columns);
            }
        }
    }
}

/// Stores the sums of eight rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn end<const V: usize>(sums: &Sums<V>, c: &mut [f32]) {
    for (sums, c) in sums.iter().zip(c.chunks_exact_mut(SIDE)) {
        for (sum, c) in sums.iter().zip(c.chunks_exact_mut(LINE)) {
            store(c, *sum);
        }
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
