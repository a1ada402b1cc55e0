//! Every preset is TOML, builds its environment, and builds its agent for that environment.

#[cfg(feature = "atari")]
use std::{fs, path::Path};

use candle_core::Device;
use rl_agents::{AGENTS, AgentEntry, Context};
use rl_core::{EnvEntry, Seating, VecEnv};
use rl_envs::ENVS;
use rl_runner::PLANNERS;
use toml::Table;

const SEED: u64 = 7;

fn parse(what: &str, text: &str, names: &[&str]) -> Table {
    let mut tables: Table = text.parse().unwrap_or_else(|e| panic!("{what}: {e}"));
    tables.remove("claim"); // which `rl-run list presets` checks
    let found: Vec<&str> = tables.keys().map(String::as_str).collect();
    assert_eq!(found, names, "{what}: a preset has these tables and no other");
    tables
}

/// The preset of an agent: `[env]` is there where the agent is to see or earn something else than the environment's own shows.
fn agent_tables(what: &str, text: &str) -> Table {
    let own = text.lines().any(|line| line == "[env]");
    parse(what, text, if own { &["agent", "env", "train"] } else { &["agent", "train"] })
}

/// Every agent, those that know a game among them.
fn agents() -> impl Iterator<Item = &'static AgentEntry> {
    AGENTS.iter().chain(PLANNERS)
}

/// Full names of an entry: its members', or its own.
fn names(entry: &EnvEntry) -> Vec<String> {
    match entry.id.strip_suffix('/') {
        Some(_) => (entry.members)().iter().map(|member| format!("{}{member}", entry.id)).collect(),
        None => vec![entry.id.to_owned()],
    }
}

fn env_table(entry: &EnvEntry, name: &str) -> Table {
    let tables = parse(&format!("env/{name}"), entry.preset_of(name), &["env", "eval"]);
    tables["env"].as_table().expect("[env] is a table").clone()
}

fn seat(entry: &EnvEntry, name: &str, table: &Table) -> Box<dyn VecEnv> {
    let seats = 0..(entry.seats_per_world)(table);
    (entry.build)(name, table, &Seating { seed: SEED, seats }).unwrap_or_else(|e| panic!("env/{name}: {e}"))
}

fn build(entry: &AgentEntry, name: &str, text: &str, env: &EnvEntry, member: &str) {
    let what = format!("{}/{name}", entry.id);
    let tables = agent_tables(&what, text);
    let usual = env_table(env, member);
    let own = tables.get("env").map(|table| table.as_table().expect("[env] is a table"));
    if let Some(own) = own {
        assert!(own.keys().eq(usual.keys()), "{what}: [env] has other keys than preset env/{member}");
        assert_ne!(own, &usual, "{what}: [env] is that of preset env/{member}");
    }
    let env = seat(env, member, own.unwrap_or(&usual));
    if let Some(reason) = (entry.refuses)(env.spec()) {
        panic!("{what}: there is a preset for what the agent refuses: {reason}");
    }
    let config = tables["agent"].as_table().expect("[agent] is a table");
    let seats =
        tables["train"]["envs"].as_integer().and_then(|n| u32::try_from(n).ok()).expect("train.envs is a count");
    let context =
        Context { spec: env.spec(), config, seats, seed: SEED, device: &Device::Cpu, precision: Default::default() };
    let learner = (entry.build)(&context).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(learner.plan().horizon > 0, "{what}");
    assert_eq!(learner.updates(), 0, "{what}");
}

#[test]
fn every_environment_is_built_from_its_preset() {
    for entry in ENVS {
        for name in names(entry) {
            let table = env_table(entry, &name);
            assert_eq!(seat(entry, &name, &table).seats(), (entry.seats_per_world)(&table) as usize, "{name}");
        }
    }
}

#[test]
fn every_agent_is_built_from_each_of_its_presets_and_of_those_that_environments_bring_along() {
    let mut built = 0;
    for agent in agents() {
        for &(name, text) in agent.presets {
            let covers = |entry: &&EnvEntry| entry.id == name || names(entry).iter().any(|full| full == name);
            let Some(entry) = ENVS.iter().find(covers) else {
                let left_out = name.starts_with("atari/") && !cfg!(feature = "atari");
                assert!(left_out, "{}/{name}: no environment has this name", agent.id);
                continue;
            };
            let member = names(entry).into_iter().find(|full| full == name || name.ends_with('/'));
            build(agent, name, text, entry, &member.expect("a family has members"));
            built += 1;
        }
    }
    // None of ours does: `rl-run-faulty` has one that does, and tests/faults.rs trains from what it brings.
    for (entry, &(id, text)) in ENVS.iter().flat_map(|entry| entry.agents.iter().map(move |brought| (entry, brought))) {
        let agent = agents().find(|agent| agent.id == id);
        let agent = agent.unwrap_or_else(|| panic!("{}: brings a preset for `{id}`, which is no agent", entry.id));
        let name = names(entry).remove(0);
        build(agent, &name, text, entry, &name);
        built += 1;
    }
    assert!(built >= 60, "{built} presets");
}

#[test]
fn every_claim_is_about_an_environment_that_has_the_preset() {
    let mut claims = 0;
    for agent in agents() {
        for &(name, text) in agent.presets {
            let tables: Table = text.parse().unwrap();
            let Some(env) = tables.get("claim").and_then(|claim| claim["env"].as_str()) else { continue };
            let text_of = |name: &str| agent.presets.iter().find(|(known, _)| *known == name).map(|&(_, text)| text);
            let family = env.split_inclusive('/').next().filter(|family| family.ends_with('/'));
            let found = text_of(env).or_else(|| family.and_then(text_of));
            assert_eq!(found, Some(text), "{}/{name}: the claim is about {env}, which has another preset", agent.id);
            claims += 1;
        }
    }
    assert!(claims >= 20, "{claims} claims");
}

/// Those that `--preset NAME` finds: files of an agent's folder that are no pair's usual preset.
#[test]
#[cfg(feature = "atari")]
fn every_named_preset_builds_its_agent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../presets");
    let mut built = 0;
    for agent in agents() {
        let brought = ENVS.iter().flat_map(|entry| entry.agents).filter(|(id, _)| *id == agent.id);
        let usual: Vec<&str> = agent.presets.iter().chain(brought).map(|&(_, text)| text).collect();
        for file in fs::read_dir(root.join(agent.id)).unwrap().map(|entry| entry.unwrap().path()) {
            let (text, stem) = (fs::read_to_string(&file).unwrap(), file.file_stem().unwrap().to_str().unwrap());
            if usual.contains(&text.as_str()) {
                continue;
            }
            let game = if stem.starts_with("atari-") { "atari/pong" } else { "atari/kung_fu_master" };
            let entry = ENVS.iter().find(|entry| entry.id == "atari/").unwrap();
            build(agent, stem, &text, entry, game);
            built += 1;
        }
    }
    assert_eq!(built, 8, "named presets");
}
