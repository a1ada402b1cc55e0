//! `rl-run plot`: learning curves of runs, seeds of the same settings together, as a picture or as numbers.

pub(crate) mod chart;
pub(crate) mod legend;
pub(crate) mod curves;
pub(crate) mod points;
mod mean;
mod names;
mod filed;
mod raster;
pub(crate) mod svg;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::usage;
use crate::console::waiting::Waiting;
use crate::file;
use crate::file::picture;
use crate::games::interval::QUARTILES;
use crate::tables::Tables;
use chart::{Chart, Reference};
use curves::{Axis, Group, See};
use points::LAST_GAMES;

/// Draws learning curves: seeds of the same settings as their mean and its 95 % bootstrap band, of two and three seeds
/// what is between them, and each environment in a panel of its own.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run plot runs/kf --out kungfu.svg
          # directories of --seeds
          rl-run plot runs/ppo runs/dqn --out both.png --x minutes
          # the middle half of ten seeds
          rl-run plot runs/ten --out ten.svg --iqm
          rl-run plot runs/cartpole-dqn-s1 --y loss --json > mine.json
          # their curves, without their runs
          rl-run plot runs/other --y loss --beside mine.json --out both.svg")]
pub(crate) struct PlotArgs {
    /// Directories of runs, or of several seeds
    #[arg(required_unless_present = "beside")]
    runs: Vec<PathBuf>,
    /// File of curves, as written by --json, to draw dashed up to the end of the runs; may be repeated
    #[arg(long, value_name = "FILE")]
    beside: Vec<PathBuf>,
    /// File to write: .svg or .png
    #[arg(long, value_name = "FILE", required_unless_present = "json")]
    out: Option<PathBuf>,
    /// Horizontal axis: frames, steps or minutes (of several seeds their mean at equal frames)
    #[arg(long, value_enum, default_value = "frames")]
    x: Axis,
    /// Vertical axis: a key of metrics.jsonl, such as return_100, eval_return or loss
    #[arg(long, value_name = "KEY", default_value = "return_100")]
    y: String,
    /// Smoothing: each of the 200 points is the mean of N neighbouring ones (N + 1 if N is even)
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true, value_parser = points_smoothed)]
    smooth: u32,
    /// Draws the mean of the last 100 games in the middle of these games, as means of whole iterations are published, and not
    /// at their end: of all games in episodes.csv where it is there, else of those before each row of metrics
    #[arg(long)]
    centred: bool,
    /// Draws the interquartile mean of four runs and more in place of their mean: one lucky or failed seed moves it little
    #[arg(long)]
    iqm: bool,
    /// The numbers as a JSON list of curves on stdout
    #[arg(long)]
    json: bool,
}

/// Parses `--smooth`.
fn points_smoothed(text: &str) -> Result<u32, String> {
    const RANGE: std::ops::RangeInclusive<i64> = 1..=100;
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(points), _) if RANGE.contains(&points) => Ok(points as u32),
        (Ok(points), _) => Err(format!("{points} is not in 1..=100")),
        (Err(_), Ok(weight)) if weight > 0.0 && weight < 1.0 => {
            let points = ((1.0 + weight) / (1.0 - weight)).round().min(100.0); // of equal mean age
            Err(format!(
                "expected points, from 1 to 100; a weight of {weight}, as TensorBoard has it, is about --smooth {points}"
            ))
        }
        (Err(_), _) => Err("expected points, a whole number from 1 to 100".to_owned()),
    }
}

/// `rl-run plot`.
pub(crate) fn run(args: &PlotArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let ending = args.out.as_ref().and_then(|out| out.extension()?.to_str()).unwrap_or_default().to_ascii_lowercase();
    if let Some(out) = &args.out
        && !["svg", "png"].contains(&ending.as_str())
    {
        bail!(usage(format!("--out {}: give the name of a .svg or .png file", out.display())));
    }
    if args.centred && !LAST_GAMES.contains(&args.y.as_str()) {
        bail!(usage(format!("--centred: `{}` is not a mean of the last games: {}", args.y, LAST_GAMES.join(", "))));
    }
    let waiting = Waiting::listen(true, "nothing was drawn")?;
    let (smooth, iqm) = (args.smooth as usize, args.iqm || args.json);
    let see = See { axis: args.x, key: &args.y, smooth, centred: args.centred, iqm };
    let groups = curves::read(&args.runs, see)?;
    let mut filed = Vec::new();
    for path in &args.beside {
        filed.extend(filed::read(path, args.x, &args.y, &groups)?);
    }
    waiting.go_on()?;
    if let Some(out) = &args.out {
        let [drawn, beside] = [&groups, &filed].map(|all| if args.iqm { by_quartiles(all) } else { all.clone() });
        let chart = chart(&drawn, &beside, args.x, &args.y, tables);
        if ending == "svg" {
            file::write(out, svg::page(&chart).as_bytes())?;
        } else {
            picture::write(out, &raster::picture(&chart))?;
            let lacking = raster::lacking(&chart);
            if !lacking.is_empty() {
                let out = out.display();
                output::note(format!("{out}: the font of .png files has no {lacking} and shows ?: name a .svg file"));
            }
        }
    }
    if args.json {
        output::line(serde_json::to_string(&[groups, filed].concat())?);
    } else if let Some(out) = &args.out {
        let runs = counted(groups.iter().map(|group| group.runs.len()).sum(), "run");
        let files = if filed.is_empty() { String::new() } else { format!(", {} of files", filed.len()) };
        output::line(format!("{}: {runs} in {}{files}", out.display(), counted(groups.len(), "curve")));
    }
    Ok(ExitCode::SUCCESS)
}

/// The curves with their interquartile means in place of their means; reports those that have none, and stay.
fn by_quartiles(groups: &[Group]) -> Vec<Group> {
    let of = |group: &Group| {
        group.by_quartiles().unwrap_or_else(|| {
            let told = format!("no interquartile mean of fewer than {QUARTILES} runs: the mean is drawn");
            output::note(format!("--iqm: {}: {told}", group.name));
            group.clone()
        })
    };
    groups.iter().map(of).collect()
}

/// Makes a chart of these curves, with a panel for each environment.
pub(crate) fn chart(groups: &[Group], filed: &[Group], x: Axis, y: &str, tables: &Tables) -> Chart {
    let envs = distinct(groups.iter().chain(filed).map(|group| group.env.as_str()));
    let panels = envs.into_iter().map(|env| {
        let own = |all: &[Group]| all.iter().filter(|group| group.env == env).cloned().collect::<Vec<_>>();
        panel(env, &own(groups), &own(filed), [x.name(), y], tables)
    });
    Chart::stacked(panels.collect())
}

/// Each of these names once, in the same order.
pub(crate) fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// Makes a chart of curves of one environment; if they are returns, with the scores of a person and of chance.
fn panel(env: &str, groups: &[Group], filed: &[Group], [x, y]: [&str; 2], tables: &Tables) -> Chart {
    let mut references = Vec::new();
    if ["return_100", "eval_return"].contains(&y)
        && let Ok((name, entry)) = tables.env(env)
        && let Some((random, human)) = (entry.reference)(&name)
    {
        references = vec![Reference { name: "human", at: human }, Reference { name: "random", at: random }];
    }
    let y = match y {
        "return_100" => "mean return of the last 100 episodes",
        "eval_return" => "mean return of an evaluation",
        key => key,
    };
    Chart::new([x, y], groups, filed, &references)
}
