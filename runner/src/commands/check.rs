//! `rl-run check`: whether an environment keeps what environments promise, or an agent what agents do.

use std::process::ExitCode;

use candle_core::Device;
use rl_core::Seating;
use rl_core::contract::{Coverage, PROMISES, Promise, STEPS, Subject};
use serde::Serialize;

use crate::console::number::counted;
use crate::console::output;
use crate::console::waiting::{Quiet, Waiting};
use crate::contract::{self, Verdict};
use crate::machine::Cpu;
use crate::preset::env_choice::EnvChoice;
use crate::tables::Tables;

/// Checks that an environment keeps what all promise: shapes, ends, seeds, saved states; or with --agent that an agent
/// does: actions, seeds, threads, saved states, evaluations. Exits with 1 if it does not.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run check --env cartpole
          rl-run check --env kungfu --steps 2000 --set env.sticky=0
          rl-run check --env cartpole --agent ppo --set train.envs=4

For environments and agents of one's own: the promises are those of rl_core::Env, and of rl_agents::Learner and \
Policy; rl_core::contract::check and rl_runner::Registry::check_agent test them. Actions are random, and an agent \
is trained several times, for two such lengths with an update in each: a promise that is found broken is broken, and one that is \
found kept was kept as far as that led.")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    env: EnvChoice,
    /// Check this agent on it, instead of the environment: `rl-run list agents` shows all
    #[arg(long)]
    agent: Option<String>,
    /// Steps that most promises are checked over, of an agent those of all seats together, and half of its training
    #[arg(long, value_name = "N", default_value_t = STEPS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// One JSON object on stdout and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: Quiet,
    #[command(flatten)]
    pub(crate) cpu: Cpu,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    env: String,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'static str>,
    ok: bool,
    promises: Vec<Line>,
}

/// What was found of one promise.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    promise: &'static str,
    #[serde(flatten)]
    found: Found,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Found {
    Kept {
        steps: u64,
        episodes: u64,
        /// Of a check of an agent.
        #[serde(skip_serializing_if = "Option::is_none")]
        updates: Option<u64>,
    },
    Broken {
        how: String,
    },
    /// The promise is about something that the environment or agent lacks.
    Idle {
        why: &'static str,
    },
    /// It could not be checked.
    Unchecked {
        why: String,
    },
}

/// `rl-run check`.
pub(crate) fn run(args: &CheckArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.json || args.progress.quiet, "nothing is said of its promises")?;
    let report = match &args.agent {
        Some(agent) => {
            let resolved = args.env.played_by(agent, tables)?;
            if resolved.train()?.actors > 0 && !args.json && !args.progress.quiet {
                output::note("it is trained without actors here: what lags depends on who is first");
            }
            let (env, version) = (resolved.env_name.clone(), resolved.env.version);
            let agent = resolved.agent.map(|agent| agent.id);
            let subject =
                contract::Subject::new(resolved, 1, Device::Cpu, u64::from(args.steps), waiting.stop().clone())?;
            let promises = of_agent(&subject, &waiting)?;
            Report { env, version, agent, ok: are_kept(&promises), promises }
        }
        None => {
            let resolved = args.env.resolve(tables)?;
            // A wrong value or a missing file is no broken promise.
            drop(resolved.seat(&Seating { seed: 0, seats: 0..resolved.seats_per_world() })?);
            let subject = Subject {
                entry: resolved.env,
                name: &resolved.env_name,
                table: resolved.table("env").clone(),
                steps: args.steps as usize,
                stop: &|| waiting.stopped(),
            };
            check(&subject, &waiting)?
        }
    };
    if args.json {
        output::line(serde_json::to_string(&report)?);
    } else {
        lines(&report).into_iter().for_each(output::line);
    }
    Ok(ExitCode::from(u8::from(!report.ok)))
}

fn check(subject: &Subject<'_>, waiting: &Waiting) -> anyhow::Result<Report> {
    let check = |promise: &Promise| {
        let found = match promise.check(subject) {
            Ok(Some(Coverage { steps, episodes })) => {
                Found::Kept { steps: steps as u64, episodes: episodes as u64, updates: None }
            }
            Ok(None) => Found::Idle { why: "it has none" },
            Err(broken) => Found::Broken { how: broken.how },
        };
        Line { name: promise.name, promise: promise.text, found }
    };
    let promises = each(PROMISES, waiting, check)?;
    let (env, version) = (subject.name.to_owned(), subject.entry.version);
    Ok(Report { env, version, agent: None, ok: are_kept(&promises), promises })
}

fn of_agent(subject: &contract::Subject, waiting: &Waiting) -> anyhow::Result<Vec<Line>> {
    let check = |promise: &contract::Promise| {
        let found = match promise.check(subject) {
            Verdict::Kept(contract::Coverage { steps, updates, episodes }) => {
                Found::Kept { steps, episodes, updates: Some(updates) }
            }
            Verdict::Lacking(why) => Found::Idle { why },
            Verdict::Unchecked(why) => Found::Unchecked { why },
            Verdict::Broken(how) => Found::Broken { how },
        };
        Line { name: promise.name, promise: promise.text, found }
    };
    each(contract::PROMISES, waiting, check)
}

/// Checks one promise after the other, until someone asks to stop.
fn each<P>(all: &[P], waiting: &Waiting, check: impl Fn(&P) -> Line) -> anyhow::Result<Vec<Line>> {
    let bar = waiting.bar(all.len(), "promises");
    let mut lines = Vec::new();
    for promise in all {
        bar.reach(lines.len());
        let line = check(promise);
        waiting.go_on()?; // what was found of one that was stopped is nothing
        lines.push(line);
    }
    Ok(lines)
}

fn are_kept(promises: &[Line]) -> bool {
    promises.iter().all(|line| matches!(line.found, Found::Kept { .. } | Found::Idle { .. }))
}

/// The report as people read it.
fn lines(report: &Report) -> Vec<String> {
    let (mut lines, mut broken) = (Vec::new(), 0);
    let width = 1 + report.promises.iter().map(|line| line.name.len()).max().unwrap_or(0);
    for Line { name, promise, found } in &report.promises {
        let (state, seen) = match found {
            Found::Kept { steps: 0, .. } => ("kept", String::new()),
            Found::Kept { steps, episodes, updates } => ("kept", covered(*steps, *episodes, *updates)),
            Found::Idle { why } => ("-", format!(" ({why})")),
            Found::Unchecked { why } => ("?", format!(" ({why})")),
            Found::Broken { .. } => ("BROKEN", String::new()),
        };
        lines.push(format!("{state:7} {name:width$} {promise}{seen}"));
        if let Found::Broken { how } = found {
            lines.push(format!("{:indent$} -> {how}", "", indent = 8 + width));
            broken += 1;
        }
    }
    let Report { env, version, agent, promises, .. } = report;
    let (who, all) = match agent {
        Some(agent) => (format!("{agent} on {env}"), "agents"),
        None => (format!("{env} (version {version})"), "environments"),
    };
    let endless = promises
        .iter()
        .any(|line| ["ends", "learning"].contains(&line.name) && matches!(line.found, Found::Kept { episodes: 0, .. }));
    let unchecked = promises.iter().filter(|line| matches!(line.found, Found::Unchecked { .. })).count();
    lines.push(match broken {
        0 if unchecked > 0 => format!("{who}: {unchecked} of {} promises could not be checked", promises.len()),
        0 if endless => {
            format!("{who} keeps what {all} promise, as far as steps without an end show: --steps takes more")
        }
        0 => format!("{who} keeps what {all} promise"),
        _ => format!("{who} breaks {broken} of {} promises", promises.len()),
    });
    lines
}

/// How much a promise was checked over.
fn covered(steps: u64, episodes: u64, updates: Option<u64>) -> String {
    let steps = counted(steps as usize, if updates.is_some() { "step" } else { "row" });
    match updates.filter(|&updates| updates > 0) {
        Some(updates) => format!(" ({steps}, {}, {episodes} ended)", counted(updates as usize, "update")),
        None => format!(" ({steps}, {episodes} ended)"),
    }
}

#[cfg(test)]
mod tests {
    use rl_core::EnvEntry;
    use rl_envs::ENVS;

    use super::*;

    fn cartpole() -> &'static EnvEntry {
        ENVS.iter().find(|entry| entry.id == "cartpole").unwrap()
    }

    /// As CartPole is built, but for a setting that it takes.
    fn careless(name: &str, table: &toml::Table, seating: &Seating) -> rl_core::Result<Box<dyn rl_core::VecEnv>> {
        let mut table = table.clone();
        table.remove("no_such_key");
        (cartpole().build)(name, &table, seating)
    }

    #[test]
    fn a_broken_promise_is_named_with_what_was_seen() {
        let entry = EnvEntry { build: careless, ..*cartpole() };
        let subject = Subject { steps: 50, ..Subject::new(&entry, "cartpole").unwrap() };
        let report = check(&subject, &Waiting::default()).unwrap();
        assert!(!report.ok);
        let lines = lines(&report);
        assert_eq!(lines[0], "BROKEN  settings  a setting that it does not know is refused by its name");
        let how = "env.no_such_key is taken: its Config wants #[serde(deny_unknown_fields)]";
        assert_eq!(lines[1], format!("{:17} -> {how}", ""));
        assert!(lines[2].starts_with("kept    spec      what it shows is within its spec"), "{}", lines[2]);
        assert!(lines[2].contains(" (50 rows, "), "{}", lines[2]);
        assert_eq!(lines[13], "cartpole (version 1) breaks 1 of 12 promises");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["ok"], &json["promises"][0]["how"]), (&false.into(), &how.into()));
    }

    #[test]
    fn an_agent_that_breaks_a_promise_is_told_how_far_it_was_checked() {
        let memory = contract::PROMISES.iter().position(|promise| promise.name == "memory").unwrap();
        let subject = contract::tests::breaker(memory);
        let promises = of_agent(&subject, &Waiting::default()).unwrap();
        let ok = are_kept(&promises);
        let report = Report { env: "frozenlake".to_owned(), version: 1, agent: Some("flawed"), ok, promises };
        let lines = lines(&report);
        let seed = format!("kept    {:11} its seed decides every bit of what it learns (", "seed");
        assert!(lines[4].starts_with(&seed), "{}", lines[4]);
        assert!(lines[4].contains(" updates, ") && lines[4].ends_with(" ended)"), "{}", lines[4]);
        let memory_line = format!("BROKEN  {:11} unless it is recurrent, it chooses by what it sees alone", "memory");
        assert_eq!(lines[memory], memory_line);
        assert!(lines[memory + 1].starts_with(&format!("{:19} -> in row ", "")), "{}", lines[memory + 1]);
        assert!(lines[memory + 2].ends_with(" (it has no outputs)"), "{}", lines[memory + 2]);
        assert_eq!(lines.last().unwrap(), "flawed on frozenlake breaks 1 of 16 promises");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["ok"], &json["agent"]), (&false.into(), &"flawed".into()));
        assert_eq!(json["promises"][memory]["state"], "broken");
        assert_eq!(json["promises"][memory + 1]["why"], "it has no outputs");
        assert!(json["promises"][4]["updates"].as_u64().is_some_and(|updates| updates > 0), "{json}");
    }
}
