//! Inner loop of the products: a few rows by a few vectors of the result, held in registers.
//!
//! Vectors run over columns, never over a sum, so that each element is one chain of fused multiply-adds in the order of
//! its inputs: tiling, batch, threads and vector width do not change a bit of it.

use pulp::Simd;

/// Rows of the largest tile.
pub(crate) const ROWS: usize = 6;

/// Steps of a sum between two checks of its rows' lengths.
const UNROLL: usize = 4;

/// Sums of `R` rows by `V` vectors.
pub(crate) type Sums<S, const R: usize, const V: usize> = [[<S as Simd>::f32s; V]; R];

/// Adds products of rows with a panel: `sums[r] += Σ_k rows[r][k] · panel[k]`.
#[inline(always)]
pub(crate) fn accumulate<S: Simd, const R: usize, const V: usize>(
    simd: S,
    rows: [&[f32]; R],
    panel: &[[S::f32s; V]],
    sums: &mut Sums<S, R, V>,
) {
    let (blocks, rest) = panel.as_chunks::<UNROLL>();
    // Loops instead of `array::map`, which is compiled for the lowest instruction set where it is not inlined.
    let mut whole: [&[[f32; UNROLL]]; R] = [&[]; R];
    for r in 0..R {
        whole[r] = &rows[r].as_chunks::<UNROLL>().0[..blocks.len()];
    }
    let mut local = *sums;
    for (i, block) in blocks.iter().enumerate() {
        for k in 0..UNROLL {
            let mut a = [0.0; R];
            for r in 0..R {
                a[r] = whole[r][i][k];
            }
            multiply_add(simd, &a, &block[k], &mut local);
        }
    }
    let done = blocks.len() * UNROLL;
    for (k, b) in rest.iter().enumerate() {
        let mut a = [0.0; R];
        for r in 0..R {
            a[r] = rows[r][done + k];
        }
        multiply_add(simd, &a, b, &mut local);
    }
    *sums = local;
}

/// Adds one outer product: `sums[r] += a[r] · b`.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd, const R: usize, const V: usize>(
    simd: S,
    a: &[f32; R],
    b: &[S::f32s; V],
    sums: &mut Sums<S, R, V>,
) {
    for r in 0..R {
        let a = simd.splat_f32s(a[r]);
        for v in 0..V {
            sums[r][v] = simd.mul_add_f32s(a, b[v], sums[r][v]);
        }
    }
}

/// Sums of outer products: `sums[r] = Σ_p x[starts[p] + r] · panel[p]`.
#[inline(always)]
pub(crate) fn accumulate_outer<S: Simd, const R: usize, const V: usize>(
    simd: S,
    x: &[f32],
    starts: &[u32],
    panel: &[[S::f32s; V]],
) -> Sums<S, R, V> {
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for (start, b) in starts.iter().zip(panel) {
        let start = *start as usize;
        let a: &[f32; R] = x[start..start + R].try_into().expect("a slice of R");
        multiply_add(simd, a, b, &mut sums);
    }
    sums
}

/// Cuts `len` rows into tiles of at most [`ROWS`], as equal as can be; yields the start and size of each.
#[inline(always)]
pub(crate) fn tiles(len: usize) -> impl DoubleEndedIterator<Item = (usize, usize)> {
    let count = len.div_ceil(ROWS);
    let (size, larger) = if count < 2 { (len, 0) } else { (len / count, len % count) };
    (0..count).map(move |i| (i * size + i.min(larger), size + usize::from(i < larger)))
}
