//! `rl-run eval` of a directory of runs, as `--seeds` makes: scores each run, then all together.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::{EvalArgs, judge};
use crate::group::Roster;
use crate::run_dir::{self, About};
use crate::score::{Report, give};
use crate::tables::Tables;
use crate::trained::recorded;
use crate::usage::{counted, usage};
use crate::waiting::Waiting;
use crate::{interval, output};

/// What `--json` prints of one run.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(serialize_with = "crate::file::text")]
    run: &'a Path,
    /// Seed that the run was trained with; the seed of the games is in the report.
    training_seed: u64,
    #[serde(flatten)]
    report: &'a Report,
}

/// The last line of `--json`.
#[derive(Debug, PartialEq, Serialize)]
struct Total {
    runs: usize,
    /// Runs whose checkpoint comes before the end of training.
    unfinished: usize,
    /// Seeds of the group that have no run.
    not_begun: usize,
    /// Mean over the runs of their mean returns.
    mean: f64,
    /// Ends, `low` and `high`, of the 95 % bootstrap interval of `mean` over runs; of two runs the lower and the higher
    /// mean.
    low: f64,
    high: f64,
    human_normalised: Option<f64>,
}

/// Evaluates one run after the other and prints each score as its games end, then the total.
///
/// # Errors
/// If the runs have different settings or two have one seed, or one cannot be evaluated; the message names it.
pub(super) fn run(
    args: &EvalArgs,
    dir: &Path,
    runs: &[PathBuf],
    tables: &Tables,
    waiting: &Waiting,
) -> anyhow::Result<ExitCode> {
    let seeds = seeds(dir, runs)?;
    if args.picture.is_some() {
        let first = output::word(&runs[0]);
        let why = format!("--picture is of one run, and {} holds several: rl-run eval {first} …", dir.display());
        return Err(usage(why));
    }
    let not_begun =
        Roster::read(dir)?.map_or(0, |roster| roster.seeds.iter().filter(|seed| !seeds.contains(seed)).count());
    let planned = recorded(&runs[0], tables)?.1.train()?.frames;
    let mut reports: Vec<Report> = Vec::new();
    for (run, &training_seed) in runs.iter().zip(&seeds) {
        let report = judge(args, run, tables, waiting).map_err(|error| named(error, run))?;
        waiting.go_on()?;
        if args.json {
            output::line(serde_json::to_string(&Row { run, training_seed, report: &report })?);
        } else {
            if reports.is_empty() {
                head(&report).iter().for_each(output::line);
            }
            output::line(row(&report, training_seed, run));
        }
        reports.push(report);
    }
    let total = Total { not_begun, ..total(&reports, planned) };
    if args.asked.checkpoint == "last" && total.unfinished + not_begun > 0 {
        let (some, dir) = (counted(total.unfinished, "run"), output::word(dir));
        output::note(format!(
            "{some} short of {planned} frames, {not_begun} not begun; go on with: rl-run resume {dir}"
        ));
    }
    output::line(if args.json { serde_json::to_string(&total)? } else { said(&total) });
    Ok(ExitCode::SUCCESS)
}

/// Adds the name of the run to an error that does not have it.
fn named(error: anyhow::Error, run: &Path) -> anyhow::Error {
    let name = run.display().to_string();
    if format!("{error:#}").contains(&name) { error } else { error.context(name) }
}

/// Reads the seed that each run was trained with.
///
/// # Errors
/// If runs differ in more than their seeds, or two have the same seed: their mean would mean nothing.
fn seeds(dir: &Path, runs: &[PathBuf]) -> anyhow::Result<Vec<u64>> {
    let read = |run: &PathBuf| {
        let about = run_dir::about(run)?;
        let settings = fs::read_to_string(run_dir::settings(run, &about)?.0)?; // what it is evaluated by
        anyhow::Ok((about, settings))
    };
    let all = runs.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let refuse = |what: &str, [one, other]: [usize; 2]| {
        let [one, other] = [one, other].map(|at| runs[at].display());
        Err(usage(format!("{} holds runs of {what}, {one} and {other}: name one", dir.display())))
    };
    let id = |at: usize| {
        let (About { env, agent, demonstrations, .. }, settings) = &all[at];
        (env, agent, demonstrations, settings)
    };
    if let Some(other) = (1..all.len()).find(|&at| id(at) != id(0)) {
        return refuse("different settings", [0, other]);
    }
    let seeds: Vec<u64> = all.iter().map(|(about, _)| about.seed).collect();
    for (at, seed) in seeds.iter().enumerate() {
        if let Some(one) = seeds[..at].iter().position(|before| before == seed) {
            return refuse("one seed", [one, at]);
        }
    }
    Ok(seeds)
}

fn total(reports: &[Report], planned: u64) -> Total {
    let of = |score: fn(&Report) -> Option<f64>| reports.iter().map(score).collect::<Option<Vec<f64>>>();
    let means: Vec<f64> = reports.iter().map(|report| report.mean).collect();
    let [mean, low, high] = interval::mean(&means);
    let human_normalised = of(|report| report.human_normalised).map(|scores| interval::mean(&scores)[0]);
    let unfinished = reports.iter().filter(|report| report.checkpoint < planned).count();
    Total { runs: reports.len(), unfinished, not_begun: 0, mean, low, high, human_normalised }
}

/// Lines above the rows: what all rows have in common, and names of the columns.
fn head(report: &Report) -> [String; 2] {
    let Report { env, agent, protocol, policy, seed, exact, .. } = report;
    let protocol = protocol.as_ref().map(|protocol| format!(", protocol {protocol}")).unwrap_or_default();
    let games = if *exact { String::new() } else { format!(", games of seed {seed}") };
    let columns = line(["seed", "checkpoint", "games", "mean ± standard error", "median"].map(str::to_owned), "run");
    [format!("{agent} on {env}{protocol}, {policy}{games}"), columns]
}

fn row(report: &Report, training_seed: u64, run: &Path) -> String {
    let Report { checkpoint, episodes, mean, stderr, median, exact, .. } = report;
    let games = if *exact { "exact".to_owned() } else { episodes.to_string() };
    let mean = if *exact { format!("{mean:.6}") } else { give(*mean, *stderr, 3) };
    let median = median.map_or_else(|| "-".to_owned(), |median| format!("{median:.3}"));
    line([training_seed.to_string(), checkpoint.to_string(), games, mean, median], &run.display().to_string())
}

fn line([seed, checkpoint, games, mean, median]: [String; 5], run: &str) -> String {
    format!("{seed:>6} {checkpoint:>12} {games:>7} {mean:>24} {median:>12}  {run}")
}

fn said(total: &Total) -> String {
    let Total { runs, mean, low, high, human_normalised, .. } = total;
    let spread = match runs {
        1 => String::new(),
        _ => format!(", {} {low:.3} to {high:.3}", interval::name(*runs)),
    };
    let human = human_normalised.map(|score| format!(", human-normalised {score:.4}")).unwrap_or_default();
    format!("over {}: mean {mean:.3}{spread}{human}", counted(*runs, "run"))
}
