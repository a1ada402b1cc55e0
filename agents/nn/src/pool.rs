//! Maximum and average pooling of `[B, H, W, C]`, with any window, stride and padding.
//!
//! candle's own gradients are wrong: the maximum's by the size of the window, the average's where sizes are odd. As in
//! PyTorch, sizes are rounded down; padding never wins a maximum, and counts as zeros in an average.

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use crate::Window;
use crate::kernel::vectorised;
use crate::params::{values, with_values};
use crate::parts::{self, PARALLEL};

/// Max pooling per channel: `x [B, H, W, C]` to `[B, H', W', C]`. Padding never wins, NaN always does, and of equal
/// values the first gets the gradient.
///
/// # Errors
/// If `x` is not `[B, H, W, C]`, the window does not fit it, or its padding is more than half of the kernel.
pub fn max_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    let grid = Grid::new("max_pool", x, window)?;
    if x.device().is_cpu() {
        x.contiguous()?.apply_op1(Max { grid, winners: OnceLock::new() })
    } else {
        grid.stock(x, true)
    }
}

/// Max pooling of images `[H, W, C]` on the CPU without a graph, with the values of [`max_pool`]; `out` is replaced and
/// reuses its allocation.
///
/// # Errors
/// If the window does not fit the image, or its padding is more than half of the kernel.
///
/// # Panics
/// If `x` does not hold whole images.
pub(crate) fn pool_max(x: &[f32], [h, w, channels]: [usize; 3], window: Window, out: &mut Vec<f32>) -> Result<()> {
    let batch = x.len() / (h * w * channels);
    let grid = Grid::of("max_pool", [batch, h, w, channels], window)?;
    assert_eq!(x.len(), batch * grid.image(), "images of {h} × {w} × {channels}");
    out.clear();
    out.resize(batch * grid.pooled(), f32::NEG_INFINITY);
    parts::each([(out, grid.pooled())], grid.parallel(), |b, [y]| {
        let x = &x[b * grid.image()..][..grid.image()];
        vectorised(
            #[inline(always)]
            || {
                grid.each(
                    #[inline(always)]
                    |to, from| {
                        let pairs = y[to].iter_mut().zip(&x[from]);
                        pairs.for_each(|(y, &x)| *y = if x > *y || (x.is_nan() && !y.is_nan()) { x } else { *y });
                    },
                );
            },
        );
    });
    Ok(())
}

/// Average pooling per channel: `x [B, H, W, C]` to `[B, H', W', C]`. Padding counts as zeros, as with PyTorch's
/// `count_include_pad`.
///
/// # Errors
/// If `x` is not `[B, H, W, C]`, the window does not fit it, or its padding is more than half of the kernel.
pub fn avg_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    let grid = Grid::new("avg_pool", x, window)?;
    if x.device().is_cpu() { x.contiguous()?.apply_op1(Mean { grid }) } else { grid.stock(x, false) }
}

/// Sizes of the images and their windows.
#[derive(Clone, Copy, Debug)]
struct Grid {
    window: Window,
    batch: usize,
    input: [usize; 2],
    output: [usize; 2],
    channels: usize,
}

impl Grid {
    fn new(name: &str, x: &Tensor, window: Window) -> Result<Self> {
        let &[batch, h, w, channels] = x.dims() else { bail!("{name} expects [B, H, W, C], got {:?}", x.dims()) };
        Self::of(name, [batch, h, w, channels], window)
    }

    fn of(name: &str, dims: [usize; 4], window: Window) -> Result<Self> {
        let [batch, h, w, channels] = dims;
        // A window wholly in the padding would have nothing to choose from.
        let thin = (0..2).all(|axis| window.padding[axis] <= window.kernel[axis] / 2);
        let Some(output) = window.output([h, w]).filter(|_| thin) else {
            bail!("{name} with {window:?} does not fit {dims:?}");
        };
        Ok(Self { window, batch, input: [h, w], output, channels })
    }

    fn image(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    fn pooled(&self) -> usize {
        self.output[0] * self.output[1] * self.channels
    }

    fn shape(&self) -> Shape {
        (self.batch, self.output[0], self.output[1], self.channels).into()
    }

    fn parallel(&self) -> bool {
        self.batch * self.pooled() * self.window.kernel[0] * self.window.kernel[1] >= 2 * PARALLEL
    }

    /// Pixels of the image that window `at` covers along axis `k`.
    fn covered(&self, k: usize, at: usize) -> Range<usize> {
        let Window { kernel: size, stride, padding } = self.window;
        let from = at * stride[k];
        from.saturating_sub(padding[k])..(from + size[k]).saturating_sub(padding[k]).min(self.input[k])
    }

    /// Calls `f(output pixel, input pixel)` for every pixel of every window of an image; a pixel is the range of its
    /// channels in elements.
    fn each(&self, mut f: impl FnMut(Range<usize>, Range<usize>)) {
        let c = self.channels;
        for oy in 0..self.output[0] {
            for ox in 0..self.output[1] {
                let out = (oy * self.output[1] + ox) * c;
                for y in self.covered(0, oy) {
                    for x in self.covered(1, ox) {
                        let from = (y * self.input[1] + x) * c;
                        f(out..out + c, from..from + c);
                    }
                }
            }
        }
    }

    /// Pooling in candle's own operations: gathers every window by `index_select`, whose gradient is right.
    fn stock(&self, x: &Tensor, max: bool) -> Result<Tensor> {
        let Window { kernel: size, stride, padding } = self.window;
        let pad = |x: Tensor, axis: usize| -> Result<Tensor> {
            if padding[axis - 1] == 0 {
                return Ok(x);
            }
            let mut dims = x.dims().to_vec();
            dims[axis] = padding[axis - 1];
            let edge = Tensor::full(if max { f32::NEG_INFINITY } else { 0.0 }, dims, x.device())?;
            Tensor::cat(&[&edge, &x, &edge], axis)
        };
        let x = pad(pad(x.clone(), 1)?, 2)?;
        let pick = |x: &Tensor, axis: usize, offset: usize| {
            let places = (0..self.output[axis - 1]).map(|o| (o * stride[axis - 1] + offset) as u32);
            x.index_select(&Tensor::from_iter(places, x.device())?, axis)
        };
        let mut taps = Vec::new();
        for dy in 0..size[0] {
            let rows = pick(&x, 1, dy)?;
            for dx in 0..size[1] {
                taps.push(pick(&rows, 2, dx)?);
            }
        }
        if !max {
            return Tensor::stack(&taps, 0)?.mean(0);
        }
        // Of equals the first wins: candle's maximum would give each of them the whole gradient. NaN is above all.
        let none = |x: &Tensor| x.ne(x);
        taps.into_iter()
            .map(Ok)
            .reduce(|best: Result<Tensor>, tap| {
                let (best, tap) = (best?, tap?);
                let wins = tap.gt(&best)?.maximum(&none(&tap)?.gt(&none(&best)?)?)?;
                wins.where_cond(&tap, &best)
            })
            .expect("a window covers a pixel")
    }
}

struct Max {
    grid: Grid,
    /// Offset in its image of the input that each output is.
    winners: OnceLock<Vec<u32>>,
}

impl CustomOp1 for Max {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let grid = self.grid;
        let x = values(x, layout)?;
        let mut y = vec![f32::NEG_INFINITY; grid.batch * grid.pooled()];
        // Places as the bits of floats, so that they are cut like the values.
        let mut winners = vec![0f32; y.len()];
        if !y.is_empty() {
            let outs = [(&mut y[..], grid.pooled()), (&mut winners[..], grid.pooled())];
            parts::each(outs, grid.parallel(), |b, [y, winners]| {
                let x = &x[b * grid.image()..][..grid.image()];
                vectorised(
                    #[inline(always)]
                    || {
                        for (oy, ox) in (0..grid.output[0]).flat_map(|oy| (0..grid.output[1]).map(move |ox| (oy, ox))) {
                            let out = (oy * grid.output[1] + ox) * grid.channels;
                            let y = &mut y[out..][..grid.channels];
                            let winners = &mut winners[out..][..grid.channels];
                            let (rows, columns) = (grid.covered(0, oy), grid.covered(1, ox));
                            let first = (rows.start * grid.input[1] + columns.start) * grid.channels;
                            for (c, winner) in winners.iter_mut().enumerate() {
                                *winner = f32::from_bits((first + c) as u32);
                            }
                            for row in rows {
                                for column in columns.clone() {
                                    let from = (row * grid.input[1] + column) * grid.channels;
                                    let x = &x[from..][..grid.channels];
                                    for c in 0..grid.channels {
                                        let wins = x[c] > y[c] || (x[c].is_nan() && !y[c].is_nan());
                                        y[c] = if wins { x[c] } else { y[c] };
                                        let place = (from + c) as u32;
                                        let bits = if wins { place } else { winners[c].to_bits() };
                                        winners[c] = f32::from_bits(bits);
                                    }
                                }
                            }
                        }
                    },
                );
            });
        }
        let _ = self.winners.set(winners.into_iter().map(f32::to_bits).collect());
        Ok((CpuStorage::F32(y), grid.shape()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let grid = self.grid;
        let winners = self.winners.get().expect("the forward pass fills it");
        let mut dx = parts::zeros(x.elem_count());
        with_values(&g.contiguous()?, |g| {
            parts::each([(&mut dx, grid.image())], grid.parallel(), |b, [dx]| {
                let of = b * grid.pooled()..(b + 1) * grid.pooled();
                for (g, at) in g[of.clone()].iter().zip(&winners[of]) {
                    dx[*at as usize] += g;
                }
            });
        })?;
        Tensor::from_vec(dx, x.dims(), x.device()).map(Some)
    }
}

struct Mean {
    grid: Grid,
}

impl Mean {
    fn scale(&self) -> f32 {
        1.0 / (self.grid.window.kernel[0] * self.grid.window.kernel[1]) as f32
    }
}

impl CustomOp1 for Mean {
    fn name(&self) -> &'static str {
        "avg-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (grid, scale) = (self.grid, self.scale());
        let x = values(x, layout)?;
        let mut y = parts::zeros(grid.batch * grid.pooled());
        parts::each([(&mut y, grid.pooled())], grid.parallel(), |b, [y]| {
            let x = &x[b * grid.image()..][..grid.image()];
            vectorised(
                #[inline(always)]
                || {
                    grid.each(
                        #[inline(always)]
                        |to, from| y[to].iter_mut().zip(&x[from]).for_each(|(y, x)| *y += x),
                    );
                    y.iter_mut().for_each(|y| *y *= scale);
                },
            );
        });
        Ok((CpuStorage::F32(y), grid.shape()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (grid, scale) = (self.grid, self.scale());
        let mut dx = parts::zeros(x.elem_count());
        with_values(&g.contiguous()?, |g| {
            parts::each([(&mut dx, grid.image())], grid.parallel(), |b, [dx]| {
                let g = &g[b * grid.pooled()..][..grid.pooled()];
                vectorised(
                    #[inline(always)]
                    || {
                        grid.each(
                            #[inline(always)]
                            |from, to| dx[to].iter_mut().zip(&g[from]).for_each(|(d, g)| *d += g),
                        );
                        dx.iter_mut().for_each(|d| *d *= scale);
                    },
                );
            });
        })?;
        Tensor::from_vec(dx, x.dims(), x.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::check::{any_threads, differences, draws, flat, params, parity, variable};

    const BOTH: [fn(&Tensor, Window) -> Result<Tensor>; 2] = [max_pool, avg_pool];

    fn windows() -> [Window; 6] {
        let window = |kernel, stride, padding| Window { kernel, stride, padding };
        [
            Window::square(2),
            Window::square(1),
            window([3, 3], [2, 2], [1, 1]),
            window([3, 2], [1, 1], [1, 0]), // overlaps
            window([2, 3], [3, 4], [0, 1]), // gaps
            window([5, 4], [2, 1], [2, 2]),
        ]
    }

    #[test]
    fn of_equals_the_first_has_the_gradient_on_every_device() {
        let window = Window { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
        let x = Var::ones((1, 8, 8, 2), DType::F32, &Device::Cpu).unwrap();
        let grid = Grid::new("pool", &x, window).unwrap();
        let gradient = |y: Tensor| {
            let store = y.sum_all().unwrap().backward().unwrap();
            store.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let ours = gradient(max_pool(&x, window).unwrap());
        assert_eq!((gradient(grid.stock(&x, true).unwrap()), ours.iter().sum::<f32>()), (ours, 32.0));
        let odd = Tensor::new(&[1.0f32, f32::NAN, 3.0, 2.0], &Device::Cpu).unwrap().reshape((1, 2, 2, 1)).unwrap();
        let grid = Grid::new("pool", &odd, Window::square(2)).unwrap();
        assert!(grid.stock(&odd, true).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()[0].is_nan());
    }

    #[test]
    fn gradients_are_differences_with_overlaps_gaps_and_odd_sizes() {
        let x = variable(&[2, 7, 5, 3], 1);
        for (f, share) in BOTH.into_iter().zip([0.97, 1.0]) {
            for window in windows() {
                differences(&params(), &[&x], share, &|| vec![f(&x, window).unwrap()]);
                differences(&params(), &[&x], share, &|| {
                    let y = f(&x, window).unwrap();
                    vec![f(&(x.as_tensor() * 2.0).unwrap(), window).unwrap(), y] // used twice
                });
            }
        }
    }

    #[test]
    fn cpu_operations_equal_gathered_windows() {
        let x = variable(&[3, 9, 8, 11], 1);
        for (k, f) in BOTH.into_iter().enumerate() {
            for window in windows() {
                let grid = Grid::new("pool", &x, window).unwrap();
                parity(&params(), &[&x], 1e-6, &|| vec![f(&x, window).unwrap()], &|| {
                    vec![grid.stock(&x, k == 0).unwrap()]
                });
            }
        }
    }

    #[test]
    fn the_host_finds_the_same_maxima() {
        let (x, mut out) = (draws(&[3, 9, 8, 11], 1), vec![7.0]);
        for window in windows() {
            pool_max(&flat(&x), [9, 8, 11], window, &mut out).unwrap();
            assert_eq!(out, flat(&max_pool(&x, window).unwrap()));
        }
        pool_max(&[5.0, f32::NAN, 1.0, 9.0], [2, 2, 1], Window::square(2), &mut out).unwrap();
        assert!(out[0].is_nan());
        assert!(pool_max(&[0.0; 4], [2, 2, 1], Window::square(3), &mut out).is_err());
    }

    #[test]
    fn the_first_of_equals_gets_the_gradient_and_nan_wins() {
        let x = candle_core::Var::new(&[1f32, 1.0, 1.0, 1.0], &Device::Cpu).unwrap();
        let y = max_pool(&x.reshape((1, 2, 2, 1)).unwrap(), Window::square(2)).unwrap();
        let grads = y.sum_all().unwrap().backward().unwrap();
        assert_eq!(flat(grads.get(&x).unwrap()), [1.0, 0.0, 0.0, 0.0]);
        let x = Tensor::new(&[5f32, f32::NAN, 1.0, 9.0], &Device::Cpu).unwrap().reshape((1, 2, 2, 1)).unwrap();
        assert!(flat(&max_pool(&x, Window::square(2)).unwrap())[0].is_nan());
    }

    #[test]
    fn bits_do_not_depend_on_threads_or_on_the_batch_around() {
        let x = variable(&[9, 31, 33, 16], 1);
        for f in BOTH {
            for window in windows() {
                any_threads(&params(), &[&x], &|| vec![f(&x, window).unwrap()]);
                let part = f(&x.narrow(0, 3, 2).unwrap(), window).unwrap();
                assert_eq!(flat(&part), flat(&f(&x, window).unwrap().narrow(0, 3, 2).unwrap()));
            }
        }
    }

    #[test]
    fn empty_batches_pass_and_windows_that_do_not_fit_are_named() {
        for (f, name) in BOTH.into_iter().zip(["max_pool", "avg_pool"]) {
            assert_eq!(f(&draws(&[0, 4, 4, 2], 1), Window::square(2)).unwrap().dims(), [0, 2, 2, 2]);
            assert_eq!(f(&draws(&[2, 4, 4, 0], 1), Window::square(2)).unwrap().dims(), [2, 2, 2, 0]);
            let error = f(&draws(&[1, 3, 4, 2], 1), Window::square(4)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("[1, 3, 4, 2]"), "{error}");
            let error = f(&draws(&[3, 4, 2], 1), Window::square(2)).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} expects [B, H, W, C], got [3, 4, 2]")), "{error}");
            assert!(f(&draws(&[1, 4, 4, 1], 1), Window { padding: [2, 2], ..Window::square(3) }).is_err());
        }
    }
}
