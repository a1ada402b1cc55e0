//! `rl-run profile`: where the time of a training run goes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;

use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::{self, usage};
use crate::console::waiting::Waiting;
use crate::machine::identity;
use crate::machine::{Machine, device};
use crate::preset;
use crate::preset::settings::{Multiplies, Settings};
use crate::run_dir;
use crate::tables::Tables;
use crate::training::measure::{self, Span};
use crate::training::time_by_part::Timed;

/// Seconds of training to measure, from the first update on, unless `--frames` is given.
const SECONDS: f64 = 10.0;

/// Shows where the time of a training run goes: of a recorded run, or of a short one that leaves nothing behind.
///
/// Parts: step (environments), infer (choosing actions), sample (replay), forward, backward, optimiser, reduce (averaging
/// over the members of a run), save (checkpoints: copying, waiting for the disk), other (evaluations, logs).
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run profile runs/cartpole-dqn-s1
          rl-run profile --env kungfu --agent ppo --json")]
pub(crate) struct ProfileArgs {
    /// Directory of a run: what its rows of metrics say
    #[arg(conflicts_with_all = ["env", "agent", "frames", "seed", "preset", "set", "precision", "threads", "isa", "workers", "device"])]
    run: Option<PathBuf>,
    /// Environment to train on: `rl-run list envs` shows all
    #[arg(long, requires = "agent")]
    env: Option<String>,
    /// Agent to train: `rl-run list agents` shows all
    #[arg(long, requires = "env")]
    agent: Option<String>,
    /// Emulator frames to train for after the first update [default: 10 seconds]
    #[arg(long, value_parser = usage::count_from_1)]
    frames: Option<u64>,
    /// Seed of every random stream
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    multiplies: Multiplies,
    /// One JSON object on stdout: seconds by part
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    env: String,
    agent: String,
    threads: usize,
    /// Instruction set, and what multiplied bf16.
    isa: String,
    #[serde(flatten)]
    timed: Timed,
}

/// `rl-run profile …`.
pub(crate) fn run(args: &ProfileArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    // A run's rows are read at once: nobody can stop that.
    let mut waiting = Waiting::default();
    let report = match &args.run {
        Some(run) => {
            run_dir::refuse_model(run)?;
            let about = run_dir::about(run)?;
            let run_dir::About { env, agent, threads, isa, .. } = about;
            Report { env, agent, threads, isa, timed: Timed::read(run)? }
        }
        None => {
            waiting = Waiting::listen(args.json, "nothing was measured")?;
            let Some(env) = args.env.as_deref() else {
                bail!(usage("name the directory of a run, or --env and --agent to try one"))
            };
            let mut resolved = preset::resolve(tables, &args.settings.of(env, args.agent.as_deref()))?;
            args.multiplies.settle(&args.settings, &mut resolved)?;
            resolved.told.iter().for_each(output::note);
            let span = args.frames.map_or(Span::Seconds(SECONDS), Span::Frames);
            if !args.json {
                output::note("training until the first update, then measuring");
            }
            let timed = measure::train(
                &resolved,
                args.seed,
                &device(args.machine.device())?,
                args.machine.workers()?,
                span,
                &waiting,
            )?;
            let agent = resolved.agent.map_or("", |agent| agent.id).to_owned();
            let (threads, isa) = (args.machine.threads(), identity::isa(resolved.train()?.precision));
            Report { env: resolved.env_name, agent, threads, isa, timed }
        }
    };
    if args.json {
        output::line(serde_json::to_string(&report)?);
        return Ok(measure::end(&waiting, report.timed.seconds));
    }
    let Report { env, agent, threads, isa, timed } = &report;
    output::line(format!("{agent} on {env}, {}, {isa}", counted(*threads, "thread")));
    output::line(timed.summary());
    output::line("");
    timed.table().iter().for_each(output::line);
    Ok(measure::end(&waiting, timed.seconds))
}
