//! What a run left in its directory, without what a clock decides.

use std::fs;
use std::path::Path;

use prost::Message;
use serde_json::Value;

use crate::sitting::numbers;

/// Everything that two runs of one seed must have in common.
pub(crate) struct Trace {
    /// Frames and SHA-256 of every part at every checkpoint, line by line.
    states: Vec<String>,
    /// Bytes of the last weights.
    weights: Vec<u8>,
    rows: Vec<Value>,
    /// Lines of the list of episodes.
    episodes: Vec<String>,
    events: Vec<(i64, Vec<(String, u32)>)>,
    /// Which weights were the best.
    best: Option<String>,
    /// Games that were recorded, by their files.
    recordings: Vec<(String, Vec<u8>)>,
}

/// The part of TensorBoard's `Event` that is compared. Source: tensorflow `core/util/event.proto`.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Whether a scalar is a time, or follows from one.
fn is_time(name: &str) -> bool {
    name.starts_with("seconds") || name == "frames_per_s"
}

fn rows(text: &str) -> Vec<Value> {
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        row.as_object_mut().expect("a row is an object").retain(|name, _| !is_time(name));
        row
    };
    text.lines().map(row).collect()
}

/// Every record of an event file to its last byte: length, its sum, the event, its sum.
fn events(mut bytes: &[u8]) -> Vec<(i64, Vec<(String, u32)>)> {
    let mut events = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        let event = Event::decode(&rest[4..][..length]).expect("a whole event");
        bytes = &rest[4 + length + 4..];
        let scalars = event.summary.unwrap_or_default().value.into_iter().filter(|scalar| !is_time(&scalar.tag));
        let bits = |scalar: Scalar| (scalar.tag, scalar.simple_value.unwrap_or_default().to_bits());
        events.push((event.step, scalars.map(bits).collect()));
    }
    assert!(bytes.is_empty(), "{} bytes behind the last event", bytes.len());
    events
}

fn recordings(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let names = crate::common::names(dir).into_iter().filter(|name| name.ends_with(".rec"));
    names.map(|name| (name.clone(), fs::read(dir.join(name)).unwrap())).collect()
}

impl Trace {
    /// That of a run that has ended.
    pub(crate) fn of(run: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(run.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let last = numbers(&run.join("checkpoints")).pop().expect("a run that has ended has a checkpoint");
        Self {
            states: text("digests.jsonl").lines().map(str::to_owned).collect(),
            weights: fs::read(run.join("checkpoints").join(last).join("model.safetensors")).unwrap(),
            rows: rows(&text("metrics.jsonl")),
            events: events(&fs::read(run.join("events.out.tfevents.rl-run")).unwrap()),
            best: numbers(&run.join("best")).pop(), // of earlier ones those that its own checkpoints need are there
            episodes: text("episodes.csv").lines().map(str::to_owned).collect(),
            recordings: recordings(&run.join("recordings")),
        }
    }

    /// Number of checkpoints that it made.
    pub(crate) fn states(&self) -> usize {
        self.states.len()
    }

    /// Number of games that were recorded.
    pub(crate) fn recordings(&self) -> usize {
        self.recordings.len()
    }

    /// No step is there twice, in rows or events, and both have the same ones.
    pub(crate) fn check(&self) {
        let frames: Vec<i64> = self.rows.iter().map(|row| row["frames"].as_i64().unwrap()).collect();
        assert!(frames.is_sorted_by(|a, b| a < b), "{frames:?}");
        let steps: Vec<i64> = self.events.iter().skip(1).map(|(step, _)| *step).collect(); // behind the file's version
        assert_eq!(steps, frames, "steps of events, frames of rows");
    }

    /// That `other` is the same.
    pub(crate) fn compare(&self, other: &Self, what: &str) {
        fn first<T: PartialEq + std::fmt::Debug>(name: &str, ours: &[T], theirs: &[T], what: &str) {
            let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
            if let Some(at) = at {
                panic!("{what}: {name} {at} of {}:\n{:?}\n{:?}", ours.len(), ours[at], theirs[at]);
            }
            assert_eq!(ours.len(), theirs.len(), "{what}: number of {name}");
        }
        first("states", &self.states, &other.states, what);
        first("rows", &self.rows, &other.rows, what);
        first("episodes", &self.episodes, &other.episodes, what);
        first("events", &self.events, &other.events, what);
        first("best weights", self.best.as_slice(), other.best.as_slice(), what);
        let names = |trace: &Self| trace.recordings.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        first("recordings", &names(self), &names(other), what);
        assert!(self.recordings == other.recordings, "{what}: what was recorded");
        assert!(self.weights == other.weights, "{what}: weights");
    }
}
