//! Resolves names on the command line to one complete table: preset, then protocol, then `--set`, each key checked.
//!
//! Presets are complete, so that they are their own schema: a key that a preset does not have does not exist, and a
//! value has the type of the one that it replaces. No preset inherits from another.

mod merge;
mod synonyms;

use std::iter;
use std::path::Path;

use anyhow::Context as _;
use rl_agents::AgentEntry;
use rl_core::{EnvEntry, Seating, Spec, VecEnv};
use rl_nn::Precision;
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::bring::bring;
use crate::claim::{self, Claim};
use crate::tables::Tables;
use crate::usage::usage;
use crate::{manifest, named, needs};
pub(crate) use merge::parse;
use merge::{assign, changes, deviations, literal, overlay, paths, replace};

/// Most seats of a run; each is a game, or an emulator, of its own.
pub(crate) const MOST_SEATS: u32 = 1 << 16;

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

/// A complete configuration with every value spelled out.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// Full name of the environment.
    pub(crate) env_name: String,
    /// Entry of the environment.
    pub(crate) env: &'static EnvEntry,
    /// Entry of the agent, if one was named.
    pub(crate) agent: Option<&'static AgentEntry>,
    /// The tables `env`, `eval` and, with an agent, `agent` and `train`.
    pub(crate) tables: Table,
    /// Claim of the preset on this environment; `None` if `--set` or a protocol changed the preset.
    pub(crate) claim: Option<Claim>,
    /// The values of `--set`, for messages.
    sets: Vec<String>,
    /// Message for the person: which of the agent's values a protocol changed, or that `run.toml` was edited.
    pub(crate) told: Option<String>,
}

/// The table `[train]`: how long a run lasts and what it leaves behind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Train {
    /// Emulator frames to train for.
    pub(crate) frames: u64,
    /// Seats that act at once, at least 1.
    pub(crate) envs: u32,
    /// Emulator frames from one checkpoint to the next, at least 1.
    pub(crate) checkpoint_every: u64,
    /// Newest checkpoints that are kept, at least 1.
    pub(crate) keep_checkpoints: usize,
    /// Emulator frames from one evaluation to the next; 0 for no evaluations.
    pub(crate) eval_every: u64,
    /// Precision of the encoder's matrix products.
    #[serde(default)]
    pub(crate) precision: Precision,
    /// Threads that act and step while the agent learns; 0 to act and learn in turns. Only presets of agents that can
    /// learn from older weights have the key.
    #[serde(default)]
    pub(crate) actors: u32,
}

/// The table `[eval]`: how a policy is evaluated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Eval {
    /// Probability of a uniformly random action.
    pub(crate) epsilon: f32,
    /// Full games to play, at least 1.
    pub(crate) episodes: u32,
    /// Emulator frames after which a game is cut, in place of `env.max_frames`.
    pub(crate) max_frames: Option<i64>,
}

/// Finds the preset of the pair and applies everything that was asked for.
///
/// # Errors
/// If an asset cannot be fetched, or a name, key or value is wrong; the message names the key path, the file and the
/// nearest key.
pub(crate) fn resolve(tables: &Tables, ask: &Ask<'_>) -> anyhow::Result<Resolved> {
    let (env_name, env) = tables.env(ask.env)?;
    bring(env)?;
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
    let seats = 0..(env.seats_per_world)(&table);
    let spec = (env.build)(env_name, &table, &Seating { seed: 0, seats }).map(|env| env.spec().clone());
    let refused = spec.ok().and_then(|spec| needs::refusal(agent, env_name, &spec));
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

impl Resolved {
    /// The table `name`: `env`, `eval`, `agent` or `train`.
    ///
    /// # Panics
    /// If there is no such table, or it needs an agent and none was named.
    pub(crate) fn table(&self, name: &str) -> &Table {
        self.tables.get(name).and_then(Value::as_table).expect("resolve checks that the tables are there")
    }

    /// Reads `[train]`.
    ///
    /// # Errors
    /// If a value is out of range.
    pub(crate) fn train(&self) -> anyhow::Result<Train> {
        let train: Train = self.read("train")?;
        let (envs, kept) = (u64::from(train.envs), train.keep_checkpoints as u64);
        for (key, value) in [("envs", envs), ("checkpoint_every", train.checkpoint_every), ("keep_checkpoints", kept)] {
            if value == 0 {
                return Err(usage(format!("train.{key}: must be at least 1")));
            }
        }
        if train.envs > MOST_SEATS {
            return Err(usage(format!("train.envs: {} is more than {MOST_SEATS}", train.envs)));
        }
        if train.actors > train.envs {
            return Err(usage(format!("train.actors: {} of them cannot share {} seats", train.actors, train.envs)));
        }
        Ok(train)
    }

    /// Reads `[eval]`.
    ///
    /// # Errors
    /// If a value is out of range.
    pub(crate) fn eval(&self) -> anyhow::Result<Eval> {
        let eval: Eval = self.read("eval")?;
        if !(0.0..=1.0).contains(&eval.epsilon) {
            return Err(usage(format!("eval.epsilon: {} is not a probability", eval.epsilon)));
        }
        if eval.episodes == 0 {
            return Err(usage("eval.episodes: must be at least 1"));
        }
        Ok(eval)
    }

    /// Name of the protocol in force; `None` where the environment has none, or none was laid over its settings.
    pub(crate) fn protocol(&self) -> Option<String> {
        Some(self.table("env").get("protocol")?.as_str()?.to_owned()).filter(|name| !name.is_empty())
    }

    /// Name of the protocol in force and every value that differs from it, as reports show it.
    pub(crate) fn protocol_told(&self) -> Option<String> {
        let name = self.protocol()?;
        let other = deviations(&self.tables, self.env, &name);
        Some(if other.is_empty() { name } else { format!("{name}, but {}", other.join(", ")) })
    }

    /// Lays a protocol over the settings.
    ///
    /// # Errors
    /// If the environment has no such protocol.
    pub(crate) fn use_protocol(&mut self, protocol: &str) -> anyhow::Result<()> {
        overlay(&mut self.tables, self.env, protocol)
    }

    /// Lays a protocol and values of `--set` over how games are played: the tables `[env]` and `[eval]`.
    ///
    /// # Errors
    /// If two protocols are asked for, or a value is of another table, refused, or without effect on a score.
    pub(crate) fn play_by(&mut self, asked: Option<&str>, sets: &[String]) -> anyhow::Result<()> {
        let values = sets.iter().map(|set| split(set)).collect::<anyhow::Result<Vec<_>>>()?;
        if let Some((key, _)) = values.iter().find(|(key, _)| ["agent", "train"].contains(&table_of(key))) {
            let why =
                "the agent plays as it was trained, and only how games are played changes: keys of [env] and [eval]";
            return Err(usage(format!("--set {key}: {why}")));
        }
        if let Some(protocol) = protocol(asked, &values)? {
            self.use_protocol(protocol)?;
        }
        self.sets.extend_from_slice(sets);
        for (key, value) in &values {
            assign(&mut self.tables, key, value.clone(), "this run's settings")?;
        }
        self.heeds(sets)
    }

    /// Checks that every value of `sets` changes how games of [`seat_eval`](Self::seat_eval) are played.
    ///
    /// # Errors
    /// If one does not.
    pub(crate) fn heeds(&self, sets: &[String]) -> anyhow::Result<()> {
        let keys: Vec<&str> = sets.iter().filter_map(|set| Some(set.split_once('=')?.0.trim())).collect();
        match self.unheeded()?.iter().find(|(key, _)| keys.contains(key)) {
            Some((key, why)) => Err(usage(format!("--set {key}: {why}"))),
            None => Ok(()),
        }
    }

    /// Keys that [`eval_table`](Self::eval_table) does not take from `[env]`, and why.
    fn unheeded(&self) -> anyhow::Result<Vec<(&'static str, &'static str)>> {
        let mut keys = vec![("env.shaping", "it decides nothing of a score")];
        if self.eval()?.max_frames.is_some() {
            keys.push(("env.max_frames", "in evaluations eval.max_frames stands in its place"));
        }
        Ok(keys)
    }

    /// Values by which games are played otherwise than by `own` settings, by their keys; the number of games is none.
    ///
    /// # Errors
    /// If `[eval]` is out of range.
    pub(crate) fn played_otherwise(&self, own: &Table) -> anyhow::Result<Table> {
        let mut changed = changes(own, &self.tables);
        changed.remove("eval.episodes");
        self.unheeded()?.iter().for_each(|(key, _)| drop(changed.remove(*key)));
        Ok(changed)
    }

    /// Replaces the value of `key`, given as `table.key`.
    ///
    /// # Errors
    /// If there is no such key, or its value has another type.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) -> anyhow::Result<()> {
        assign(&mut self.tables, key, value.into(), "preset")
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        Ok(rl_core::read_table(name, self.table(name))?)
    }

    /// Builds the environment for `seating` as it is trained on.
    ///
    /// # Errors
    /// If the environment refuses a value or fails to start.
    pub(crate) fn seat(&self, seating: &Seating) -> anyhow::Result<Box<dyn VecEnv>> {
        (self.env.build)(&self.env_name, self.table("env"), seating).with_context(|| self.blame("env"))
    }

    /// Builds the environment for `seating` as it is evaluated: with the frame cap of `[eval]` and without shaping.
    ///
    /// # Errors
    /// If the environment refuses a value or fails to start.
    pub(crate) fn seat_eval(&self, seating: &Seating) -> anyhow::Result<Box<dyn VecEnv>> {
        (self.env.build)(&self.env_name, &self.eval_table()?, seating).with_context(|| self.blame("env"))
    }

    /// Number of seats that share a world.
    pub(crate) fn seats_per_world(&self) -> u32 {
        (self.env.seats_per_world)(self.table("env"))
    }

    /// Shapes of what one seat shows and takes.
    ///
    /// # Errors
    /// If the environment refuses a value.
    pub(crate) fn shapes(&self) -> anyhow::Result<Spec> {
        Ok(self.seat_eval(&Seating { seed: 0, seats: 0..self.seats_per_world() })?.spec().clone())
    }

    /// The table `[env]` as it is evaluated: with the frame cap of `[eval]` and without shaping.
    ///
    /// # Errors
    /// If `[eval]` is out of range.
    pub(crate) fn eval_table(&self) -> anyhow::Result<Table> {
        let mut table = self.table("env").clone();
        if let (Some(cap), Some(value)) = (self.eval()?.max_frames, table.get_mut("max_frames")) {
            *value = Value::Integer(cap);
        }
        // What a learner is paid besides is no part of a score.
        if let Some(value) = table.get_mut("shaping") {
            *value = Value::String("none".to_owned());
        }
        Ok(table)
    }

    /// Says where the values of `table` came from, to begin a message with.
    pub(crate) fn blame(&self, table: &str) -> String {
        let prefix = format!("{table}.");
        let sets: Vec<&str> = self.sets.iter().map(String::as_str).filter(|set| set.starts_with(&prefix)).collect();
        let id = if table == "env" { &self.env_name } else { self.agent.map_or("", |agent| agent.id) };
        if sets.is_empty() { id.to_owned() } else { format!("{id} with --set {}", sets.join(" --set ")) }
    }

    /// Writes the configuration as a preset file that `--preset` reads.
    pub(crate) fn text(&self) -> String {
        let agent = self.agent.map(|agent| format!(" --agent {}", agent.id)).unwrap_or_default();
        let body = toml::to_string(&self.tables).expect("a table that was read as TOML can be written as TOML");
        format!("# rl-run --env {}{agent}, every value resolved.\n{body}", self.env_name)
    }

    /// SHA-256 of [`text`](Resolved::text). Runs of one configuration share it, whatever their seeds and however the
    /// values were given, since tables are sorted.
    pub(crate) fn sha256(&self) -> String {
        manifest::hex(&Sha256::digest(self.text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
