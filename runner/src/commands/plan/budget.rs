//! From a time to a number of frames, and the settings that follow from it.

use toml::{Table, Value};

use crate::preset::{Resolved, Train};

/// Share of the time that is left for checkpoints, rows of metrics, and games that get slower as they get better.
const SPARE: f64 = 0.03;
/// Most agent steps of a round while candidates are timed; whole rounds of some presets take seconds.
const ROUND: i64 = 1024;
/// Most agent steps before the first update while candidates are timed, unless a batch needs more.
const FILLED: i64 = 1000;

/// Seconds of `minutes` that are left for training after `start_seconds`.
pub(crate) fn seconds(minutes: f64, start_seconds: f64) -> f64 {
    60.0 * minutes * (1.0 - SPARE) - start_seconds
}

/// Minutes from which `seconds` are left for training after `start_seconds`, and a hundredth more, since frames are
/// rounded down.
pub(crate) fn minutes(seconds: f64, start_seconds: f64) -> f64 {
    (1.01 * seconds + start_seconds) / (60.0 * (1.0 - SPARE))
}

/// Rounds a number of frames down to three significant digits.
pub(crate) fn round(frames: f64) -> u64 {
    let unit = 10f64.powf((frames.max(1.0).log10().floor() - 2.0).max(0.0));
    ((frames / unit).floor() * unit) as u64
}

/// Agent steps before a first update.
pub(crate) fn least_steps(own: &Resolved, train: &Train) -> u64 {
    let agent = own.table("agent");
    let of = |key: &str| agent.get(key).and_then(Value::as_integer).and_then(|value| u64::try_from(value).ok());
    let round = of("horizon").unwrap_or(1).saturating_mul(u64::from(train.envs));
    round.max(of("learning_starts").unwrap_or(0))
}

/// Shortens rounds and the warm-up for timing; minibatches keep their size.
///
/// # Errors
/// If a value does not fit, which cannot be where the key is already there.
pub(crate) fn shorten(probe: &mut Resolved) -> anyhow::Result<()> {
    let of = |table: &str, key: &str| probe.table(table).get(key).and_then(Value::as_integer);
    let (envs, horizon) = (of("train", "envs").unwrap_or(1), of("agent", "horizon"));
    let (minibatches, starts) = (of("agent", "minibatches"), of("agent", "learning_starts"));
    let remembers = probe.table("agent").get("memory").and_then(|memory| memory.get("steps")).is_some();
    if let (Some(horizon), Some(minibatches), false) = (horizon, minibatches, remembers) {
        let halve = |by: &i64| horizon % by == 0 && minibatches % by == 0;
        let by = [8, 4, 2, 1].into_iter().filter(halve).find(|by| horizon * envs / by >= ROUND).unwrap_or(1);
        probe.set("agent.horizon", horizon / by)?;
        probe.set("agent.minibatches", minibatches / by)?;
    }
    if let Some(starts) = starts.filter(|&starts| starts > FILLED) {
        let batch = of_batch(probe).max(FILLED);
        probe.set("agent.learning_starts", starts.min(batch))?;
    }
    Ok(())
}

fn of_batch(probe: &Resolved) -> i64 {
    probe.table("agent").get("batch").and_then(Value::as_integer).unwrap_or(0)
}

/// Sets the run to `frames`, which are `steps` agent steps. Schedules over agent steps keep their share of the run.
///
/// # Errors
/// If a number is too large.
pub(crate) fn spend(planned: &mut Resolved, before: &Train, frames: u64, steps: u64) -> anyhow::Result<()> {
    let agent = planned.tables.get_mut("agent").and_then(Value::as_table_mut).expect("a plan is one of an agent");
    let old = frames as f64 / steps.max(1) as f64; // frames of a step
    stretch(agent, steps as f64 / (before.frames as f64 / old).max(1.0));
    planned.set("train.frames", i64::try_from(frames)?)?;
    let every = i64::try_from(before.checkpoint_every.min((frames / 2).max(1)))?;
    planned.set("train.checkpoint_every", every)
}

/// Multiplies the length of every schedule, in agent steps, by `by`, and the steps before it begins.
fn stretch(table: &mut Table, by: f64) {
    let schedule = table.contains_key("start") && table.contains_key("end");
    for (key, value) in table.iter_mut() {
        match value {
            Value::Table(inner) => stretch(inner, by),
            Value::Integer(steps) if key == "lr_steps" || (schedule && ["steps", "delay"].contains(&key.as_str())) => {
                *steps = (*steps as f64 * by).round() as i64;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_three_digits_and_are_never_more() {
        assert_eq!([0.4, 7.9, 999.9, 1239.0, 25_899_999.0].map(round), [0, 7, 999, 1230, 25_800_000]);
    }

    #[test]
    fn the_start_and_a_spare_are_taken_off() {
        assert!((seconds(10.0, 2.0) - (600.0 * 0.97 - 2.0)).abs() < 1e-9);
        assert!(seconds(0.01, 2.0) < 0.0);
    }

    #[test]
    fn schedules_keep_their_share_and_nothing_else_is_stretched() {
        let text = "lr_steps = 100\nhorizon = 8\nsteps = 3\n[epsilon]\nstart = 1.0\nend = 0.1\nsteps = 20\ndelay = 8\n\
                    [memory]\nkind = \"gru\"\nsteps = 16\n[priorities.beta]\nstart = 0.4\nend = 1.0\nsteps = 0";
        let mut table: Table = text.parse().unwrap();
        stretch(&mut table, 2.5);
        let expected =
            text.replace("lr_steps = 100", "lr_steps = 250").replace("steps = 20\ndelay = 8", "steps = 50\ndelay = 20");
        assert_eq!(table, expected.parse().unwrap());
    }
}
