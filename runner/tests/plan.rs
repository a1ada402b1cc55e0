//! `rl-run plan`: what it prints fits together, and its preset trains. No test asks how fast anything is.
#![forbid(unsafe_code)]

mod common;

use std::fs;

use common::{json, names, output, refusal};
use serde_json::Value;

/// What a plan says of the candidate that it took, checked against the preset that it made.
fn check(plan: &Value, minutes: f64) -> toml::Table {
    let row = &plan["candidates"][plan["chosen"].as_u64().unwrap() as usize];
    let preset: toml::Table = plan["preset"].as_str().unwrap().parse().unwrap();
    for (key, value) in row["settings"].as_object().unwrap() {
        let (table, key) = key.split_once('.').unwrap();
        let set = &preset[table][key];
        assert_eq!(serde_json::to_value(set).unwrap(), *value, "{key}");
    }
    let (frames, speed) = (plan["frames"].as_u64().unwrap(), row["frames_per_s"].as_f64().unwrap());
    assert_eq!((row["frames"].as_u64(), preset["train"]["frames"].as_integer()), (Some(frames), Some(frames as i64)));
    // As many as the speed and the time make, but for the start, a spare and rounding.
    let most = speed * 60.0 * minutes;
    let least = 0.96 * most - speed * plan["start_seconds"].as_f64().unwrap();
    assert!((0.99 * least..most).contains(&(frames as f64)), "{frames} frames of at most {most}");
    preset
}

#[test]
fn a_plan_is_a_preset_that_ends_its_annealing_with_its_frames() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let plan = json(at, "plan --env cartpole --agent ppo --minutes 0.5 --seconds 0.05 --out p.toml --json");
    let preset = check(&plan, 0.5);
    assert_eq!(std::fs::read_to_string(at.join("p.toml")).unwrap(), plan["preset"].as_str().unwrap());
    // Six numbers of epochs times two of minibatches; the first is the preset itself.
    assert_eq!(plan["candidates"].as_array().unwrap().len(), 12, "{plan}");
    assert_eq!(plan["candidates"][0]["settings"]["agent.epochs"], 6);
    let steps = preset["agent"]["lr_steps"].as_integer().unwrap();
    assert_eq!(steps, preset["train"]["frames"].as_integer().unwrap(), "a frame is a step");
    let done = json(at, "--env cartpole --agent ppo --preset p.toml --frames 1 --run r --quiet --json");
    assert!(done["updates"].as_u64() >= Some(1), "{done}");
}

#[test]
fn schedules_keep_their_share_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let plan = json(dir.path(), "plan --env cartpole --agent dqn --minutes 2 --seconds 0.05 --json");
    let preset = check(&plan, 2.0);
    let of = |key: &str| preset["agent"][key].as_integer().unwrap() as f64;
    let before: toml::Table = include_str!("../../presets/dqn/cartpole.toml").parse().unwrap();
    let share = |preset: &toml::Table| {
        let steps = preset["agent"]["epsilon"]["steps"].as_integer().unwrap() as f64;
        steps / preset["train"]["frames"].as_integer().unwrap() as f64
    };
    assert!((share(&preset) - share(&before)).abs() < 1e-3 * share(&before), "{}", plan["preset"]);
    assert_eq!(
        of("learning_starts"),
        before["agent"]["learning_starts"].as_integer().unwrap() as f64,
        "not a schedule"
    );
    assert!(
        plan["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["settings"]["agent.update_period"]
                != plan["candidates"][0]["settings"]["agent.update_period"]),
        "{plan}"
    );
}

#[test]
fn the_agent_that_claims_the_most_is_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let plan = json(at, "plan --env taxi --minutes 1 --seconds 0.05 --json");
    assert_eq!((plan["agent"].as_str(), plan["candidates"].as_array().unwrap().len()), (Some("tabular"), 1));
    check(&plan, 1.0);
    let said = String::from_utf8(output(at, "plan --env taxi --minutes 1 --seconds 0.05").stderr).unwrap();
    assert!(said.contains("\ntabular on taxi, a minute on ") && said.contains("the preset claims 7.93"), "{said}");
    assert!(names(at).is_empty(), "a plan leaves nothing behind");
    // A preset that is given claims for itself, as long as it is all there is.
    let own = include_str!("../../presets/tabular/taxi.toml").replace("score = 7.93", "score = 7.5");
    fs::write(at.join("mine.toml"), own).unwrap();
    let said = |more: &str| {
        let line = format!("plan --env taxi --agent tabular --preset mine.toml --minutes 1 --seconds 0.05 {more}");
        let done = output(at, &line);
        [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let [preset, beside] = said("");
    assert!(beside.contains("the preset claims 7.5 after 1,000,000 frames"), "{beside}");
    assert!(preset.parse::<toml::Table>().is_ok(), "what is printed is a preset: {preset}");
    // The command that trains by it is for the machine that was timed.
    let [said, _] = said("--set env.max_steps=100 --out brief.toml --threads 1 --workers 1 --device cpu");
    let command = "rl-run --env taxi --agent tabular --preset brief.toml --threads 1 --workers 1 --device cpu\n";
    assert!(said.contains("no score is claimed") && said.ends_with(command), "{said}");
}

#[test]
fn a_time_that_is_none_or_too_short_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (line, expected) in [
        ("--env cartpole --minutes 0", "'0' for '--minutes <MINUTES>': expected a number above 0"),
        ("--env cartpole --minutes -3", "'-3' for '--minutes <MINUTES>': expected a number above 0"),
        ("--env cartpole --minutes inf", "--minutes"),
        ("--env cartpole --minutes 1 --seconds 0", "'0' for '--seconds <SECONDS>': expected a number above 0"),
        ("--env cartpole --minutes soon", "--minutes"),
        ("--env cartpol --minutes 1", "did you mean `cartpole`?"),
        ("--env cartpole --agent pop --minutes 1", "no agent is called `pop`"),
        ("--env cliffwalking-slippery --minutes 1", "no agent has a preset for `cliffwalking-slippery`"),
        ("--env pendulum --agent dqn --minutes 1", "agent `dqn` cannot play `pendulum`"),
        ("--env cartpole --minutes 1 --out nowhere/p.toml", "nowhere/p.toml: there is no directory nowhere"),
    ] {
        let (code, said) = refusal(dir.path(), &format!("plan {line}"));
        assert!(code == 2 && said.contains(expected), "{line}\n{code} {said}");
    }
    let line = "plan --env cartpole --agent ppo --minutes 0.000001 --seconds 0.05 --json";
    let (code, said) = refusal(dir.path(), line);
    assert!(code == 2 && said.contains("too short, starting and a first update take"), "{said}");
}

#[test]
#[cfg(feature = "atari")]
fn presets_for_a_time_are_listed_and_train() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (code, said) = refusal(at, "plan --env kungfu --agent ppo --minutes 10 --json --set agent.trunk=impal");
    assert!(code == 2 && said.contains("trunk"), "{code} {said}");
    let presets = json(at, "list presets --json");
    let named = |agent: &str| -> Vec<&str> {
        let of = |row: &&Value| row["env"] == "atari/kung_fu_master" && row["agent"] == agent;
        presets.as_array().unwrap().iter().filter(of).filter_map(|row| row["preset"].as_str()).collect()
    };
    let names = named("ppo");
    assert_eq!((names.as_slice(), named("dqn").as_slice()), (&["10min", "60min", "480min"][..], &["dopamine"][..]));
    let small = "--set train.envs=2 --set agent.horizon=8 --set agent.hidden=[16] --set agent.trunk=small";
    for name in names {
        let line = format!("--env kungfu --agent ppo --preset {name} --frames 1 --run {name} --quiet --json {small}");
        assert!(json(at, &line)["updates"].as_u64() >= Some(1), "{name}");
        let settings = std::fs::read_to_string(at.join(name).join("run.toml")).unwrap();
        assert!(settings.contains("precision = \"bf16\""), "{settings}");
    }
    let (code, said) = refusal(at, "--env kungfu --agent ppo --preset 5min");
    let why = "5min is neither a file nor built in; did you mean `10min`? (built in: 10min, 60min, 480min)";
    assert!(code == 2 && said.contains(why), "{said}");
}
