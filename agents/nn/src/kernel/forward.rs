//! Forward pass of linear and convolutional layers, `activation(patches(x) · w + b)`.
//!
//! A convolution packs its weights once and goes through its images with them. A linear layer, whose weights are large
//! and whose rows are few, is cut by columns: each part packs a block of its weights, uses it for all rows and forgets
//! it.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::isa::{dispatch, vectorised};
use super::panels::{Panel, load, pack, packed_len, panels, store, widest};
use super::parts::{PARALLEL, each, share};
use super::patches::{Patches, Pixel, Segment, row_blocks};
use super::prefetch::{CACHED, prefetch};
use super::tile::{ROWS, Sums, accumulate, multiply_add, tiles};
use super::workspace::Workspace;

/// Rows that share one pass over a block of weights.
const GROUP: usize = 96;
/// Rows up to which it does not pay to pack the weights of a linear layer for one product.
const FEW: usize = 6 * ROWS;
/// Fewest inputs per pass where weights are not packed: they are read once, as they lie in memory.
const DEPTH_UNPACKED: usize = 16;
/// Weights per pass where they are not packed and their rows are short.
const BLOCK_UNPACKED: usize = 512 * DEPTH_UNPACKED;
/// Fewest columns of a thread's part where weights are not packed; a multiple of the widest panel.
const NARROW: usize = 64;
/// Fewest rows of a part where both rows and columns are many: a part packs the weights for itself.
const TALL: usize = 256;
/// Columns of a block of a linear layer, a multiple of the widest panel.
pub(super) const COLUMNS: usize = 256;

/// Forward pass of a linear or convolutional layer: `out [rows, n] = patches(x) · w [depth, n] + bias [n]`, clipped at
/// 0 if `relu`. The input `x` holds whole images or rows, and `out` a row for every output pixel of each.
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

/// Backward pass of a ReLU with output `y`: writes `g` to `out` where `y > 0`, else 0.
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

/// Operands of a linear layer: `x [rows, width]`, `w [width, n]` and `bias [n]`; `relu` clips the output at 0. For a
/// block of columns `w` begins at its first one, and `bias` is as long as the block.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a> {
    pub x: &'a [f32],
    pub width: usize,
    pub w: &'a [f32],
    pub n: usize,
    pub bias: &'a [f32],
    pub relu: bool,
}

/// Forward pass of a linear layer to `out [rows, n]`.
pub(crate) fn linear(layer: Linear<'_>, out: &mut [f32]) {
    let Linear { x, width, w, n, bias, .. } = layer;
    let rows = out.len() / n;
    if rows <= FEW {
        return few(layer, rows, out);
    }
    cut(out, n, share(rows, w.len()), |row, columns, stride, out| {
        let (x, w, bias) = (&x[row * width..], &w[columns.start..], &bias[columns]);
        dispatch(Packed { layer: Linear { x, w, bias, ..layer }, stride, out });
    });
}

/// Forward pass of a few rows, for which the weights are read once: threads get columns of them.
fn few(layer: Linear<'_>, rows: usize, out: &mut [f32]) {
    let Linear { w, n, bias, .. } = layer;
    let share = || n.div_ceil(rayon::current_num_threads()).next_multiple_of(NARROW);
    let columns = if rows * w.len() < PARALLEL { n } else { share() };
    if columns >= n {
        return dispatch(Unpacked { layer, rows, stride: n, out });
    }
    let mut room = Workspace::new();
    let parts = room.sized(out.len()); // a block of columns after the other
    each(parts, rows * columns, |i, out| {
        let first = i * columns;
        let bias = &bias[first..n.min(first + columns)];
        dispatch(Unpacked { layer: Linear { w: &w[first..], bias, ..layer }, rows, stride: bias.len(), out });
    });
    place(parts, rows, columns, n, out);
}

/// Copies blocks of `columns` columns, one after the other, to `out [rows, n]`.
fn place(parts: &[f32], rows: usize, columns: usize, n: usize, out: &mut [f32]) {
    for (i, part) in parts.chunks(rows * columns).enumerate() {
        let width = part.len() / rows;
        for (from, into) in part.chunks_exact(width).zip(out.chunks_exact_mut(n)) {
            into[i * columns..][..width].copy_from_slice(from);
        }
    }
}

/// Cuts `out [rows, n]` for threads that get `part` rows each, and runs `work(first row, columns, stride, rows of out)`
/// on every part. Narrow rows are cut by rows, wide ones by blocks of columns, and many wide ones by both, since a
/// block of columns by itself has to be copied to its place. The cut changes no bit of the result.
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
    place(parts, rows, COLUMNS, n, out);
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

/// Convolution of one image.
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
                let last = i + 1 == patches.blocks.len();
                let step = Step { bias, first: i == 0, relu: relu && last, stride: n, ahead: 0 };
                product(simd, x, starts, block, weights, step, out);
            }
        }
    }
}

/// Product of all rows of a linear layer with a block of its columns, whose weights it packs.
struct Packed<'a> {
    layer: Linear<'a>,
    /// Distance from one row of `out` to the next.
    stride: usize,
    out: &'a mut [f32],
}

impl WithSimd for Packed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer: Linear { x, width, w, n, bias, relu }, stride, out } = self;
        let mut room = Workspace::new();
        let ahead = if x.len() > CACHED { GROUP * width } else { 0 };
        for block in row_blocks(width) {
            let Segment { offset, len } = block;
            let packed = room.sized(packed_len::<S>(len, bias.len()));
            pack(simd, &w[offset * n..], n, len, bias.len(), packed);
            let step = Step { bias, first: offset == 0, relu: relu && offset + len == width, stride, ahead };
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

/// Work of a pass over a block of inputs besides summing.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    /// Values that sums start from.
    pub bias: &'a [f32],
    /// Whether this is the first block; later ones go on with what `out` holds.
    pub first: bool,
    /// Whether to clip at 0.
    pub relu: bool,
    /// Distance from one row of `out` to the next.
    pub stride: usize,
    /// Distance in `x` from what a tile reads to what it asks for, which a later one reads; 0 where `x` is in the cache.
    pub ahead: usize,
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

/// Product of `R` rows by `V` vectors; a function of its own, which is what gives its loop the registers.
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
                let start = starts[r] + segment.offset;
                rows[r] = &x[start..];
                if step.ahead > 0 && panel.column == 0 {
                    let later = start + step.ahead;
                    prefetch(x.get(later..later + segment.len).unwrap_or_default());
                }
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

/// Product of a few rows of a linear layer with a block of its columns, whose weights are read as they lie in memory.
struct Unpacked<'a> {
    layer: Linear<'a>,
    rows: usize,
    /// Distance from one row of `out` to the next.
    stride: usize,
    out: &'a mut [f32],
}

impl WithSimd for Unpacked<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { layer: Linear { x, width, w, n, bias, relu }, rows: count, stride, out } = self;
        for row in out.chunks_mut(stride) {
            row[..bias.len()].copy_from_slice(bias);
        }
        let depth = (BLOCK_UNPACKED / n).max(DEPTH_UNPACKED);
        let columns = bias.len();
        // Each tile of rows fetches its share of the next block.
        let share = depth.div_ceil(tiles(count).count());
        for at in (0..width).step_by(depth) {
            let weights = Rows { w: &w[at * n..], n, depth: depth.min(width - at), columns };
            let mut next = w.chunks(n).skip(at + depth).take(depth);
            for (row, rows) in tiles(count) {
                next.by_ref().take(share).for_each(|row| prefetch(&row[..columns.min(row.len())]));
                let out = &mut out[row * stride..];
                let x = &x[row * width + at..];
                match rows {
                    6 => unpacked::<S, 6>(simd, x, width, weights, stride, out),
                    5 => unpacked::<S, 5>(simd, x, width, weights, stride, out),
                    4 => unpacked::<S, 4>(simd, x, width, weights, stride, out),
                    3 => unpacked::<S, 3>(simd, x, width, weights, stride, out),
                    2 => unpacked::<S, 2>(simd, x, width, weights, stride, out),
                    _ => unpacked::<S, 1>(simd, x, width, weights, stride, out),
                }
            }
        }
        if relu {
            out.iter_mut().for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y });
        }
    }
}

/// Some rows and columns of the weights of a layer of `n` outputs.
#[derive(Clone, Copy)]
struct Rows<'a> {
    w: &'a [f32],
    n: usize,
    depth: usize,
    columns: usize,
}

/// `out[r · stride] += Σ_k x[r · width + k] · w[k]`.
#[inline(always)]
fn unpacked<S: Simd, const R: usize>(
    simd: S,
    x: &[f32],
    width: usize,
    weights: Rows<'_>,
    stride: usize,
    out: &mut [f32],
) {
    let Rows { w, n, depth, columns } = weights;
    let mut rows: [&[f32]; R] = [&[]; R];
    for r in 0..R {
        rows[r] = &x[r * width..][..depth];
    }
    // One row or two leave registers free: more chains of sums at a time hide how long each multiply-add takes.
    let mut done = 0;
    while R == 1 && columns - done >= 8 * S::F32_LANES {
        unpacked_tile::<S, R, 8>(simd, &rows, &w[done..], n, stride, 8 * S::F32_LANES, &mut out[done..]);
        done += 8 * S::F32_LANES;
    }
    while R == 2 && columns - done >= 4 * S::F32_LANES {
        unpacked_tile::<S, R, 4>(simd, &rows, &w[done..], n, stride, 4 * S::F32_LANES, &mut out[done..]);
        done += 4 * S::F32_LANES;
    }
    for panel in panels::<S>(columns - done) {
        let (w, out) = (&w[done + panel.column..], &mut out[done + panel.column..]);
        match panel.vectors {
            // Not compiled where registers would not hold it.
            4 if const { widest::<S>() == 4 } => {
                unpacked_tile::<S, R, 4>(simd, &rows, w, n, stride, panel.width, out);
            }
            2 => unpacked_tile::<S, R, 2>(simd, &rows, w, n, stride, panel.width, out),
            _ => unpacked_tile::<S, R, 1>(simd, &rows, w, n, stride, panel.width, out),
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)] // as above
fn unpacked_tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    x: &[&[f32]; R],
    w: &[f32],
    n: usize,
    stride: usize,
    width: usize,
    out: &mut [f32],
) {
    let mut sums: Sums<S, R, V> = [[simd.splat_f32s(0.0); V]; R];
    for r in 0..R {
        sums[r] = load(simd, &out[r * stride..], width);
    }
    for k in 0..x[0].len() {
        // Whole vectors as long as there are weights behind the row, whatever becomes of columns that are not stored:
        // faster than to load a part of one.
        let w = &w[k * n..];
        let behind = if w.len() >= V * S::F32_LANES { V * S::F32_LANES } else { width };
        let b: [S::f32s; V] = load(simd, w, behind);
        let mut a = [0.0; R];
        for r in 0..R {
            a[r] = x[r][k];
        }
        multiply_add(simd, &a, &b, &mut sums);
    }
    for (r, sum) in sums.into_iter().enumerate() {
        store(simd, &mut out[r * stride..], sum, width);
    }
}
