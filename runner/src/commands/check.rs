//! `rl-run check`: whether an environment keeps what environments promise.

use std::process::ExitCode;

use rl_core::Seating;
use rl_core::contract::{Coverage, PROMISES, STEPS, Subject};
use serde::Serialize;

use crate::console::output;
use crate::console::usage::counted;
use crate::console::waiting::{Quiet, Waiting};
use crate::preset::env_choice::EnvChoice;
use crate::tables::Tables;

/// Checks that an environment keeps what all promise: shapes, ends, seeds, saved states; exits with 1 if it does not.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run check --env cartpole
          rl-run check --env kungfu --steps 2000 --set env.sticky=0

For environments of one's own: the promises are those of rl_core::Env, and rl_core::contract::check \
tests them. Actions are random: a promise that is found broken is broken, and one that is found kept was kept \
wherever they led.")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    env: EnvChoice,
    /// Steps that most promises are checked over
    #[arg(long, value_name = "N", default_value_t = STEPS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// One JSON object on stdout and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: Quiet,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    env: String,
    version: u32,
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
        steps: usize,
        episodes: usize,
    },
    Broken {
        how: String,
    },
    /// The environment lacks what the promise is about.
    Idle,
}

/// `rl-run check`.
pub(crate) fn run(args: &CheckArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.json || args.progress.quiet, "nothing is said of its promises")?;
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
    let report = check(&subject, &waiting)?;
    if args.json {
        output::line(serde_json::to_string(&report)?);
    } else {
        lines(&report).into_iter().for_each(output::line);
    }
    Ok(ExitCode::from(u8::from(!report.ok)))
}

fn check(subject: &Subject<'_>, waiting: &Waiting) -> anyhow::Result<Report> {
    let bar = waiting.bar(PROMISES.len(), "promises");
    let mut promises = Vec::new();
    for promise in PROMISES {
        bar.reach(promises.len());
        let found = promise.check(subject);
        waiting.go_on()?;
        let found = match found {
            Ok(Some(Coverage { steps, episodes })) => Found::Kept { steps, episodes },
            Ok(None) => Found::Idle,
            Err(broken) => Found::Broken { how: broken.how },
        };
        promises.push(Line { name: promise.name, promise: promise.text, found });
    }
    let ok = !promises.iter().any(|line| matches!(line.found, Found::Broken { .. }));
    Ok(Report { env: subject.name.to_owned(), version: subject.entry.version, ok, promises })
}

/// The report as people read it.
fn lines(report: &Report) -> Vec<String> {
    let (mut lines, mut broken) = (Vec::new(), 0);
    for Line { name, promise, found } in &report.promises {
        let (state, seen) = match found {
            Found::Kept { steps: 0, .. } => ("kept", String::new()),
            Found::Kept { steps, episodes } => ("kept", format!(" ({}, {episodes} ended)", counted(*steps, "row"))),
            Found::Idle => ("-", " (it has none)".to_owned()),
            Found::Broken { .. } => ("BROKEN", String::new()),
        };
        lines.push(format!("{state:7} {name:9} {promise}{seen}"));
        if let Found::Broken { how } = found {
            lines.push(format!("{:17} -> {how}", ""));
            broken += 1;
        }
    }
    let Report { env, version, promises, .. } = report;
    let endless =
        promises.iter().any(|line| line.name == "ends" && matches!(line.found, Found::Kept { episodes: 0, .. }));
    lines.push(match broken {
        0 if endless => format!(
            "{env} (version {version}) keeps what environments promise, as far as steps without an end show: --steps takes more"
        ),
        0 => format!("{env} (version {version}) keeps what environments promise"),
        _ => format!("{env} (version {version}) breaks {broken} of {} promises", promises.len()),
    });
    lines
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
}
