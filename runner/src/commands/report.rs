//! `rl-run report`: one page about some runs that needs nothing else, to be sent around.

mod page;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::commands::export;
use crate::commands::plot::curves::{self, Alike, Axis, Group, Least, See};
use crate::commands::plot::points::last;
use crate::commands::plot::{chart, distinct, svg};
use crate::console::number::counted;
use crate::console::number::exact;
use crate::console::output;
use crate::console::usage::{line, usage};
use crate::console::waiting::Waiting;
use crate::file;
use crate::games::{interval, playback};
use crate::run_dir::tape;
use crate::run_dir::{self, About};
use crate::tables::Tables;
use page::{Film, Page, Returns, Row, Settings};

/// Most seconds of a film, and most pictures per second.
const FILM: (f64, f64) = (15.0, 12.0);
/// Keys that have a chart, each with the points that are smoothed into one.
const CHARTS: [(&str, usize); 2] = [("return_100", 5), ("eval_return", 1)];

/// Writes a page of learning curves, results, settings and films of runs: one self-contained HTML file.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run report runs/kf --out kungfu.html
          # directories of --seeds
          rl-run report runs/ppo runs/dqn --out both.html

Films are of what --record kept while a run trained: its last recording.")]
pub(crate) struct ReportArgs {
    /// Directories of runs, or of several seeds
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// File to write, .html
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Horizontal axis of the curves: frames, steps or minutes (of several seeds their mean at equal frames)
    #[arg(long, value_enum, default_value = "frames")]
    x: Axis,
}

/// `rl-run report`.
pub(crate) fn run(args: &ReportArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    if args.out.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("html")) {
        bail!(usage(format!("--out {}: give the name of a .html file", args.out.display())));
    }
    file::ready(&args.out)?;
    let waiting = Waiting::listen(true, "no page was written")?;
    let sees = CHARTS.map(|(key, smooth)| See { axis: args.x, key, smooth, centred: false, iqm: false });
    let groups = curves::alike(&args.runs, sees, Least::Row)?;
    let envs = distinct(groups.iter().map(|group| group.env.as_str()));
    let mut charts = Vec::new();
    for env in &envs {
        for (number, (key, _)) in CHARTS.into_iter().enumerate() {
            let of = groups.iter().filter(|group| group.env == *env);
            let of: Vec<Group> = of.filter_map(|group| group.curves[number].clone()).collect();
            if !of.is_empty() {
                charts.push(svg::part(&chart(&of, &[], args.x, key, tables)));
            }
        }
    }
    let (mut rows, mut settings, mut films) = (Vec::new(), Vec::new(), Vec::new());
    for group in &groups {
        waiting.go_on()?;
        let about = run_dir::about(&group.runs[0])?;
        rows.push(row(group));
        match preset(&group.runs[0]) {
            Ok(text) => settings.push(Settings { name: group.name.clone(), text, made_by: made_by(&about) }),
            Err(why) => output::note(format!("no settings of {}: {}", group.name, line(&why))),
        }
        films.extend(film(group, tables, &waiting)?);
    }
    waiting.go_on()?;
    let page = Page { title: envs.join(", "), charts, rows, films, settings };
    file::write(&args.out, page.html().as_bytes())?;
    let bytes = std::fs::metadata(&args.out)?.len();
    let curves = groups.iter().filter(|group| group.curves.iter().any(Option::is_some)).count();
    output::line(format!(
        "{}: {}, {}, {}",
        args.out.display(),
        counted(curves, "curve"),
        counted(page.films.len(), "film"),
        counted(bytes as usize, "byte")
    ));
    Ok(ExitCode::SUCCESS)
}

/// What the runs of a group reached, as a row of the page.
fn row<const N: usize>(group: &Alike<N>) -> Row {
    let last = |axis, key| -> Vec<(f64, f64)> { group.runs.iter().filter_map(|run| last(run, axis, key)).collect() };
    let score = |key| {
        let values: Vec<f64> = last(Axis::Frames, key).iter().map(|point| point.1).collect();
        let (mean, iqm) = (|| interval::mean(&values), || interval::iqm(&values));
        (!values.is_empty()).then(|| Returns { runs: values.len(), mean: mean(), iqm: iqm() })
    };
    let mean = |points: Vec<(f64, f64)>| points.iter().map(|point| point.0).sum::<f64>() / points.len().max(1) as f64;
    let frames: Vec<f64> = last(Axis::Frames, "frames").iter().map(|point| point.0).collect();
    Row {
        name: group.name.clone(),
        env: group.env.clone(),
        frames: [frames.iter().copied().fold(f64::INFINITY, f64::min), frames.iter().copied().fold(0.0, f64::max)],
        minutes: mean(last(Axis::Minutes, "frames")),
        runs: group.runs.len(),
        trained: score("return_100"),
        evaluated: score("eval_return"),
    }
}

fn preset(run: &Path) -> anyhow::Result<String> {
    let path = run.join("run.toml");
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn made_by(about: &About) -> String {
    let About { version, revision, cpu, threads, isa, .. } = about;
    let threads = counted(*threads, "thread");
    format!("rl-run {version} ({revision}), {threads} of {cpu}, {isa}")
}

/// Makes a film of the last recording that can be shown, of the first run that has one. Recordings that cannot be shown
/// are reported.
fn film<const N: usize>(group: &Alike<N>, tables: &Tables, waiting: &Waiting) -> anyhow::Result<Option<Film>> {
    for run in &group.runs {
        for path in tape::list(run)?.into_iter().rev() {
            let film = shown(&path, &group.name, tables, waiting);
            waiting.go_on()?;
            match film {
                Ok(film) => return Ok(Some(film)),
                Err(error) => output::note(format!("no film: {}", line(&error))),
            }
        }
    }
    Ok(None)
}

fn shown(path: &Path, name: &str, tables: &Tables, waiting: &Waiting) -> anyhow::Result<Film> {
    let recording = playback::read(path)?;
    let gif = export::film(path, &recording, FILM, tables, waiting)?;
    let score = recording.episodes.iter().filter_map(|played| played.outcome).map(|o| o.ret).reduce(f64::max);
    let score = score.map(|score| format!(", return {}", exact(score))).unwrap_or_default();
    let caption = format!("{name}: {}{score}", playback::player(&recording.manifest));
    Ok(Film { caption, gif })
}
