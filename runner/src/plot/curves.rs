//! Reads the metrics of runs as curves: runs of the same settings on one grid, as their mean and its interval.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::legend::grouped;
use crate::metrics::ROWS;
use crate::model::SCORE;
use crate::run_dir::About;
use crate::usage::{hint, usage};
use crate::{file, interval, metrics, output, run_dir};

/// Points of a curve.
const POINTS: usize = 200;

/// What a curve goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Axis {
    /// Emulator frames
    Frames,
    /// Agent steps
    Steps,
    /// Minutes of training, those of all sittings
    Minutes,
}

impl Axis {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Steps => "agent steps",
            Self::Minutes => "minutes",
        }
    }

    fn of(self, row: &Value) -> Option<f64> {
        match self {
            Self::Frames => row["frames"].as_f64(),
            Self::Steps => row["agent_steps"].as_f64(),
            Self::Minutes => row["seconds"].as_f64().map(|seconds| seconds / 60.0),
        }
    }
}

/// The mean curve of runs that differ in their seeds alone, or a curve from a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) env: String,
    pub(crate) agent: String,
    /// Where the curve of a file is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    #[serde(default, serialize_with = "file::texts")]
    pub(crate) runs: Vec<PathBuf>,
    #[serde(default)]
    pub(crate) seeds: Vec<u64>,
    /// What `x` counts, as [`Axis::name`] says.
    pub(crate) along: String,
    /// Key of the metric; `None` in files that do not name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) x: Vec<f64>,
    /// Mean over the runs at each `x`; `low` and `high` are the ends of its 95 % interval, or what a file has around
    /// its curve.
    pub(crate) mean: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
}

#[cfg(test)]
impl Group {
    /// A curve of that name, from 0 to 1.
    pub(super) fn called(name: &str) -> Self {
        let [name, env, agent, along] = [name, "cartpole", "ppo", "frames"].map(str::to_owned);
        let [x, mean, low, high] = [vec![0.0, 1.0], vec![0.0, 1.0], vec![0.0, 1.0], vec![0.0, 1.0]];
        Self { name, env, agent, source: None, runs: Vec::new(), seeds: vec![1], along, key: None, x, mean, low, high }
    }
}

/// Which curves to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct See<'a> {
    /// Horizontal axis.
    pub(crate) axis: Axis,
    /// Key of the metric on the vertical axis.
    pub(crate) key: &'a str,
    /// Neighbouring points of the grid that a point is the mean of.
    pub(crate) smooth: usize,
    /// Whether a mean over the last 100 games stands at the middle of these games and not at their end.
    pub(crate) centred: bool,
}

/// A run with its points.
type Curve = (PathBuf, About, Vec<(f64, f64)>);

/// Reads the curves of the runs in `dirs`, each a run or a directory of runs, as one group for each configuration.
///
/// # Errors
/// If a directory holds no run, or no run has a row with the key; the message names it. If only some runs have none,
/// they are reported and left out.
pub(crate) fn read(dirs: &[PathBuf], see: See<'_>) -> anyhow::Result<Vec<Group>> {
    let See { axis, key, smooth, .. } = see;
    let mut runs: Vec<(PathBuf, PathBuf)> = Vec::new();
    for dir in dirs {
        for run in runs_of(dir)? {
            let place = fs::canonicalize(&run).with_context(|| run.display().to_string())?;
            if runs.iter().all(|(_, other)| *other != place) {
                runs.push((run, place));
            }
        }
    }
    // By settings, in the order in which they were named.
    let mut order: Vec<(String, Vec<Curve>)> = Vec::new();
    let (count, mut refused) = (runs.len(), Vec::new());
    for (run, _) in runs {
        let curve = run_dir::about(&run).and_then(|about| Ok((points(&run, see)?, about)));
        let (points, about) = match curve {
            Ok(curve) => curve,
            Err(why) => {
                refused.push(why);
                continue;
            }
        };
        let id = format!("{} {} {}", about.env, about.agent, about.config_sha256);
        match order.iter_mut().find(|(other, _)| *other == id) {
            Some((_, all)) => all.push((run, about, points)),
            None => order.push((id, vec![(run, about, points)])),
        }
    }
    if refused.len() == count
        && let Some(why) = refused.pop()
    {
        return Err(why);
    }
    refused.iter().for_each(|why| output::note(format!("left out: {why:#}")));
    let mut groups = Vec::new();
    for (_, of) in order {
        let seeds = of.iter().map(|(_, about, _)| about.seed).collect();
        let about = &of[0].1;
        let (name, env, agent) = (about.agent.clone(), about.env.clone(), about.agent.clone());
        let (runs, curves): (Vec<PathBuf>, Vec<_>) = of.into_iter().map(|(run, _, points)| (run, points)).unzip();
        cut(&runs, &curves, see).into_iter().for_each(output::note);
        let [x, mean, low, high] = aggregate(&curves, smooth);
        let (source, along, key) = (None, axis.name().to_owned(), Some(key.to_owned()));
        groups.push(Group { name, env, agent, source, runs, seeds, along, key, x, mean, low, high });
    }
    name(&mut groups);
    Ok(groups)
}

/// The run `dir`, or the runs in it. Directories in `dir` that hold runs of their own are reported.
///
/// # Errors
/// If there are no runs.
pub(crate) fn runs_of(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let one = || run_dir::about(dir).map(|_| vec![dir.to_owned()]);
    if run_dir::is_run(dir) {
        return Ok(vec![dir.to_owned()]); // damaged or not: whoever reads it says so
    }
    let Ok(entries) = fs::read_dir(dir) else { return one() };
    let (mut runs, mut groups): (Vec<(Option<u64>, PathBuf)>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = entry.with_context(|| dir.display().to_string())?.path();
        if run_dir::is_run(&path) {
            runs.push((run_dir::about(&path).ok().map(|about| about.seed), path));
        } else if !run_dir::below(&path).is_empty() {
            groups.push(path);
        }
    }
    groups.sort();
    if runs.is_empty() {
        let [first, ..] = &groups[..] else { return one() };
        bail!(usage(format!("{} holds no run; {} holds some: name that", dir.display(), first.display())));
    }
    groups
        .iter()
        .for_each(|group| output::note(format!("left out: {0} holds runs of its own: name {0} too", group.display())));
    runs.sort();
    Ok(runs.into_iter().map(|(_, path)| path).collect())
}

/// Names the groups by their agents where that suffices, else by their directories too.
fn name(groups: &mut [Group]) {
    let mut count = BTreeMap::new();
    groups.iter().for_each(|group| *count.entry(group.agent.clone()).or_insert(0) += 1);
    let several = groups.iter().any(|group| group.env != groups[0].env);
    let mut taken = BTreeSet::new();
    for group in groups {
        if count[&group.agent] > 1 || several {
            let dir = group.runs[0].as_path();
            let dir = if group.runs.len() > 1 { dir.parent().unwrap_or(dir) } else { dir };
            let last = |dir: &Path| dir.file_name().map(|name| name.to_string_lossy().into_owned());
            let dir = match (last(dir), dir.parent().and_then(last)) {
                // Of a seed its directory alone says nothing.
                (Some(own), Some(above)) if own == format!("s{}", group.seeds[0]) => format!("{above}/{own}"),
                (own, _) => own.unwrap_or_default(),
            };
            group.name = format!("{} ({dir})", group.agent);
            if !taken.insert(group.name.clone()) {
                group.name = format!("{} ({})", group.agent, group.runs[0].display());
            }
        }
        if group.runs.len() > 1 {
            let seeds = group.seeds.iter().collect::<BTreeSet<_>>().len();
            let (count, what) = if seeds == group.runs.len() { (seeds, "seeds") } else { (group.runs.len(), "runs") };
            group.name = format!("{}, {count} {what}", group.name);
        }
    }
}

/// Points of a run: axis and metric of every row that has both.
fn points(run: &Path, see: See<'_>) -> anyhow::Result<Vec<(f64, f64)>> {
    let See { axis, key, centred, .. } = see;
    let path = run.join(ROWS);
    if !path.exists() && run.join(SCORE).exists() {
        bail!(usage(format!("{} is a published model, which has no rows of its training", run.display())));
    }
    let (mut points, mut keys) = (Vec::new(), BTreeMap::new());
    let (mut along, mut middles) = (Vec::new(), Vec::new());
    for (row, _) in metrics::rows::<serde_json::Map<String, Value>>(run)? {
        let value = row.get(key).and_then(Value::as_f64);
        row.keys().for_each(|key| *keys.entry(key.clone()).or_insert(0) += 1);
        let row = Value::Object(row);
        let frames = Axis::Frames.of(&row);
        along.extend(frames.zip(axis.of(&row)));
        // The middle of its games is a frame: a row that does not tell its own has none.
        if let Some(point) = axis.of(&row).zip(value).filter(|_| frames.is_some() || !centred) {
            points.push(point);
            middles.push(middle(&row));
        }
    }
    if centred {
        points.iter_mut().zip(middles).for_each(|(point, middle)| point.0 = at(&along, middle));
        // Games that end together, or grow longer, move the middle back for a while.
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    if points.is_empty() {
        let known: Vec<&str> = keys.keys().map(String::as_str).collect();
        let known =
            if known.is_empty() { "it has no rows yet".to_owned() } else { format!("rows have {}", known.join(", ")) };
        let beside = if centred { " beside `frames`" } else { "" };
        let hint = hint(key, keys.keys().map(String::as_str));
        bail!(usage(format!("{}: no row has `{key}`{beside}{hint}: {known}", path.display())));
    }
    Ok(points)
}

/// Keys whose values are over the last games, at most [`GAMES`].
pub(super) const LAST_GAMES: [&str; 2] = ["return_100", "length_100"];
/// Most games that such a value is over.
const GAMES: f64 = 100.0;

/// Emulator frame in the middle of the games that `return_100` of a row is over.
fn middle(row: &Value) -> f64 {
    let of = |key: &str| row[key].as_f64().unwrap_or_default();
    let games = of("episodes").min(GAMES);
    (of("frames") - 0.5 * games * of("length_100")).max(0.0)
}

/// The last point of `key` in the rows of a run, as axis and value; `None` if there is none.
pub(crate) fn last(run: &Path, axis: Axis, key: &str) -> Option<(f64, f64)> {
    points(run, See { axis, key, smooth: 1, centred: false }).ok()?.last().copied()
}

/// Puts curves on one grid within the range that all of them cover; returns grid, smoothed mean, and the ends of its
/// interval.
fn aggregate(curves: &[Vec<(f64, f64)>], smooth: usize) -> [Vec<f64>; 4] {
    let edge = |of: fn(&Vec<(f64, f64)>) -> f64| curves.iter().map(of).collect::<Vec<_>>();
    let first = edge(|curve| curve[0].0).into_iter().fold(f64::NEG_INFINITY, f64::max);
    let last = edge(|curve| curve[curve.len() - 1].0).into_iter().fold(f64::INFINITY, f64::min).max(first);
    let count = if last > first { POINTS } else { 1 };
    let x: Vec<f64> = (0..count).map(|i| first + (last - first) * i as f64 / (count.max(2) - 1) as f64).collect();
    let smoothed: Vec<Vec<f64>> =
        curves.iter().map(|curve| smoothed(&x.iter().map(|&x| at(curve, x)).collect::<Vec<_>>(), smooth)).collect();
    let (mut mean, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..count {
        let values: Vec<f64> = smoothed.iter().map(|curve| curve[i]).collect();
        let [middle, below, above] = if let [one] = values[..] { [one; 3] } else { interval::mean(&values) };
        mean.push(middle);
        low.push(below);
        high.push(above);
    }
    [x, mean, low, high]
}

/// Share of the longest run of a group below which the end of the shortest is reported.
const ENDS: f64 = 0.95;

/// Message on what is not drawn of a group: the runs beyond the end of the shortest, or all but a point if one begins
/// after another has ended.
fn cut(runs: &[PathBuf], curves: &[Vec<(f64, f64)>], see: See<'_>) -> Option<String> {
    let See { axis, key, .. } = see;
    let ends = || runs.iter().zip(curves).map(|(run, curve)| (run.display(), curve[curve.len() - 1].0));
    let (short, end) = ends().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (long, last) = ends().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let far = |x: f64| format!("{} {}", grouped(x), axis.name());
    let late = runs.iter().zip(curves).find(|(_, curve)| curve[0].0 > end);
    if let Some((late, curve)) = late {
        let (late, first, end) = (late.display(), far(curve[0].0), far(end));
        return Some(format!(
            "`{key}` of {late} begins at {first}, where {short} has ended at {end}: one point is their mean"
        ));
    }
    (end < ENDS * last).then(|| {
        let (end, last) = (far(end), far(last));
        format!(
            "`{key}` is drawn to {end}, where {short} ends; {long} goes on to {last}: name it alone to see all of it"
        )
    })
}

/// Value of a curve at `x`, by linear interpolation.
pub(super) fn at(curve: &[(f64, f64)], x: f64) -> f64 {
    let next = curve.partition_point(|point| point.0 < x).min(curve.len() - 1);
    let (before, after) = (curve[next.saturating_sub(1)], curve[next]);
    let span = after.0 - before.0;
    if span > 0.0 { before.1 + (after.1 - before.1) * ((x - before.0) / span).clamp(0.0, 1.0) } else { after.1 }
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

    #[test]
    fn a_centred_mean_stands_in_the_middle_of_its_games_and_never_goes_back() {
        let run = tempfile::tempdir().unwrap();
        // Two games of 400 frames each end at 1,000; then three of 100; then two long ones, which move the middle back.
        let rows = [(1_000, 2, 400.0, 1.0), (1_300, 5, 220.0, 2.0), (1_400, 6, 400.0, 3.0), (4_000, 200, 20.0, 4.0)];
        let line = |(frames, episodes, length, mean): (u64, u64, f64, f64)| {
            let minutes = 6 * frames; // a hundred frames in ten minutes
            format!(
                "{{\"frames\":{frames},\"seconds\":{minutes},\"episodes\":{episodes},\"length_100\":{length},\"return_100\":{mean}}}\n"
            )
        };
        fs::write(run.path().join(ROWS), rows.map(line).concat()).unwrap();
        let see = See { axis: Axis::Frames, key: "return_100", smooth: 1, centred: true };
        // 1,000 - 2 · 400 / 2, 1,300 - 5 · 220 / 2, 1,400 - 6 · 400 / 2, of a hundred games 4,000 - 100 · 20 / 2; the
        // first rows' frames are the earliest that are known.
        let of = |see| points(run.path(), see).unwrap();
        assert_eq!(of(see), [(1_000.0, 1.0), (1_000.0, 2.0), (1_000.0, 3.0), (3_000.0, 4.0)]);
        assert_eq!(of(See { axis: Axis::Minutes, ..see }).last(), Some(&(300.0, 4.0)));
        assert_eq!(of(See { centred: false, ..see })[2], (1_400.0, 3.0));
    }

    #[test]
    fn a_row_that_does_not_tell_its_frames_has_no_middle() {
        let run = tempfile::tempdir().unwrap();
        let of = |centred| points(run.path(), See { axis: Axis::Minutes, key: "return_100", smooth: 1, centred });
        fs::write(run.path().join(ROWS), "{\"seconds\":60,\"return_100\":1}\n").unwrap();
        assert_eq!(of(false).unwrap(), [(1.0, 1.0)]);
        assert!(format!("{:#}", of(true).unwrap_err()).contains("no row has `return_100` beside `frames`"));
    }

    #[test]
    fn curves_meet_where_all_have_values() {
        let (a, b) = (vec![(0.0, 0.0), (10.0, 10.0)], vec![(2.0, 4.0), (6.0, 4.0), (8.0, 6.0)]);
        let [x, mean, low, high] = aggregate(&[a, b], 1);
        assert_eq!((x.len(), x[0], x[199]), (200, 2.0, 8.0));
        assert_eq!((mean[0], low[0], high[0]), (3.0, 2.0, 4.0));
        assert!((mean[199] - 7.0).abs() < 1e-12);
        let [x, mean, ..] = aggregate(&[vec![(5.0, 1.0)]], 5);
        assert_eq!((x, mean), (vec![5.0], vec![1.0]));
    }

    #[test]
    fn a_curve_that_ends_with_its_shortest_run_says_so() {
        let runs = ["runs/s1", "runs/s2"].map(PathBuf::from);
        let told = |curves: &[Vec<(f64, f64)>]| {
            cut(&runs, curves, See { axis: Axis::Frames, key: "return_100", smooth: 1, centred: false })
        };
        let to = |first: f64, last: f64| vec![(first, 0.0), (last, 1.0)];
        assert_eq!(told(&[to(0.0, 22_009_057.0), to(0.0, 22_008_975.0)]), None);
        let long = told(&[to(0.0, 5_000_000.0), to(0.0, 300_000.0)]).unwrap();
        assert!(long.contains("300,000 frames, where runs/s2 ends; runs/s1 goes on to 5,000,000"), "{long}");
        let apart = told(&[to(0.0, 100.0), to(200.0, 300.0)]).unwrap();
        assert!(apart.contains("runs/s2 begins at 200 frames, where runs/s1 has ended at 100 frames"), "{apart}");
    }

    #[test]
    fn smoothing_keeps_straight_lines_to_their_ends() {
        let line: Vec<f64> = (0..9).map(f64::from).collect();
        assert_eq!(smoothed(&line, 5), line);
        assert_eq!(smoothed(&[0.0, 3.0, 0.0], 3), [0.0, 1.0, 0.0]);
    }
}
