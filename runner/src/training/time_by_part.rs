//! Where the time of a run went: seconds of each part in a row of metrics, their sums, and the table that people read.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rl_agents::{Part, Spent};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::Value;

use crate::console::number::{count, fixed};
use crate::console::usage::usage;
use crate::run_dir::metrics;

/// Keys of a row of metrics for the seconds of each part since the row before.
pub(crate) const KEYS: [&str; Part::ALL.len()] = [
    "seconds_step",
    "seconds_infer",
    "seconds_sample",
    "seconds_forward",
    "seconds_backward",
    "seconds_optimiser",
    "seconds_reduce",
    "seconds_save",
    "seconds_other",
];

/// Characters of the longest bar of a table.
const BAR: usize = 32;

/// Seconds by part; in JSON an object by the names of the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Profile([f64; Part::ALL.len()]);

impl Profile {
    /// Seconds of one part.
    pub(crate) fn of(&self, part: Part) -> f64 {
        self.0[part as usize]
    }
}

impl From<Spent> for Profile {
    fn from(spent: Spent) -> Self {
        Self(spent.map(|part| Duration::as_secs_f64(&part)))
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (part, seconds) in Part::ALL.iter().zip(&self.0) {
            map.serialize_entry(part.name(), seconds)?;
        }
        map.end()
    }
}

/// An amount of training, and the time that it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Timed {
    /// Emulator frames.
    pub(crate) frames: u64,
    /// Actions taken.
    pub(crate) agent_steps: u64,
    /// Optimiser steps.
    pub(crate) updates: u64,
    /// Seconds of all parts.
    pub(crate) seconds: f64,
    /// Seconds of each part.
    pub(crate) profile: Profile,
}

impl Timed {
    /// Puts counts and seconds together; `seconds` is the sum over the parts.
    pub(crate) fn new(frames: u64, agent_steps: u64, updates: u64, profile: Profile) -> Self {
        Self { frames, agent_steps, updates, seconds: profile.0.iter().sum(), profile }
    }

    /// Sums up the rows of metrics of a run.
    ///
    /// # Errors
    /// If there are no rows, or they are of an older rl-run and do not say where time went.
    pub(crate) fn read(run: &Path) -> anyhow::Result<Self> {
        let mut profile = Profile::default();
        let mut last = None;
        for (row, _) in metrics::rows::<Value>(run)? {
            for (key, sum) in KEYS.iter().zip(&mut profile.0) {
                let Some(seconds) = row[key].as_f64() else {
                    bail!(usage(format!(
                        "{}: its rows do not tell where time went (an older rl-run wrote them): measure with \
                         `rl-run profile --env … --agent …`",
                        run.display()
                    )))
                };
                *sum += seconds;
            }
            last = Some(row);
        }
        let Some(last) = last else {
            bail!(usage(format!(
                "{}: nothing was measured yet: a first row comes with the first frames",
                run.display()
            )))
        };
        let count = |key: &str| {
            last[key].as_u64().with_context(|| format!("{}: a row without {key}", run.join(metrics::ROWS).display()))
        };
        Ok(Self::new(count("frames")?, count("agent_steps")?, count("updates")?, profile))
    }

    /// Lines of a table of parts, the longest first; parts that took no time are left out.
    pub(crate) fn table(&self) -> Vec<String> {
        let total = self.seconds.max(f64::MIN_POSITIVE);
        let mut parts: Vec<(&str, f64)> = Part::ALL.iter().map(|part| part.name()).zip(self.profile.0).collect();
        parts.retain(|&(_, seconds)| seconds > 0.0);
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let longest = parts.first().map_or(total, |&(_, seconds)| seconds);
        let mut lines = vec![format!("{:<10} {:>9} {:>8} {:>14}", "part", "seconds", "share", "per agent step")];
        for (name, seconds) in parts {
            let step = short(seconds / self.agent_steps.max(1) as f64);
            let bar = bar(seconds / longest);
            lines.push(format!("{name:<10} {seconds:>9.3} {:>6.1} % {step:>14}  {bar}", 100.0 * seconds / total));
        }
        let step = short(self.seconds / self.agent_steps.max(1) as f64);
        lines.push(format!("{:<10} {:>9.3} {:>6.1} % {step:>14}", "all", self.seconds, 100.0));
        lines
    }

    /// Line on frames, agent steps and updates, and how many of them were made per second.
    pub(crate) fn summary(&self) -> String {
        let Self { frames, agent_steps, updates, seconds, .. } = self;
        let per_second = |count: u64| match count as f64 / seconds.max(f64::MIN_POSITIVE) {
            rate if rate < 1000.0 => format!("{rate:.1}/s"),
            rate => format!("{}/s", fixed(rate, 0)),
        };
        let [many, steps, made] = [*frames, *agent_steps, *updates].map(count);
        format!(
            "{many} frames, {steps} agent steps ({}), {made} updates ({}) in {seconds:.1} s",
            per_second(*agent_steps),
            per_second(*updates)
        )
    }
}

/// Draws a bar of a share from 0 to 1, in eighths of a character.
fn bar(share: f64) -> String {
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// `1.23 s`, `1.23 ms`, `1.23 µs` or `123 ns`.
fn short(seconds: f64) -> String {
    match seconds {
        1.0.. => format!("{seconds:.2} s"),
        1e-3.. => format!("{:.2} ms", seconds * 1e3),
        1e-6.. => format!("{:.2} µs", seconds * 1e6),
        _ => format!("{:.0} ns", seconds * 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_names_of_the_parts() {
        assert_eq!(KEYS.map(str::to_owned), Part::ALL.map(|part| format!("seconds_{}", part.name())));
    }

    #[test]
    fn a_table_is_sorted_adds_up_and_leaves_out_what_took_no_time() {
        let timed = Timed::new(400, 100, 25, Profile([0.1, 0.025, 0.0, 0.3, 0.5, 0.0, 0.0, 0.0, 0.0750]));
        let table = timed.table();
        let names: Vec<&str> = table.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["part", "backward", "forward", "step", "other", "infer", "all"]);
        assert_eq!(table[1], format!("backward       0.500   50.0 %        5.00 ms  {}", "█".repeat(BAR)));
        assert_eq!(table[5], "infer          0.025    2.5 %      250.00 µs  █▋");
        assert_eq!(table[6], "all            1.000  100.0 %       10.00 ms");
        assert_eq!(timed.summary(), "400 frames, 100 agent steps (100.0/s), 25 updates (25.0/s) in 1.0 s");
        let long = Timed { frames: 22_009_057, agent_steps: 5_502_264, updates: 41_000, ..timed };
        let told = "22,009,057 frames, 5,502,264 agent steps (5,502,264/s), 41,000 updates (41,000/s) in 1.0 s";
        assert_eq!(long.summary(), told);
    }

    #[test]
    fn rows_without_times_are_refused_and_a_torn_one_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let row = |frames: u64, seconds: f64| {
            let parts: Vec<String> = KEYS.iter().map(|key| format!("\"{key}\":{seconds}")).collect();
            format!("{{\"frames\":{frames},\"agent_steps\":{frames},\"updates\":1,{}}}\n", parts.join(","))
        };
        let read = |text: &str| {
            std::fs::write(dir.path().join(metrics::ROWS), text).unwrap();
            Timed::read(dir.path()).map_err(|e| e.to_string())
        };
        let expected = Timed::new(20, 20, 1, Profile([0.75; KEYS.len()]));
        assert_eq!(read(&format!("{}{}{{\"frames\":3", row(10, 0.25), row(20, 0.5))), Ok(expected));
        assert!(read("{\"frames\":1,\"agent_steps\":1,\"updates\":1}\n").unwrap_err().contains("older rl-run"));
        assert!(read("").unwrap_err().contains("nothing was measured yet"));
        let damaged = read(&format!("{}{{\"frames\":2\n{}", row(10, 0.25), row(30, 0.5))).unwrap_err();
        assert!(damaged.contains("metrics.jsonl, line 2: damaged"), "{damaged}");
    }
}
