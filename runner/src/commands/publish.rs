//! `rl-run publish`: what others need of a run, to play with its weights and to check its score.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use rl_replays::recording::Manifest;

use crate::checkpoint;
use crate::checkpoint::snapshot::{Part, Snapshot};
use crate::checkpoint::writer::Known;
use crate::commands::record::by_agent;
use crate::console::number::counted;
use crate::console::number::{self, count, exact};
use crate::console::output;
use crate::console::usage::usage;
use crate::console::waiting::{Quiet, Waiting};
use crate::file;
use crate::games::score;
use crate::games::takes::{self, Take};
use crate::machine::Machine;
use crate::machine::device;
use crate::run_dir::About;
use crate::run_dir::origin::Origin;
use crate::run_dir::shown::Shown;
use crate::session::WEIGHTS;
use crate::session::demonstrations;
use crate::tables::Tables;
use crate::trained::model::BEST;
use crate::trained::report::Report;
use crate::trained::{Asked, Trained};

/// Makes a trained model from a run: weights, settings, the score with the games behind it, and a model card.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: rl-run publish runs/kf --out models/kungfu --episodes 100

A model is a run directory that cannot be resumed: eval, record and watch take it, by name (--model) if it is in models/.")]
pub(crate) struct PublishArgs {
    /// Directory of the run
    run: PathBuf,
    /// Directory to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    asked: Asked,
    /// One JSON object on stdout and nothing else: the score
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: Quiet,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// A game to publish, with the name of its file.
struct Game<'a> {
    file: &'static str,
    take: &'a Take,
}

/// `rl-run publish`.
pub(crate) fn run(args: &PublishArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.json || args.progress.quiet, "nothing was published")?;
    let PublishArgs { run, out, asked, .. } = args;
    let exists = || usage(format!("{} exists: name another --out, or remove it", out.display()));
    if out.exists() || out.is_symlink() {
        return Err(exists());
    }
    let mut trained = Trained::load(run, asked, &device(args.machine.device())?, tables)?;
    let told = || out.display().to_string();
    let parent = file::parent(out);
    fs::create_dir_all(parent).with_context(told)?;
    let draft = file::draft(parent, ".publish").with_context(told)?; // before the games
    let described = for_others(run, trained.about.clone())?; // somebody may resume the run while it plays
    let (manifest, takes, score) = by_agent(&trained, asked, None, false, args.machine.workers()?, &waiting)?;
    let report = Report::of(&trained, asked, &score)?;
    // Nobody knows the draft by its name.
    let there = |why: anyhow::Error| anyhow!(format!("{why:#}").replace(&draft.path().display().to_string(), &told()));
    fill(draft.path(), &described, &mut trained, &manifest, &takes, &report).map_err(there).with_context(told)?;
    match fs::rename(draft.path(), out) {
        // Another was quicker; file systems say it in two ways.
        Err(e) if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => return Err(exists()),
        renamed => renamed.with_context(told)?,
    }
    if args.json {
        output::line(serde_json::to_string(&report)?);
    } else {
        let (mean, games) = (number::mean(report.mean, report.stderr), counted(report.episodes as usize, "game"));
        output::line(format!("{}: {mean} over {games}, kept there as recordings", out.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the files of a model.
fn fill(
    to: &Path,
    (settings, about): &(String, About),
    trained: &mut Trained,
    manifest: &Manifest,
    takes: &[Take],
    report: &Report,
) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    trained.learner.weights().save(&mut bytes)?;
    let parts = vec![Part { name: WEIGHTS.to_owned(), bytes, segments: 0..0 }];
    let from = &trained.checkpoint;
    let weights = Snapshot { frames: from.frames(), updates: from.updates(), parts };
    let checkpoints = to.join("checkpoints");
    fs::create_dir(&checkpoints)?;
    checkpoint::write(&checkpoints, &weights, from.owner(), &Known::new())?;
    takes::write(&to.join(score::GAMES), manifest, takes)?;
    let mut by_return: Vec<&Take> = takes.iter().collect();
    by_return.sort_by(|a, b| b.outcome.ret.total_cmp(&a.outcome.ret));
    let games = [(BEST, 0), ("median.rec", takes.len() / 2), ("worst.rec", takes.len() - 1)];
    let games = games.map(|(file, at)| Game { file, take: by_return[at] });
    for Game { file, take } in &games {
        takes::write(&to.join(file), manifest, std::slice::from_ref(*take))?;
    }
    file::write(&to.join("run.toml"), settings.as_bytes())?;
    file::write(&to.join("run.json"), (serde_json::to_string_pretty(about)? + "\n").as_bytes())?;
    file::write(&to.join(score::FILE), (serde_json::to_string_pretty(report)? + "\n").as_bytes())?;
    file::write(&to.join("README.md"), card(trained, report, &games).as_bytes())
}

/// Text of `run.toml`, and `run.json`, for those who have another machine: without the directories of what the run
/// began with.
fn for_others(run: &Path, about: About) -> anyhow::Result<(String, About)> {
    let file = run.join("run.toml");
    let name = || file.display().to_string();
    let settings = fs::read_to_string(&file).with_context(name)?;
    let shared = demonstrations::without_directories(&settings, &name())?;
    let sha256 = |text: &str| rl_assets::sha256(text.as_bytes());
    // A file that was changed since is one there too.
    let same = about.config_sha256 == sha256(&settings);
    let config_sha256 = if same { sha256(&shared) } else { about.config_sha256 };
    let demonstrations = about.demonstrations.map(Shown::without_directories);
    let weights = about.weights.map(Origin::without_directories);
    Ok((shared, About { config_sha256, demonstrations, weights, ..about }))
}

/// Text of the model card: what the model is, how it was made, what it earned and how to try it.
fn card(trained: &Trained, report: &Report, games: &[Game<'_>]) -> String {
    let Trained { about, resolved, checkpoint, parameters_sha256, changed, .. } = trained;
    let Report { env, agent, protocol, policy, seed, episodes, mean, stderr, median, human_normalised, .. } = report;
    let games_of_score = counted(*episodes as usize, "game");
    let precision = resolved.train().map(|train| train.precision.to_string()).unwrap_or_default();
    let mut rows = vec![
        ("environment", format!("`{env}`, version {}", about.env_version)),
        ("protocol", protocol.as_ref().map_or_else(|| "none".to_owned(), |name| format!("`{name}`"))),
        ("agent", format!("`{agent}`, all of its settings in `run.toml`")),
        ("trained for", format!("{} frames, seed {}", count(checkpoint.frames()), about.seed)),
        (
            "made with",
            format!(
                "rl-run {} ({}), on {} of {}",
                about.version,
                about.revision,
                counted(about.threads, "thread"),
                about.cpu
            ),
        ),
        ("precision", format!("{precision}; instruction set {}", about.isa)),
        ("weights", format!("`checkpoints`, safetensors, SHA-256 `{parameters_sha256}`")),
        ("evaluated on", format!("{games_of_score} not seen in training, seed {seed}, actions {policy}")),
        ("mean", number::mean_with_error(*mean, *stderr)),
    ];
    rows.extend(about.weights.clone().map(|origin| ("began with", origin.without_directories().to_string())));
    rows.extend(median.map(|median| ("median", number::score(median))));
    rows.extend(human_normalised.map(|score| ("human-normalised", format!("{score:.3}"))));
    let mut text = format!("# {agent} on {env}\n\n| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str(
        "\nOne training seed says little about others. `games.rec` holds all games of the evaluation; three of them:\n\n",
    );
    text.push_str("| recording | return | steps |\n|---|---|---|\n");
    for Game { file, take } in games {
        let _ = writeln!(text, "| `{file}` | {} | {} |", exact(take.outcome.ret), count(take.steps() as u64));
    }
    let mut asked = format!(" --episodes {episodes}");
    if policy.starts_with("greedy") && resolved.agent.is_some_and(|agent| agent.stochastic) {
        asked.push_str(" --greedy");
    }
    if let Some(protocol) = resolved.protocol().filter(|_| !changed.is_empty()) {
        let _ = write!(asked, " --protocol {protocol}");
    }
    let _ = write!(
        text,
        "\n```sh\nrl-run verify DIR/games.rec    # plays all of them again and certifies the score\nrl-run watch DIR/best.rec\n\
         rl-run eval DIR --seed {seed}{asked}       # evaluates again; other seeds play other games\n```\n",
    );
    text.push_str(
        "\nDIR is this directory. On a CPU that computes in another precision, even the same seed plays other games.\n",
    );
    text
}
