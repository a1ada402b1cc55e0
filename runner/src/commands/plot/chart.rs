//! Lays out a chart as marks that any painter can draw: curves with their bands, axes, names.

use std::collections::BTreeSet;

use super::curves::Group;
use super::legend::{HEAD, Name, ROW, ROWS, STROKE, names};
use crate::console::number::grouped;
use crate::games::interval;

/// Width of a chart, in units of about a pixel.
const ACROSS: f64 = 800.0;
/// Frame of the curves as left, top, right, bottom, with room above it for two rows of names.
pub(super) const FRAME: (f64, f64, f64, f64) = (64.0, 64.0, 780.0, 406.0);
/// Height below the frame.
const FOOT: f64 = 44.0;
/// Colours of curves that people with any colour vision can tell apart. Source: Okabe and Ito 2008.
pub(crate) const COLOURS: [[u8; 3]; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [230, 159, 0], [120, 120, 120]];

/// Colour of a mark, by its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Text that matters most.
    Ink,
    /// Lesser text, axes and reference lines.
    Faint,
    /// Lines of the grid.
    Grid,
    /// Colour of a curve, as red, green, blue.
    Colour([u8; 3]),
}

/// Which point of a text is at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A thing to draw; later marks lie above earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mark {
    Line {
        points: Vec<(f64, f64)>,
        width: f64,
        dashed: bool,
        paint: Paint,
    },
    /// The area between two lines, as points of x, upper and lower y.
    Band {
        points: Vec<(f64, f64, f64)>,
        paint: Paint,
    },
    /// A line of text whose baseline is at `at`.
    Text {
        at: (f64, f64),
        text: String,
        anchor: Anchor,
        large: bool,
        paint: Paint,
    },
}

/// A score that curves are compared with, drawn as a horizontal line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    pub(crate) name: &'static str,
    pub(crate) at: f64,
}

/// A chart as marks.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) marks: Vec<Mark>,
    /// Width and height, in units of about a pixel.
    pub(crate) size: (f64, f64),
}

impl Chart {
    /// Makes a chart of curves of one environment, those of `files` with dashed lines. A reference far from all curves
    /// is named but not drawn: it would press them flat.
    pub(crate) fn new(axes: [&str; 2], runs: &[Group], files: &[Group], references: &[Reference]) -> Self {
        let groups: Vec<&Group> = runs.iter().chain(files).collect();
        let all = |of: fn(&Group) -> &Vec<f64>| groups.iter().flat_map(move |&group| of(group)).copied();
        let right = all(|g| &g.x).fold(0.0, f64::max);
        let top = all(|g| &g.high).chain(all(|g| &g.mean)).fold(f64::NEG_INFINITY, f64::max);
        let bottom = all(|g| &g.low).chain(all(|g| &g.mean)).fold(f64::INFINITY, f64::min);
        let near =
            |at: f64| at <= top + 1.5 * (top - bottom).max(1e-9) && at >= bottom - 1.5 * (top - bottom).max(1e-9);
        let (shown, far): (Vec<Reference>, Vec<Reference>) = references.iter().partition(|r| near(r.at));
        let range = shown.iter().fold((bottom, top), |(low, high), r| (low.min(r.at), high.max(r.at)));
        let mut scale = Scale { x: steps(0.0, right.max(1e-9)), y: steps(range.0, range.1) };
        scale.x.end(right);
        let title = groups.first().map(|group| group.env.clone()).unwrap_or_default();
        let mut chart = Self { title, marks: Vec::new(), size: (ACROSS, FRAME.3 + FOOT) };
        chart.axes(&scale, axes);
        chart.references(&scale, &shown);
        for (group, paint) in groups.iter().zip(colours()) {
            if group.low != group.high {
                let points = (0..group.x.len())
                    .map(|i| (scale.right(group.x[i]), scale.up(group.high[i]), scale.up(group.low[i])))
                    .collect();
                chart.marks.push(Mark::Band { points, paint });
            }
        }
        for (i, (group, paint)) in groups.iter().zip(colours()).enumerate() {
            let points: Vec<_> =
                group.x.iter().zip(&group.mean).map(|(&x, &y)| (scale.right(x), scale.up(y))).collect();
            if let [(x, y)] = points[..] {
                chart.line(vec![(x - 3.0, y), (x + 3.0, y)], 6.0, false, paint); // a line of one point is none
            } else {
                chart.line(points, 2.0, i >= runs.len(), paint);
            }
        }
        let names = names(&groups, &far);
        let lowest = names.iter().map(|name| name.at.1).fold(0.0, f64::max);
        chart.lower((lowest - (HEAD + (ROWS - 1.0) * ROW)).max(0.0));
        chart.text((FRAME.0 - 48.0, HEAD), chart.title.clone(), Anchor::Start, true, Paint::Ink);
        chart.legend(names, runs.len());
        let foot = chart.size.1 - FOOT + 36.0;
        bands(&groups)
            .into_iter()
            .for_each(|told| chart.text((FRAME.0 - 48.0, foot), told, Anchor::Start, false, Paint::Faint));
        chart
    }

    /// Puts charts below one another, as panels of one.
    pub(crate) fn stacked(panels: Vec<Self>) -> Self {
        let titles: Vec<&str> = panels.iter().map(|panel| &*panel.title).collect();
        let mut all = Self { title: titles.join(", "), marks: Vec::new(), size: (ACROSS, 0.0) };
        for mut panel in panels {
            panel.lower(all.size.1);
            all.size.1 = panel.size.1;
            all.marks.append(&mut panel.marks);
        }
        all
    }

    fn axes(&mut self, scale: &Scale, [x, y]: [&str; 2]) {
        let (left, top, right, bottom) = FRAME;
        for &value in &scale.y.ticks {
            let at = scale.up(value);
            let paint = if value == scale.y.ticks[0] { Paint::Faint } else { Paint::Grid };
            self.line(vec![(left, at), (right, at)], 1.0, false, paint);
            self.text((left - 8.0, at + 4.0), scale.y.number(value), Anchor::End, false, Paint::Faint);
        }
        for &value in &scale.x.ticks {
            let at = scale.right(value);
            self.line(vec![(at, bottom), (at, bottom + 4.0)], 1.0, false, Paint::Faint);
            self.text((at, bottom + 18.0), scale.x.number(value), Anchor::Middle, false, Paint::Faint);
        }
        self.text((right, bottom + 36.0), x.to_owned(), Anchor::End, false, Paint::Ink);
        self.text((left - 48.0, top - 16.0), y.to_owned(), Anchor::Start, false, Paint::Faint);
    }

    fn references(&mut self, scale: &Scale, shown: &[Reference]) {
        let (left, _, right, _) = FRAME;
        for reference in shown {
            let at = scale.up(reference.at);
            self.line(vec![(left, at), (right, at)], 1.2, true, Paint::Faint);
            let told = format!("{} {}", reference.name, grouped(reference.at));
            self.text((right, at - 5.0), told, Anchor::End, false, Paint::Faint);
        }
    }

    /// Moves all marks down by `by`, to make room above them.
    fn lower(&mut self, by: f64) {
        self.size.1 += by;
        for mark in &mut self.marks {
            match mark {
                Mark::Line { points, .. } => points.iter_mut().for_each(|(_, y)| *y += by),
                Mark::Band { points, .. } => points.iter_mut().for_each(|(_, upper, lower)| {
                    *upper += by;
                    *lower += by;
                }),
                Mark::Text { at, .. } => at.1 += by,
            }
        }
    }

    /// Adds the names of curves, each after a stroke of its curve, solid for the first `solid` curves; then the names
    /// of references that are not drawn.
    fn legend(&mut self, names: Vec<Name>, solid: usize) {
        for Name { text, at: (x, y), curve } in names {
            self.text((x, y), text, Anchor::Start, false, if curve.is_some() { Paint::Ink } else { Paint::Faint });
            if let Some((i, paint)) = curve.zip(curve.and_then(|i| colours().nth(i))) {
                self.line(vec![(x - STROKE, y - 4.0), (x - 8.0, y - 4.0)], 3.0, i >= solid, paint);
            }
        }
    }

    fn line(&mut self, points: Vec<(f64, f64)>, width: f64, dashed: bool, paint: Paint) {
        self.marks.push(Mark::Line { points, width, dashed, paint });
    }

    fn text(&mut self, at: (f64, f64), text: String, anchor: Anchor, large: bool, paint: Paint) {
        self.marks.push(Mark::Text { at, text, anchor, large, paint });
    }
}

/// What the bands around the means of seeds are; `None` where there are none. Curves from elsewhere say it in their names.
fn bands(groups: &[&Group]) -> Option<String> {
    let banded = groups.iter().filter(|group| group.low != group.high && group.source.is_none());
    let names: BTreeSet<&str> =
        banded.filter(|group| !group.seeds.is_empty()).map(|group| interval::name(group.seeds.len())).collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| format!("band: {}", names.join("; of two or three seeds ")))
}

/// A colour for each curve: [`COLOURS`], then the same darker, then lighter.
fn colours() -> impl Iterator<Item = Paint> {
    let shade = |round: usize| match round % 3 {
        0 => |c: u8| c,
        1 => |c: u8| c / 2,
        _ => |c: u8| 255 - (255 - c) / 2,
    };
    (0..).map(move |i: usize| Paint::Colour(COLOURS[i % COLOURS.len()].map(shade(i / COLOURS.len()))))
}

/// The two axes.
struct Scale {
    x: Steps,
    y: Steps,
}

impl Scale {
    fn right(&self, x: f64) -> f64 {
        let (left, _, right, _) = FRAME;
        left + (right - left) * ((x - self.x.low) / (self.x.high - self.x.low))
    }

    fn up(&self, y: f64) -> f64 {
        let (_, top, _, bottom) = FRAME;
        bottom - (bottom - top) * ((y - self.y.low) / (self.y.high - self.y.low))
    }
}

/// An axis from `low` to `high` with round numbers `step` apart.
struct Steps {
    low: f64,
    high: f64,
    step: f64,
    ticks: Vec<f64>,
}

/// Largest magnitude of a number on an axis, so that its length is finite too.
const MOST: f64 = 1e300;

/// An axis of only smaller magnitudes has numbers with an exponent.
const SMALL: f64 = 1e-4;

/// Makes an axis of about five steps of 1, 2 or 5 times a power of ten, whose ends are at or beyond `low` and `high`.
fn steps(low: f64, high: f64) -> Steps {
    let (low, high) = (low.max(-MOST), high.min(MOST));
    let apart = 1f64.max(low.abs() * 1e-9); // what a number of this size can be told from
    let (low, high) = if high > low { (low, high) } else { (low - apart, low + apart) };
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|&step| step >= rough * 0.999).unwrap_or(power);
    let (first, last) = ((low / step).floor(), (high / step - 1e-9).ceil());
    let ticks: Vec<f64> = (0..=(last - first) as usize).map(|i| (first + i as f64) * step).collect();
    Steps { low: first * step, high: last * step, step, ticks }
}

impl Steps {
    /// Ends the axis at `at`, behind which there is no curve.
    fn end(&mut self, at: f64) {
        if at > self.low {
            self.high = at;
            self.ticks.retain(|&tick| tick <= at * 1.000_001);
        }
    }

    /// Writes a number of the axis: thousands as k, millions as M, with as many digits as its steps need; very small
    /// ones with an exponent.
    fn number(&self, value: f64) -> String {
        let most = self.high.abs().max(self.low.abs());
        let digits = |power: f64| power.max(0.0) as usize;
        if value == 0.0 {
            return "0".to_owned();
        }
        let power = |number: f64| (number.abs().log10() + 1e-9).floor();
        if most < SMALL {
            return format!("{value:.digits$e}", digits = digits(power(value) - power(self.step)));
        }
        let (by, unit) = match most {
            most if most >= 1e6 => (1e6, "M"),
            most if most >= 1e4 => (1e3, "k"),
            _ => (1.0, ""),
        };
        format!("{:.digits$}{unit}", value / by, digits = digits(-power(self.step / by)).min(9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_curves_have_colours_of_their_own() {
        let all: Vec<Paint> = colours().take(20).collect();
        assert!((1..20).all(|i| !all[..i].contains(&all[i])));
    }

    #[test]
    fn more_rows_of_names_lower_the_frame() {
        let group = |_| Group::called(&"x".repeat(60));
        let of = |count: usize| Chart::new(["frames", "return"], &(0..count).map(group).collect::<Vec<_>>(), &[], &[]);
        assert_eq!([of(2).size, of(5).size], [(800.0, 450.0), (800.0, 450.0 + 3.0 * ROW)]);
    }

    #[test]
    fn the_foot_says_what_bands_are() {
        let seeds = |seeds: usize, high: f64| Group {
            seeds: (0..seeds as u64).collect(),
            high: vec![high; 2],
            ..Group::called("ppo")
        };
        let theirs = Group { source: Some("a paper".to_owned()), ..seeds(5, 2.0) };
        let alone = Group { high: vec![0.0, 1.0], ..seeds(1, 0.0) };
        let said = |groups: &[Group]| {
            let chart = Chart::new(["frames", "return"], groups, std::slice::from_ref(&theirs), &[]);
            chart.marks.into_iter().find_map(|mark| match mark {
                Mark::Text { text, at: (_, y), .. } if text.starts_with("band") && y < chart.size.1 => Some(text),
                _ => None,
            })
        };
        assert_eq!(said(std::slice::from_ref(&alone)), None);
        assert_eq!(said(&[seeds(3, 2.0), alone]).unwrap(), "band: lowest and highest");
        assert_eq!(said(&[seeds(4, 2.0)]).unwrap(), "band: 95 % bootstrap interval");
        let both = said(&[seeds(2, 2.0), seeds(9, 2.0), seeds(5, 2.0)]).unwrap();
        assert_eq!(both, "band: 95 % bootstrap interval; of two or three seeds lowest and highest");
    }

    #[test]
    fn panels_lie_below_one_another() {
        let panel = |env: &str| {
            let group = Group { env: env.to_owned(), ..Group::called("ppo") };
            Chart::new(["frames", "return"], &[group], &[], &[])
        };
        let all = Chart::stacked(vec![panel("cartpole"), panel("taxi")]);
        assert_eq!((all.title.as_str(), all.size), ("cartpole, taxi", (800.0, 900.0)));
        let heights = |env: &str| -> Vec<f64> {
            let of = |mark: &Mark| match mark {
                Mark::Text { at, text, .. } if text == env => Some(at.1),
                _ => None,
            };
            all.marks.iter().filter_map(of).collect()
        };
        assert_eq!([heights("cartpole"), heights("taxi")], [vec![HEAD], vec![450.0 + HEAD]]);
    }

    #[test]
    fn axes_have_round_numbers_around_what_they_show() {
        let Steps { low, high, ticks, .. } = steps(3.0, 498.0);
        assert_eq!((low, high, ticks.len()), (0.0, 500.0, 6));
        let axis = steps(-21.0, 18.3);
        assert_eq!((axis.low, axis.high, axis.step), (-30.0, 20.0, 10.0));
        for (low, high) in [(1e20, 1e20), (-1e17, -1e17), (-f64::MAX, f64::MAX)] {
            let Steps { low: from, high: to, ticks, .. } = steps(low, high);
            assert!(from < to && (to - from).is_finite() && ticks.len() < 20, "{low} to {high}: {ticks:?}");
            assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "{ticks:?}");
        }
        let flat = steps(5.0, 5.0);
        assert!(flat.low < 5.0 && flat.high > 5.0);
        let numbers = |low, high| {
            let axis = steps(low, high);
            axis.ticks.iter().map(|&tick| axis.number(tick)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(0.0, 20_000.0), ["0", "5k", "10k", "15k", "20k"]);
        assert_eq!(numbers(0.0, 1.4e6), ["0", "0.5M", "1.0M", "1.5M"]);
        assert_eq!(numbers(0.0, 2e-4), ["0", "0.00005", "0.00010", "0.00015", "0.00020"]);
        assert_eq!(numbers(0.0, 2.5e-7), ["0", "5e-8", "1.0e-7", "1.5e-7", "2.0e-7", "2.5e-7"]);
        assert_eq!(numbers(-0.25, 0.0), ["-0.25", "-0.20", "-0.15", "-0.10", "-0.05", "0"]);
        let mut axis = steps(0.0, 21_000.0);
        axis.end(21_000.0);
        assert_eq!((axis.high, axis.ticks.len()), (21_000.0, 5));
    }
}
