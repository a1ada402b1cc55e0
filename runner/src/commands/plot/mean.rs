//! The mean of the curves of several runs, on one grid.

use std::path::PathBuf;

use super::curves::{Band, See};
use super::points::{Point, at};
use crate::console::number::grouped;
use crate::games::interval::{self, Iqm};

/// Points of a curve.
const POINTS: usize = 200;

/// Puts curves on one grid of their progress, within the range that all of them cover; returns where its places are on
/// the horizontal axis, the smoothed mean, and the ends of its interval; and the interquartile mean with those of its own
/// where that is to be seen, and there are four curves at least.
pub(super) fn aggregate(curves: &[&[Point]], see: See<'_>) -> ([Vec<f64>; 4], Option<Band>) {
    let edge = |of: fn(&[Point]) -> Point| curves.iter().map(move |&curve| of(curve).progress);
    let first = edge(|curve| curve[0]).fold(f64::NEG_INFINITY, f64::max);
    let last = edge(|curve| curve[curve.len() - 1]).fold(f64::INFINITY, f64::min).max(first);
    let count = if last > first { POINTS } else { 1 };
    let grid: Vec<f64> = (0..count).map(|i| first + (last - first) * i as f64 / (count.max(2) - 1) as f64).collect();
    let on_grid = |curve: &[Point], of: fn(&Point) -> f64| -> Vec<f64> {
        let curve: Vec<(f64, f64)> = curve.iter().map(|point| (point.progress, of(point))).collect();
        grid.iter().map(|&place| at(&curve, place)).collect()
    };
    let each = |of: fn(&Point) -> f64| -> Vec<Vec<f64>> { curves.iter().map(|&curve| on_grid(curve, of)).collect() };
    let smoothed: Vec<Vec<f64>> = each(|point| point.y).iter().map(|values| smoothed(values, see.smooth)).collect();
    let (mut mean, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
    let mut quartiles = Vec::new();
    for i in 0..count {
        let values: Vec<f64> = smoothed.iter().map(|curve| curve[i]).collect();
        quartiles.extend(see.iqm.then(|| interval::iqm(&values)).flatten());
        let [middle, below, above] = if let [one] = values[..] { [one; 3] } else { interval::mean(&values) };
        mean.push(middle);
        low.push(below);
        high.push(above);
    }
    let x = if see.axis == see.axis.shared() {
        grid
    } else {
        let places = each(|point| point.x);
        (0..count).map(|i| places.iter().map(|places| places[i]).sum::<f64>() / places.len() as f64).collect()
    };
    let of = |end: fn(&Iqm) -> f64| quartiles.iter().map(end).collect();
    let band = Band { mean: of(|iqm| iqm.mean), low: of(|iqm| iqm.low), high: of(|iqm| iqm.high) };
    ([x, mean, low, high], (!quartiles.is_empty()).then_some(band))
}

/// Share of the longest run of a group below which the end of the shortest is reported.
const ENDS: f64 = 0.95;

/// Message on what is not drawn of a group: the runs beyond the end of the shortest, or all but a point if one begins
/// after another has ended.
pub(super) fn cut(runs: &[PathBuf], curves: &[&[Point]], see: See<'_>) -> Option<String> {
    let See { axis, key, centred, .. } = see;
    let ends = || runs.iter().zip(curves).map(|(run, curve)| (run.display(), curve[curve.len() - 1].progress));
    let (short, end) = ends().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (long, last) = ends().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let far = |progress: f64| format!("{} {}", grouped(progress), axis.shared().name());
    let late = runs.iter().zip(curves).find(|(_, curve)| curve[0].progress > end);
    if let Some((late, curve)) = late {
        let (late, first, end) = (late.display(), far(curve[0].progress), far(end));
        return Some(format!(
            "`{key}` of {late} begins at {first}, where {short} has ended at {end}: one point is their mean"
        ));
    }
    (end < ENDS * last).then(|| {
        let (end, last) = (far(end), far(last));
        let ends = if centred { "has the middle of its last window" } else { "ends" };
        format!(
            "`{key}` is drawn to {end}, where {short} {ends}; {long} goes on to {last}: name it alone to see all of it"
        )
    })
}

/// Replaces each value by the mean of `over` values around it (one more if `over` is even; fewer near the ends).
fn smoothed(values: &[f64], over: usize) -> Vec<f64> {
    let half = over / 2;
    let around = |i: usize| {
        let half = half.min(i).min(values.len() - 1 - i);
        &values[i - half..=i + half]
    };
    (0..values.len()).map(|i| around(i).iter().sum::<f64>() / around(i).len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::plot::curves::Axis;

    const SEE: See<'_> = See { axis: Axis::Frames, key: "return_100", smooth: 1, centred: false, iqm: false };

    /// A curve along frames.
    fn curve(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(x, y)| Point { progress: x, x, y }).collect()
    }

    #[test]
    fn curves_meet_where_all_have_values() {
        let (a, b) = (curve(&[(0.0, 0.0), (10.0, 10.0)]), curve(&[(2.0, 4.0), (6.0, 4.0), (8.0, 6.0)]));
        let ([x, mean, low, high], iqm) = aggregate(&[&a, &b], See { iqm: true, ..SEE });
        assert_eq!(iqm, None, "two curves have no quartiles");
        assert_eq!((x.len(), x[0], x[199]), (200, 2.0, 8.0));
        assert_eq!((mean[0], low[0], high[0]), (3.0, 2.0, 4.0));
        assert!((mean[199] - 7.0).abs() < 1e-12);
        let ([x, mean, ..], _) = aggregate(&[&curve(&[(5.0, 1.0)])], See { smooth: 5, ..SEE });
        assert_eq!((x, mean), (vec![5.0], vec![1.0]));
    }

    #[test]
    fn one_curve_of_four_that_is_far_off_does_not_move_the_interquartile_mean() {
        let all = [0.0, 1.0, 2.0, 900.0].map(|y| curve(&[(0.0, y), (10.0, y)]));
        let curves: Vec<&[Point]> = all.iter().map(|curve| &curve[..]).collect();
        let (_, iqm) = aggregate(&curves, See { iqm: true, ..SEE });
        let Band { mean, low, high } = iqm.unwrap();
        assert_eq!((mean[0], mean.len(), low.len(), high.len()), (1.5, 200, 200, 200));
        assert_eq!(aggregate(&curves, SEE).1, None, "nobody asked");
    }

    #[test]
    fn minutes_of_several_runs_are_their_mean_at_equal_frames() {
        let run = |minutes: f64| -> Vec<Point> {
            let point = |i: u32| Point { progress: f64::from(100 * i), x: minutes * f64::from(i), y: f64::from(i) };
            (0..=10).map(point).collect()
        };
        let [fast, slow] = [run(0.1), run(0.5)];
        let see = See { axis: Axis::Minutes, ..SEE };
        let ([x, mean, low, high], _) = aggregate(&[&fast, &slow], see);
        assert_eq!((x[0], mean[0]), (0.0, 0.0));
        assert!((x[199] - 3.0).abs() < 1e-12 && x.is_sorted(), "{x:?}");
        assert_eq!([mean[199], low[199], high[199]], [10.0; 3], "both end with this score");
        assert_eq!(cut(&["a", "b"].map(PathBuf::from), &[&fast, &slow], see), None, "both have the same frames");
        let told = cut(&["a", "b"].map(PathBuf::from), &[&fast[..4], &slow], see).unwrap();
        assert!(told.contains("drawn to 300 frames, where a ends; b goes on to 1,000 frames"), "{told}");
    }

    #[test]
    fn a_curve_that_ends_with_its_shortest_run_says_so() {
        let runs = ["runs/s1", "runs/s2"].map(PathBuf::from);
        let told = |[one, other]: [Vec<Point>; 2]| cut(&runs, &[&one, &other], SEE);
        let to = |first: f64, last: f64| curve(&[(first, 0.0), (last, 1.0)]);
        assert_eq!(told([to(0.0, 22_009_057.0), to(0.0, 22_008_975.0)]), None);
        let long = told([to(0.0, 5_000_000.0), to(0.0, 300_000.0)]).unwrap();
        assert!(long.contains("300,000 frames, where runs/s2 ends; runs/s1 goes on to 5,000,000"), "{long}");
        let centred = See { centred: true, ..SEE };
        let long = cut(&runs, &[&to(0.0, 5.0), &to(0.0, 3.0)], centred).unwrap();
        assert!(long.contains("3 frames, where runs/s2 has the middle of its last window; runs/s1 goes on"), "{long}");
        let apart = told([to(0.0, 100.0), to(200.0, 300.0)]).unwrap();
        assert!(apart.contains("runs/s2 begins at 200 frames, where runs/s1 has ended at 100 frames"), "{apart}");
    }

    #[test]
    fn smoothing_keeps_straight_lines_to_their_ends() {
        let line: Vec<f64> = (0..9).map(f64::from).collect();
        assert_eq!(smoothed(&line, 5), line);
        assert_eq!(smoothed(&[0.0, 3.0, 0.0], 3), [0.0, 1.0, 0.0]);
    }
}
