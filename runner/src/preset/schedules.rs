//! Finds schedules of an agent that do not fit the length of its run: values of one that ends early stay at the last, and
//! with a learning rate of 0 nothing is learned; a run that ends early leaves them where they should only have begun.

use toml::{Table, Value};

use crate::console::number::{fixed, short};
use crate::preset::{Resolved, agent_preset};

/// Keys of environments for the frames of an agent step.
const REPEATS: [&str; 2] = ["frame_skip", "frame_repeat"];
/// Share of what a schedule should have run through below which it is told.
const ENOUGH: f64 = 0.9;

/// Message if the learning-rate schedule ends before a fresh run of these settings; `None` if the run is no longer in
/// proportion than in the preset, which may mean the schedule to end early.
pub(crate) fn learning_rate(resolved: &Resolved) -> Option<String> {
    let agent = resolved.table("agent");
    let ratio = |train: &Table, agent: &Table| {
        Some(count(train, "frames")? as f64 / count(agent, "lr_steps").filter(|&steps| steps > 0)? as f64)
    };
    let meant = built_in(resolved).and_then(|preset| ratio(table(&preset, "train")?, table(&preset, "agent")?));
    let each = frames_a_step(resolved) as f64;
    let frames = (count(resolved.table("train"), "frames")? as f64).max(round(resolved) * each);
    let whole = (frames / meant.unwrap_or(1.0).max(each)) as i64;
    let steps = count(agent, "lr_steps").filter(|steps| (1..whole).contains(steps))?;
    let last = rates(agent, 1.0)?;
    Some(format!(
        "agent.lr_steps is {steps}: {last} from there to the end of the run; --set agent.lr_steps={whole} ends it there"
    ))
}

/// Message on schedules of which less passes in a fresh run of these settings than the preset means to.
pub(crate) fn cut_short(resolved: &Resolved) -> Option<String> {
    let agent = resolved.table("agent");
    let steps_of = |train: &Table| Some(count(train, "frames")? as f64 / frames_a_step(resolved) as f64);
    let steps = steps_of(resolved.table("train"))?;
    // Until the first update it goes on.
    let steps = steps.max(count(agent, "learning_starts").unwrap_or(0) as f64).max(round(resolved));
    let preset = built_in(resolved);
    let meant = preset.as_ref().and_then(|preset| Some((steps_of(table(preset, "train")?)?, table(preset, "agent")?)));
    // What passes of the schedule that `span` finds, where that is too little.
    let too_little = |span: &dyn Fn(&Table) -> Option<(i64, i64)>| {
        let share = |steps: f64, agent: &Table| {
            let (delay, all) = span(agent).filter(|&(_, all)| all > 0)?;
            Some(((steps - delay as f64) / all as f64).clamp(0.0, 1.0))
        };
        let wanted = meant.and_then(|(steps, agent)| share(steps, agent)).unwrap_or(1.0);
        share(steps, agent).filter(|&share| share < ENOUGH * wanted)
    };
    let rate = || {
        let still = rates(agent, too_little(&|agent| Some((0, count(agent, "lr_steps")?)))?)?;
        Some(format!("{still} (agent.lr_steps={steps:.0} would end there)"))
    };
    let epsilon = || {
        let schedule = table(agent, "epsilon")?;
        let span = |agent: &Table| {
            let schedule = table(agent, "epsilon")?;
            Some((count(schedule, "delay").unwrap_or(0), count(schedule, "steps")?))
        };
        let still = between(schedule, ("start", "end"), too_little(&span)?)?;
        Some(format!("epsilon is {still} (agent.epsilon.steps is longer)"))
    };
    let still = rate().into_iter().chain(epsilon()).collect::<Vec<_>>().join(" and ");
    (!still.is_empty()).then(|| format!("the run ends after some {} agent steps, where {still}", fixed(steps, 0)))
}

/// Messages on schedules that end before a resumed run that goes on to `frames` frames, and has `had` some in so many
/// agent `steps`. A step is taken to have as many frames as so far.
pub(crate) fn early(resolved: &Resolved, (had, steps): (u64, u64), frames: u64) -> Vec<String> {
    let agent = resolved.table("agent");
    let epsilon = table(agent, "epsilon");
    let all = (frames as f64 * steps as f64 / had.max(1) as f64) as i64;
    let told = |key: &str, steps: Option<i64>, delay: i64, last: String| {
        let steps = steps.filter(|&steps| steps > 0 && steps.saturating_add(delay) < all)?;
        let from = if delay > 0 { format!(" after a delay of {delay}") } else { String::new() };
        Some(format!(
            "{key} stays {steps}{from}: this schedule ends there, the run only after some {} agent steps{last}",
            fixed(all as f64, 0)
        ))
    };
    let last = rates(agent, 1.0).map(|last| format!(", in which {last}"));
    let rates = last.and_then(|last| told("agent.lr_steps", count(agent, "lr_steps"), 0, last));
    let of = |key: &str| epsilon.and_then(|table| count(table, key));
    let epsilons = told("agent.epsilon.steps", of("steps"), of("delay").unwrap_or(0), String::new());
    rates.into_iter().chain(epsilons).collect()
}

/// The built-in preset of the pair.
fn built_in(resolved: &Resolved) -> Option<Table> {
    agent_preset(resolved.env, &resolved.env_name, resolved.agent?)?.parse().ok()
}

/// Frames of an agent step; at least 1.
pub(crate) fn frames_a_step(resolved: &Resolved) -> u64 {
    REPEATS.iter().find_map(|key| count(resolved.table("env"), key)).map_or(1, |frames| frames.max(1) as u64)
}

/// Agent steps of a round, of which a run makes at least one; at least 1. Where the agent has no horizon there may be
/// more.
fn round(resolved: &Resolved) -> f64 {
    let of = |name: &str, key: &str| count(resolved.table(name), key).map_or(1, |count| count.max(1)) as f64;
    of("agent", "horizon") * of("train", "envs")
}

fn table<'a>(table: &'a Table, key: &str) -> Option<&'a Table> {
    table.get(key).and_then(Value::as_table)
}

fn count(table: &Table, key: &str) -> Option<i64> {
    table.get(key).and_then(Value::as_integer)
}

/// Value of a schedule from `start` to `end` of which `share` has passed; `None` if the two are equal.
fn between(table: &Table, (start, end): (&str, &str), share: f64) -> Option<String> {
    let of = |key: &str| table.get(key).and_then(Value::as_float);
    let (start, end) = (of(start)?, of(end)?);
    let value = if share < 1.0 { short(start + (end - start) * share) } else { end.to_string() };
    (start != end).then_some(value)
}

/// Message on learning rate and clip range when `share` of their schedule has passed; `None` if neither changes.
fn rates(agent: &Table, share: f64) -> Option<String> {
    let of = |what: &str, start: &str, end: &str| {
        between(agent, (start, end), share).map(|value| format!("{what} is {value}"))
    };
    let (lr, clip) = (of("the learning rate", "lr", "lr_end"), of("the clip range", "clip", "clip_end"));
    let both: Vec<String> = lr.into_iter().chain(clip).collect();
    (!both.is_empty()).then(|| both.join(" and "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::preset::{Ask, resolve};
    use crate::tables::Tables;

    #[test]
    fn a_schedule_that_waits_ends_later() {
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS]);
        let sets = ["agent.epsilon.steps=10000", "agent.epsilon.delay=2000"].map(str::to_owned);
        let ask = Ask { env: "cartpole", agent: Some("dqn"), sets: &sets, ..Ask::default() };
        let resolved = resolve(&tables, &ask).unwrap();
        let told = |frames| {
            early(&resolved, (1000, 1000), frames).into_iter().find(|told| told.starts_with("agent.epsilon.steps"))
        };
        assert_eq!(told(11_000), None);
        let said = told(12_001).unwrap();
        assert!(said.starts_with("agent.epsilon.steps stays 10000 after a delay of 2000: "), "{said}");
    }

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
        let round = of("cartpole", "ppo", &["train.frames=10", "agent.lr_steps=100"]).unwrap();
        assert!(round.ends_with("--set agent.lr_steps=512 ends it there"), "{round}");
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

    #[test]
    fn a_run_that_ends_before_its_schedules_is_told_and_no_preset_is() {
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, crate::PLANNERS]);
        let of = |env: &str, agent: &str, sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
            cut_short(&resolve(&tables, &Ask { env, agent: Some(agent), sets: &sets, ..Ask::default() }).unwrap())
        };
        assert_eq!(
            of("cartpole", "ppo", &["train.frames=15000", "agent.lr=1e-3", "agent.clip=0.2"]),
            Some(
                "the run ends after some 15,000 agent steps, where the learning rate is 0.0007500 and the clip range is 0.1500 (agent.lr_steps=15000 would end there)".to_owned()
            )
        );
        let both =
            of("cartpole", "dqn", &["train.frames=4000", "agent.epsilon.steps=10000", "agent.epsilon.delay=2000"]);
        assert_eq!(
            both.unwrap(),
            "the run ends after some 4,000 agent steps, where the learning rate is 0.0009600 (agent.lr_steps=4000 would end there) and epsilon is 0.8080 (agent.epsilon.steps is longer)"
        );
        // Until the first update a run goes on, whatever its frames.
        let warm = of("cartpole", "dqn", &["train.frames=10", "agent.learning_starts=4000"]);
        assert!(warm.unwrap().contains("after some 4,000 agent steps"));
        // And for a whole round: 64 steps of each of 8 seats; without a horizon each seat makes one at least.
        let round = of("cartpole", "ppo", &["train.frames=0"]).unwrap();
        assert!(round.starts_with("the run ends after some 512 agent steps, where"), "{round}");
        assert!(round.ends_with("(agent.lr_steps=512 would end there)"), "{round}");
        let step = of("cartpole", "dqn", &["train.frames=0", "agent.learning_starts=0"]).unwrap();
        assert!(step.contains("after some 4 agent steps") && step.contains("(agent.lr_steps=4 would"), "{step}");
        for sets in [
            &["train.frames=15000", "agent.lr_steps=0"][..],
            &["train.frames=15000", "agent.lr_end=1e-3", "agent.lr=1e-3", "agent.clip_end=0.2"][..],
            &["train.frames=57000"][..],
        ] {
            assert_eq!(of("cartpole", "ppo", sets), None, "{sets:?}");
        }
        for agent in rl_agents::AGENTS.iter().chain(crate::PLANNERS) {
            for env in ["cartpole", "frozenlake", "pendulum", "connectfour"] {
                if resolve(&tables, &Ask { env, agent: Some(agent.id), ..Ask::default() }).is_ok() {
                    assert_eq!(of(env, agent.id, &[]), None, "{env} {}", agent.id);
                }
            }
        }
    }

    /// Four frames to a step.
    #[cfg(feature = "atari")]
    #[test]
    fn frames_of_a_step_are_those_of_the_settings() {
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS]);
        let of = |frames: &str| {
            let sets = [format!("train.frames={frames}")];
            let ask = Ask { env: "kungfu", agent: Some("ppo"), sets: &sets, ..Ask::default() };
            resolve(&tables, &ask).unwrap()
        };
        assert_eq!(learning_rate(&of("4000000")), None);
        assert!(learning_rate(&of("8000000")).unwrap().contains("agent.lr_steps=2000000 "));
        let round = cut_short(&of("100")).unwrap(); // 128 steps of each of 32 seats
        assert!(round.starts_with("the run ends after some 4,096 agent steps, where"), "{round}");
    }
}
