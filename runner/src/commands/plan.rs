//! `rl-run plan`: finds out what can be trained in a given time on this machine, and makes the preset for it.
//!
//! Every candidate is the preset with some work taken away: a smaller trunk, fewer epochs, larger minibatches, products
//! of bf16. Trunks and precisions are timed; what the rest saves follows from how often a step is learned from.
//!
//! The rule: bf16 where it makes a run a tenth faster. Then the candidate with the most work per step that still makes
//! as many frames as the preset is annealed over; if none does, the one with the most frames. So a preset is changed
//! only where the time is too short for it, and what is left of a long time goes into frames.

mod budget;
mod candidates;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use rl_nn::Precision;
use serde::Serialize;

use crate::console::number::{count, fixed};
use crate::console::output;
use crate::console::usage::{self, usage};
use crate::console::waiting::Waiting;
use crate::file;
use crate::machine::identity;
use crate::machine::{Machine, device};
use crate::preset::claim::{self, Claim};
use crate::preset::settings::Settings;
use crate::preset::{self, Resolved, agent_presets};
use crate::tables::Tables;
use crate::training::measure::{self, Span};
use candidates::{Candidate, Times};

/// Finds out how much training fits into a given time on this machine, and writes a preset for it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run plan --env kungfu --minutes 60 --out hour.toml
          rl-run --env kungfu --agent ppo --preset hour.toml")]
pub(crate) struct PlanArgs {
    /// Environment: `rl-run list envs` shows all
    #[arg(long)]
    env: String,
    /// Agent [default: the one whose preset claims the highest score there, else ppo]
    #[arg(long)]
    agent: Option<String>,
    /// Time for the whole run
    #[arg(long, allow_negative_numbers = true, value_parser = usage::time)]
    minutes: f64,
    /// How long to time each trunk and precision, its first update not counted
    #[arg(long, default_value_t = 2.0, allow_negative_numbers = true, value_parser = usage::time)]
    seconds: f64,
    /// Seed of what is timed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    /// Write the preset there instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
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
    agent: &'static str,
    minutes: f64,
    threads: usize,
    cpu: String,
    /// Seconds from the start of a run to the end of its first update, of a shortened round.
    start_seconds: f64,
    candidates: Vec<Row>,
    /// Index of the candidate that was taken.
    chosen: usize,
    frames: u64,
    /// Claim of a preset with as many frames, if there is one.
    claim: Option<Claim>,
    /// Text of the whole preset.
    preset: String,
}

/// A candidate, its speed, and the frames that it makes.
#[derive(Debug, Serialize)]
struct Row {
    settings: toml::Table,
    agent_steps_per_s: f64,
    frames_per_s: f64,
    frames: u64,
}

/// `rl-run plan …`.
pub(crate) fn run(args: &PlanArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let agent = args.agent.clone().map_or_else(|| best_agent(tables, &args.env), Ok)?;
    let own = preset::resolve(tables, &args.settings.of(&args.env, Some(&agent)))?;
    own.told.iter().for_each(output::note);
    let train = own.train()?;
    let spec = own.shapes()?;
    let bf16 = args.machine.device() == "cpu" && Precision::Bf16.unit().is_some();
    let mut candidates = candidates::all(&own, spec.frame_len() > 0, bf16);
    args.out.as_deref().map(file::ready).transpose()?;

    let waiting = Waiting::listen(args.json, "nothing was planned")?;
    let start_seconds = time(&own, &mut candidates, args, &waiting)?;
    let seconds = budget::seconds(args.minutes, start_seconds);
    let rows: Vec<Row> = candidates.iter().map(|candidate| row(candidate, seconds)).collect();
    let chosen = candidates::choose(&candidates, &rows.iter().map(|row| row.frames).collect::<Vec<_>>(), train.frames);
    let (taken, frames) = (&candidates[chosen], rows[chosen].frames);
    let steps = (frames as f64 / taken.times.frames_per_step) as u64;
    let least = budget::least_steps(&own, &train);
    if steps < least {
        let (training, given) = (least as f64 * taken.times.step(), args.minutes);
        let (need, enough) = (start_seconds + training, budget::minutes(training, start_seconds));
        // Rounded up, to four decimals.
        let enough = (enough * 1e4).ceil() / 1e4;
        return Err(usage(format!(
            "--minutes {given}: too short, starting and a first update take {need:.2} s here: --minutes {enough} may do"
        )));
    }
    let mut planned = own.clone();
    taken.apply(&mut planned)?;
    budget::spend(&mut planned, &train, frames, steps)?;
    let report = Report {
        env: own.env_name.clone(),
        agent: own.agent.map_or("", |agent| agent.id),
        minutes: args.minutes,
        threads: args.machine.threads(),
        cpu: identity::cpu(),
        start_seconds,
        candidates: rows,
        chosen,
        frames,
        claim: own.claim.clone().filter(|claim| claim.frames <= frames && taken.keeps(&own)),
        preset: String::new(),
    };
    let preset = text(&report, &planned);
    if let Some(out) = &args.out {
        file::write(out, preset.as_bytes())?;
    }
    if args.json {
        output::line(serde_json::to_string(&Report { preset, ..report })?);
        return Ok(ExitCode::SUCCESS);
    }
    let told = show(&report, taken.times, train.frames);
    match &args.out {
        Some(out) => {
            told.iter().for_each(output::line);
            let (out, machine) = (output::word(out), args.machine.given());
            output::line(format!("rl-run --env {} --agent {} --preset {out}{machine}", args.env, report.agent));
        }
        // What is printed can be kept as a preset: what is told beside it goes elsewhere.
        None => {
            told.iter().for_each(output::note);
            output::line(preset.trim_end());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The agent with the highest claim on an environment, the quicker of two equals; `ppo` if nothing is claimed and it
/// has a preset there.
fn best_agent(tables: &Tables, env: &str) -> anyhow::Result<String> {
    let (name, entry) = tables.env(env)?;
    let (mut claimed, mut with) = (Vec::new(), Vec::new());
    for agent in &tables.agents {
        let texts: Vec<_> = agent_presets(entry, &name, agent).map(|(_, text)| text).collect();
        with.extend((!texts.is_empty()).then_some(agent.id));
        for text in texts {
            let origin = format!("preset {}/{name}", agent.id);
            claimed.extend(claim::on(&name, text, &origin)?.map(|claim| (claim, agent.id)));
        }
    }
    let order = |a: &Claim, b: &Claim| a.score.total_cmp(&b.score).then(b.minutes.total_cmp(&a.minutes));
    let best = claimed.iter().rev().max_by(|(a, _), (b, _)| order(a, b)).map(|&(_, id)| id);
    let usual = || with.iter().copied().find(|id| *id == "ppo").or(with.first().copied());
    let none =
        || usage(format!("no agent has a preset for `{name}`: name one with --agent, and a --preset FILE for it"));
    best.or_else(usual).map(str::to_owned).ok_or_else(none)
}

/// Times every build of the candidates, and returns the seconds up to the end of the first update with the first.
fn time(own: &Resolved, candidates: &mut [Candidate], args: &PlanArgs, waiting: &Waiting) -> anyhow::Result<f64> {
    let mut start_seconds = None;
    for first in 0..candidates.len() {
        if candidates[..first].iter().any(|known| known.build == candidates[first].build) {
            continue;
        }
        let mut probe = own.clone();
        candidates[first].apply_build(&mut probe)?;
        budget::shorten(&mut probe)?;
        if !args.json {
            output::note(format!("timing {}", candidates[first].built()));
        }
        let begin = Instant::now();
        let timed = measure::train(
            &probe,
            args.seed,
            &device(args.machine.device())?,
            args.machine.workers()?,
            Span::Seconds(args.seconds),
            waiting,
        )?;
        waiting.go_on()?;
        start_seconds.get_or_insert(begin.elapsed().as_secs_f64() - timed.seconds);
        let times = Times::of(&timed);
        let build = candidates[first].build.clone();
        candidates.iter_mut().filter(|other| other.build == build).for_each(|other| other.take(times));
    }
    Ok(start_seconds.expect("the preset itself is a candidate"))
}

fn row(candidate: &Candidate, seconds: f64) -> Row {
    let Times { frames_per_step, .. } = candidate.times;
    let steps = 1.0 / candidate.times.step();
    let frames = budget::round(seconds.max(0.0) * steps * frames_per_step);
    Row { settings: candidate.settings(), agent_steps_per_s: steps, frames_per_s: steps * frames_per_step, frames }
}

/// Text of the preset, with a comment on where its numbers come from.
fn text(report: &Report, planned: &Resolved) -> String {
    let Report { minutes, threads, cpu, candidates, chosen, .. } = report;
    let speed = candidates[*chosen].frames_per_s;
    format!("# Minutes: {minutes}, threads: {threads}, frames/s: {speed:.0}, on {cpu}.\n{}", planned.text())
}

fn show(report: &Report, times: Times, annealed: u64) -> Vec<String> {
    let Report { env, agent, minutes, threads, candidates, chosen, frames, claim, .. } = report;
    let keys: Vec<&String> = candidates[0].settings.keys().collect();
    let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let time = if *minutes == 1.0 { "a minute".to_owned() } else { format!("{minutes} minutes") };
    let on = if *threads == 1 { "a thread".to_owned() } else { format!("{threads} threads") };
    let mut lines = vec![format!("{agent} on {env}, {time} on {on}"), String::new()];
    let head: String = keys.iter().map(|key| format!("{:>14}", short(key))).collect();
    lines.push(format!(" {head}{:>12}{:>12}{:>14}", "steps/s", "frames/s", "frames"));
    for (at, row) in candidates.iter().enumerate() {
        let mark = if at == *chosen { '*' } else { ' ' };
        let cell = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let cells: String = row.settings.values().map(|value| format!("{:>14}", cell(value))).collect();
        let Row { agent_steps_per_s, frames_per_s, frames, .. } = row;
        let [steps, rate, frames] = [fixed(*agent_steps_per_s, 0), fixed(*frames_per_s, 0), count(*frames)];
        lines.push(format!("{mark}{cells}{steps:>12}{rate:>12}{frames:>14}"));
    }
    let Times { environment, acting, learning, optimiser, .. } = times;
    let micro = |seconds: f64| format!("{:.1} µs", 1e6 * seconds);
    lines.push(String::new());
    lines.push(format!(
        "an agent step: environment {}, acting {}, learning {}",
        micro(environment),
        micro(acting),
        micro(learning + optimiser)
    ));
    lines.push(format!(
        "* chosen: the most work per step that still makes the preset's {} frames, else the most frames; bf16 if a tenth faster",
        count(annealed)
    ));
    lines.push(match claim {
        Some(claim) => format!("expects {} frames; the preset claims {claim}", count(*frames)),
        None => format!("expects {} frames; no score is claimed for these settings", count(*frames)),
    });
    lines
}
