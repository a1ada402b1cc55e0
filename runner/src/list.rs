//! `rl-run list`: what there is to name.

use std::process::ExitCode;

use rl_core::EnvEntry;
use serde::Serialize;

use crate::output;
use crate::preset::agent_preset;
use crate::tables::{Tables, is_family};

/// Lists environments, agents or presets.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: rl-run list envs --json")]
pub(crate) struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    what: What,
    /// One JSON array on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    Envs,
    Agents,
    Presets,
}

#[derive(Debug, Serialize)]
struct Env {
    name: String,
    aliases: Vec<&'static str>,
    version: u32,
    protocols: Vec<&'static str>,
    summary: &'static str,
}

#[derive(Debug, Serialize)]
struct Agent {
    name: &'static str,
    summary: &'static str,
}

/// A pair that can be trained without a preset file of one's own.
#[derive(Debug, Serialize)]
struct Preset {
    env: String,
    agent: &'static str,
}

/// `rl-run list …`.
pub(crate) fn run(args: &ListArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Envs => print(&envs(tables), args.json, |env| {
            let names: Vec<&str> = env.aliases.iter().copied().chain([env.name.as_str()]).collect();
            (names.join(", "), env.summary)
        }),
        What::Agents => print(&agents(tables), args.json, |agent| (agent.name.to_owned(), agent.summary)),
        What::Presets => print(&presets(tables), args.json, |preset| (preset.env.clone(), preset.agent)),
    }
}

fn print<T: Serialize>(rows: &[T], json: bool, columns: fn(&T) -> (String, &'static str)) -> anyhow::Result<ExitCode> {
    if json {
        output::line(serde_json::to_string(rows)?);
    } else {
        let rows: Vec<_> = rows.iter().map(columns).collect();
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, rest) in rows {
            output::line(format!("{name:width$}  {rest}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The full names that an entry stands for.
fn names(entry: &EnvEntry) -> Vec<String> {
    match is_family(entry) {
        true => (entry.members)().iter().map(|member| format!("{}{member}", entry.id)).collect(),
        false => vec![entry.id.to_owned()],
    }
}

fn envs(tables: &Tables) -> Vec<Env> {
    let row = |entry: &EnvEntry, name: String| Env {
        aliases: entry.aliases.iter().filter(|(_, full)| *full == name).map(|&(alias, _)| alias).collect(),
        version: entry.version,
        protocols: entry.protocols.iter().map(|&(name, _)| name).collect(),
        summary: entry.summary,
        name,
    };
    tables.envs.iter().flat_map(|entry| names(entry).into_iter().map(|name| row(entry, name))).collect()
}

fn agents(tables: &Tables) -> Vec<Agent> {
    tables.agents.iter().map(|entry| Agent { name: entry.id, summary: entry.summary }).collect()
}

fn presets(tables: &Tables) -> Vec<Preset> {
    let mut rows = Vec::new();
    for entry in &tables.envs {
        for env in names(entry) {
            let with = tables.agents.iter().filter(|agent| agent_preset(entry, &env, agent).is_some());
            rows.extend(with.map(|agent| Preset { env: env.clone(), agent: agent.id }));
        }
    }
    rows
}
