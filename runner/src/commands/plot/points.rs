//! Reads the rows of a run as points of a curve.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use serde_json::Value;

use super::curves::{Axis, See};
use crate::console::nearest::hint;
use crate::console::usage::usage;
use crate::games::score;
use crate::run_dir::episode_log::{self, Game};
use crate::run_dir::metrics::{self, ROWS};

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// How far the run is, along [`Axis::shared`].
    pub(super) progress: f64,
    /// Place on the horizontal axis.
    pub(super) x: f64,
    /// Value of the metric.
    pub(super) y: f64,
}

/// Points of a run: of every row that has both the axis and the metric.
///
/// # Errors
/// If there is none, or a row is damaged; the message names the file.
pub(super) fn points(run: &Path, see: See<'_>) -> anyhow::Result<Vec<Point>> {
    let See { axis, key, centred, .. } = see;
    let path = run.join(ROWS);
    if !path.exists() && run.join(score::FILE).exists() {
        bail!(usage(format!("{} is a published model, which has no rows of its training", run.display())));
    }
    let (mut points, mut keys) = (Vec::new(), BTreeSet::new());
    let (mut along, mut middles, mut last) = (Vec::new(), Vec::new(), None);
    for (row, _) in metrics::rows::<serde_json::Map<String, Value>>(run)? {
        keys.extend(row.keys().cloned());
        let row = Value::Object(row);
        let (frames, x) = (Axis::Frames.of(&row), axis.of(&row));
        along.extend(frames.zip(x));
        last = Option::zip(frames, row["episodes"].as_f64()).or(last);
        // The middle of its games is a frame: a row that does not tell its own has none.
        if let (Some(progress), Some(x), Some(y)) = (axis.shared().of(&row), x, row[key].as_f64())
            && (frames.is_some() || !centred)
        {
            points.push(Point { progress, x, y });
            middles.push(middle(&row));
        }
    }
    let games = if centred { episode_log::games(run)? } else { Vec::new() };
    if !points.is_empty() && is_whole(&games, last.as_ref()) {
        points = of_games(&games, see, &along);
    } else if centred {
        for (point, middle) in points.iter_mut().zip(middles) {
            let middle = middle.max(along[0].0); // the earliest frame whose place is known
            point.x = at(&along, middle);
            point.progress = if axis.shared() == Axis::Frames { middle } else { point.x };
        }
        // Games that end together, or grow longer, move the middle back for a while.
        points.sort_by(|a, b| a.progress.total_cmp(&b.progress));
    }
    if points.is_empty() {
        bail!(usage(format!("{}: {}", path.display(), missing(see, &keys))));
    }
    Ok(points)
}

/// Whether these are all games of a run whose last row of metrics has these frames and number of games: the log of a run
/// that an older build began starts where another went on with it, and rounds of a `Trainer` are not in it.
fn is_whole(games: &[Game], last: Option<&(f64, f64)>) -> bool {
    let until = |frames: f64| games.partition_point(|game| game.frames <= frames) as f64;
    !games.is_empty() && last.is_some_and(|&(frames, episodes)| until(frames) == episodes)
}

/// Points of a run whose games are all known: at each the mean of the [`GAMES`] that ended last, in the middle of the
/// frames that they took. `along` holds frames and the place on the horizontal axis of each row.
fn of_games(games: &[Game], see: See<'_>, along: &[(f64, f64)]) -> Vec<Point> {
    let value = |game: &Game| if see.key == "length_100" { game.length } else { game.ret };
    let along: Vec<(f64, f64)> = std::iter::once((0.0, 0.0)).chain(along.iter().copied()).collect();
    let place = |middle| if see.axis == Axis::Frames { middle } else { at(&along, middle) };
    let mut points = Vec::with_capacity(games.len());
    for last in 0..games.len() {
        let first = (last + 1).saturating_sub(GAMES);
        let begin = first.checked_sub(1).map_or(0.0, |before| games[before].frames);
        let (middle, over) = (0.5 * (begin + games[last].frames), &games[first..=last]);
        let y = over.iter().map(value).sum::<f64>() / over.len() as f64;
        let x = place(middle);
        points.push(Point { progress: if see.axis.shared() == Axis::Frames { middle } else { x }, x, y });
    }
    points
}

/// Says that no row has the key, and what to ask for instead.
fn missing(see: See<'_>, keys: &BTreeSet<String>) -> String {
    let See { axis, key, centred, .. } = see;
    let instead = [("eval_return", "its evaluations"), ("loss", "its loss")];
    if LAST_GAMES.contains(&key)
        && !keys.contains(key)
        && let Some((other, what)) = instead.iter().find(|(other, _)| keys.contains(*other))
    {
        return format!(
            "no row has `{key}`, as no episode of training has ended; `rl-run plot --y {other}` draws {what}"
        );
    }
    if keys.is_empty() {
        return format!("no row has `{key}`: it has no rows yet");
    }
    let by_frames = centred || axis.shared() == Axis::Frames;
    let beside = if by_frames && keys.contains(key) && !keys.contains("frames") { " beside `frames`" } else { "" };
    let known: Vec<&str> = keys.iter().map(String::as_str).collect();
    let hint = if keys.contains(key) { String::new() } else { hint(key, known.iter().copied()) };
    format!("no row has `{key}`{beside}{hint}: rows have {}", known.join(", "))
}

/// Keys whose values are over the last games, at most [`GAMES`].
pub(super) const LAST_GAMES: [&str; 2] = ["return_100", "length_100"];
/// Most games that such a value is over.
const GAMES: usize = 100;

/// Emulator frame in the middle of the games that `return_100` of a row is over.
fn middle(row: &Value) -> f64 {
    let of = |key: &str| row[key].as_f64().unwrap_or_default();
    let games = of("episodes").min(GAMES as f64);
    (of("frames") - 0.5 * games * of("length_100")).max(0.0)
}

/// The last point of `key` in the rows of a run, as axis and value; `None` if there is none.
pub(crate) fn last(run: &Path, axis: Axis, key: &str) -> Option<(f64, f64)> {
    let points = points(run, See { axis, key, smooth: 1, centred: false, iqm: false }).ok()?;
    points.last().map(|point| (point.x, point.y))
}

/// Value of a curve at `x`, by linear interpolation.
pub(super) fn at(curve: &[(f64, f64)], x: f64) -> f64 {
    let next = curve.partition_point(|point| point.0 < x).min(curve.len() - 1);
    let (before, after) = (curve[next.saturating_sub(1)], curve[next]);
    let span = after.0 - before.0;
    // At a point its own value, to the bit.
    if span > 0.0 && x < after.0 {
        before.1 + (after.1 - before.1) * ((x - before.0) / span).clamp(0.0, 1.0)
    } else {
        after.1
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(run: &Path, see: See<'_>) -> Vec<(f64, f64)> {
        points(run, see).unwrap().into_iter().map(|point| (point.x, point.y)).collect()
    }

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
        let see = See { axis: Axis::Frames, key: "return_100", smooth: 1, centred: true, iqm: false };
        // 1,000 - 2 · 400 / 2, 1,300 - 5 · 220 / 2, 1,400 - 6 · 400 / 2, of a hundred games 4,000 - 100 · 20 / 2; the
        // first rows' frames are the earliest that are known.
        let of = |see| of(run.path(), see);
        assert_eq!(of(see), [(1_000.0, 1.0), (1_000.0, 2.0), (1_000.0, 3.0), (3_000.0, 4.0)]);
        assert_eq!(of(See { axis: Axis::Minutes, ..see }).last(), Some(&(300.0, 4.0)));
        assert_eq!(of(See { centred: false, ..see })[2], (1_400.0, 3.0));
        let last = points(run.path(), See { axis: Axis::Minutes, ..see }).unwrap()[3];
        assert_eq!(last, Point { progress: 3_000.0, x: 300.0, y: 4.0 });
    }

    #[test]
    fn where_all_games_are_known_their_means_need_no_rows_between() {
        let run = tempfile::tempdir().unwrap();
        let row = |frames: u64| {
            let (seconds, games) = (frames / 10, frames / 30);
            format!(
                "{{\"frames\":{frames},\"seconds\":{seconds},\"episodes\":{games},\"return_100\":1,\"length_100\":30}}\n"
            )
        };
        fs::write(run.path().join(ROWS), format!("{}{}", row(600), row(6000))).unwrap();
        // The n-th game of 30 frames returns n.
        let games: String = (1..=200).map(|n| format!("{},0,{n},30,terminated\n", 30 * n)).collect();
        fs::write(run.path().join("episodes.csv"), format!("frames,seat,return,length,end\n{games}")).unwrap();
        let see = See { axis: Axis::Frames, key: "return_100", smooth: 1, centred: true, iqm: false };
        let all = of(run.path(), see);
        assert_eq!(all.len(), 200);
        // One game; two; the first hundred; the last hundred, which began at 3,000.
        assert_eq!([all[0], all[1], all[99], all[199]], [(15.0, 1.0), (30.0, 1.5), (1500.0, 50.5), (4500.0, 150.5)]);
        assert_eq!(of(run.path(), See { key: "length_100", ..see })[7].1, 30.0);
        assert_eq!(of(run.path(), See { axis: Axis::Minutes, ..see })[199], (7.5, 150.5));
        assert_eq!(of(run.path(), See { axis: Axis::Minutes, ..see })[0], (0.025, 1.0), "before the first row too");
        assert_eq!(of(run.path(), See { centred: false, ..see }).len(), 2);
        // Of a log that lacks games the rows are drawn.
        fs::write(run.path().join("episodes.csv"), "frames,seat,return,length,end\n6000,0,1,30,terminated\n").unwrap();
        assert_eq!(of(run.path(), see).len(), 2);
    }

    #[test]
    fn a_row_that_does_not_tell_its_frames_has_no_middle() {
        let run = tempfile::tempdir().unwrap();
        let see = |axis, centred| See { axis, key: "return_100", smooth: 1, centred, iqm: false };
        fs::write(run.path().join(ROWS), "{\"agent_steps\":60,\"seconds\":60,\"return_100\":1}\n").unwrap();
        assert_eq!(of(run.path(), see(Axis::Steps, false)), [(60.0, 1.0)]);
        for see in [see(Axis::Steps, true), see(Axis::Minutes, false)] {
            let why = format!("{:#}", points(run.path(), see).unwrap_err());
            assert!(why.contains("no row has `return_100` beside `frames`: rows have agent_steps, "), "{why}");
        }
    }

    #[test]
    fn a_curve_has_the_value_of_each_of_its_points() {
        let curve = [(0.1, 0.1), (0.3, 0.7), (0.7, 0.3)];
        curve.iter().for_each(|&(x, y)| assert_eq!(at(&curve, x), y));
        assert_eq!([at(&curve, 0.0), at(&curve, 9.0)], [0.1, 0.3]);
    }
}
