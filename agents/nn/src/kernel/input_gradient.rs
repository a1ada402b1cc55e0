//! Gradients of inputs, `dx = g · wᵀ`, each patch added where it came from.
//!
//! A convolution goes through its patches from their last column to the first, and through a panel of columns in the
//! order of output rows. A later output row reaches an input by an earlier column; so each input is summed in the order
//! of output rows, however wide panels are. A linear layer of few rows is the product `w · gᵀ` instead, which reads its
//! weights once as they lie in memory; the small results are transposed. With many rows it is cheaper to pack the
//! transpose of the weights. Either way an element is one sum over the outputs, in their order.

use pulp::{Simd, WithSimd};

use super::forward::{Linear, linear};
use super::isa::{dispatch, vectorised};
use super::panels::{add, load, pack_transposed, packed_len, panels, store, widest};
use super::parts::{each, share};
use super::patches::Patches;
use super::prepared::Prepared;
use super::tile::{Sums, accumulate, tiles};
use super::workspace::Workspace;

/// Rows from which a linear layer packs the transpose of its weights.
const MANY: usize = 512;
/// Output rows that share one pass over the weights.
const GROUP: usize = 96;

/// Gradient of the input of a linear or convolutional layer, `[images, input]`, given the weights `w [depth, n]` and
/// `g [rows, n]`, the gradient of the pre-activation.
pub fn input_gradient(patches: &Patches, w: &[f32], g: &[f32], n: usize) -> Vec<f32> {
    let images = g.len() / n / patches.pixels();
    let mut dx = crate::parts::zeros(images * patches.input);
    write_input_gradient(patches, w, g, n, None, &mut dx);
    dx
}

/// Replaces `dx [images, input]` by the gradient of the input of a linear or convolutional layer, given the weights
/// `w [depth, n]` and `g [rows, n]`, the gradient of the pre-activation. If the input came from a ReLU, `relu` is that
/// input, and `dx` becomes the gradient before the ReLU: 0 where the input is not above 0.
///
/// # Panics
/// If `dx` or `relu` has not one value per input.
pub fn write_input_gradient(patches: &Patches, w: &[f32], g: &[f32], n: usize, relu: Option<&[f32]>, dx: &mut [f32]) {
    let images = g.len() / n / patches.pixels();
    assert!(dx.len() == images * patches.input && relu.is_none_or(|x| x.len() == dx.len()), "one value per input");
    if g.is_empty() {
        return;
    }
    if patches.is_rows() {
        return rows(w, g, n, relu, dx);
    }
    let mut room = Workspace::new();
    let packed = dispatch(Pack { patches, w, n, room: &mut room });
    let image = patches.pixels() * n;
    let part = share(images, image * patches.depth());
    each(dx, part * patches.input, |i, dx| {
        let mut room = Workspace::new();
        let first = i * part;
        for (at, dx) in dx.chunks_exact_mut(patches.input).enumerate() {
            let g = &g[(first + at) * image..][..image];
            if patches.is_padded() {
                let padded = room.sized(patches.image);
                padded.fill(0.0);
                dispatch(Scatter { patches, packed, g, n, dx: padded });
                patches.crop(padded, dx);
            } else {
                dx.fill(0.0);
                dispatch(Scatter { patches, packed, g, n, dx });
            }
            if let Some(x) = relu {
                mask(&x[(first + at) * patches.input..], dx);
            }
        }
    });
}

/// Input gradient of a linear layer, `dx [rows, width] = g · wᵀ`.
fn rows(w: &[f32], g: &[f32], n: usize, relu: Option<&[f32]>, dx: &mut [f32]) {
    let rows = g.len() / n;
    let width = w.len() / n;
    let (mut room, mut result, mut zeros) = (Workspace::new(), Workspace::new(), Workspace::new());
    if rows >= MANY {
        let bias = zeros.sized(width);
        bias.fill(0.0);
        Prepared::transposed(w, n, rows, &mut room).forward(g, bias, dx);
        if let Some(x) = relu {
            let part = share(dx.len(), 16);
            each(dx, part, |i, dx| mask(&x[i * part..], dx));
        }
        return;
    }
    let transposed = room.sized(g.len()); // [n, rows]
    transpose(g, n, transposed);
    let bias = zeros.sized(rows);
    bias.fill(0.0);
    let result = result.sized(dx.len()); // [width, rows]
    linear(Linear { x: w, width: n, w: transposed, n: rows, bias, relu: false }, result);
    let part = share(rows, width * 16).max(16);
    each(dx, part * width, |i, dx| {
        transpose_rows(result, rows, i * part, dx);
        if let Some(x) = relu {
            mask(&x[i * part * width..], dx);
        }
    });
}

/// Zeros `dx` where `x`, the output of a ReLU, is not above 0.
pub(super) fn mask(x: &[f32], dx: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || dx.iter_mut().zip(x).for_each(|(d, x)| *d = if *x > 0.0 { *d } else { 0.0 }),
    );
}

/// Writes the transpose of `from [rows, columns]` to `into [columns, rows]`.
pub(crate) fn transpose(from: &[f32], columns: usize, into: &mut [f32]) {
    transpose_rows(from, columns, 0, into);
}

/// Writes the rows from `first` on of the transpose of `from [rows, columns]` to `into`.
fn transpose_rows(from: &[f32], columns: usize, first: usize, into: &mut [f32]) {
    const TILE: usize = 16; // rows and columns of a tile are whole cache lines
    let rows = from.len() / columns;
    let mut tile = [[0.0; TILE]; TILE];
    for (c0, into) in into.chunks_mut(TILE * rows).enumerate() {
        let width = into.len() / rows;
        for r0 in (0..rows).step_by(TILE) {
            let height = TILE.min(rows - r0);
            for (r, from) in from[r0 * columns + first + c0 * TILE..].chunks(columns).take(height).enumerate() {
                for (c, value) in from[..width].iter().enumerate() {
                    tile[c][r] = *value;
                }
            }
            for (c, column) in tile[..width].iter().enumerate() {
                into[c * rows + r0..][..height].copy_from_slice(&column[..height]);
            }
        }
    }
}

/// Transposes and packs weights, the columns of each run by themselves.
struct Pack<'a, 'r> {
    patches: &'a Patches,
    w: &'a [f32],
    n: usize,
    room: &'r mut Workspace,
}

impl<'r> WithSimd for Pack<'_, 'r> {
    type Output = &'r [f32];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> &'r [f32] {
        let Self { patches, w, n, room } = self;
        let len = packed_len::<S>(n, patches.run);
        let packed = room.sized(len * patches.runs.len());
        for (w, into) in w.chunks_exact(patches.run * n).zip(packed.chunks_exact_mut(len)) {
            pack_transposed::<S>(w, n, n, patches.run, into);
        }
        packed
    }
}

/// Input gradient of one image of a convolution.
struct Scatter<'a> {
    patches: &'a Patches,
    packed: &'a [f32],
    g: &'a [f32],
    n: usize,
    dx: &'a mut [f32],
}

impl WithSimd for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { patches, packed, g, n, dx } = self;
        let len = packed_len::<S>(n, patches.run);
        let mut at = [0; GROUP];
        at.iter_mut().enumerate().for_each(|(r, at)| *at = r * n);
        for (starts, g) in patches.starts.chunks(GROUP).zip(g.chunks(GROUP * n)) {
            for (run, packed) in patches.runs.iter().zip(packed.chunks_exact(len)).rev() {
                for panel in panels::<S>(patches.run).rev() {
                    let (weights, dx) = (panel.of::<S>(packed, n), &mut dx[run + panel.column..]);
                    match panel.vectors {
                        // Not compiled where registers would not hold it.
                        4 if const { widest::<S>() == 4 } => {
                            strip::<S, 4>(simd, g, &at, starts, weights, panel.width, dx);
                        }
                        2 => strip::<S, 2>(simd, g, &at, starts, weights, panel.width, dx),
                        _ => strip::<S, 1>(simd, g, &at, starts, weights, panel.width, dx),
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn strip<S: Simd, const V: usize>(
    simd: S,
    g: &[f32],
    at: &[usize],
    starts: &[usize],
    weights: &[f32],
    width: usize,
    dx: &mut [f32],
) {
    for (row, rows) in tiles(starts.len()) {
        let (at, starts) = (&at[row..], &starts[row..]);
        match rows {
            6 => simd.vectorize(Tile::<6, V> { g, at, starts, weights, width, dx }),
            5 => simd.vectorize(Tile::<5, V> { g, at, starts, weights, width, dx }),
            4 => simd.vectorize(Tile::<4, V> { g, at, starts, weights, width, dx }),
            3 => simd.vectorize(Tile::<3, V> { g, at, starts, weights, width, dx }),
            2 => simd.vectorize(Tile::<2, V> { g, at, starts, weights, width, dx }),
            _ => simd.vectorize(Tile::<1, V> { g, at, starts, weights, width, dx }),
        }
    }
}

/// `dx[starts[r]] += Σ_c g[r, c] · weights[c]`, one row after the other: they may overlap.
struct Tile<'a, const R: usize, const V: usize> {
    g: &'a [f32],
    /// Where rows start: read from memory, so that the compiler derives no address from another.
    at: &'a [usize],
    starts: &'a [usize],
    weights: &'a [f32],
    width: usize,
    dx: &'a mut [f32],
}

impl<const R: usize, const V: usize> WithSimd for Tile<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { g, at, starts, weights, width, dx } = self;
        let weights = S::as_simd_f32s(weights).0.as_chunks::<V>().0;
        let mut rows: [&[f32]; R] = [&[]; R];
        for r in 0..R {
            rows[r] = &g[at[r]..];
        }
        let mut sums: Sums<S, R, V> = [[simd.splat_f32s(0.0); V]; R];
        accumulate(simd, rows, weights, &mut sums);
        for (start, sum) in starts.iter().zip(sums) {
            let into = &mut dx[*start..];
            let old: [S::f32s; V] = load(simd, into, width);
            store(simd, into, add(simd, old, sum), width);
        }
    }
}
