//! Blurs one place of a stack of frames, and restores it.

use rl_core::Spec;
use rl_replays::Rollout;

/// Number of places along the longer side.
const PLACES: usize = 17;
/// Radius at which a Gaussian is cut off, in deviations.
const REACH: f32 = 3.0;
/// Deviation of the blur, as a multiple of the deviation of a place.
const BLUR: f32 = 0.6;

/// The frames of one seat, original and blurred.
pub(super) struct Occlusion {
    /// Height, width and channels.
    frame: [usize; 3],
    /// Pixels between two places; also the deviation of a place.
    every: usize,
    /// Weights of a place's Gaussian from its middle outwards, beginning with 1; `blur` has those of the blur.
    mask: Vec<f32>,
    blur: Vec<f32>,
    /// Original frames, `[stack, H·W·C]`; `blurred` has them blurred.
    plain: Vec<Vec<u8>>,
    blurred: Vec<Vec<f32>>,
}

impl Occlusion {
    pub(super) fn new(spec: &Spec) -> Self {
        let [height, width, _] = spec.frame;
        let every = ((height.max(width) as f32 / PLACES as f32).round() as usize).max(1);
        let (mask, blur) = (gaussian(every as f32), gaussian(every as f32 * BLUR));
        let plain = vec![Vec::new(); spec.stack];
        Self { frame: spec.frame, every, mask, blur, plain, blurred: Vec::new() }
    }

    /// Number of rows and of columns of places.
    pub(super) fn places(&self) -> [usize; 2] {
        [self.frame[0], self.frame[1]].map(|side| side.div_ceil(self.every))
    }

    /// Distance between two places as a share of the height and of the width.
    pub(super) fn part_of_a_place(&self) -> [f32; 2] {
        [self.frame[0], self.frame[1]].map(|side| self.every as f32 / side as f32)
    }

    /// Takes the frames that row 0 of a block stacks, and blurs them.
    pub(super) fn begin(&mut self, block: &Rollout) {
        for (row, plain) in self.plain.iter_mut().enumerate() {
            plain.clear();
            plain.extend_from_slice(block.frame.at(row, 0));
        }
        self.blurred = self.plain.iter().map(|plain| self.blurred(plain)).collect();
    }

    /// Blurs a place in all frames of row 0 of the block.
    pub(super) fn hide(&self, place: usize, block: &mut Rollout) {
        let [_, width, channels] = self.frame;
        for (row, (plain, blurred)) in self.plain.iter().zip(&self.blurred).enumerate() {
            let frame = block.frame.at_mut(row, 0);
            self.each(place, |y, x, weight| {
                for at in (y * width + x) * channels..(y * width + x + 1) * channels {
                    let there = f32::from(plain[at]);
                    frame[at] = (there + weight * (blurred[at] - there)).round() as u8;
                }
            });
        }
    }

    /// Restores a place that was hidden.
    pub(super) fn show(&self, place: usize, block: &mut Rollout) {
        let [_, width, channels] = self.frame;
        for (row, plain) in self.plain.iter().enumerate() {
            let frame = block.frame.at_mut(row, 0);
            self.each(place, |y, x, _| {
                let pixel = (y * width + x) * channels..(y * width + x + 1) * channels;
                frame[pixel.clone()].copy_from_slice(&plain[pixel]);
            });
        }
    }

    /// Calls `of` with row, column and weight of every pixel of a place.
    fn each(&self, place: usize, mut of: impl FnMut(usize, usize, f32)) {
        let ([height, width, _], [_, columns]) = (self.frame, self.places());
        let middle = |at: usize, side: usize| (at * self.every + self.every / 2).min(side - 1);
        let (y, x) = (middle(place / columns, height), middle(place % columns, width));
        let reach = self.mask.len() - 1;
        for row in y.saturating_sub(reach)..=(y + reach).min(height - 1) {
            for column in x.saturating_sub(reach)..=(x + reach).min(width - 1) {
                of(row, column, self.mask[row.abs_diff(y)] * self.mask[column.abs_diff(x)]);
            }
        }
    }

    /// Blurs a frame along its rows, then along its columns; pixels at the edges are repeated beyond them.
    fn blurred(&self, plain: &[u8]) -> Vec<f32> {
        let [height, width, channels] = self.frame;
        let plain: Vec<f32> = plain.iter().map(|&pixel| f32::from(pixel)).collect();
        let along = |from: &[f32], [count, stride]: [usize; 2]| -> Vec<f32> {
            let total = 2.0 * self.blur.iter().sum::<f32>() - self.blur[0];
            let at = |place: usize| {
                let (here, start) = (place / stride % count, place - place / stride % count * stride);
                let pixel = |at: usize| from[start + at.min(count - 1) * stride];
                let pairs = self.blur.iter().enumerate().skip(1);
                let sides: f32 =
                    pairs.map(|(away, weight)| weight * (pixel(here.saturating_sub(away)) + pixel(here + away))).sum();
                (self.blur[0] * pixel(here) + sides) / total
            };
            (0..from.len()).map(at).collect()
        };
        along(&along(&plain, [width, channels]), [height, width * channels])
    }
}

/// Weights of a Gaussian with this deviation in pixels, from its middle outwards.
fn gaussian(deviation: f32) -> Vec<f32> {
    let reach = (REACH * deviation).ceil() as usize;
    (0..=reach).map(|away| (-0.5 * (away as f32 / deviation).powi(2)).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Rollout {
        let spec = Spec { frame: [20, 34, 3], stack: 2, discrete: [2].into(), ..Spec::none() };
        let mut block = Rollout::new(&spec, 1, 1, 0);
        for row in 0..2 {
            for (i, pixel) in block.frame.row_mut(row).iter_mut().enumerate() {
                *pixel = (i * 37 % 251) as u8;
            }
        }
        block
    }

    #[test]
    fn a_place_is_blurred_in_every_frame_and_comes_back() {
        let (mut block, plain) = (block(), block());
        let mut occlusion = Occlusion::new(block.spec());
        occlusion.begin(&block);
        assert_eq!((occlusion.places(), occlusion.part_of_a_place()), ([10, 17], [0.1, 2.0 / 34.0]));
        for place in [0, 5 * 17 + 8, 169] {
            occlusion.hide(place, &mut block);
            for row in 0..2 {
                let differ = block.frame.row(row).iter().zip(plain.frame.row(row)).filter(|(a, b)| a != b).count();
                assert!((50..=13 * 13 * 3).contains(&differ), "{differ}");
            }
            occlusion.show(place, &mut block);
            assert!((0..2).all(|row| block.frame.row(row) == plain.frame.row(row)), "place {place}");
        }
    }

    #[test]
    fn a_blur_keeps_what_is_even_and_spreads_what_is_not() {
        let mut block = block();
        (0..2).for_each(|row| block.frame.row_mut(row).fill(90));
        let mut occlusion = Occlusion::new(block.spec());
        occlusion.begin(&block);
        assert!(occlusion.blurred[0].iter().all(|pixel| (pixel - 90.0).abs() < 1e-3));
        block.frame.row_mut(1)[(10 * 34 + 17) * 3] = 240;
        occlusion.begin(&block);
        let lit: f32 = occlusion.blurred[1].iter().map(|pixel| pixel - 90.0).sum();
        assert!((lit - 150.0).abs() < 0.1, "as much light as before: {lit}");
        assert!(occlusion.blurred[1].iter().all(|&pixel| pixel < 120.0));
    }
}
