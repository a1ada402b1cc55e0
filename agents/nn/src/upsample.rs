//! Resampling of images `[B, H, W, C]` to another size: the nearest pixel, or a bilinear blend of four.
//!
//! candle's own gradient of the nearest is wrong where a tensor is used twice, and there is none of the bilinear.
//! Coordinates are those of PyTorch's formulae: ⌊i · in / out⌋ for the nearest, in whole numbers, where PyTorch rounds
//! in / out first and may take the pixel before; pixel centres, without aligned corners, for the blend.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use crate::kernel::vectorised;
use crate::params::{values, with_values};
use crate::parts::{self, PARALLEL};

/// Nearest-neighbour resampling of `x [B, H, W, C]` to `[B, height, width, C]`, where `size` is `[height, width]`:
/// output pixel `i` of an axis is input pixel `⌊i · in / out⌋`.
///
/// # Errors
/// If `x` is not `[B, H, W, C]`, or a size is zero.
pub fn upsample_nearest(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let at = |i: usize, from: usize, to: usize| Blend { places: [i * from / to; 2], share: 0.0 };
    resample(Resample::new("upsample_nearest", x, size, at)?, x)
}

/// Bilinear resampling of `x [B, H, W, C]` to `[B, height, width, C]`, where `size` is `[height, width]`, as PyTorch
/// does with `align_corners=False`.
///
/// # Errors
/// If `x` is not `[B, H, W, C]`, or a size is zero.
pub fn upsample_bilinear(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let at = |i: usize, from: usize, to: usize| {
        let place = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let low = (place as usize).min(from - 1);
        Blend { places: [low, (low + 1).min(from - 1)], share: (place - low as f64) as f32 }
    };
    resample(Resample::new("upsample_bilinear", x, size, at)?, x)
}

fn resample(op: Resample, x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() { x.contiguous()?.apply_op1(op) } else { op.stock(x) }
}

/// Source of one output pixel along an axis: two input pixels, and the weight `share` of the second.
#[derive(Clone, Copy, Debug)]
struct Blend {
    places: [usize; 2],
    share: f32,
}

#[derive(Clone, Debug)]
struct Resample {
    rows: Vec<Blend>,
    columns: Vec<Blend>,
    batch: usize,
    input: [usize; 2],
    channels: usize,
}

impl Resample {
    fn new(name: &str, x: &Tensor, size: [usize; 2], at: impl Fn(usize, usize, usize) -> Blend) -> Result<Self> {
        let &[batch, h, w, channels] = x.dims() else { bail!("{name} expects [B, H, W, C], got {:?}", x.dims()) };
        if [h, w].contains(&0) || size.contains(&0) {
            bail!("{name} from {:?} to {size:?}", x.dims());
        }
        let axis = |from: usize, to: usize| (0..to).map(|i| at(i, from, to)).collect();
        Ok(Self { rows: axis(h, size[0]), columns: axis(w, size[1]), batch, input: [h, w], channels })
    }

    fn image(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    fn scaled(&self) -> usize {
        self.rows.len() * self.columns.len() * self.channels
    }

    fn parallel(&self) -> bool {
        self.batch * self.scaled() >= PARALLEL
    }

    /// Calls `f(output pixel, input pixel, weight)` wherever the weight is not 0; pixels are offsets in elements.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, usize, f32)) {
        let c = self.channels;
        for (i, row) in self.rows.iter().enumerate() {
            for (j, column) in self.columns.iter().enumerate() {
                let out = (i * self.columns.len() + j) * c;
                for (y, a) in row.places.iter().zip([1.0 - row.share, row.share]).filter(|(_, a)| *a != 0.0) {
                    let columns = column.places.iter().zip([1.0 - column.share, column.share]);
                    for (x, b) in columns.filter(|(_, b)| *b != 0.0) {
                        f(out, (y * self.input[1] + x) * c, a * b);
                    }
                }
            }
        }
    }

    /// Resampling in candle's own operations, with `index_select`, whose gradient is right.
    fn stock(&self, x: &Tensor) -> Result<Tensor> {
        let axis = |x: &Tensor, blends: &[Blend], axis: usize| {
            let mut shape = [1; 4];
            shape[axis] = blends.len();
            let part = |k: usize| {
                let places = Tensor::from_iter(blends.iter().map(|b| b.places[k] as u32), x.device())?;
                let share = blends.iter().map(|b| if k == 0 { 1.0 - b.share } else { b.share });
                let share = Tensor::from_iter(share, x.device())?.reshape(&shape)?;
                x.index_select(&places, axis)?.broadcast_mul(&share)
            };
            part(0)? + part(1)?
        };
        axis(&axis(x, &self.rows, 1)?, &self.columns, 2)
    }
}

impl CustomOp1 for Resample {
    fn name(&self) -> &'static str {
        "upsample"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let c = self.channels;
        let mut y = parts::zeros(self.batch * self.scaled());
        parts::each([(&mut y, self.scaled())], self.parallel(), |b, [y]| {
            let x = &x[b * self.image()..][..self.image()];
            vectorised(
                #[inline(always)]
                || {
                    self.each(
                        #[inline(always)]
                        |to, from, weight| {
                            let pairs = y[to..][..c].iter_mut().zip(&x[from..][..c]);
                            pairs.for_each(|(y, x)| *y = weight.mul_add(*x, *y));
                        },
                    );
                },
            );
        });
        Ok((CpuStorage::F32(y), (self.batch, self.rows.len(), self.columns.len(), c).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let c = self.channels;
        let mut dx = parts::zeros(x.elem_count());
        with_values(&g.contiguous()?, |g| {
            parts::each([(&mut dx, self.image())], self.parallel(), |b, [dx]| {
                let g = &g[b * self.scaled()..][..self.scaled()];
                vectorised(
                    #[inline(always)]
                    || {
                        self.each(
                            #[inline(always)]
                            |from, to, weight| {
                                let pairs = dx[to..][..c].iter_mut().zip(&g[from..][..c]);
                                pairs.for_each(|(d, g)| *d = weight.mul_add(*g, *d));
                            },
                        );
                    },
                );
            });
        })?;
        Tensor::from_vec(dx, x.dims(), x.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::check::{any_threads, close, differences, draws, flat, params, variable};

    type Upsample = fn(&Tensor, [usize; 2]) -> Result<Tensor>;
    const BOTH: [Upsample; 2] = [upsample_nearest, upsample_bilinear];
    /// Larger, smaller, whole and broken factors.
    const SIZES: [[usize; 2]; 5] = [[6, 10], [3, 5], [7, 11], [2, 3], [1, 9]];

    #[test]
    fn gradients_are_differences_also_of_a_tensor_used_twice() {
        let x = variable(&[2, 3, 5, 3], 1);
        for f in BOTH {
            for size in SIZES {
                if size[0] >= 3 {
                    differences(&params(), &[&x], 1.0, &|| vec![f(&x, size).unwrap()]);
                }
                differences(&params(), &[&x], 1.0, &|| vec![f(&x, size).unwrap(), (x.as_tensor() * 3.0).unwrap()]);
            }
        }
    }

    #[test]
    fn cpu_operation_equals_stock_ones() {
        let x = variable(&[2, 3, 5, 9], 1);
        for size in SIZES {
            let nearest = |i: usize, from: usize, to: usize| Blend { places: [i * from / to; 2], share: 0.0 };
            let stock = Resample::new("nearest", &x, size, nearest).unwrap().stock(&x).unwrap();
            close(&flat(&upsample_nearest(&x, size).unwrap()), &flat(&stock), 0.0, "nearest");
        }
    }

    #[test]
    fn a_blend_of_two_pixels_has_the_weights_of_pytorch() {
        let x = Tensor::new(&[0f32, 4.0], &Device::Cpu).unwrap().reshape((1, 1, 2, 1)).unwrap();
        assert_eq!(flat(&upsample_bilinear(&x, [1, 4]).unwrap()), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(flat(&upsample_nearest(&x, [2, 3]).unwrap()), [0.0, 0.0, 4.0, 0.0, 0.0, 4.0]);
    }

    #[test]
    fn bits_do_not_depend_on_threads_or_on_the_batch_around() {
        let x = variable(&[9, 15, 17, 8], 1);
        for f in BOTH {
            any_threads(&params(), &[&x], &|| vec![f(&x, [31, 40]).unwrap()]);
            let part = f(&x.narrow(0, 3, 2).unwrap(), [31, 40]).unwrap();
            assert_eq!(flat(&part), flat(&f(&x, [31, 40]).unwrap().narrow(0, 3, 2).unwrap()));
        }
    }

    #[test]
    fn empty_batches_pass_and_wrong_shapes_are_named() {
        for (f, name) in BOTH.into_iter().zip(["upsample_nearest", "upsample_bilinear"]) {
            assert_eq!(f(&draws(&[0, 4, 4, 2], 1), [8, 8]).unwrap().dims(), [0, 8, 8, 2]);
            let error = f(&draws(&[3, 4, 2], 1), [8, 8]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} expects [B, H, W, C], got [3, 4, 2]")), "{error}");
            let error = f(&draws(&[1, 4, 4, 2], 1), [8, 0]).unwrap_err().to_string();
            assert!(error.contains(&format!("{name} from [1, 4, 4, 2] to [8, 0]")), "{error}");
        }
    }
}
