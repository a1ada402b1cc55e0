//! What a run measured: `metrics.jsonl` for programs and an event file for TensorBoard, both in the run's directory.
//!
//! Nothing of either is part of a checkpoint. A run that goes on from frame F keeps the rows up to F and drops the
//! rest, so that a row is never there twice; a last row that was torn by a crash goes with them. So write a row, then a
//! checkpoint.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use crate::file::appended::{self, Appended, read};
use crate::run_dir::events;

/// Name of the file of rows in the directory of a run.
pub(crate) const ROWS: &str = "metrics.jsonl";

/// Keys that every row begins with.
const POINT: [&str; 4] = ["frames", "agent_steps", "updates", "seconds"];

/// The point in a run at which a row was measured. Frames, agent steps and updates are different counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Emulator frames.
    pub(crate) frames: u64,
    /// Actions taken by all seats.
    pub(crate) agent_steps: u64,
    /// Optimiser steps.
    pub(crate) updates: u64,
}

/// `metrics.jsonl` and the event file of a run, open for appending.
#[derive(Debug)]
pub(crate) struct Metrics {
    rows: Appended,
    events: Appended,
    begin: Instant,
    /// Seconds of earlier sittings.
    before: f64,
    /// Seconds of all sittings up to the last row.
    seconds: f64,
    eval_return: Option<f64>,
    unfinished: Option<Unfinished>,
}

/// The last row of a run that was stopped in an evaluation. It stays until the evaluation was played, and a row with
/// the values of both takes its place.
#[derive(Debug)]
struct Unfinished {
    frames: u64,
    /// Its values besides the [`Point`] and seconds.
    scalars: Vec<(String, f64)>,
    /// Where it begins in each file.
    row: u64,
    event: u64,
}

/// The part of a row that [`Metrics::reopen`] reads back.
#[derive(Deserialize)]
#[serde(try_from = "serde_json::Map<String, Value>")] // in rows of earlier builds a key may stand several times
struct Kept {
    frames: u64,
    seconds: f64,
    eval_return: Option<f64>,
}

impl TryFrom<serde_json::Map<String, Value>> for Kept {
    type Error = &'static str;

    fn try_from(row: serde_json::Map<String, Value>) -> Result<Self, Self::Error> {
        let of = |key: &str| row.get(key).and_then(Value::as_f64);
        let frames = row.get("frames").and_then(Value::as_u64).ok_or("no `frames`")?;
        Ok(Self { frames, seconds: of("seconds").ok_or("no `seconds`")?, eval_return: of("eval_return") })
    }
}

/// Reads the rows of the run in directory `run`, each with its line; none if the file is missing.
///
/// # Errors
/// As [`appended::rows`].
pub(crate) fn rows<T: DeserializeOwned>(run: &Path) -> anyhow::Result<Vec<(T, Vec<u8>)>> {
    appended::rows(&run.join(ROWS))
}

/// Checks that [`Metrics::reopen`] can read the rows of a run.
///
/// # Errors
/// If one of them is damaged.
pub(crate) fn check(run: &Path) -> anyhow::Result<()> {
    rows::<Kept>(run).map(drop)
}

/// The values of a row besides its [`Point`] and seconds; one that was not finite is NaN.
fn scalars(line: &[u8]) -> anyhow::Result<Vec<(String, f64)>> {
    let row: serde_json::Map<String, Value> = serde_json::from_slice(line)?;
    let rest = row.into_iter().filter(|(name, _)| !POINT.contains(&name.as_str()));
    Ok(rest.map(|(name, value)| (name, value.as_f64().unwrap_or(f64::NAN))).collect())
}

/// A line of `metrics.jsonl`, with its keys in this order.
struct Row<'a> {
    point: Point,
    seconds: f64,
    scalars: &'a [(&'a str, f64)],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(None)?;
        row.serialize_entry("frames", &self.point.frames)?;
        row.serialize_entry("agent_steps", &self.point.agent_steps)?;
        row.serialize_entry("updates", &self.point.updates)?;
        row.serialize_entry("seconds", &self.seconds)?;
        for (name, value) in self.scalars {
            row.serialize_entry(name, value)?;
        }
        row.end()
    }
}

impl Metrics {
    /// Creates both files in `run`, the directory of a run that has not started.
    ///
    /// # Errors
    /// If they exist or cannot be written.
    pub(crate) fn create(run: &Path) -> anyhow::Result<Self> {
        let rows = Appended::create(run.join(ROWS))?;
        let mut events = Appended::create(run.join(events::FILE))?;
        events.append(&events::begin(events::now()))?;
        let (begin, eval_return, unfinished) = (Instant::now(), None, None);
        Ok(Self { rows, events, begin, before: 0.0, seconds: 0.0, eval_return, unfinished })
    }

    /// Opens both files of a run that goes on from `frames`, and removes the rows after it. Unless that state is
    /// `settled`, the next row at `frames` takes the place of the last, and keeps its values beside new ones.
    ///
    /// # Errors
    /// If a file cannot be read or cut.
    pub(crate) fn reopen(run: &Path, frames: u64, settled: bool) -> anyhow::Result<Self> {
        let (mut before, mut kept, mut eval_return, mut unfinished) = (0.0, 0, None, None);
        let (path, there) = (run.join(events::FILE), read(&run.join(events::FILE))?);
        for (row, line) in rows::<Kept>(run)?.into_iter().take_while(|(row, _)| row.frames <= frames) {
            if row.frames == frames && !settled {
                let (scalars, event) = (scalars(&line)?, events::until(&there, frames.saturating_sub(1)));
                unfinished = Some(Unfinished { frames, scalars, row: kept, event });
            }
            before = row.seconds;
            kept += line.len() as u64;
            eval_return = row.eval_return.or(eval_return);
        }
        let rows = Appended::cut(run.join(ROWS), kept)?;
        let kept = events::until(&there, frames);
        let mut events = Appended::cut(path, kept)?;
        if kept == 0 {
            events.append(&events::begin(events::now()))?;
        }
        Ok(Self { rows, events, begin: Instant::now(), before, seconds: before, eval_return, unfinished })
    }

    /// Seconds of all sittings up to the last row. Time after that row is in no file and would be lost to the next
    /// sitting.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Mean return of the last evaluation in the rows of earlier sittings, if there is one.
    pub(crate) fn eval_return(&self) -> Option<f64> {
        self.eval_return
    }

    /// Appends a row to both files: `point`, seconds, and `scalars` under their names. A value that is not finite
    /// becomes `null` in `metrics.jsonl`.
    ///
    /// # Errors
    /// If two values have one name, the disk is full or a file cannot be written.
    pub(crate) fn row(&mut self, point: Point, scalars: &[(&str, f64)]) -> anyhow::Result<()> {
        let mut known = BTreeSet::from(POINT);
        if let Some((twin, _)) = scalars.iter().find(|(name, _)| !known.insert(*name)) {
            bail!("the agent logs `{twin}`, which is the name of another value in {ROWS}: give it another");
        }
        let earlier = self.unfinished.take().filter(|earlier| earlier.frames == point.frames);
        let both: Vec<(&str, f64)>;
        let scalars = match &earlier {
            None => scalars,
            Some(Unfinished { scalars: earlier, .. }) => {
                let new = scalars.iter().filter(|(name, _)| earlier.iter().all(|(known, _)| known != name));
                both = earlier.iter().map(|(name, value)| (name.as_str(), *value)).chain(new.copied()).collect();
                &both
            }
        };
        self.seconds = self.before + self.begin.elapsed().as_secs_f64();
        let mut line = serde_json::to_vec(&Row { point, seconds: self.seconds, scalars })?;
        line.push(b'\n');
        let event = events::scalars(events::now(), point.frames, scalars);
        match earlier {
            None => self.rows.append(&line).and_then(|()| self.events.append(&event)),
            Some(Unfinished { row, event: at, .. }) => {
                self.rows.replace(row, &line).and_then(|()| self.events.replace(at, &event))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn point(frames: u64) -> Point {
        Point { frames, agent_steps: frames / 4, updates: frames / 16 }
    }

    fn frames(run: &Path) -> Vec<u64> {
        let text = fs::read_to_string(run.join(ROWS)).unwrap();
        text.lines().map(|line| serde_json::from_str::<Kept>(line).unwrap().frames).collect()
    }

    #[test]
    fn going_on_from_a_frame_leaves_no_row_twice_and_no_torn_row() {
        let dir = tempfile::tempdir().unwrap();
        let mut metrics = Metrics::create(dir.path()).unwrap();
        for n in [16, 32, 48] {
            metrics.row(point(n), &[("loss", 0.5)]).unwrap();
        }
        for file in [&mut metrics.rows, &mut metrics.events] {
            file.append(b"{\"frames\": 32, \"sec").unwrap();
        }
        drop(metrics);
        let mut metrics = Metrics::reopen(dir.path(), 32, true).unwrap();
        metrics.row(point(48), &[("loss", f64::NAN)]).unwrap();
        assert_eq!(frames(dir.path()), [16, 32, 48]);
        let events = fs::read(dir.path().join(events::FILE)).unwrap();
        assert_eq!(events::until(&events, 48), events.len() as u64);
        assert_eq!(events::steps(&events), [0, 16, 32, 48]);
        drop(metrics);
        assert!(Metrics::reopen(dir.path(), 48, true).unwrap().before > 0.0);
    }

    #[test]
    fn a_row_that_an_evaluation_was_to_end_stays_until_then_and_keeps_its_values() {
        let dir = tempfile::tempdir().unwrap();
        let steps = || events::steps(&fs::read(dir.path().join(events::FILE)).unwrap());
        let mut metrics = Metrics::create(dir.path()).unwrap();
        metrics.row(point(16), &[("eval_return", 1.5)]).unwrap();
        metrics.row(point(32), &[("loss", 0.5), ("q", f64::NAN), ("seconds_step", 9.0)]).unwrap();
        drop(metrics);
        for _ in 0..2 {
            Metrics::reopen(dir.path(), 32, false).unwrap(); // stopped once more before it was played
            assert_eq!((frames(dir.path()), steps()), (vec![16, 32], vec![0, 16, 32]));
        }
        let mut metrics = Metrics::reopen(dir.path(), 32, false).unwrap();
        assert!(metrics.before > 0.0 && metrics.eval_return() == Some(1.5));
        metrics.row(point(32), &[("eval_return", 2.5), ("seconds_step", 0.1)]).unwrap();
        metrics.row(point(48), &[("loss", 0.25)]).unwrap();
        assert_eq!((frames(dir.path()), steps()), (vec![16, 32, 48], vec![0, 16, 32, 48]));
        let text = fs::read_to_string(dir.path().join(ROWS)).unwrap();
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let both = (&rows[1]["loss"], &rows[1]["q"], &rows[1]["seconds_step"], &rows[1]["eval_return"]);
        assert_eq!(both, (&0.5.into(), &Value::Null, &9.0.into(), &2.5.into()));
        assert!(rows[2].get("eval_return").is_none() && rows[2]["loss"] == 0.25);
        // A run that goes on otherwise leaves the row as it is.
        Metrics::reopen(dir.path(), 48, false).unwrap().row(point(64), &[]).unwrap();
        assert_eq!((frames(dir.path()), steps()), (vec![16, 32, 48, 64], vec![0, 16, 32, 48, 64]));
    }

    #[test]
    fn a_damaged_row_is_named_by_its_line_and_a_torn_end_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let row = |n: u64| format!("{{\"frames\":{n},\"seconds\":0.5,\"eval_return\":{n}.5}}\n");
        let path = dir.path().join(ROWS);
        for (middle, end) in [("{\"frames\":2,\"sec\n", ""), ("{\"frames\":2}\n", "{\"fra"), ("\n", "{\"fra")] {
            let whole = format!("{}{middle}{}{end}", row(1), row(3));
            fs::write(&path, &whole).unwrap();
            let said = Metrics::reopen(dir.path(), 9, true).unwrap_err().to_string();
            assert!(said.contains("metrics.jsonl, line 2: damaged"), "{said}");
            assert_eq!(fs::read_to_string(&path).unwrap(), whole, "nothing of it is removed");
        }
        for end in ["", "{\"frames\":4,\"sec", "{\"frames\":4,\"sec\n", "\0\0\0", &row(4)[..8], row(4).trim_end()] {
            fs::write(&path, format!("{}{}{end}", row(1), row(3))).unwrap();
            let metrics = Metrics::reopen(dir.path(), 9, true).unwrap();
            assert_eq!((frames(dir.path()), metrics.eval_return()), (vec![1, 3], Some(3.5)), "{end}");
        }
    }

    #[test]
    fn a_key_that_an_earlier_build_wrote_twice_has_its_last_value() {
        let dir = tempfile::tempdir().unwrap();
        let row = "{\"frames\":1,\"seconds\":0.5,\"eval_return\":1.5,\"eval_return\":2.5}\n";
        fs::write(dir.path().join(ROWS), row).unwrap();
        assert_eq!(Metrics::reopen(dir.path(), 9, true).unwrap().eval_return(), Some(2.5));
    }

    #[test]
    fn a_run_whose_files_are_gone_begins_them_again() {
        let dir = tempfile::tempdir().unwrap();
        Metrics::reopen(dir.path(), 100, true).unwrap().row(point(160), &[]).unwrap();
        assert_eq!(frames(dir.path()), [160]);
        assert_eq!(events::steps(&fs::read(dir.path().join(events::FILE)).unwrap()), [0, 160]);
    }
}
