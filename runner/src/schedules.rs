//! Finds schedules of an agent that end before its run does: their values stay at the last, and with a learning rate of
//! 0 nothing is learned.

use toml::{Table, Value};

use crate::preset::{Resolved, agent_preset};
use crate::session::Counts;

/// Keys of environments for the frames of an agent step.
const REPEATS: [&str; 2] = ["frame_skip", "frame_repeat"];

/// Message if the learning-rate schedule ends before a fresh run of these settings; `None` if the run is no longer in
/// proportion than in the preset, which may mean the schedule to end early.
pub(crate) fn learning_rate(resolved: &Resolved) -> Option<String> {
    let (env, agent) = (resolved.table("env"), resolved.table("agent"));
    let built_in = resolved.agent.and_then(|agent| agent_preset(resolved.env, &resolved.env_name, agent));
    let built_in = built_in.and_then(|text| text.parse::<Table>().ok());
    let ratio = |train: &Table, agent: &Table| {
        Some(count(train, "frames")? as f64 / count(agent, "lr_steps").filter(|&steps| steps > 0)? as f64)
    };
    let meant = built_in.and_then(|preset| ratio(preset.get("train")?.as_table()?, preset.get("agent")?.as_table()?));
    let frames_a_step = REPEATS.iter().find_map(|key| count(env, key)).unwrap_or(1) as f64;
    let whole = (count(resolved.table("train"), "frames")? as f64 / meant.unwrap_or(1.0).max(frames_a_step)) as i64;
    let steps = count(agent, "lr_steps").filter(|steps| (1..whole).contains(steps))?;
    let last = last(agent)?;
    Some(format!(
        "agent.lr_steps is {steps}: {last} from there to the end of the run; --set agent.lr_steps={whole} ends it there"
    ))
}

/// Messages on schedules that end before a resumed run that goes on to `frames` frames. A step is taken to have as many
/// frames as so far.
pub(crate) fn early(resolved: &Resolved, counts: &Counts, frames: u64) -> Vec<String> {
    let agent = resolved.table("agent");
    let epsilon = agent.get("epsilon").and_then(Value::as_table);
    let all = (frames as f64 * counts.agent_steps as f64 / counts.frames.max(1) as f64) as i64;
    let told = |key: &str, steps: Option<i64>, last: String| {
        let end = steps.filter(|end| (1..all).contains(end))?;
        Some(format!("{key} stays {end}: this schedule ends there, the run only after some {all} agent steps{last}"))
    };
    let last = last(agent).map(|last| format!(", in which {last}"));
    let rates = last.and_then(|last| told("agent.lr_steps", count(agent, "lr_steps"), last));
    let epsilons = told("agent.epsilon.steps", epsilon.and_then(|table| count(table, "steps")), String::new());
    rates.into_iter().chain(epsilons).collect()
}

fn count(table: &Table, key: &str) -> Option<i64> {
    table.get(key).and_then(Value::as_integer)
}

/// Message on the values at the end of the learning-rate schedule, if they differ from those at its beginning.
fn last(agent: &Table) -> Option<String> {
    let of = |key: &str| agent.get(key).and_then(Value::as_float);
    let end = |what: &str, key: &str| {
        let end = of(&format!("{key}_end")).filter(|&end| of(key) != Some(end))?;
        Some(format!("{what} is {end}"))
    };
    let ends: Vec<String> =
        [end("the learning rate", "lr"), end("the clip range", "clip")].into_iter().flatten().collect();
    (!ends.is_empty()).then(|| ends.join(" and "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::preset::{Ask, resolve};
    use crate::tables::Tables;

    #[test]
    fn a_run_that_outlasts_its_learning_rate_is_told_and_no_preset_is() {
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, crate::PLANNERS]);
        let of = |env: &str, agent: &str, sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
            learning_rate(&resolve(&tables, &Ask { env, agent: Some(agent), sets: &sets, ..Ask::default() }).unwrap())
        };
        assert_eq!(
            of("cartpole", "ppo", &["train.frames=100000"]).unwrap(),
            "agent.lr_steps is 60000: the learning rate is 0 and the clip range is 0 from there to the end of the run; --set agent.lr_steps=100000 ends it there"
        );
        for (env, agent, sets) in [
            ("cartpole", "ppo", &["train.frames=100000", "agent.lr_steps=100000"][..]),
            ("cartpole", "ppo", &["train.frames=100000", "agent.lr_steps=0"][..]),
            (
                "cartpole",
                "ppo",
                &["train.frames=100000", "agent.lr_end=1e-3", "agent.lr=1e-3", "agent.clip_end=0.2"][..],
            ),
            ("cartpole", "ppo", &["train.frames=3000"][..]),
            ("frozenlake", "tabular", &["train.frames=100000000"][..]),
        ] {
            assert_eq!(of(env, agent, sets), None, "{env} {agent} {sets:?}");
        }
        let clip = of("cartpole", "ppo", &["train.frames=100000", "agent.lr_end=2e-3"]).unwrap();
        assert!(clip.starts_with("agent.lr_steps is 60000: the clip range is 0 from there"), "{clip}");
        // Its preset lets the rate stay at its last value for the most part of a run.
        let longer = of("connectfour", "alphazero", &["train.frames=4800000"]).unwrap();
        assert!(longer.contains("is 0.0001 from there") && longer.contains("agent.lr_steps=2000000 "), "{longer}");
        for agent in rl_agents::AGENTS.iter().chain(crate::PLANNERS) {
            for env in ["cartpole", "frozenlake", "pendulum", "connectfour"] {
                if let Ok(resolved) = resolve(&tables, &Ask { env, agent: Some(agent.id), ..Ask::default() }) {
                    assert_eq!(learning_rate(&resolved), None, "{env} {}", agent.id);
                }
            }
        }
        // In a file of one's own, that says how long it trains.
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.toml");
        let ask = Ask { env: "cartpole", agent: Some("ppo"), ..Ask::default() };
        let text = resolve(&tables, &ask).unwrap().text().replace("frames = 60000", "frames = 90000");
        fs::write(&file, text).unwrap();
        let resolved = resolve(&tables, &Ask { preset: Some(&file), ..ask }).unwrap();
        assert!(learning_rate(&resolved).unwrap().contains("agent.lr_steps=90000 "));
    }

    /// Four frames to a step.
    #[cfg(feature = "atari")]
    #[test]
    fn frames_of_a_step_are_those_of_the_settings() {
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS]);
        let of = |frames: &str| {
            let sets = [format!("train.frames={frames}")];
            let ask = Ask { env: "kungfu", agent: Some("ppo"), sets: &sets, ..Ask::default() };
            learning_rate(&resolve(&tables, &ask).unwrap())
        };
        assert_eq!(of("4000000"), None);
        assert!(of("8000000").unwrap().contains("agent.lr_steps=2000000 "));
    }
}
