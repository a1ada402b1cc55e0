//! Second factor of a product, packed so that a tile reads it from front to back.
//!
//! Columns are cut into panels of a few vectors; a panel holds its vectors row by row, filled up with zeros.

use pulp::{Simd, WithSimd};

use super::isa::dispatch;

/// Vectors of the widest panel: with 6 rows they fill the accumulators, and broadcasts are no bottleneck.
pub(crate) const fn widest<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Columns of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Panel {
    /// First column.
    pub column: usize,
    /// Number of columns that exist; the rest of the panel is zeros.
    pub width: usize,
    /// Number of vectors in a row: 4, 2 or 1.
    pub vectors: usize,
}

impl Panel {
    /// Floats in a row of the panel.
    pub(crate) fn floats<S: Simd>(self) -> usize {
        self.vectors * S::F32_LANES
    }

    /// Slice of this panel in the packed panels of `rows` rows.
    #[inline(always)]
    pub(crate) fn of<S: Simd>(self, packed: &[f32], rows: usize) -> &[f32] {
        &packed[self.column * rows..][..rows * self.floats::<S>()]
    }
}

/// Panels of `columns` columns: as many of the widest as fit, and one for the rest.
#[inline(always)]
pub(crate) fn panels<S: Simd>(columns: usize) -> impl DoubleEndedIterator<Item = Panel> {
    let widest = widest::<S>() * S::F32_LANES;
    (0..columns.div_ceil(widest)).map(move |i| {
        let width = (columns - i * widest).min(widest);
        let vectors = match width.div_ceil(S::F32_LANES) {
            1 => 1,
            2 => 2,
            _ => 4,
        };
        Panel { column: i * widest, width, vectors }
    })
}

/// Floats in all panels of a matrix `[rows, columns]`.
pub(crate) fn packed_len<S: Simd>(rows: usize, columns: usize) -> usize {
    panels::<S>(columns).last().map_or(0, |panel| rows * (panel.column + panel.floats::<S>()))
}

/// Floats in all panels of a matrix `[rows, columns]` with the instruction set in use.
pub(crate) fn packed_floats(rows: usize, columns: usize) -> usize {
    dispatch(PackedLen { rows, columns })
}

struct PackedLen {
    rows: usize,
    columns: usize,
}

impl WithSimd for PackedLen {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        packed_len::<S>(self.rows, self.columns)
    }
}

/// Packs a matrix `[rows, columns]`, whose rows are `stride` apart in `from`, into panels; reads along rows.
#[inline(always)]
pub(crate) fn pack<S: Simd>(simd: S, from: &[f32], stride: usize, rows: usize, columns: usize, into: &mut [f32]) {
    if const { widest::<S>() == 4 } {
        pack_rows::<S, 4>(simd, from, stride, rows, columns, into);
    } else {
        pack_rows::<S, 2>(simd, from, stride, rows, columns, into);
    }
}

#[inline(always)]
fn pack_rows<S: Simd, const V: usize>(
    simd: S,
    from: &[f32],
    stride: usize,
    rows: usize,
    columns: usize,
    into: &mut [f32],
) {
    let widest = V * S::F32_LANES;
    let (whole, rest) = (columns / widest, panels::<S>(columns).last());
    for (k, row) in from.chunks(stride).take(rows).enumerate() {
        for (i, row) in row.chunks_exact(widest).take(whole).enumerate() {
            let vectors: [S::f32s; V] = load(simd, row, widest);
            store(simd, &mut into[i * widest * rows + k * widest..], vectors, widest);
        }
        if let Some(panel) = rest.filter(|panel| panel.width < widest) {
            let floats = panel.floats::<S>();
            let vectors: [S::f32s; V] = load(simd, &row[panel.column..], panel.width);
            store(simd, &mut into[panel.column * rows + k * floats..], vectors, floats);
        }
    }
}

/// Packs the transpose of `from [columns, rows]`, whose rows are `stride` apart, into panels.
#[inline(always)]
pub(crate) fn pack_transposed<S: Simd>(from: &[f32], stride: usize, rows: usize, columns: usize, into: &mut [f32]) {
    let mut into = into;
    for panel in panels::<S>(columns) {
        let floats = panel.floats::<S>();
        let (strip, rest) = into.split_at_mut(rows * floats);
        into = rest;
        if panel.width < floats {
            strip.fill(0.0);
        }
        for (c, column) in from[panel.column * stride..].chunks(stride).take(panel.width).enumerate() {
            for (value, into) in column[..rows].iter().zip(strip.chunks_exact_mut(floats)) {
                into[c] = *value;
            }
        }
    }
}

/// Loads the first `width` floats of `from` into `V` vectors, and zeros behind them.
#[inline(always)]
pub(crate) fn load<S: Simd, const V: usize>(simd: S, from: &[f32], width: usize) -> [S::f32s; V] {
    let lanes = S::F32_LANES;
    if width == V * lanes {
        let whole: &[S::f32s; V] = S::as_simd_f32s(&from[..V * lanes]).0.try_into().expect("V vectors");
        return *whole;
    }
    let mut out = [simd.splat_f32s(0.0); V];
    for (out, from) in out.iter_mut().zip(from[..width].chunks(lanes)) {
        *out = simd.partial_load_f32s(from);
    }
    out
}

/// Sum `a + b` of `V` vectors.
#[inline(always)]
pub(crate) fn add<S: Simd, const V: usize>(simd: S, a: [S::f32s; V], mut b: [S::f32s; V]) -> [S::f32s; V] {
    for v in 0..V {
        b[v] = simd.add_f32s(a[v], b[v]);
    }
    b
}

/// Writes the first `width` floats of `values` to `into`.
#[inline(always)]
pub(crate) fn store<S: Simd, const V: usize>(simd: S, into: &mut [f32], values: [S::f32s; V], width: usize) {
    let lanes = S::F32_LANES;
    if width == V * lanes {
        S::as_mut_simd_f32s(&mut into[..V * lanes]).0.copy_from_slice(&values);
        return;
    }
    for (into, value) in into[..width].chunks_mut(lanes).zip(values) {
        simd.partial_store_f32s(into, value);
    }
}
