//! From palette indices to an observation: colours, the maximum of two frames and the shrinking, in one pass over rows.
//!
//! The result equals `cv2.resize(…, interpolation=cv2.INTER_AREA)` to the bit, which is why the arithmetic is in `f32` and
//! in this order: a source row is first gathered into target columns, then weighted into target rows, and halves round
//! to even. Whole ratios in both directions are sums instead, and 2 × 2 rounds halves up, as OpenCV does.
//! Most rows of an Atari screen equal the one above: their gathering is done once.

/// Resizes screens of one size to another by area interpolation, with `C` colour channels and buffers that are reused.
#[derive(Debug)]
pub(crate) struct Area<const C: usize> {
    source: Size,
    target: Size,
    columns: Columns,
    rows: Vec<Span>,
    finish: Finish,
    /// A source row in colours, with zeros behind it for the padded taps.
    line: Vec<f32>, // [source.width + padding, C]
    /// The source row of `line`, reduced to target columns.
    across: Vec<f32>, // [target.width, C]
    /// Weighted sum of source rows so far in the present target row.
    sum: Vec<f32>, // [target.width, C]
}

/// Size of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Weight of one source line (row or column) in one target line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    source: usize,
    target: usize,
    weight: f32,
}

/// Weights of all target columns: each is the sum of `taps` source columns from `first` on, unused ones weighted 0.
#[derive(Debug)]
struct Columns {
    taps: usize,
    first: Vec<usize>, // [target.width]
    weight: Vec<f32>,  // [taps, target.width]
}

/// How a weighted sum becomes a pixel.
#[derive(Clone, Copy, Debug)]
enum Finish {
    /// The weights sum to 1: the sum is rounded.
    Round,
    /// Each weight is 1: the sum is multiplied by this factor, then rounded.
    Scale(f32),
    /// Each of four weights is 1: the sum is divided by 4, halves rounded up.
    Quarter,
}

impl<const C: usize> Area<C> {
    /// Makes a resizer from screens of size `source` to pictures of size `target`.
    ///
    /// # Panics
    /// If the target is empty or larger than the source in any direction.
    pub(crate) fn new(source: Size, target: Size) -> Self {
        let fits = |target: usize, source: usize| (1..=source).contains(&target);
        assert!(
            fits(target.height, source.height) && fits(target.width, source.width),
            "{target:?} does not fit into {source:?}"
        );
        let whole = source.height.is_multiple_of(target.height) && source.width.is_multiple_of(target.width);
        let area = source.height * source.width / (target.height * target.width);
        let finish = match (whole, area) {
            (false, _) => Finish::Round,
            (true, 4) if source.height == 2 * target.height => Finish::Quarter,
            (true, area) => Finish::Scale(1.0 / area as f32),
        };
        let spans = |source, target| {
            let mut spans = spans(source, target);
            if whole {
                spans.iter_mut().for_each(|span| span.weight = 1.0);
            }
            spans
        };
        let columns = Columns::new(&spans(source.width, target.width), target.width);
        Self {
            source,
            target,
            line: vec![0.0; (source.width + columns.taps) * C],
            columns,
            rows: spans(source.height, target.height),
            finish,
            across: vec![0.0; target.width * C],
            sum: vec![0.0; target.width * C],
        }
    }

    /// Writes the resized picture of the frame `now`, or of the maximum of `now` and `before` in each pixel and
    /// channel.
    ///
    /// `now` and `before` are indices into `colors`, `[source.height, source.width]`; `out` is
    /// `[target.height, target.width, C]`.
    pub(crate) fn shrink(&mut self, colors: &[[f32; C]; 256], now: &[u8], before: Option<&[u8]>, out: &mut [u8]) {
        let width = self.source.width;
        let mut source = usize::MAX;
        let mut target = 0;
        self.sum.fill(0.0);
        for at in 0..self.rows.len() {
            let span = self.rows[at];
            if span.target != target {
                self.finish(target, out);
                self.sum.fill(0.0);
                target = span.target;
            }
            if span.source != source {
                source = span.source;
                let row = |screen: &'_ [u8], y: usize| -> std::ops::Range<usize> {
                    debug_assert!((y + 1) * width <= screen.len());
                    y * width..(y + 1) * width
                };
                let same = |screen: &[u8]| source > 0 && screen[row(screen, source)] == screen[row(screen, source - 1)];
                if !(same(now) && before.is_none_or(same)) {
                    let before = before.map(|screen| &screen[row(screen, source)]);
                    self.gather(colors, &now[row(now, source)], before);
                }
            }
            for (sum, &across) in self.sum.iter_mut().zip(&self.across) {
                *sum += span.weight * across;
            }
        }
        self.finish(target, out);
    }

    /// Fills `line` with colours and `across` with its target columns.
    fn gather(&mut self, colors: &[[f32; C]; 256], now: &[u8], before: Option<&[u8]>) {
        let line = self.line.as_chunks_mut::<C>().0;
        match before {
            Some(before) if before != now => {
                for ((pixel, &a), &b) in line.iter_mut().zip(now).zip(before) {
                    let (a, b) = (&colors[usize::from(a)], &colors[usize::from(b)]);
                    *pixel = std::array::from_fn(|c| if a[c] > b[c] { a[c] } else { b[c] });
                }
            }
            _ => {
                for (pixel, &a) in line.iter_mut().zip(now) {
                    *pixel = colors[usize::from(a)];
                }
            }
        }
        let across = self.across.as_chunks_mut::<C>().0;
        for (tap, weights) in self.columns.weight.chunks_exact(self.target.width).enumerate() {
            for ((pixel, &first), &weight) in across.iter_mut().zip(&self.columns.first).zip(weights) {
                let from = &line[first + tap];
                *pixel = std::array::from_fn(|c| if tap == 0 { 0.0 } else { pixel[c] } + from[c] * weight);
            }
        }
    }

    /// Writes target row `y` from `sum`.
    fn finish(&self, y: usize, out: &mut [u8]) {
        // Adding 1.5 · 2^23 leaves the integer in the low bits of the mantissa, rounded to nearest and halves to even.
        let round = |x: f32| (x + 12_582_912.0).to_bits() as u8;
        let len = self.target.width * C;
        let row = out[y * len..(y + 1) * len].iter_mut().zip(&self.sum);
        match self.finish {
            Finish::Round => row.for_each(|(out, &sum)| *out = round(sum)),
            Finish::Scale(scale) => row.for_each(|(out, &sum)| *out = round(sum * scale)),
            Finish::Quarter => row.for_each(|(out, &sum)| *out = ((sum as u32 + 2) / 4) as u8),
        }
    }
}

impl Columns {
    fn new(spans: &[Span], width: usize) -> Self {
        let of = |target: usize| spans.iter().filter(move |span| span.target == target);
        let taps = (0..width).map(|x| of(x).count()).max().expect("a target has columns");
        let mut weight = vec![0.0; taps * width];
        for x in 0..width {
            for (tap, span) in of(x).enumerate() {
                weight[tap * width + x] = span.weight;
            }
        }
        let first = (0..width).map(|x| of(x).next().expect("a target column has a part").source).collect();
        Self { taps, first, weight }
    }
}

/// Computes the weight of each of `source` lines in each of `target` lines, ordered by target; zero weights are left
/// out.
///
/// Computed in `f64` and rounded to `f32`; slivers below a thousandth of a line are dropped, as OpenCV drops them.
fn spans(source: usize, target: usize) -> Vec<Span> {
    const SLIVER: f64 = 1e-3;
    let scale = source as f64 / target as f64;
    let mut spans = Vec::new();
    for line in 0..target {
        let (begin, end) = (line as f64 * scale, line as f64 * scale + scale);
        let length = scale.min(source as f64 - begin);
        let last = (end.floor() as usize).min(source - 1);
        let first = (begin.ceil() as usize).min(last);
        let mut part = |source: usize, covered: f64| {
            spans.push(Span { source, target: line, weight: (covered / length) as f32 });
        };
        if first as f64 - begin > SLIVER {
            part(first - 1, first as f64 - begin);
        }
        (first..last).for_each(|source| part(source, 1.0));
        if end - last as f64 > SLIVER {
            part(last, (end - last as f64).min(1.0).min(length));
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray() -> [[f32; 1]; 256] {
        std::array::from_fn(|i| [i as f32])
    }

    /// Noise, on which many sums are exact halves, in the sizes and with the hashes of OpenCV's area resize.
    #[test]
    fn noise_shrinks_to_the_bits_of_opencv() {
        let mut state = 3u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % 256) as u8
        };
        let mut pictures: Vec<(usize, usize, Vec<u8>)> = Vec::new();
        for height in [210, 250] {
            for channels in [1, 3] {
                pictures.push((height, channels, (0..height * 160 * channels).map(|_| draw()).collect()));
            }
        }
        let golden = include_str!("../../tests/golden/atari/area.txt");
        let mut wrong = Vec::new();
        for line in golden.lines().filter(|line| !line.starts_with('#')) {
            let [height, width, channels, to_height, to_width, hash] = *line.split(' ').collect::<Vec<_>>() else {
                panic!("{line}")
            };
            let number = |field: &str| field.parse::<usize>().unwrap();
            let source = Size { height: number(height), width: number(width) };
            let target = Size { height: number(to_height), width: number(to_width) };
            let (.., picture) =
                pictures.iter().find(|(h, c, _)| (*h, *c) == (source.height, number(channels))).unwrap();
            // Channels do not mix: three pictures of one channel, since a palette cannot hold every colour of noise.
            let channels = number(channels);
            let mut out = vec![0; target.height * target.width * channels];
            let mut plane_out = vec![0; target.height * target.width];
            for c in 0..channels {
                let plane: Vec<u8> = picture.iter().skip(c).step_by(channels).copied().collect();
                Area::<1>::new(source, target).shrink(&gray(), &plane, None, &mut plane_out);
                for (i, &pixel) in plane_out.iter().enumerate() {
                    out[i * channels + c] = pixel;
                }
            }
            if format!("{:08x}", crc32fast::hash(&out)) != hash {
                wrong.push(line);
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn every_target_line_is_covered_once() {
        for (source, target) in [(210, 84), (160, 84), (160, 64), (250, 96), (210, 210), (160, 1)] {
            let mut covered = vec![0.0; target];
            spans(source, target).iter().for_each(|span| covered[span.target] += span.weight);
            assert!(covered.iter().all(|w| (w - 1.0).abs() < 1e-5), "{source} to {target}: {covered:?}");
        }
    }

    #[test]
    fn one_colour_stays_and_the_brighter_frame_wins() {
        let (source, target) = (Size { height: 210, width: 160 }, Size { height: 84, width: 84 });
        let mut area = Area::<1>::new(source, target);
        let (dark, bright) = (vec![40; 210 * 160], vec![201; 210 * 160]);
        let mut out = vec![0; 84 * 84];
        area.shrink(&gray(), &dark, None, &mut out);
        assert!(out.iter().all(|&x| x == 40));
        area.shrink(&gray(), &dark, Some(&bright), &mut out);
        assert!(out.iter().all(|&x| x == 201));
    }

    #[test]
    fn a_repeated_row_is_worth_as_much_as_a_new_one() {
        let (source, target) = (Size { height: 5, width: 5 }, Size { height: 2, width: 2 });
        let mut screen: Vec<u8> = (0..25).map(|i| (i * 10) as u8).collect();
        screen.copy_within(5..10, 10);
        let mut out = vec![0; 4];
        Area::<1>::new(source, target).shrink(&gray(), &screen, None, &mut out);
        // Weights 2, 2, 1 (of 5) in both directions; rows 0, 1 and half of 2, which repeats 1.
        let row = |y: usize, x: [usize; 3]| {
            0.4 * f64::from(screen[y * 5 + x[0]])
                + 0.4 * f64::from(screen[y * 5 + x[1]])
                + 0.2 * f64::from(screen[y * 5 + x[2]])
        };
        let expected = 0.4 * row(0, [0, 1, 2]) + 0.4 * row(1, [0, 1, 2]) + 0.2 * row(2, [0, 1, 2]);
        assert_eq!(out[0], expected.round_ties_even() as u8);
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let size = Size { height: 7, width: 9 };
        let screen: Vec<u8> = (0..63).map(|i| (i * 4) as u8).collect();
        let mut out = vec![0; 63];
        Area::<1>::new(size, size).shrink(&gray(), &screen, None, &mut out);
        assert_eq!(out, screen);
    }
}
