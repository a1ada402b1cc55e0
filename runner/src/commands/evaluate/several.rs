//! `rl-run eval` of a directory of runs, as `--seeds` makes: scores each run, then all together.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use toml::Table;

use super::{EvalArgs, judge};
use crate::checkpoint;
use crate::console::number::counted;
use crate::console::number::{self, count, fixed};
use crate::console::output;
use crate::console::usage::{is_usage, usage};
use crate::console::waiting::{Stopped, Waiting};
use crate::games::interval;
use crate::games::interval::Iqm;
use crate::preset::same_experiment::{but_for_length, difference, learning};
use crate::run_dir::About;
use crate::run_dir::many;
use crate::run_dir::origin;
use crate::tables::Tables;
use crate::trained::recorded::Recorded;
use crate::trained::report::Report;
use crate::training::group::{Absent, Roster};

/// What `--json` prints of one run of several.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(serialize_with = "crate::file::text")]
    run: &'a Path,
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
    /// Runs that could not be evaluated.
    failed: usize,
    /// Mean over the runs of their mean returns; `None` where none was evaluated.
    mean: Option<f64>,
    /// Ends, `low` and `high`, of the 95 % bootstrap interval of `mean` over runs; of two and three runs the lowest
    /// and the highest mean.
    low: Option<f64>,
    high: Option<f64>,
    human_normalised: Option<f64>,
    /// Interquartile mean over the runs; `None` of fewer than four.
    #[serde(skip_serializing_if = "Option::is_none")]
    iqm: Option<Iqm>,
}

/// Evaluates one run after the other and prints each score as its games end, then the total.
///
/// # Errors
/// If the runs have different settings or two have one seed, or what is asked for cannot be had of one; the message
/// names it. A run that is damaged is reported, and left out of the total.
pub(super) fn run(
    args: &EvalArgs,
    dir: &Path,
    runs: &[PathBuf],
    tables: &Tables,
    waiting: &Waiting,
) -> anyhow::Result<ExitCode> {
    let (mut known, mut failed) = (Vec::new(), 0);
    let mut fail = |run: &Path, why: &anyhow::Error| {
        many::failed(run, why, args.json);
        failed += 1;
    };
    for run in runs {
        match Known::read(run, tables).map_err(|error| named(error, run)) {
            Ok(run) => known.push(run),
            Err(why) if is_usage(&why) => return Err(why),
            Err(why) => fail(run, &why),
        }
    }
    check(dir, &known)?;
    if args.picture.is_some() {
        let first = output::word(&runs[0]);
        let why = format!("--picture is of one run, and {} holds several: rl-run eval {first} …", dir.display());
        return Err(usage(why));
    }
    let Absent { lost, mut not_begun } = Roster::absent(dir, runs)?;
    lost.iter().for_each(|run| fail(run, &many::lost(run)));
    let which = args.asked.checkpoint.as_str();
    let mut lacking: Vec<_> = known.iter().map(|of| checkpoint::find(of.run, which).err().filter(is_usage)).collect();
    // What no run has is a slip; where some have it, the others fail by themselves.
    if which != "last" && !lacking.is_empty() && lacking.iter().all(Option::is_some) {
        return Err(lacking.swap_remove(0).expect("all have one"));
    }
    if !args.progress.quiet {
        many::groups_in(dir).iter().for_each(|group| output::note(many::left_out(group)));
    }
    let planned = known.first().map_or(0, |run| run.frames);
    let mut reports: Vec<Report> = Vec::new();
    for (&Known { run, ref about, .. }, lacks) in known.iter().zip(lacking) {
        let training_seed = about.seed;
        match lacks {
            Some(_) if which == "last" => {
                output::note(format!("{}: no checkpoint yet", run.display()));
                not_begun += 1;
                continue;
            }
            Some(why) => {
                fail(run, &why);
                continue;
            }
            None => {}
        }
        let report = match judge(args, run, tables, waiting).map_err(|error| named(error, run)) {
            Ok(report) => report,
            Err(why) if is_usage(&why) || why.is::<Stopped>() => return Err(why),
            Err(why) => {
                fail(run, &why);
                continue;
            }
        };
        waiting.go_on()?;
        if args.json {
            output::line(serde_json::to_string(&Row { run, report: &report })?);
        } else {
            if reports.is_empty() {
                head(&report).iter().for_each(output::line);
            }
            output::line(row(&report, training_seed, run));
        }
        reports.push(report);
    }
    let total = Total { not_begun, failed, ..total(&reports, planned) };
    if args.asked.checkpoint == "last" && !known.is_empty() && total.unfinished + not_begun > 0 {
        let (some, word) = (counted(total.unfinished, "run"), output::word(dir));
        let goes_on = if Roster::is_in(dir) { format!("; go on with: rl-run resume {word}") } else { String::new() };
        output::note(format!("{some} short of {} frames, {not_begun} not begun{goes_on}", count(planned)));
    }
    if args.json {
        output::line(serde_json::to_string(&total)?);
    } else {
        said(&total).iter().for_each(output::line);
    }
    Ok(if failed > 0 || reports.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Adds the name of the run to an error that does not have it.
fn named(error: anyhow::Error, run: &Path) -> anyhow::Error {
    let name = run.display().to_string();
    if format!("{error:#}").contains(&name) { error } else { error.context(name) }
}

/// A run of the directory, and what it was trained with.
struct Known<'a> {
    run: &'a Path,
    about: About,
    /// Frames that it is to have.
    frames: u64,
    /// Settings, by [`learning`].
    settings: Table,
}

impl<'a> Known<'a> {
    fn read(run: &'a Path, tables: &Tables) -> anyhow::Result<Self> {
        let Recorded { about, resolved, .. } = Recorded::read(run, tables)?;
        let (frames, settings) = (resolved.train()?.frames, learning(&resolved.tables));
        Ok(Self { run, about, frames, settings })
    }
}

/// Checks that runs are seeds of one experiment.
///
/// # Errors
/// If they differ in more than their seeds, or two have the same seed: their mean would mean nothing.
fn check(dir: &Path, runs: &[Known<'_>]) -> anyhow::Result<()> {
    let refuse = |what: &str, one: &Known<'_>, other: &Known<'_>| {
        let (dir, one, other) = (dir.display(), one.run.display(), other.run.display());
        Err(usage(format!("{dir} holds runs {what}, {one} and {other}: name one")))
    };
    for (at, other) in runs.iter().enumerate() {
        let (one, id) = (&runs[0], |run: &Known<'_>| format!("{} on {}", run.about.agent, run.about.env));
        if id(one) != id(other) {
            return refuse(&format!("of {} and of {}", id(one), id(other)), one, other);
        }
        if let Some(key) = difference(&one.settings, &other.settings) {
            let refused = refuse(&format!("that differ in {key}"), one, other);
            if !Roster::is_in(dir) || but_for_length(&one.settings) != but_for_length(&other.settings) {
                return refused;
            }
            let (dir, most) = (output::word(dir), runs.iter().map(|run| run.frames).max().unwrap_or(0));
            return refused
                .map_err(|why| usage(format!("{why}, or go on to one length: rl-run resume {dir} --frames {most}")));
        }
        if one.about.demonstrations != other.about.demonstrations {
            return refuse("that were shown other recordings", one, other);
        }
        if !origin::alike(one.about.weights.as_ref(), other.about.weights.as_ref()) {
            return refuse("that began with other weights", one, other);
        }
        if let Some(twin) = runs[..at].iter().find(|run| run.about.seed == other.about.seed) {
            return refuse("of one seed", twin, other);
        }
    }
    Ok(())
}

fn total(reports: &[Report], planned: u64) -> Total {
    let of = |score: fn(&Report) -> Option<f64>| reports.iter().map(score).collect::<Option<Vec<f64>>>();
    let means: Vec<f64> = reports.iter().map(|report| report.mean).collect();
    let [mean, low, high] = match &means[..] {
        [] => [None; 3],
        _ => interval::mean(&means).map(Some),
    };
    let human_normalised = of(|report| report.human_normalised).filter(|scores| !scores.is_empty());
    let human_normalised = human_normalised.map(|scores| interval::mean(&scores)[0]);
    let unfinished = reports.iter().filter(|report| report.checkpoint < planned).count();
    let iqm = interval::iqm(&means);
    Total { runs: reports.len(), unfinished, not_begun: 0, failed: 0, mean, low, high, human_normalised, iqm }
}

/// Lines above the rows: what all rows have in common, and names of the columns.
fn head(report: &Report) -> [String; 2] {
    let Report { env, agent, protocol, policy, seed, exact, .. } = report;
    let protocol = protocol.as_ref().map(|protocol| format!(", protocol {protocol}")).unwrap_or_default();
    let games = if *exact { String::new() } else { format!(", games of seed {seed}") };
    let changed = report.changed_told().map(|changed| format!("; not as trained: {changed}")).unwrap_or_default();
    let columns = line(["seed", "checkpoint", "games", "mean ± standard error", "median"].map(str::to_owned), "run");
    [format!("{agent} on {env}{protocol}, {policy}{games}{changed}"), columns]
}

fn row(report: &Report, training_seed: u64, run: &Path) -> String {
    let Report { checkpoint, episodes, mean, stderr, median, exact, .. } = report;
    let games = if *exact { "exact".to_owned() } else { episodes.to_string() };
    let mean = if *exact { fixed(*mean, 6) } else { number::mean(*mean, *stderr) };
    let median = median.map_or_else(|| "-".to_owned(), number::score);
    line([training_seed.to_string(), checkpoint.to_string(), games, mean, median], &run.display().to_string())
}

fn line([seed, checkpoint, games, mean, median]: [String; 5], run: &str) -> String {
    format!("{seed:>6} {checkpoint:>12} {games:>7} {mean:>24} {median:>12}  {run}")
}

/// The total in words; `None` where no run was evaluated.
fn said(total: &Total) -> Option<String> {
    let Total { runs, failed, mean, low, high, human_normalised, iqm, .. } = total;
    let [mean, low, high] = number::interval([(*mean)?, (*low)?, (*high)?]);
    let spread = match runs {
        1 => String::new(),
        _ => format!(", {} {low} to {high}", interval::name(*runs)),
    };
    let human = human_normalised.map(|score| format!(", human-normalised {score:.4}")).unwrap_or_default();
    let failed = if *failed > 0 { format!(" ({failed} failed)") } else { String::new() };
    let iqm = iqm.map(|iqm| format!("; {iqm}")).unwrap_or_default();
    Some(format!("over {}{failed}: mean {mean}{spread}{human}{iqm}", counted(*runs, "run")))
}
