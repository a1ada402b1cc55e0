//! `rl-run list`: environments, agents, presets, settings and models that can be named.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use rl_core::EnvEntry;
use serde::Serialize;

use crate::console::number;
use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::{self, usage};
use crate::preset::claim::{self, Claim};
use crate::preset::named;
use crate::preset::{self, Ask, agent_presets, parse};
use crate::tables::{Tables, is_family};
use crate::trained::model;
use crate::trained::report::Report;

/// Lists environments, agents, presets with what they claim to reach, every setting of one preset, or trained models.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run list envs --json
          rl-run list presets --env kungfu
          # what --preset FILE reads: save it and change it
          rl-run list settings --env kungfu --agent ppo --preset 10min")]
pub(crate) struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    what: What,
    /// Environment whose presets or settings to list
    #[arg(long)]
    env: Option<String>,
    /// Agent whose presets to list, or that the settings are of [default: none, only those of the environment]
    #[arg(long)]
    agent: Option<String>,
    /// A preset file, or the name of a built-in preset, whose settings to list [default: the usual one]
    #[arg(long, value_name = "FILE|NAME", requires_all = ["env", "agent"])]
    preset: Option<PathBuf>,
    /// One JSON array on stdout; of settings one object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// All environments
    Envs,
    /// All agents
    Agents,
    /// Pairs that can be trained, and what is claimed of them
    Presets,
    /// Every key of a preset with its value, as TOML
    Settings,
    /// Trained models
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

/// A pair that can be trained without a preset of one's own.
#[derive(Debug, Serialize)]
struct Preset {
    env: String,
    agent: &'static str,
    /// Name that `--preset` takes; `None` for the usual preset of the pair.
    preset: Option<&'static str>,
    /// What it is for, the first sentence of its text.
    summary: String,
    /// What the preset claims to reach.
    claim: Option<Claim>,
}

/// `rl-run list …`.
pub(crate) fn run(args: &ListArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let of_a_pair = matches!(args.what, What::Presets | What::Settings);
    if !of_a_pair && (args.env.is_some() || args.agent.is_some()) {
        return Err(usage("--env and --agent choose among presets and settings"));
    }
    if args.preset.is_some() && args.what != What::Settings {
        return Err(usage("--preset is one whose settings to list: rl-run list settings"));
    }
    match args.what {
        What::Settings => settings(args, tables),
        What::Envs => print(&envs(tables), args.json, |env| {
            let names: Vec<&str> = env.aliases.iter().copied().chain([env.name.as_str()]).collect();
            (names.join(", "), env.summary.to_owned())
        }),
        What::Agents => print(&agents(tables), args.json, |agent| (agent.name.to_owned(), agent.summary.to_owned())),
        What::Presets => {
            let mut presets = presets(args, tables)?;
            if presets.is_empty() {
                why_none(args, tables)?.iter().for_each(output::note);
            }
            if !args.json && args.env.is_none() {
                presets = by_family(presets);
            }
            print(&presets, args.json, |preset| {
                let named = preset.preset.map(|name| format!(" --preset {name}")).unwrap_or_default();
                let (agent, summary) = (format!("{}{named}", preset.agent), &preset.summary);
                let claim = preset.claim.as_ref().map(|claim| format!(" Claims {claim}.")).unwrap_or_default();
                (preset.env.clone(), format!("{agent:26}  {summary}{claim}"))
            })
        }
        What::Models => print(&model::all(), args.json, |model| {
            let Report { env, agent, checkpoint, mean, stderr, episodes, .. } = &model.score;
            let score = format!("{} over {}", number::mean(*mean, *stderr), counted(*episodes as usize, "game"));
            (model.name.clone(), format!("{agent} on {env}, {} frames: {score}", number::count(*checkpoint)))
        }),
    }
}

fn print<T: Serialize>(rows: &[T], json: bool, columns: fn(&T) -> (String, String)) -> anyhow::Result<ExitCode> {
    if json {
        output::line(serde_json::to_string(rows)?);
    } else {
        let rows: Vec<_> = rows.iter().map(columns).collect();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, rest) in rows {
            output::line(format!("{name:width$}  {rest}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Full names of the environments that an entry stands for.
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

/// `rl-run list settings`: prints the texts of presets with their comments, as one preset.
fn settings(args: &ListArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let Some(env) = &args.env else {
        return Err(usage("list settings: name --env, and --agent for those of an agent too"));
    };
    let ask = Ask { env, agent: args.agent.as_deref(), preset: args.preset.as_deref(), ..Ask::default() };
    let resolved = preset::resolve(tables, &ask)?;
    if args.json {
        output::line(serde_json::to_string(&resolved.tables)?);
        return Ok(ExitCode::SUCCESS);
    }
    let name = &resolved.env_name;
    let usual = resolved.agent.and_then(|agent| preset::agent_preset(resolved.env, name, agent)).unwrap_or_default();
    let own = match (&args.preset, resolved.agent) {
        (Some(path), Some(agent)) => named::read(path, agent.id, name).map_err(usage)?,
        _ => String::new(),
    };
    output::line(whole([resolved.env.preset_of(name), usual, &own])?);
    Ok(ExitCode::SUCCESS)
}

/// Joins texts of presets to one: a table of a later text takes the place of an earlier one's.
///
/// # Errors
/// If one is not TOML.
fn whole(texts: [&str; 3]) -> anyhow::Result<String> {
    let mut left = BTreeSet::from(["claim".to_owned()]); // which holds for its preset's values alone
    let mut kept = Vec::new();
    for text in texts.into_iter().rev() {
        kept.push(without(text, |table| left.contains(table)).trim().to_owned());
        left.extend(parse(text, "preset")?.into_iter().map(|(table, _)| table));
    }
    kept.reverse();
    kept.retain(|text| !text.is_empty());
    Ok(kept.join("\n\n"))
}

/// A preset's text without the tables that `left` selects.
fn without(text: &str, left: impl Fn(&str) -> bool) -> String {
    let mut kept = true;
    let lines = text.lines().filter(|line| {
        if let Some(table) = line.strip_prefix('[').and_then(|line| line.split(['.', ']']).next()) {
            kept = !left(table);
        }
        kept
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn presets(args: &ListArgs, tables: &Tables) -> anyhow::Result<Vec<Preset>> {
    let of_env = args.env.as_deref().map(|name| tables.env(name)).transpose()?.map(|(full, _)| full);
    let of_agent = args.agent.as_deref().map(|name| tables.agent(name)).transpose()?.map(|agent| agent.id);
    let mut rows = Vec::new();
    for entry in &tables.envs {
        for env in names(entry).into_iter().filter(|env| of_env.as_ref().is_none_or(|of| of == env)) {
            for agent in tables.agents.iter().filter(|agent| of_agent.is_none_or(|of| of == agent.id)) {
                for (preset, text) in agent_presets(entry, &env, agent) {
                    let claim = claim::on(&env, text, &format!("preset {}/{env}", agent.id))?;
                    rows.push(Preset { env: env.clone(), agent: agent.id, preset, summary: summary(text), claim });
                }
            }
        }
    }
    Ok(rows)
}

/// The rows with one in place of all that say the same of members of a family, such as the games of Atari.
fn by_family(presets: Vec<Preset>) -> Vec<Preset> {
    let alike = |one: &Preset, other: &Preset| {
        let claim = |row: &Preset| row.claim.as_ref().map(ToString::to_string);
        family(&one.env).is_some()
            && family(&one.env) == family(&other.env)
            && (one.agent, one.preset, &one.summary) == (other.agent, other.preset, &other.summary)
            && claim(one) == claim(other)
    };
    let mut rows: Vec<Preset> = Vec::new();
    for preset in presets {
        match rows.iter_mut().find(|row| alike(row, &preset)) {
            Some(row) => row.env = family(&row.env).map_or_else(String::new, |family| format!("{family}/…")),
            None => rows.push(preset),
        }
    }
    rows
}

/// What stands before the `/` in the name of a family's member.
fn family(env: &str) -> Option<&str> {
    env.split_once('/').map(|(family, _)| family)
}

/// First sentence of the comment that a preset's text begins with; nothing if it begins with none.
fn summary(text: &str) -> String {
    let words = text.lines().map_while(|line| line.strip_prefix('#')).flat_map(str::split_whitespace);
    let mut sentence = String::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        sentence += if sentence.is_empty() { "" } else { " " };
        sentence += word;
        // A point before a number is one of an abbreviation: et al. 2018.
        if word.ends_with('.') && words.peek().is_none_or(|next| !next.starts_with(char::is_numeric)) {
            break;
        }
    }
    sentence
}

/// Message on why nothing that was asked for has a preset: of a pair what its training would say.
///
/// # Errors
/// If there is no such environment.
fn why_none(args: &ListArgs, tables: &Tables) -> anyhow::Result<Option<String>> {
    let Some(env) = &args.env else { return Ok(None) };
    if args.agent.is_none() {
        return Ok(Some(format!("no agent has a preset for `{}`", tables.env(env)?.0)));
    }
    let ask = Ask { env, agent: args.agent.as_deref(), ..Ask::default() };
    Ok(preset::resolve(tables, &ask).err().map(|why| usage::line(&why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_a_sentence_over_several_lines_if_need_be() {
        for (text, sentence) in [
            (
                "# PPO on CartPole: it stays up.\n# A frame is an agent step.\n\n[agent]",
                "PPO on CartPole: it stays up.",
            ),
            (
                "# PPO by Schulman et al. 2017, for\n# any game. More.\n[agent]",
                "PPO by Schulman et al. 2017, for any game.",
            ),
            ("# no end\n[agent]\nlr = 1 # none", "no end"),
            ("[agent]", ""),
        ] {
            assert_eq!(summary(text), sentence);
        }
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, crate::PLANNERS]);
        for text in tables.agents.iter().flat_map(|agent| agent.presets).map(|(_, text)| text) {
            let summary = summary(text);
            assert!(summary.ends_with('.') && (10..250).contains(&summary.len()), "{summary}");
        }
    }

    #[test]
    fn the_settings_of_every_pair_are_a_preset_that_says_the_same() {
        let tables = Tables::new(&[rl_envs::ENVS], &[rl_agents::AGENTS, crate::PLANNERS]);
        let mut pairs = 0;
        for entry in &tables.envs {
            let name = format!("{}{}", entry.id, if is_family(entry) { "some" } else { "" });
            let own = parse(entry.preset, "env").unwrap();
            for agent in &tables.agents {
                for (_, text) in agent_presets(entry, &name, agent) {
                    let mut expected = own.clone();
                    expected.extend(parse(text, "agent").unwrap());
                    expected.remove("claim");
                    assert_eq!(
                        parse(&whole([entry.preset, text, ""]).unwrap(), "both").unwrap(),
                        expected,
                        "{name} {}",
                        agent.id
                    );
                    pairs += 1;
                }
            }
            assert_eq!(parse(&whole([entry.preset, "", ""]).unwrap(), "env").unwrap(), own);
        }
        assert!(pairs > 50, "{pairs}");
        let [env, usual, own] = ["[env]\na = 1", "[agent]\nb = 2\n\n[train]\nc = 3", "[agent]\nb = 4\n[claim]\nd = 5"];
        assert_eq!(whole([env, usual, own]).unwrap(), "[env]\na = 1\n\n[train]\nc = 3\n\n[agent]\nb = 4");
    }
}
