//! `rl-run list`: what there is to name.

use std::process::ExitCode;

use rl_core::EnvEntry;
use serde::Serialize;

use crate::claim::{self, Claim};
use crate::preset::agent_presets;
use crate::score::{Report, give};
use crate::tables::{Tables, is_family};
use crate::{model, output};

/// Lists environments, agents, presets with what they claim to reach, or trained models.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run list envs --json
          rl-run list presets")]
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
    Models,
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
    /// What `--preset` calls it; none for the usual one.
    preset: Option<&'static str>,
    /// What its last weights reach.
    claim: Option<Claim>,
}

/// `rl-run list …`.
pub(crate) fn run(args: &ListArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Envs => print(&envs(tables), args.json, |env| {
            let names: Vec<&str> = env.aliases.iter().copied().chain([env.name.as_str()]).collect();
            (names.join(", "), env.summary.to_owned())
        }),
        What::Agents => print(&agents(tables), args.json, |agent| (agent.name.to_owned(), agent.summary.to_owned())),
        What::Presets => print(&presets(tables)?, args.json, |preset| {
            let named = preset.preset.map(|name| format!(" --preset {name}")).unwrap_or_default();
            let agent = format!("{}{named}", preset.agent);
            let line = preset.claim.as_ref().map(|claim| format!("{agent:8}  {claim}"));
            (preset.env.clone(), line.unwrap_or(agent))
        }),
        What::Models => print(&model::all(), args.json, |model| {
            let Report { env, agent, checkpoint, mean, stderr, episodes, .. } = &model.score;
            let score = format!("{} over {episodes} games", give(*mean, *stderr, 3));
            (model.name.clone(), format!("{agent} on {env}, {checkpoint} frames: {score}"))
        }),
    }
}

fn print<T: Serialize>(rows: &[T], json: bool, columns: fn(&T) -> (String, String)) -> anyhow::Result<ExitCode> {
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

fn presets(tables: &Tables) -> anyhow::Result<Vec<Preset>> {
    let mut rows = Vec::new();
    for entry in &tables.envs {
        for env in names(entry) {
            for agent in &tables.agents {
                for (preset, text) in agent_presets(entry, &env, agent) {
                    let claim = claim::on(&env, text, &format!("preset {}/{env}", agent.id))?;
                    rows.push(Preset { env: env.clone(), agent: agent.id, preset, claim });
                }
            }
        }
    }
    Ok(rows)
}
