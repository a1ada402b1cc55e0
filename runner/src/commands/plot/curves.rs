//! Reads the metrics of runs as curves: runs of the same settings on one grid, as their mean and its interval.

use std::array;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Table;

use super::mean::{aggregate, cut};
use super::names::{Named, names};
use super::points::{Point, last, points};
use crate::console::output;
use crate::console::usage::{line, usage};
use crate::preset::parse;
use crate::preset::same_experiment::learning;
use crate::run_dir::About;
use crate::run_dir::many;
use crate::run_dir::origin::Origin;
use crate::training::group::{Absent, Roster};
use crate::{file, run_dir};

/// What a curve goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Axis {
    /// Emulator frames
    Frames,
    /// Agent steps
    Steps,
    /// Minutes of training, those of all sittings
    Minutes,
}

impl Axis {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Steps => "agent steps",
            Self::Minutes => "minutes",
        }
    }

    /// Axis along which runs are at one place when their mean is taken: of minutes it is frames, since how long a frame
    /// takes depends on what else a machine did.
    pub(super) fn shared(self) -> Self {
        if self == Self::Minutes { Self::Frames } else { self }
    }

    pub(super) fn of(self, row: &Value) -> Option<f64> {
        match self {
            Self::Frames => row["frames"].as_f64(),
            Self::Steps => row["agent_steps"].as_f64(),
            Self::Minutes => row["seconds"].as_f64().map(|seconds| seconds / 60.0),
        }
    }
}

/// The mean curve of runs that differ in their seeds alone, or a curve from a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) env: String,
    pub(crate) agent: String,
    /// Where the curve of a file is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    #[serde(default, serialize_with = "file::texts")]
    pub(crate) runs: Vec<PathBuf>,
    #[serde(default)]
    pub(crate) seeds: Vec<u64>,
    /// What `x` counts, as [`Axis::name`] says.
    pub(crate) along: String,
    /// Key of the metric; `None` in files that do not name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) x: Vec<f64>,
    /// Mean over the runs at each `x`; `low` and `high` are the ends of its interval as
    /// [`interval::name`](crate::games::interval::name) has it, or what a file has around its curve.
    pub(crate) mean: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
    /// Interquartile mean over four runs and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iqm: Option<Band>,
}

/// A mean at each place of a curve, and the ends of its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Band {
    pub(crate) mean: Vec<f64>,
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
}

impl Group {
    /// The curve with its interquartile mean in place of its mean, and named so; `None` if it has none.
    pub(crate) fn by_quartiles(&self) -> Option<Self> {
        let Band { mean, low, high } = self.iqm.clone()?;
        Some(Self { name: format!("{}, IQM", self.name), mean, low, high, ..self.clone() })
    }
}

#[cfg(test)]
impl Group {
    /// A curve of that name, from 0 to 1.
    pub(super) fn called(name: &str) -> Self {
        let [name, env, agent, along] = [name, "cartpole", "ppo", "frames"].map(str::to_owned);
        let [x, mean, low, high] = [vec![0.0, 1.0], vec![0.0, 1.0], vec![0.0, 1.0], vec![0.0, 1.0]];
        Self {
            name,
            env,
            agent,
            source: None,
            runs: Vec::new(),
            seeds: vec![1],
            along,
            key: None,
            x,
            mean,
            low,
            high,
            iqm: None,
        }
    }
}

/// Which curves to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct See<'a> {
    /// Horizontal axis.
    pub(crate) axis: Axis,
    /// Key of the metric on the vertical axis.
    pub(crate) key: &'a str,
    /// Neighbouring points of the grid that a point is the mean of.
    pub(crate) smooth: usize,
    /// Whether a mean over the last 100 games stands at the middle of these games and not at their end.
    pub(crate) centred: bool,
    /// Whether the interquartile mean is wanted beside the mean.
    pub(crate) iqm: bool,
}

/// Reads the curves of the runs in `dirs`, each a run or a directory of runs, as one group for each configuration.
///
/// # Errors
/// As [`alike`].
pub(crate) fn read(dirs: &[PathBuf], see: See<'_>) -> anyhow::Result<Vec<Group>> {
    Ok(alike(dirs, [see], Least::Curve)?.into_iter().flat_map(|alike| alike.curves).flatten().collect())
}

/// Runs that differ in their seeds alone, and their curves.
#[derive(Debug)]
pub(crate) struct Alike<const N: usize> {
    pub(crate) name: String,
    pub(crate) env: String,
    pub(crate) runs: Vec<PathBuf>,
    /// For each key that was asked for the curve of those runs that have it; `None` if there are none.
    pub(crate) curves: [Option<Group>; N],
}

/// What a run must have at least to be one of those that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Least {
    /// One of the curves.
    Curve,
    /// A row, as before its first episode ends.
    Row,
}

/// Reads several curves of the runs in `dirs`, each a run or a directory of runs.
///
/// # Errors
/// If a directory holds no run, or no run has the `least`; the message names it. If only some runs have it not, they
/// are reported and left out, of a curve whose key they lack as of all.
pub(crate) fn alike<const N: usize>(
    dirs: &[PathBuf],
    sees: [See<'_>; N],
    least: Least,
) -> anyhow::Result<Vec<Alike<N>>> {
    let mut runs: Vec<(PathBuf, PathBuf)> = Vec::new();
    for dir in dirs {
        for run in runs_of(dir)? {
            let place = fs::canonicalize(&run).with_context(|| run.display().to_string())?;
            if runs.iter().all(|(_, other)| *other != place) {
                runs.push((run, place));
            }
        }
    }
    // In the order in which they were named.
    let (mut found, mut refused) = (Vec::<Found<N>>::new(), Vec::new());
    for (run, _) in runs {
        match run_dir::about(&run).and_then(|about| Ok((rows(&run, sees, least)?, about))) {
            Ok((points, about)) => {
                let settings = settings(&run);
                let (id, seed) = (id(settings.as_ref(), &about), about.seed);
                let at = found.iter().position(|other| other.id == id).unwrap_or_else(|| {
                    let (runs, seeds, points) = Default::default();
                    found.push(Found { id, settings, about, runs, seeds, points });
                    found.len() - 1
                });
                found[at].add(run, seed, points);
            }
            Err(why) => refused.push(why),
        }
    }
    if found.is_empty()
        && let Some(why) = refused.pop()
    {
        return Err(why);
    }
    refused.iter().for_each(|why| output::note(format!("left out: {}", line(why))));
    let named = names(&found.iter().map(Found::named).collect::<Vec<_>>());
    Ok(named
        .into_iter()
        .zip(found)
        .map(|(name, found)| {
            let curves = array::from_fn(|key| found.curve(&name, key, sees[key]));
            Alike { name, env: found.about.env, runs: found.runs, curves }
        })
        .collect())
}

/// Points of a run for each of `sees`, none where it has none.
///
/// # Errors
/// If it has not the `least`.
fn rows<const N: usize>(run: &Path, sees: [See<'_>; N], least: Least) -> anyhow::Result<[Vec<Point>; N]> {
    let all = sees.map(|see| points(run, see));
    if all.iter().any(Result::is_ok) || (least == Least::Row && last(run, Axis::Frames, "frames").is_some()) {
        return Ok(all.map(Result::unwrap_or_default));
    }
    Err(all.into_iter().find_map(Result::err).expect("one key at least is asked for"))
}

/// The settings of a run that decide what is learned; `None` if they are gone: it is still drawn.
fn settings(run: &Path) -> Option<Table> {
    let text = fs::read_to_string(run.join("run.toml")).ok()?;
    let mut settings = learning(&parse(&text, "run.toml").ok()?);
    if let Some(eval) = settings.get_mut("eval").and_then(toml::Value::as_table_mut) {
        eval.remove("episodes"); // more games make a point less noisy, and no other curve
    }
    Some(settings)
}

/// What runs of one curve have in common: environment, agent, and the settings that decide what is learned.
fn id(settings: Option<&Table>, about: &About) -> String {
    let settings = settings.map_or_else(|| about.config_sha256.clone(), ToString::to_string);
    // With other weights to begin with it is another experiment.
    let weights = about.weights.as_ref().map_or("", Origin::sha256);
    format!("{} {} {settings} {weights}", about.env, about.agent)
}

/// Runs that have one [`id`].
struct Found<const N: usize> {
    id: String,
    settings: Option<Table>,
    /// Of the first run.
    about: About,
    runs: Vec<PathBuf>,
    seeds: Vec<u64>,
    /// Points of each run.
    points: Vec<[Vec<Point>; N]>,
}

impl<const N: usize> Found<N> {
    fn named(&self) -> Named<'_> {
        let Self { about, runs, seeds, settings, .. } = self;
        Named { env: &about.env, agent: &about.agent, runs, seeds, settings: settings.as_ref() }
    }

    fn add(&mut self, run: PathBuf, seed: u64, points: [Vec<Point>; N]) {
        self.runs.push(run);
        self.seeds.push(seed);
        self.points.push(points);
    }

    /// The curve of those runs that have the key of that index; reports what is not drawn of them.
    fn curve(&self, name: &str, key: usize, see: See<'_>) -> Option<Group> {
        let having: Vec<usize> = (0..self.runs.len()).filter(|&run| !self.points[run][key].is_empty()).collect();
        if having.is_empty() {
            return None;
        }
        let runs: Vec<PathBuf> = having.iter().map(|&run| self.runs[run].clone()).collect();
        let mut name = name.to_owned();
        if having.len() < self.runs.len() {
            let lacking = (0..self.runs.len()).filter(|run| !having.contains(run));
            let lacking: Vec<String> = lacking.map(|run| self.runs[run].display().to_string()).collect();
            output::note(format!("no row has {}: {}", see.key, lacking.join(", ")));
            name += &format!(" ({} of them)", having.len());
        }
        let curves: Vec<&[Point]> = having.iter().map(|&run| &self.points[run][key][..]).collect();
        cut(&runs, &curves, see).into_iter().for_each(output::note);
        let ([x, mean, low, high], iqm) = aggregate(&curves, see);
        Some(Group {
            name,
            env: self.about.env.clone(),
            agent: self.about.agent.clone(),
            source: None,
            runs,
            seeds: having.iter().map(|&run| self.seeds[run]).collect(),
            along: see.axis.name().to_owned(),
            key: Some(see.key.to_owned()),
            x,
            mean,
            low,
            high,
            iqm,
        })
    }
}

/// The run `dir`, or the runs in it. Directories in `dir` that hold runs of their own are reported, and those of a
/// group that have lost their `run.json`.
///
/// # Errors
/// If there are no runs.
pub(crate) fn runs_of(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let one = || run_dir::about(dir).map(|_| vec![dir.to_owned()]);
    if run_dir::is_run(dir) {
        return Ok(vec![dir.to_owned()]); // damaged or not: whoever reads it says so
    }
    let Ok(entries) = fs::read_dir(dir) else { return one() };
    let mut runs: Vec<(Option<u64>, PathBuf)> = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| dir.display().to_string())?.path();
        if run_dir::is_run(&path) {
            runs.push((run_dir::about(&path).ok().map(|about| about.seed), path));
        }
    }
    let groups = many::groups_in(dir);
    if runs.is_empty() {
        let [first, ..] = &groups[..] else { return one() };
        bail!(usage(format!("{} holds no run; {} holds some: name that", dir.display(), first.display())));
    }
    groups.iter().for_each(|group| output::note(many::left_out(group)));
    runs.sort();
    let runs: Vec<PathBuf> = runs.into_iter().map(|(_, path)| path).collect();
    match Roster::absent(dir, &runs) {
        Ok(Absent { lost, .. }) => {
            lost.iter().for_each(|run| output::note(format!("left out: {}", line(&many::lost(run)))));
        }
        Err(damaged) => output::note(line(&damaged)), // its runs can be drawn without it
    }
    Ok(runs)
}
