//! `rl-run bench train`: agent steps and updates per second of a training run, once it learns.

use std::process::ExitCode;

use serde::Serialize;

use crate::console::number::counted;
use crate::console::output;
use crate::console::usage;
use crate::console::waiting::Waiting;
use crate::machine::identity;
use crate::machine::{Machine, device};
use crate::preset;
use crate::preset::settings::{Multiplies, Settings};
use crate::tables::Tables;
use crate::training::measure::{self, Span};
use crate::training::time_by_part::Profile;

/// Measures training: the replay is filled first, and the clock starts at the first update.
///
/// It is an error if the measured updates per agent step differ from what the preset asks for.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: rl-run bench train --env kungfu --agent ppo --seconds 20 --json")]
pub(crate) struct TrainArgs {
    /// Environment: `rl-run list envs` shows all
    #[arg(long)]
    env: String,
    /// Agent: `rl-run list agents` shows all
    #[arg(long)]
    agent: String,
    /// How long to measure
    #[arg(long, default_value_t = 20.0, allow_negative_numbers = true, value_parser = usage::time)]
    seconds: f64,
    /// Seed of every random stream
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    multiplies: Multiplies,
    /// One JSON object on stdout
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
    /// Instruction set; for bf16, after a comma what multiplies it.
    isa: String,
    agent_steps_per_s: f64,
    updates_per_s: f64,
    frames_per_s: f64,
    agent_steps: u64,
    updates: u64,
    seconds: f64,
    profile: Profile,
}

/// `rl-run bench train`.
pub(crate) fn run(args: &TrainArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.json, "nothing was measured")?;
    let mut resolved = preset::resolve(tables, &args.settings.of(&args.env, Some(&args.agent)))?;
    args.multiplies.settle(&args.settings, &mut resolved)?;
    resolved.told.iter().for_each(output::note);
    let timed = measure::train(
        &resolved,
        args.seed,
        &device(args.machine.device())?,
        args.machine.workers()?,
        Span::Seconds(args.seconds),
        &waiting,
    )?;
    let rate = |count: u64| count as f64 / timed.seconds;
    let isa = identity::isa(resolved.train()?.precision);
    let report = Report {
        env: resolved.env_name,
        agent: args.agent.clone(),
        threads: args.machine.threads(),
        isa,
        agent_steps_per_s: rate(timed.agent_steps),
        updates_per_s: rate(timed.updates),
        frames_per_s: rate(timed.frames),
        agent_steps: timed.agent_steps,
        updates: timed.updates,
        seconds: timed.seconds,
        profile: timed.profile,
    };
    if args.json {
        output::line(serde_json::to_string(&report)?);
        return Ok(measure::end(&waiting, timed.seconds));
    }
    let Report { env, agent, isa, .. } = &report;
    output::line(format!("{agent} on {env}, {}, {isa}", counted(report.threads, "thread")));
    output::line(timed.summary());
    timed.table().iter().for_each(output::line);
    Ok(measure::end(&waiting, timed.seconds))
}
