//! Values along a run, kept in a bounded number of points.

/// Most points of a curve; a terminal has fewer columns.
const MOST: usize = 4096;

/// Values under one name, by emulator frames.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    pub(super) name: String,
    /// Mean frames and mean value of each point, in order.
    points: Vec<(f64, f64)>,
    /// Values that make a point.
    each: u32,
    /// Sum of frames, sum of values and number of values of the point that is not yet full.
    open: (f64, f64, u32),
}

impl Curve {
    /// Makes a curve without values.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), points: Vec::new(), each: 1, open: (0.0, 0.0, 0) }
    }

    /// Adds a value unless it is not finite. When there are [`MOST`] points, pairs of neighbours are merged.
    pub(super) fn push(&mut self, frames: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let (x, y, count) = &mut self.open;
        (*x, *y, *count) = (*x + frames as f64, *y + value, *count + 1);
        if *count < self.each {
            return;
        }
        let count = f64::from(*count);
        self.points.push((*x / count, *y / count));
        self.open = (0.0, 0.0, 0);
        if self.points.len() == MOST {
            let merged = self.points.chunks_exact(2).map(|pair| mean(pair.iter().copied(), 2));
            self.points = merged.collect();
            self.each *= 2;
        }
    }

    /// Mean frames and mean value of every full point.
    pub(super) fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The curve smoothed: at each point the mean of the twentieth of all points up to it.
    pub(super) fn smooth(&self) -> Vec<(f64, f64)> {
        let width = (self.points.len() / 20).max(1);
        let mut sum = 0.0;
        let mut smooth = Vec::with_capacity(self.points.len());
        for (at, &(x, y)) in self.points.iter().enumerate() {
            sum += y;
            if at >= width {
                sum -= self.points[at - width].1;
            }
            smooth.push((x, sum / (at + 1).min(width) as f64));
        }
        smooth
    }
}

fn mean(points: impl Iterator<Item = (f64, f64)>, count: u32) -> (f64, f64) {
    let (x, y) = points.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    (x / f64::from(count), y / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_its_shape_in_few_points() {
        let mut curve = Curve::new("return");
        curve.push(3, f64::NAN);
        for i in 0..100_000u64 {
            curve.push(i, i as f64 * 2.0);
        }
        let points = curve.points();
        assert!(points.len() >= MOST / 2 && points.len() < MOST, "{}", points.len());
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(points.iter().all(|&(x, y)| (y - 2.0 * x).abs() < 1e-6));
        let smooth = curve.smooth();
        assert_eq!(smooth.len(), points.len());
        assert!(smooth.last().unwrap().1 < points.last().unwrap().1);
    }
}
