//! `activation(patches(x) · w + b)`.
//!
//! A convolution packs its weights once and goes through its images with them. A linear layer, whose weights are large and
//! whose rows are few, is cut by columns: each part packs a block of its weights, uses it for all rows and forgets it.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::isa::{dispatch, vectorised};
use super::panels::{Panel, load, pack, packed_len, panels, store, widest};
use super::parts::{each, share};
use super::patches::{Patches, Pixel, Segment, row_blocks};
use super::tile::{ROWS, Sums, accumulate, multiply_add, tiles};
use super::workspace::Workspace;

/// Rows that share one pass over a block of weights.
const GROUP: usize = 96;
/// Rows up to which it does not pay to pack the weights of a linear layer.
pub(super) const FEW: usize = 2 * ROWS;
/// Inputs per pass where weights are not packed: they are read once, as they lie in memory.
const DEPTH_UNPACKED: usize = 16;
/// Rows of a part, at least, where both rows and columns are many: a part packs the weights for itself.
const TALL: usize = 256;
/// Columns of a block of a linear layer, a multiple of the widest panel.
pub(super) const COLUMNS: usize = 256;

/// `out = patches(x) · w + bias`, clipped at 0 if `relu`; `w [depth, n]`, `out [rows, n]`.
pub fn forward<P: Pixel>(patches: &Patches, x: &[P], w: &[f32], bias: &[f32], relu: bool, out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    let n = bias.len();
    let mut room = Workspace::new();
    if patches.is_rows() {
        let x = patches.images(x, &mut room);
        return linear(Linear { x, width: patches.image, w, n, bias, relu }, out);
    }
    let packed = dispatch(Pack { w, n, patches, room: &mut room });
    let image = patches.pixels() * n;
    let part = share(out.len() / image, patches.depth() * image);
    each(out, part * image, |i, out| {
        let mut room = Workspace::new();
        let x = x[i * part * patches.input..].chunks_exact(patches.input);
        for (x, out) in x.zip(out.chunks_exact_mut(image)) {
            let x = patches.images(x, &mut room);
            dispatch(Convolution { patches, x, packed, bias, relu, out });
        }
    });
}

/// `out = g` where the activation `y` is above 0, else 0: the gradient before a ReLU.
pub fn mask(g: &[f32], y: &[f32], out: &mut [f32]) {
    let part = share(out.len(), 16);
    each(out, part, |i, out| {
        let (g, y) = (&g[i * part..], &y[i * part..]);
        vectorised(
            #[inline(always)]
            || out.iter_mut().zip(g.iter().zip(y)).for_each(|(out, (g, y))| *out = if *y > 0.0 { *g } else { 0.0 }),
        );
    });
}

/// Whole rows, `x [rows, width]`, `w [width, n]`.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a> {
    pub x: &'a [f32],
    pub width: usize,
    pub w: &'a [f32],
    pub n: usize,
    pub bias: &'a [f32],
    pub relu: bool,
}

pub(crate) fn linear(layer: Linear<'_>, out: &mut [f32]) {
    let Linear { x, width, w, n, bias, .. } = layer;
    let rows = out.len() / n;
    let part = share(rows, w.len());
    if rows <= FEW {
        return each(out, part * n, |i, out| {
            dispatch(Unpacked { layer: Linear { x: &x[i * part * width..], ..layer }, out });
        });
    }
    cut(out, n, part, |row, columns, stride, out| {
        let (x, w, bias) = (&x[row * width..], &w[columns.start..], &bias[columns]);
        dispatch(Packed { layer: Linear { x, w, bias, ..layer }, stride, out });
    });
}

/// Cuts `out [rows, n]` for threads that get `part` rows each, and runs `work(first row, columns, stride, rows of out)` on
/// every part: narrow rows are cut by rows, wide ones by blocks of columns, and many wide ones by both, since a block of
/// columns by itself has to be copied to its place. Where it is cut changes no bit.
pub(super) fn cut(
    out: &mut [f32],
    n: usize,
    part: usize,
    work: impl Fn(usize, Range<usize>, usize, &mut [f32]) + Sync,
) {
    if n <= COLUMNS {
        return each(out, part * n, |i, out| work(i * part, 0..n, n, out));
    }
    let (rows, threads) = (out.len() / n, rayon::current_num_threads());
    let block = |first: usize| first..n.min(first + COLUMNS);
    let blocks = |row: usize, out: &mut [f32]| {
        (0..n).step_by(COLUMNS).for_each(|first| work(row, block(first), n, &mut out[first..]));
    };
    if part >= rows || threads == 1 {
        return blocks(0, out);
    }
    let shares = rows / (threads * TALL); // of each thread
    if shares > 0 {
        let part = rows.div_ceil(threads * shares.min(4));
        return each(out, part * n, |i, out| blocks(i * part, out));
    }
    let mut room = Workspace::new();
    let parts = room.sized(out.len()); // a block of columns after the other
    each(parts, rows * COLUMNS, |i, out| {
        let columns = block(i * COLUMNS);
        work(0, columns.clone(), columns.len(), out);
    });
    for (i, part) in parts.chunks(rows * COLUMNS).enumerate() {
        let columns = part.len() / rows;
        for (from, into) in part.chunks_exact(columns).zip(out.chunks_exact_mut(n)) {
            into[i * COLUMNS..][..columns].copy_from_slice(from);
        }
    }
}

struct Pack<'a, 'r> {
    w: &'a [f32],
    n: usize,
    patches: &'a Patches,
    room: &'r mut Workspace,
}

impl<'r> WithSimd for Pack<'_, 'r> {
    type Output = &'r [f32];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> &'r [f32] {
        let Self { mut w, n, patches, room } = self;
        let packed = room.sized(packed_len::<S>(patches.depth(), n));
        let mut into = &mut *packed;
        for block in &patches.blocks {
            let depth = block.iter().map(|segment| segment.len).sum();
            let (block, rest) = into.split_at_mut(packed_len::<S>(depth, n));
            pack(simd, w, n, depth, n, block);
            (w, into) = (&w[depth * n..], rest);
        }
        packed
    }
}

/// One image of a convolution.
struct Convolution<'a> {
    patches: &'a Patches,
    x: &'a [f32],
    packed: &'a [f32],
    bias: &'a [f32],
    relu: bool,
    out: &'a mut [f32],
}

impl WithSimd for Convolution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { patches, x, packed, bias, relu, out } = self;
        let n = bias.len();
        for (starts, out) in patches.starts.chunks(GROUP).zip(out.chunks_mut(GROUP * n)) {
            let mut packed = packed;
            for (i, block) in patches.blocks.iter().enumerate() {
                let depth = block.iter().map(|segment| segment.len).sum();
                let (weights, rest) = packed.split_at(packed_len::<S>(depth, n));
                packed = rest;
                let step = Step { bias, first: i == 0, relu: relu && i + 1 == patches.blocks.len(), stride: n };
                product(simd, x, starts, block, weights, step, out);
            }
        }
    }
}

/// All rows of a linear layer by the columns of its bias.
struct Packed<'a> {
    layer: Linear<'a>,
    /// From one row of `out` to the next.
    stride: usize,
    out: &'a mut [f32],
}

impl WithSimd for Packed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer: Linear { x, width, w, n, bias, relu }, stride, out } = self;
        let mut room = Workspace::new();
        for block in row_blocks(width) {
            let Segment { offset, len } = block;
            let packed = room.sized(packed_len::<S>(len, bias.len()));
            pack(simd, &w[offset * n..], n, len, bias.len(), packed);
            let step = Step { bias, first: offset == 0, relu: relu && offset + len == width, stride };
            whole_rows(simd, x, width, block, packed, step, out);
        }
    }
}

/// `out += x · packed` over a block of the inputs of rows of `width`.
#[inline(always)]
pub(super) fn whole_rows<S: Simd>(
    simd: S,
    x: &[f32],
    width: usize,
    block: Segment,
    packed: &[f32],
    step: Step<'_>,
    out: &mut [f32],
) {
    let mut starts = [0; GROUP];
    for (group, out) in out.chunks_mut(GROUP * step.stride).enumerate() {
        let starts = &mut starts[..out.len().div_ceil(step.stride)];
        starts.iter_mut().enumerate().for_each(|(r, start)| *start = (group * GROUP + r) * width);
        product(simd, x, starts, &[block], packed, step, out);
    }
}

/// What a pass over a block of inputs does besides summing.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    /// What sums start from.
    pub bias: &'a [f32],
    /// Whether this is the first block; later ones go on with what `out` holds.
    pub first: bool,
    /// Whether to clip at 0.
    pub relu: bool,
    /// From one row of `out` to the next.
    pub stride: usize,
}

/// `out[r] += Σ_k x[starts[r] + k] · packed[k]` over the inputs of a block.
#[inline(always)]
fn product<S: Simd>(
    simd: S,
    x: &[f32],
    starts: &[usize],
    block: &[Segment],
    packed: &[f32],
    step: Step<'_>,
    out: &mut [f32],
) {
    let depth: usize = block.iter().map(|segment| segment.len).sum();
    for panel in panels::<S>(step.bias.len()) {
        let weights = panel.of::<S>(packed, depth);
        match panel.vectors {
            // Not compiled where registers would not hold it.
            4 if const { widest::<S>() == 4 } => {
                strip::<S, 4>(simd, x, starts, block, weights, step, panel, out);
            }
            2 => strip::<S, 2>(simd, x, starts, block, weights, step, panel, out),
            _ => strip::<S, 1>(simd, x, starts, block, weights, step, panel, out),
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)] // a block of a matrix product has that many extents
fn strip<S: Simd, const V: usize>(
    simd: S,
    x: &[f32],
    starts: &[usize],
    block: &[Segment],
    weights: &[f32],
    step: Step<'_>,
    panel: Panel,
    out: &mut [f32],
) {
    for (row, rows) in tiles(starts.len()) {
        let (starts, out) = (&starts[row..], &mut out[row * step.stride + panel.column..]);
        match rows {
            6 => simd.vectorize(Tile::<6, V> { x, starts, block, weights, step, panel, out }),
            5 => simd.vectorize(Tile::<5, V> { x, starts, block, weights, step, panel, out }),
            4 => simd.vectorize(Tile::<4, V> { x, starts, block, weights, step, panel, out }),
            3 => simd.vectorize(Tile::<3, V> { x, starts, block, weights, step, panel, out }),
            2 => simd.vectorize(Tile::<2, V> { x, starts, block, weights, step, panel, out }),
            _ => simd.vectorize(Tile::<1, V> { x, starts, block, weights, step, panel, out }),
        }
    }
}

/// `R` rows by `V` vectors; a function of its own, which is what gives its loop the registers.
struct Tile<'a, const R: usize, const V: usize> {
    x: &'a [f32],
    starts: &'a [usize],
    block: &'a [Segment],
    weights: &'a [f32],
    step: Step<'a>,
    panel: Panel,
    out: &'a mut [f32],
}

impl<const R: usize, const V: usize> WithSimd for Tile<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, starts, block, weights, step, panel, out } = self;
        let mut weights = S::as_simd_f32s(weights).0.as_chunks::<V>().0;
        let mut sums: Sums<S, R, V> = [load(simd, &step.bias[panel.column..], panel.width); R];
        if !step.first {
            for r in 0..R {
                sums[r] = load(simd, &out[r * step.stride..], panel.width);
            }
        }
        for segment in block {
            let (now, rest) = weights.split_at(segment.len);
            weights = rest;
            let mut rows: [&[f32]; R] = [&[]; R];
            for r in 0..R {
                rows[r] = &x[starts[r] + segment.offset..];
            }
            accumulate(simd, rows, now, &mut sums);
        }
        let zero = simd.splat_f32s(0.0);
        for (r, mut sum) in sums.into_iter().enumerate() {
            if step.relu {
                for y in &mut sum {
                    *y = simd.select_f32s(simd.less_than_or_equal_f32s(*y, zero), zero, *y);
                }
            }
            store(simd, &mut out[r * step.stride..], sum, panel.width);
        }
    }
}

/// A few rows of a linear layer, by weights as they lie in memory.
struct Unpacked<'a> {
    layer: Linear<'a>,
    out: &'a mut [f32],
}

impl WithSimd for Unpacked<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer: Linear { x, width, w, n, bias, relu }, out } = self;
        for row in out.chunks_exact_mut(n) {
            row.copy_from_slice(bias);
        }
        for (block, w) in w.chunks(DEPTH_UNPACKED * n).enumerate() {
            let (at, depth) = (block * DEPTH_UNPACKED, w.len() / n);
            for (row, rows) in tiles(out.len() / n) {
                let out = &mut out[row * n..];
                let x = &x[row * width + at..];
                match rows {
                    6 => unpacked::<S, 6>(simd, x, width, depth, w, n, out),
                    5 => unpacked::<S, 5>(simd, x, width, depth, w, n, out),
                    4 => unpacked::<S, 4>(simd, x, width, depth, w, n, out),
                    3 => unpacked::<S, 3>(simd, x, width, depth, w, n, out),
                    2 => unpacked::<S, 2>(simd, x, width, depth, w, n, out),
                    _ => unpacked::<S, 1>(simd, x, width, depth, w, n, out),
                }
            }
        }
        if relu {
            out.iter_mut().for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y });
        }
    }
}

/// `out[r] += Σ_k x[r · width + k] · w[k]`.
#[inline(always)]
fn unpacked<S: Simd, const R: usize>(
    simd: S,
    x: &[f32],
    width: usize,
    depth: usize,
    w: &[f32],
    n: usize,
    out: &mut [f32],
) {
    let mut rows: [&[f32]; R] = [&[]; R];
    for r in 0..R {
        rows[r] = &x[r * width..][..depth];
    }
    // One row or two leave registers free: more chains of sums at a time hide how long each multiply-add takes.
    let mut done = 0;
    while R == 1 && n - done >= 8 * S::F32_LANES {
        unpacked_tile::<S, R, 8>(simd, &rows, &w[done..], n, 8 * S::F32_LANES, &mut out[done..]);
        done += 8 * S::F32_LANES;
    }
    while R == 2 && n - done >= 4 * S::F32_LANES {
        unpacked_tile::<S, R, 4>(simd, &rows, &w[done..], n, 4 * S::F32_LANES, &mut out[done..]);
        done += 4 * S::F32_LANES;
    }
    for panel in panels::<S>(n - done) {
        let (w, out) = (&w[done + panel.column..], &mut out[done + panel.column..]);
        match panel.vectors {
            // Not compiled where registers would not hold it.
            4 if const { widest::<S>() == 4 } => {
                unpacked_tile::<S, R, 4>(simd, &rows, w, n, panel.width, out);
            }
            2 => unpacked_tile::<S, R, 2>(simd, &rows, w, n, panel.width, out),
            _ => unpacked_tile::<S, R, 1>(simd, &rows, w, n, panel.width, out),
        }
    }
}

#[inline(always)]
fn unpacked_tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    x: &[&[f32]; R],
    w: &[f32],
    n: usize,
    width: usize,
    out: &mut [f32],
) {
    let mut sums: Sums<S, R, V> = [[simd.splat_f32s(0.0); V]; R];
    for r in 0..R {
        sums[r] = load(simd, &out[r * n..], width);
    }
    for (k, w) in w.chunks(n).enumerate().take(x[0].len()) {
        let b: [S::f32s; V] = load(simd, w, width);
        let mut a = [0.0; R];
        for r in 0..R {
            a[r] = x[r][k];
        }
        multiply_add(simd, &a, &b, &mut sums);
    }
    for (r, sum) in sums.into_iter().enumerate() {
        store(simd, &mut out[r * n..], sum, width);
    }
}
