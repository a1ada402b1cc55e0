//! A complete configuration, and what is read of it and built from it.

use anyhow::{Context as _, bail};
use rl_agents::AgentEntry;
use rl_core::{EnvEntry, Error, Seating, Spec, VecEnv};
use rl_nn::Precision;
use serde::{Deserialize, de::DeserializeOwned};
use toml::{Table, Value};

use super::merge::{assign, changes, deviations, overlay};
use super::{protocol, split, table_of};
use crate::console::usage::usage;
use crate::preset::claim::Claim;

/// Most seats of a run; each is a game, or an emulator, of its own.
pub(crate) const MOST_SEATS: u32 = 1 << 16;

/// Key that `eval.max_frames` stands in the place of in evaluations.
const CAP: &str = "env.max_frames";

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
    pub(super) sets: Vec<String>,
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
    /// If a value is out of range, or `max_frames` has no counterpart in `[env]`.
    pub(crate) fn eval(&self) -> anyhow::Result<Eval> {
        let eval: Eval = self.read("eval")?;
        if !(0.0..=1.0).contains(&eval.epsilon) {
            return Err(usage(format!("eval.epsilon: {} is not a probability", eval.epsilon)));
        }
        if eval.episodes == 0 {
            return Err(usage("eval.episodes: must be at least 1"));
        }
        if eval.max_frames.is_some() && !self.table("env").contains_key("max_frames") {
            return Err(usage(
                "eval.max_frames: this environment has no env.max_frames, in whose place it would stand",
            ));
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
            keys.push((CAP, "in evaluations eval.max_frames stands in its place"));
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
        let env = (self.env.build)(&self.env_name, self.table("env"), seating).with_context(|| self.blame("env"))?;
        self.whole(env, seating)
    }

    /// Checks that an environment has a seat for each that was asked for, as policies and blocks have.
    fn whole(&self, env: Box<dyn VecEnv>, seating: &Seating) -> anyhow::Result<Box<dyn VecEnv>> {
        let (asked, built) = (seating.seats.len(), env.seats());
        match asked == built {
            true => Ok(env),
            false => bail!("{}: {asked} seats were asked for, {built} were built", self.env_name),
        }
    }

    /// Builds the environment for `seating` as it is evaluated: with the frame cap of `[eval]` and without shaping.
    ///
    /// # Errors
    /// If the environment refuses a value or fails to start.
    pub(crate) fn seat_eval(&self, seating: &Seating) -> anyhow::Result<Box<dyn VecEnv>> {
        let env = (self.env.build)(&self.env_name, &self.eval_table()?, seating);
        match env {
            // What stood in its place.
            Err(Error::Config { key, message }) if key == CAP && self.eval()?.max_frames.is_some() => {
                let key = "eval.max_frames".to_owned();
                Err(Error::Config { key, message }).with_context(|| self.blame("eval"))
            }
            env => self.whole(env.with_context(|| self.blame("env"))?, seating),
        }
    }

    /// Number of seats that share a world.
    pub(crate) fn seats_per_world(&self) -> u32 {
        (self.env.seats_per_world)(self.table("env")).max(1)
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
        if let Some(Value::String(shaping)) = table.get_mut("shaping") {
            "none".clone_into(shaping);
        }
        Ok(table)
    }

    /// Says where the values of `table` came from, to begin a message with.
    pub(crate) fn blame(&self, table: &str) -> String {
        let prefix = format!("{table}.");
        let sets: Vec<&str> = self.sets.iter().map(String::as_str).filter(|set| set.starts_with(&prefix)).collect();
        let id = if table == "agent" { self.agent.map_or("", |agent| agent.id) } else { &self.env_name };
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
        rl_assets::sha256(self.text().as_bytes())
    }
}
