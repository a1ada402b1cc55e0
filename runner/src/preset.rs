//! Resolves names on the command line to one complete table: preset, then protocol, then `--set`, each key checked.
//!
//! Presets are complete, so that they are their own schema: a key that a preset does not have does not exist, and a
//! value has the type of the one that it replaces. No preset inherits from another.

mod merge;
mod resolved;
mod synonyms;
pub(crate) mod settings;
pub(crate) mod env_choice;
pub(crate) mod named;
pub(crate) mod claim;
pub(crate) mod schedules;
pub(crate) mod same_experiment;

use std::iter;
use std::path::Path;

use rl_agents::AgentEntry;
use rl_core::{EnvEntry, Seating, Spec};
use toml::{Table, Value};

use crate::assets::ensure_assets;
use crate::console::usage::usage;
use crate::tables::Tables;
pub(crate) use merge::parse;
use merge::{assign, literal, overlay, paths, replace};
pub(crate) use resolved::{Eval, MOST_SEATS, Resolved, Train};

/// The names and settings that a person asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask<'a> {
    /// Name of the environment, which may be an alias.
    pub(crate) env: &'a str,
    /// Name of the agent, if one is needed.
    pub(crate) agent: Option<&'a str>,
    /// A file whose tables replace those of the built-in preset, or the name of a preset of the pair.
    pub(crate) preset: Option<&'a Path>,
    /// Single values as `table.key=value`, applied last.
    pub(crate) sets: &'a [String],
    /// Protocol of the environment; `--set env.protocol=P` does the same.
    pub(crate) protocol: Option<&'a str>,
}

/// Finds the preset of the pair and applies everything that was asked for.
///
/// # Errors
/// If an asset cannot be fetched, or a name, key or value is wrong; the message names the key path, the file and the
/// nearest key.
pub(crate) fn resolve(tables: &Tables, ask: &Ask<'_>) -> anyhow::Result<Resolved> {
    let (env_name, env) = tables.env(ask.env)?;
    ensure_assets(env)?;
    let agent = ask.agent.map(|name| tables.agent(name)).transpose()?;
    let mut origin = format!("preset env/{env_name}");
    let mut merged = parse(env.preset_of(&env_name), &origin)?;
    let mut claim = None;
    if let Some(agent) = agent {
        match agent_preset(env, &env_name, agent) {
            Some(text) => {
                origin = format!("presets env/{env_name} and {}/{env_name}", agent.id);
                let mut tables = parse(text, &origin)?;
                claim = claim::take(&mut tables, &origin)?;
                merged.extend(tables);
            }
            None if ask.preset.is_none() => return Err(no_preset(&merged, &env_name, env, agent)),
            None => {}
        }
    }
    if let Some(path) = ask.preset {
        origin = path.display().to_string();
        let text = named::read(path, agent.map_or("", |agent| agent.id), &env_name).map_err(usage)?;
        if text.parse::<Table>().is_ok_and(|tables| tables.is_empty()) {
            return Err(usage(format!("{origin}: this preset is empty")));
        }
        claim = replace(&mut merged, &text, &origin)?;
        for table in ["agent", "train"] {
            if agent.is_some() && !merged.contains_key(table) {
                return Err(usage(format!("{origin}: the table [{table}] is missing")));
            }
        }
    }
    let sets = ask.sets.iter().map(|set| split(set)).collect::<anyhow::Result<Vec<_>>>()?;
    let told = match protocol(ask.protocol, &sets)? {
        Some(protocol) => follow(&mut merged, env, protocol, &sets)?,
        None => None,
    };
    for (key, value) in sets {
        assign(&mut merged, &key, value, &origin)?;
    }
    let claim = claim.filter(|claim| claim.env == env_name && ask.sets.is_empty() && ask.protocol.is_none());
    Ok(Resolved { env_name, env, agent, tables: merged, claim, sets: ask.sets.to_vec(), told })
}

/// Error for a pair without a preset: says why the agent cannot play the environment, or that only a preset is missing.
fn no_preset(merged: &Table, env_name: &str, env: &EnvEntry, agent: &AgentEntry) -> anyhow::Error {
    let table = merged.get("env").and_then(Value::as_table).cloned().unwrap_or_default();
    let seats = 0..(env.seats_per_world)(&table).max(1);
    let spec = (env.build)(env_name, &table, &Seating { seed: 0, seats }).map(|env| env.spec().clone());
    let others = format!("`rl-run list presets --env {env_name}` shows who learns it");
    let refused = spec.ok().and_then(|spec| refusal(agent, env_name, &spec));
    let refused = refused.map(|refusal| usage(format!("{refusal}; {others}")));
    let name = |&(name, _): &(&'static str, _)| match name {
        "atari/" => "every game of Atari",
        "doom/" => "every scenario of Doom",
        name => name,
    };
    let with: Vec<&str> = agent.presets.iter().map(name).collect();
    refused.unwrap_or_else(|| {
        usage(format!(
            "agent `{}` has no preset for `{env_name}` (it has presets for {}): give one with --preset FILE, such as the tables [agent] and [train] of \
             what `rl-run list settings` prints of another",
            agent.id,
            with.join(", ")
        ))
    })
}

/// Keys of all settings in these texts of presets, each once, as `table.key`.
pub(crate) fn keys<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut keys = Vec::new();
    texts.filter_map(|text| parse(text, "preset").ok()).for_each(|tables| paths(&tables, "", &mut keys));
    keys.retain(|key| !key.starts_with("claim."));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The keys among `known` that others call `key`.
pub(crate) fn synonyms<'a>(key: &str, known: &'a [String]) -> impl Iterator<Item = &'a str> {
    synonyms::of(key, known)
}

/// How a value of the key `ours` is meant, in brackets, where others call it `theirs` and mean another number; else
/// nothing.
pub(crate) fn measured_otherwise(theirs: &str, ours: &str) -> String {
    synonyms::how(theirs, ours)
}

/// Splits a value of `--set` at the first `=` into key and value.
fn split(set: &str) -> anyhow::Result<(String, Value)> {
    match set.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), literal(value.trim()))),
        _ => Err(usage(format!("--set {set}: expected key=value"))),
    }
}

/// Table that a key is of.
fn table_of(key: &str) -> &str {
    key.split('.').next().unwrap_or(key)
}

/// Lays a protocol over the settings, and returns a message on the agent's values that it changes and no `--set` names.
fn follow(
    merged: &mut Table,
    env: &EnvEntry,
    protocol: &str,
    sets: &[(String, Value)],
) -> anyhow::Result<Option<String>> {
    let before = merged.get("agent").and_then(Value::as_table).cloned().unwrap_or_default();
    overlay(merged, env, protocol)?;
    let after = merged.get("agent").and_then(Value::as_table);
    let moved = after.into_iter().flatten().filter(|(key, value)| before.get(*key) != Some(value));
    let moved = moved.filter(|(key, _)| !sets.iter().any(|(set, _)| *set == format!("agent.{key}")));
    let moved: Vec<String> = moved.map(|(key, value)| format!("agent.{key} = {value} (was {})", before[key])).collect();
    let told = || format!("protocol {protocol} sets {}; --set keeps another value", moved.join(" and "));
    Ok((!moved.is_empty()).then(told))
}

/// The protocol that was asked for by `--protocol` or `--set`; it is applied before other values.
///
/// # Errors
/// If two different ones were asked for.
fn protocol<'a>(asked: Option<&'a str>, sets: &'a [(String, Value)]) -> anyhow::Result<Option<&'a str>> {
    let set = sets.iter().filter(|(key, _)| key == "env.protocol").filter_map(|(_, value)| value.as_str());
    let mut all = asked.into_iter().chain(set);
    let first = all.next();
    match (first, all.find(|&other| Some(other) != first)) {
        (Some(first), Some(other)) => {
            Err(usage(format!("two protocols were asked for, `{first}` and `{other}`: name one")))
        }
        _ => Ok(first),
    }
}

/// Text of the usual preset of `agent` on an environment: the agent's own for that name, else the one that the
/// environment brings along, else the agent's own for the family.
pub(crate) fn agent_preset(env: &EnvEntry, env_name: &str, agent: &AgentEntry) -> Option<&'static str> {
    let of = |table: &'static [(&'static str, &'static str)], name: &str| {
        table.iter().find(|(known, _)| *known == name).map(|&(_, text)| text)
    };
    of(agent.presets, env_name).or_else(|| of(env.agents, agent.id)).or_else(|| of(agent.presets, env.id))
}

/// Texts of all presets of a pair with the names that `--preset` takes: first the usual one, which has no name. Nothing
/// if there is no usual one.
pub(crate) fn agent_presets(
    env: &EnvEntry,
    env_name: &str,
    agent: &AgentEntry,
) -> impl Iterator<Item = (Option<&'static str>, &'static str)> {
    agent_preset(env, env_name, agent).into_iter().flat_map(move |usual| {
        let named = named::of(agent.id, env_name).map(|named| (Some(named.name), named.text));
        iter::once((None, usual)).chain(named)
    })
}

/// The error if the agent cannot play an environment of these shapes.
pub(crate) fn refusal(agent: &AgentEntry, env: &str, spec: &Spec) -> Option<anyhow::Error> {
    let why = (agent.refuses)(spec)?;
    Some(usage(format!("agent `{}` cannot play `{env}`: {why}", agent.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_is_cut_where_it_can_be_and_shapes_nothing() {
        let of = |env: &str, eval: &str| {
            let preset = format!("[env]\n{env}\n[eval]\nepsilon = 0.0\nepisodes = 3\n{eval}\n").leak();
            let entry = EnvEntry { id: "mine", preset, assets: &[], ..rl_envs::ENVS[0] };
            let tables = Tables::new(&[Box::leak(Box::new([entry]))], &[]);
            let resolved = resolve(&tables, &Ask { env: "mine", ..Ask::default() });
            resolved.and_then(|resolved| Ok(resolved.eval_table()?.to_string())).map_err(|e| e.to_string())
        };
        let shaped = of("max_frames = 9\nshaping = \"combat\"", "max_frames = 5");
        assert_eq!(shaped.unwrap(), "max_frames = 5\nshaping = \"none\"\n");
        assert_eq!(of("shaping = 0.5", "").unwrap(), "shaping = 0.5\n", "what it means is the environment's affair");
        let refused = of("length = 9", "max_frames = 5").unwrap_err();
        assert!(refused.starts_with("eval.max_frames: this environment has no env.max_frames"), "{refused}");
    }

    #[test]
    fn an_environment_makes_the_seats_that_it_was_asked_for() {
        let build: rl_core::Build = |name, table, seating| {
            let seats = seating.seats.start..seating.seats.end + 1;
            (rl_envs::classic::cartpole::ENTRY.build)(name, table, &Seating { seats, ..*seating })
        };
        let entry = EnvEntry { build, ..rl_envs::classic::cartpole::ENTRY };
        let tables = Tables::new(&[Box::leak(Box::new([entry]))], &[]);
        let resolved = resolve(&tables, &Ask { env: "cartpole", ..Ask::default() }).unwrap();
        let seating = Seating { seed: 1, seats: 0..3 };
        for made in [resolved.seat(&seating), resolved.seat_eval(&seating)] {
            let refused = made.err().unwrap().to_string();
            assert_eq!(refused, "cartpole: 3 seats were asked for, 4 were built");
        }
    }

    #[test]
    fn a_protocol_is_one_however_it_is_written() {
        let tables = Tables::new(&[rl_envs::ENVS], &[]);
        let of = |protocol: Option<&str>, sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
            resolve(&tables, &Ask { env: "connectfour", protocol, sets: &sets, ..Ask::default() })
                .map(|resolved| resolved.text())
                .map_err(|e| e.to_string())
        };
        let (named, other) = (of(Some("random"), &[]), of(Some("self-play"), &[]));
        assert_ne!(named, other);
        for set in ["env.protocol=random", " env.protocol = random", "env.protocol='random'", "env.protocol=\"random\""]
        {
            assert_eq!(of(None, &[set]), named, "{set}");
        }
        assert_eq!(of(Some("random"), &["env.protocol=random"]), named);
        let two = "two protocols were asked for, `random` and `self-play`: name one";
        assert_eq!(of(Some("random"), &["env.protocol=self-play"]), Err(two.to_owned()));
        assert_eq!(of(None, &["env.protocol=random", "env.protocol=self-play"]), Err(two.to_owned()));
    }

    /// An evaluation has a cap of its own, and pays nothing besides.
    #[cfg(feature = "atari")]
    #[test]
    fn what_decides_nothing_of_a_score_is_refused() {
        let tables = Tables::new(&[rl_envs::ENVS], &[]);
        let of = |protocol: Option<&str>, set: &str| {
            let mut resolved = resolve(&tables, &Ask { env: "kungfu", ..Ask::default() }).unwrap();
            let own = resolved.tables.clone();
            let played = resolved.play_by(protocol, &[set.to_owned()]);
            played.and_then(|()| Ok(resolved.played_otherwise(&own)?.to_string())).map_err(|e| e.to_string())
        };
        assert_eq!(of(None, "eval.max_frames=400").unwrap(), "\"eval.max_frames\" = 400\n");
        assert_eq!(of(None, "env.sticky=0").unwrap(), "\"env.sticky\" = 0.0\n");
        assert!(of(None, "env.protocol=nature15").unwrap().contains("\"env.protocol\" = \"nature15\""));
        assert!(of(None, "env.max_frames=400").unwrap_err().contains("eval.max_frames stands in its place"));
        assert!(of(None, "env.max_frames=108000").unwrap_err().contains("eval.max_frames stands in its place"));
        assert!(of(Some("ppo17"), "env.protocol=nature15").unwrap_err().starts_with("two protocols"));
    }

    /// A game's mode is a word by default, and may be a number.
    #[cfg(feature = "atari")]
    #[test]
    fn a_word_gives_way_to_the_number_that_it_stands_for() {
        let (tables, sets) = (Tables::new(&[rl_envs::ENVS], &[]), ["env.mode=1".to_owned()]);
        let resolved = resolve(&tables, &Ask { env: "kungfu", sets: &sets, ..Ask::default() }).unwrap();
        assert_eq!(resolved.table("env")["mode"], toml::Value::Integer(1));
    }
}
