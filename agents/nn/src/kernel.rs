//! The two micro-kernels behind every linear and convolutional layer on the CPU, in safe portable SIMD.
//!
//! Vectors run over output columns, never over a sum. So each output element is one chain of fused multiply-adds in the
//! order of its inputs, from its bias on: tiling, batch, threads and vector width do not change a bit of it.

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows that share one pass over a block of weights.
const GROUP: usize = 48;
/// Inputs per pass: 256 rows of 64 columns fit the first level of cache.
const DEPTH: usize = 256;
/// Inputs per pass at batch 1, where weights are read once, as they lie in memory.
const DEPTH_SINGLE: usize = 16;
/// Output rows summed before they are added to a weight gradient; part of its definition.
const BLOCK: usize = 128;
/// Multiply-adds from which a second thread pays for its start.
const PARALLEL: usize = 1 << 21;

fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(Arch::new)
}

/// Runs a loop over plain slices compiled for the instruction set in use; Rust contracts no products, so that its bits
/// are the same on all.
pub(crate) fn vectorised<F: FnOnce()>(work: F) {
    arch().dispatch(Vectorised(work));
}

struct Vectorised<F>(F);

impl<F: FnOnce()> WithSimd for Vectorised<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        (self.0)();
    }
}

/// The instruction set in use: `avx512`, `avx2`, `neon` or `portable`. Results do not depend on it.
pub fn isa() -> &'static str {
    match format!("{:?}", arch()).as_str() {
        name if name.starts_with("V4") => "avx512",
        name if name.starts_with("V3") => "avx2",
        name if name.starts_with("Neon") => "neon",
        _ => "portable",
    }
}

/// Where each output row finds its inputs: a patch of an image as a few contiguous runs, `[H, W, C]` in memory.
#[derive(Clone, Debug)]
pub(crate) struct Patches {
    /// Start of each output pixel's patch in its image.
    pub starts: Vec<usize>,
    /// Elements of one input image.
    pub image: usize,
    /// Offset of each run in a patch.
    pub runs: Vec<usize>,
    /// Elements of a run.
    pub run: usize,
}

impl Patches {
    /// Whole rows of `width`: a linear layer.
    pub(crate) fn rows(width: usize) -> Self {
        Self { starts: vec![0], image: width, runs: vec![0], run: width }
    }

    /// Patches of a `kernel × kernel` window on `[height, width, channels]`, `stride` apart, without padding.
    pub(crate) fn window([height, width, channels]: [usize; 3], kernel: usize, stride: usize) -> Self {
        let outputs = |size: usize| (0..=size - kernel).step_by(stride);
        let starts = outputs(height).flat_map(|y| outputs(width).map(move |x| (y * width + x) * channels)).collect();
        let runs = (0..kernel).map(|y| y * width * channels).collect();
        Self { starts, image: height * width * channels, runs, run: kernel * channels }
    }

    /// Inputs of an output row.
    pub(crate) fn depth(&self) -> usize {
        self.runs.len() * self.run
    }

    fn start(&self, row: usize) -> usize {
        row / self.starts.len() * self.image + self.starts[row % self.starts.len()]
    }

    fn is_rows(&self) -> bool {
        self.starts.len() == 1 && self.runs.len() == 1
    }
}

/// `out = patches(x) · w + bias`, clipped at 0 if `relu`; `w [depth, n]`, `out [rows, n]`.
pub(crate) fn forward(patches: &Patches, x: &[f32], w: &[f32], bias: &[f32], relu: bool, out: &mut [f32]) {
    let n = bias.len();
    let rows = out.len() / n;
    let part = share(rows, patches.depth() * n);
    each_part(out, part * n, |i, out| arch().dispatch(Forward { patches, x, w, bias, relu, first: i * part, out }));
}

/// Adds the gradient of the weights to `dw [depth, n]`, given that of the output, `g [rows, n]`.
pub(crate) fn weight_gradient(patches: &Patches, x: &[f32], g: &[f32], n: usize, dw: &mut [f32]) {
    let part = share(patches.depth(), g.len());
    each_part(dw, part * n, |i, dw| arch().dispatch(WeightGradient { patches, x, g, n, first: i * part, dw }));
}

/// Adds the gradient of the bias to `db [n]`.
pub(crate) fn bias_gradient(g: &[f32], db: &mut [f32]) {
    let n = db.len();
    let mut sum = vec![0.0; n];
    for block in g.chunks(BLOCK * n) {
        sum.fill(0.0);
        for row in block.chunks_exact(n) {
            sum.iter_mut().zip(row).for_each(|(s, g)| *s += g);
        }
        db.iter_mut().zip(&sum).for_each(|(d, s)| *d += s);
    }
}

/// The gradient of the input, `[images, image]`, given that of the output.
pub(crate) fn input_gradient(patches: &Patches, w: &[f32], g: &[f32], n: usize) -> Vec<f32> {
    let transposed = transpose(w, n);
    let rows = g.len() / n;
    let images = rows / patches.starts.len();
    let mut dx = vec![0.0; images * patches.image];
    let part = share(images, patches.starts.len() * patches.depth() * n);
    let rows = part * patches.starts.len();
    each_part(&mut dx, part * patches.image, |i, dx| {
        let g = &g[i * rows * n..];
        arch().dispatch(InputGradient { patches, w: &transposed, g, n, dx });
    });
    dx
}

/// Rows that one thread takes of `rows` of `cost` multiply-adds each.
fn share(rows: usize, cost: usize) -> usize {
    let threads = if rows * cost < PARALLEL { 1 } else { rayon::current_num_threads() };
    rows.div_ceil(threads).max(1)
}

fn each_part(out: &mut [f32], part: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if part >= out.len() {
        work(0, out);
    } else {
        out.par_chunks_mut(part).enumerate().for_each(|(i, out)| work(i, out));
    }
}

fn transpose(w: &[f32], columns: usize) -> Vec<f32> {
    const TILE: usize = 16; // rows and columns of a tile are whole cache lines
    let rows = w.len() / columns;
    let mut out = vec![0.0; w.len()];
    let mut tile = [[0.0; TILE]; TILE];
    for r0 in (0..rows).step_by(TILE) {
        let height = TILE.min(rows - r0);
        for c0 in (0..columns).step_by(TILE) {
            let width = TILE.min(columns - c0);
            for (r, from) in w[r0 * columns + c0..].chunks(columns).take(height).enumerate() {
                for (c, value) in from[..width].iter().enumerate() {
                    tile[c][r] = *value;
                }
            }
            for (c, column) in tile[..width].iter().enumerate() {
                out[(c0 + c) * rows + r0..][..height].copy_from_slice(&column[..height]);
            }
        }
    }
    out
}

struct Forward<'a> {
    patches: &'a Patches,
    x: &'a [f32],
    w: &'a [f32],
    bias: &'a [f32],
    relu: bool,
    first: usize,
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { patches, x, w, bias, relu, first, out } = self;
        let n = bias.len();
        let depth = if out.len() == n { DEPTH_SINGLE } else { DEPTH };
        let mut starts = [0; GROUP];
        for (group, out) in out.chunks_mut(GROUP * n).enumerate() {
            let rows = out.len() / n;
            for (r, start) in starts[..rows].iter_mut().enumerate() {
                *start = patches.start(first + group * GROUP + r);
            }
            out.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(bias));
            for (run, w) in patches.runs.iter().zip(w.chunks_exact(patches.run * n)) {
                for (block, w) in w.chunks(depth * n).enumerate() {
                    multiply(simd, x, &starts[..rows], run + block * depth, w, n, out);
                }
            }
            if relu {
                out.iter_mut().for_each(|y| *y = if *y > 0.0 || y.is_nan() { *y } else { 0.0 });
            }
        }
    }
}

struct InputGradient<'a> {
    patches: &'a Patches,
    /// Transposed weights, `[n, depth]`.
    w: &'a [f32],
    g: &'a [f32],
    n: usize,
    dx: &'a mut [f32],
}

impl WithSimd for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { patches, w, g, n, dx } = self;
        let depth = patches.depth();
        let mut starts = [0; GROUP];
        (0..GROUP).for_each(|r| starts[r] = r * n);
        if patches.is_rows() {
            for (dx, g) in dx.chunks_mut(GROUP * depth).zip(g.chunks(GROUP * n)) {
                for (block, w) in w.chunks(DEPTH * depth).enumerate() {
                    multiply(simd, g, &starts[..dx.len() / depth], block * DEPTH, w, depth, dx);
                }
            }
            return;
        }
        // Patches overlap: each is added where it came from, in the order of rows, whatever the tiles were.
        let mut patch = vec![0.0; GROUP * depth];
        for (dx, g) in dx.chunks_exact_mut(patches.image).zip(g.chunks_exact(patches.starts.len() * n)) {
            for (g, places) in g.chunks(GROUP * n).zip(patches.starts.chunks(GROUP)) {
                let patch = &mut patch[..places.len() * depth];
                patch.fill(0.0);
                for (block, w) in w.chunks(DEPTH * depth).enumerate() {
                    multiply(simd, g, &starts[..places.len()], block * DEPTH, w, depth, patch);
                }
                for (patch, place) in patch.chunks_exact(depth).zip(places) {
                    for (from, run) in patch.chunks_exact(patches.run).zip(&patches.runs) {
                        let into = &mut dx[place + run..][..patches.run];
                        into.iter_mut().zip(from).for_each(|(a, b)| *a += b);
                    }
                }
            }
        }
    }
}

/// `out[r, :] += Σ_k x[starts[r] + at + k] · w[k, :]`, one multiply-add after the other; `w [len, n]`.
#[inline(always)]
fn multiply<S: Simd>(simd: S, x: &[f32], starts: &[usize], at: usize, w: &[f32], n: usize, out: &mut [f32]) {
    let lanes = S::F32_LANES;
    let mut column = 0;
    while column < n {
        let left = n - column;
        column += if S::REGISTER_COUNT >= 32 && left >= 4 * lanes {
            panel::<S, 4>(simd, x, starts, at, w, n, column, lanes, out);
            4 * lanes
        } else if left >= 2 * lanes {
            panel::<S, 2>(simd, x, starts, at, w, n, column, lanes, out);
            2 * lanes
        } else {
            panel::<S, 1>(simd, x, starts, at, w, n, column, lanes.min(left), out);
            lanes.min(left)
        };
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)] // a block of a matrix product has that many extents
fn panel<S: Simd, const V: usize>(
    simd: S,
    x: &[f32],
    starts: &[usize],
    at: usize,
    w: &[f32],
    n: usize,
    column: usize,
    width: usize,
    out: &mut [f32],
) {
    let mut row = 0;
    while row + 6 <= starts.len() {
        tile::<S, 6, V>(simd, x, &starts[row..], at, w, n, column, width, &mut out[row * n..]);
        row += 6;
    }
    if row + 4 <= starts.len() {
        tile::<S, 4, V>(simd, x, &starts[row..], at, w, n, column, width, &mut out[row * n..]);
        row += 4;
    }
    if row + 2 <= starts.len() {
        tile::<S, 2, V>(simd, x, &starts[row..], at, w, n, column, width, &mut out[row * n..]);
        row += 2;
    }
    if row < starts.len() {
        tile::<S, 1, V>(simd, x, &starts[row..], at, w, n, column, width, &mut out[row * n..]);
    }
}

/// `R` rows by `V` vectors held in registers over the whole sum.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // as above
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    x: &[f32],
    starts: &[usize],
    at: usize,
    w: &[f32],
    n: usize,
    column: usize,
    width: usize,
    out: &mut [f32],
) {
    let len = w.len() / n;
    let rows: [&[f32]; R] = std::array::from_fn(|r| &x[starts[r] + at..][..len]);
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for r in 0..R {
        sums[r] = load(simd, &out[r * n + column..], width);
    }
    let mut w = &w[column..];
    #[allow(clippy::needless_range_loop)] // all rows advance together
    for k in 0..len {
        let b: [S::f32s; V] = load(simd, w, width);
        for r in 0..R {
            let a = simd.splat_f32s(rows[r][k]);
            for v in 0..V {
                sums[r][v] = simd.mul_add_f32s(a, b[v], sums[r][v]);
            }
        }
        w = w.get(n..).unwrap_or(&[]);
    }
    for r in 0..R {
        store(simd, &mut out[r * n + column..], sums[r], width);
    }
}

struct WeightGradient<'a> {
    patches: &'a Patches,
    x: &'a [f32],
    g: &'a [f32],
    n: usize,
    /// First input of this part.
    first: usize,
    /// Rows of this part's inputs.
    dw: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { patches, x, g, n, first, dw } = self;
        let mut starts = [0; BLOCK];
        let last = first + dw.len() / n;
        for (block, g) in g.chunks(BLOCK * n).enumerate() {
            let rows = g.len() / n;
            for (r, start) in starts[..rows].iter_mut().enumerate() {
                *start = patches.start(block * BLOCK + r);
            }
            for (run, &offset) in patches.runs.iter().enumerate() {
                let (from, to) = (first.max(run * patches.run), last.min((run + 1) * patches.run));
                let mut k = from;
                while k < to {
                    let at = offset + k - run * patches.run;
                    let dw = &mut dw[(k - first) * n..];
                    let starts = &starts[..rows];
                    k += match to - k {
                        6.. => outer_row::<S, 6>(simd, x, starts, at, g, n, dw),
                        4.. => outer_row::<S, 4>(simd, x, starts, at, g, n, dw),
                        2.. => outer_row::<S, 2>(simd, x, starts, at, g, n, dw),
                        _ => outer_row::<S, 1>(simd, x, starts, at, g, n, dw),
                    };
                }
            }
        }
    }
}

/// `R` inputs by all `n` outputs of a weight gradient; returns `R`.
#[inline(always)]
fn outer_row<S: Simd, const R: usize>(
    simd: S,
    x: &[f32],
    starts: &[usize],
    at: usize,
    g: &[f32],
    n: usize,
    dw: &mut [f32],
) -> usize {
    let lanes = S::F32_LANES;
    let mut column = 0;
    while column < n {
        let left = n - column;
        column += if S::REGISTER_COUNT >= 32 && left >= 4 * lanes {
            outer_tile::<S, R, 4>(simd, x, starts, at, g, n, column, lanes, dw);
            4 * lanes
        } else if left >= 2 * lanes {
            outer_tile::<S, R, 2>(simd, x, starts, at, g, n, column, lanes, dw);
            2 * lanes
        } else {
            outer_tile::<S, R, 1>(simd, x, starts, at, g, n, column, lanes.min(left), dw);
            lanes.min(left)
        };
    }
    R
}

/// `dw[r, :] += Σ_p x[starts[p] + at + r] · g[p, :]`, the sum on its own first.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // as above
fn outer_tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    x: &[f32],
    starts: &[usize],
    at: usize,
    g: &[f32],
    n: usize,
    column: usize,
    width: usize,
    dw: &mut [f32],
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    let mut g = &g[column..];
    for start in starts {
        let a: &[f32; R] = x[start + at..][..R].try_into().expect("a slice of R");
        let b: [S::f32s; V] = load(simd, g, width);
        for r in 0..R {
            let a = simd.splat_f32s(a[r]);
            for v in 0..V {
                sums[r][v] = simd.mul_add_f32s(a, b[v], sums[r][v]);
            }
        }
        g = g.get(n..).unwrap_or(&[]);
    }
    for r in 0..R {
        let row = &mut dw[r * n + column..];
        let mut total: [S::f32s; V] = load(simd, row, width);
        for v in 0..V {
            total[v] = simd.add_f32s(total[v], sums[r][v]);
        }
        store(simd, row, total, width);
    }
}

/// `V` vectors from the front of `from`; of a single one, only `width` lanes where it is cut.
#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, from: &[f32], width: usize) -> [S::f32s; V] {
    if V == 1 && width < S::F32_LANES {
        return [simd.partial_load_f32s(&from[..width]); V];
    }
    let whole: &[S::f32s; V] = S::as_simd_f32s(&from[..V * S::F32_LANES]).0.try_into().expect("V vectors");
    *whole
}

#[inline(always)]
fn store<S: Simd, const V: usize>(simd: S, into: &mut [f32], values: [S::f32s; V], width: usize) {
    if V == 1 && width < S::F32_LANES {
        simd.partial_store_f32s(&mut into[..width], values[0]);
        return;
    }
    S::as_mut_simd_f32s(&mut into[..V * S::F32_LANES]).0.copy_from_slice(&values);
}

#[cfg(test)]
mod tests {
    use rl_core::{Rng, Stream};

    use super::*;

    fn draws(len: usize, rng: &mut Rng) -> Vec<f32> {
        (0..len).map(|_| rng.normal() as f32).collect()
    }

    /// The definition, element by element.
    fn naive(patches: &Patches, x: &[f32], w: &[f32], bias: &[f32], relu: bool, rows: usize) -> Vec<f32> {
        let n = bias.len();
        let mut out = Vec::new();
        for r in 0..rows {
            for c in 0..n {
                let mut sum = bias[c];
                for k in 0..patches.depth() {
                    let at = patches.start(r) + patches.runs[k / patches.run] + k % patches.run;
                    sum = x[at].mul_add(w[k * n + c], sum);
                }
                out.push(if relu { sum.max(0.0) } else { sum });
            }
        }
        out
    }

    fn cases() -> Vec<(Patches, usize, usize)> {
        let mut cases = Vec::new();
        for (depth, n) in [(1, 1), (4, 2), (4, 128), (37, 18), (300, 65), (16, 33)] {
            cases.extend([1, 2, 5, 49, 64].map(|images| (Patches::rows(depth), n, images)));
        }
        for (shape, kernel, stride, n) in [([9, 7, 3], 3, 1, 5), ([12, 12, 4], 8, 4, 32), ([10, 10, 8], 4, 2, 64)] {
            cases.extend([1, 3].map(|images| (Patches::window(shape, kernel, stride), n, images)));
        }
        cases
    }

    #[test]
    fn forward_equals_its_definition_to_the_bit() {
        let mut rng = Rng::new(1, Stream::Tool(0));
        for (patches, n, images) in cases() {
            let (x, w) = (draws(images * patches.image, &mut rng), draws(patches.depth() * n, &mut rng));
            let bias = draws(n, &mut rng);
            let rows = images * patches.starts.len();
            let mut out = vec![0.0; rows * n];
            forward(&patches, &x, &w, &bias, true, &mut out);
            let expected = naive(&patches, &x, &w, &bias, true, rows);
            assert!(out == expected, "depth {} n {n} images {images}", patches.depth());
        }
    }

    #[test]
    fn gradients_equal_their_definition() {
        let mut rng = Rng::new(2, Stream::Tool(0));
        for (patches, n, images) in cases() {
            let (x, w) = (draws(images * patches.image, &mut rng), draws(patches.depth() * n, &mut rng));
            let rows = images * patches.starts.len();
            let g = draws(rows * n, &mut rng);
            let mut dw = vec![1.0; w.len()];
            let mut db = vec![1.0; n];
            weight_gradient(&patches, &x, &g, n, &mut dw);
            bias_gradient(&g, &mut db);
            let dx = input_gradient(&patches, &w, &g, n);
            let (mut ew, mut eb, mut ex) = (vec![1.0f64; w.len()], vec![1.0f64; n], vec![0.0f64; x.len()]);
            for r in 0..rows {
                for c in 0..n {
                    let g = f64::from(g[r * n + c]);
                    eb[c] += g;
                    for k in 0..patches.depth() {
                        let at = patches.start(r) + patches.runs[k / patches.run] + k % patches.run;
                        ew[k * n + c] += g * f64::from(x[at]);
                        ex[at] += g * f64::from(w[k * n + c]);
                    }
                }
            }
            for (name, got, expected) in [("dw", &dw, &ew), ("db", &db, &eb), ("dx", &dx, &ex)] {
                let worst = got.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                assert!(worst < 2e-4, "{name}, depth {} n {n} images {images}: off by {worst}", patches.depth());
            }
        }
    }

    #[test]
    fn parts_of_any_size_end_in_equal_bits() {
        let mut rng = Rng::new(3, Stream::Tool(0));
        let patches = Patches::window([20, 20, 8], 4, 2);
        let (n, images) = (64, 4);
        let (x, w) = (draws(images * patches.image, &mut rng), draws(patches.depth() * n, &mut rng));
        let g = draws(images * patches.starts.len() * n, &mut rng);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut dw = vec![0.0; w.len()];
                let mut out = vec![0.0; g.len()];
                forward(&patches, &x, &w, &[0.5; 64], false, &mut out);
                weight_gradient(&patches, &x, &g, n, &mut dw);
                (out, dw, input_gradient(&patches, &w, &g, n))
            })
        };
        let one = run(1);
        assert!([2, 3, 7].into_iter().all(|threads| run(threads) == one));
    }
}
