//! The default command: act, step, learn, until the frames are spent; and `rl-run resume`, which goes on with it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use candle_core::Device;
use rl_agents::{Mode, Part};
use rl_core::Seating;
use rl_nn::Precision;
use serde::Serialize;

use crate::actors::Actors;
use crate::checkpoint::{self, Checkpoint, Extent, Owner};
use crate::cli::Machine;
use crate::collect::{self, Seats, Workers};
use crate::evaluate::{Games, build, context, play};
use crate::metrics::Metrics;
use crate::preset::{self, Ask, Eval, Resolved, Train};
use crate::progress::Progress;
use crate::run_dir::{self, About, RunDir};
use crate::session::{Acting, Counts, Session, Window};
use crate::stop::{STOPPED, Stop};
use crate::tables::Tables;
use crate::usage::usage;
use crate::watch::Watch;
use crate::{needs, output};

/// Rows of metrics in a run, at least.
const ROWS: u64 = 200;

/// Trains an agent.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Environment: `rl-run list envs` shows all
    #[arg(long, required = true)]
    env: Option<String>, // an Option only because a subcommand takes its place
    /// Agent: `rl-run list agents` shows all
    #[arg(long, required = true)]
    agent: Option<String>,
    /// Emulator frames to train for; ends at the first update at or after them, so that one is made at least
    #[arg(long, allow_negative_numbers = true)]
    frames: Option<u64>,
    /// Seed of every random stream
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    seed: u64,
    /// Directory of the run [default: runs/<env>-<agent>-s<seed>]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Replace the run that is in the directory
    #[arg(long)]
    force: bool,
    /// Tables of this file replace those of the preset
    #[arg(long, value_name = "FILE")]
    preset: Option<PathBuf>,
    /// Replace one value of the preset
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Numbers that the layers of encoders multiply: f32 | bf16 (where the CPU has instructions for it, else f32)
    #[arg(long)]
    precision: Option<Precision>,
    /// Threads that act and step while the agent learns, 0 for none: only for agents that learn from older weights
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    actors: Option<u32>,
    /// Frames between evaluations, 0 for none
    #[arg(long, value_name = "FRAMES", allow_negative_numbers = true)]
    eval_every: Option<u64>,
    /// Games of an evaluation
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    eval_episodes: Option<u32>,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// Goes on with a run from its last checkpoint, to the bits that it would have had without the interruption.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// Directory of the run
    run: PathBuf,
    /// `last`, or the frames of a checkpoint; later ones are removed
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Train for this many frames in all, instead of the run's
    #[arg(long, allow_negative_numbers = true)]
    frames: Option<u64>,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct ReportArgs {
    /// Nothing on stderr but errors
    #[arg(long)]
    quiet: bool,
    /// End with one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// What `--json` prints at the end.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    frames: u64,
    agent_steps: u64,
    updates: u64,
    seconds: f64,
    mean_return_100: Option<f64>,
    parameters_sha256: String,
    run: &'a Path,
}

/// Everything that stays the same while a run runs.
struct Run {
    resolved: Resolved,
    train: Train,
    eval: Eval,
    seed: u64,
    workers: Workers,
    owner: Owner,
    dir: RunDir,
    report: ReportArgs,
    stop: Stop,
}

/// `rl-run --env E --agent A`.
pub(crate) fn run(args: &TrainArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let stop = Stop::listen()?;
    let ask = Ask {
        env: args.env.as_deref().expect("clap requires it without a subcommand"),
        agent: args.agent.as_deref(),
        preset: args.preset.as_deref(),
        sets: &args.set,
        protocol: None,
    };
    let mut resolved = preset::resolve(tables, &ask)?;
    let numbers = [
        ("train.frames", args.frames),
        ("train.eval_every", args.eval_every),
        ("eval.episodes", args.eval_episodes.map(u64::from)),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            resolved.set(key, i64::try_from(value).map_err(|_| usage(format!("{key}: {value} is too large")))?)?;
        }
    }
    if let Some(precision) = args.precision {
        resolved.set("train.precision", precision.name())?;
    }
    if let Some(actors) = args.actors {
        take_actors(&mut resolved, actors)?;
    }
    let (train, eval) = (resolved.train()?, resolved.eval()?);
    if train.precision == Precision::Bf16 && !args.report.quiet {
        if args.machine.device != "cpu" {
            output::note("bf16 is for the CPU: the GPU multiplies f32");
        } else if train.precision.unit().is_none() {
            output::note("this CPU has no instructions for bf16: multiplying f32");
        }
    }
    let about = about(&resolved, &train, args.seed, &args.machine);
    let (workers, device) = (args.machine.workers()?, device(&args.machine.device)?);
    let mut session = start(&resolved, &train, args.seed, &device, workers)?;
    let place = args.run.as_deref().unwrap_or(Path::new("runs"));
    let (agent, context) = context(&resolved, session.seats.spec(), args.seed, &device)?;
    needs::check(agent, &context, &train, place)?;

    let name = format!("{}-{}-s{}", resolved.env_name.replace('/', "-"), about.agent, args.seed);
    let dir = RunDir::create(args.run.as_deref(), &name, args.force, &about, &resolved.text())?;
    session.seats.reset()?;
    session.counts.next_checkpoint = train.checkpoint_every;
    session.counts.next_eval = train.eval_every;
    let (owner, metrics) = (owner(&resolved, &train), Metrics::create(dir.path())?);
    let run = Run { resolved, train, eval, seed: args.seed, workers, owner, dir, report: args.report, stop };
    drive(&run, &mut session, metrics)
}

/// `rl-run resume RUN`.
pub(crate) fn resume(args: &ResumeArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let stop = Stop::listen()?;
    let mut about = run_dir::about(&args.run)?;
    let mut dir = RunDir::open(&args.run)?;
    let file = args.run.join("run.toml");
    let ask = Ask { env: &about.env, agent: Some(&about.agent), preset: Some(&file), ..Ask::default() };
    let mut resolved = preset::resolve(tables, &ask)?;
    if let Some(frames) = args.frames {
        resolved.set("train.frames", i64::try_from(frames).map_err(|_| usage("--frames: too large"))?)?;
    }
    let (train, eval) = (resolved.train()?, resolved.eval()?);
    let owner = owner(&resolved, &train);
    let checkpoint = Checkpoint::open(&checkpoint::find(&args.run, &args.checkpoint)?, &owner)?;
    let workers = args.machine.workers()?;
    let mut session = start(&resolved, &train, about.seed, &device(&args.machine.device)?, workers)?;
    checkpoint.load(&mut session)?;
    checkpoint::forget_after(&dir.checkpoints(), checkpoint.frames())?;
    let (theirs, ours) = (checkpoint.isa(), &owner.isa);
    if theirs != ours && !args.report.quiet {
        output::note(format!("this run used {theirs}, this machine has {ours}: going on, but not to the same bits"));
    }
    if !session.is_exact() && !args.report.quiet {
        output::note("actors lag behind by chance: going on from here, but not to the bits of an uninterrupted run");
    }
    about.config_sha256 = resolved.sha256();
    dir.describe(&about, &resolved.text())?;
    let metrics = Metrics::reopen(dir.path(), checkpoint.frames())?;
    let run = Run { resolved, train, eval, seed: about.seed, workers, owner, dir, report: args.report, stop };
    drive(&run, &mut session, metrics)
}

/// A session at its very beginning, its environment not yet reset.
pub(crate) fn start(
    resolved: &Resolved,
    train: &Train,
    seed: u64,
    device: &Device,
    workers: Workers,
) -> anyhow::Result<Session> {
    let range = 0..train.envs;
    let seating = Seating { seed, seats: range.clone() };
    // Actors are groups too, and need nobody else to step them.
    let (groups, workers) = match train.actors {
        0 => (workers, workers),
        actors => (Workers::Exactly(actors as usize), Workers::UpTo(1)),
    };
    let envs = collect::groups(&|seating| resolved.seat(seating), &seating, groups)?;
    let learner = build(resolved, envs[0].spec(), seed, device)?;
    let seats = Seats::new(envs, learner.plan(), workers)?;
    let acting = if train.actors == 0 {
        Acting::InTurn(learner.policy(range)?)
    } else {
        let anew = resolved.clone();
        let rebuild = Arc::new(move |seating: &Seating| anew.seat(seating));
        let actors = Actors::new(learner.as_ref(), &seats, seed, rebuild)?;
        Acting::Apart(actors.ok_or_else(|| newest_only(resolved, "train.actors"))?)
    };
    let (counts, window) = (Counts::default(), Window::default());
    Ok(Session { seats, learner, acting, counts, window, notes: Vec::new() })
}

/// `--actors N`. A preset without that key is one of an agent that has none.
fn take_actors(resolved: &mut Resolved, actors: u32) -> anyhow::Result<()> {
    if resolved.table("train").contains_key("actors") {
        return resolved.set("train.actors", i64::from(actors));
    }
    if actors == 0 { Ok(()) } else { Err(newest_only(resolved, &format!("--actors {actors}"))) }
}

fn newest_only(resolved: &Resolved, asked: &str) -> anyhow::Error {
    let agent = resolved.agent.map_or("", |agent| agent.id);
    usage(format!("{asked}: agent `{agent}` learns from what its newest weights did (impala takes older ones)"))
}

/// The training loop: one block per group of seats after the other; what workers do, they do inside of `collect`.
fn drive(run: &Run, session: &mut Session, metrics: Metrics) -> anyhow::Result<ExitCode> {
    let progress = Progress::new(session.counts.frames, run.train.frames, run.report.quiet, run.report.json);
    let mut watch = Watch::new(metrics, progress, session);
    let stopped = loop {
        if run.train.eval_every > 0 && session.counts.frames >= session.counts.next_eval {
            session.rest(&mut watch.log)?;
            if !evaluate(run, session, &mut watch)? {
                break true;
            }
            session.counts.next_eval = due(session.counts.frames, run.train.eval_every);
        }
        if session.counts.frames >= session.counts.next_row {
            session.counts.next_row = due(session.counts.frames, (run.train.frames / ROWS).max(1));
            watch.row(session)?;
        }
        if session.counts.frames >= session.counts.next_checkpoint {
            session.rest(&mut watch.log)?;
            session.counts.next_checkpoint = due(session.counts.frames, run.train.checkpoint_every);
            watch.row(session)?; // a row before a checkpoint: no mean spans it
            save(run, session)?;
        }
        if session.counts.frames >= run.train.frames && session.learner.updates() > 0 {
            break false;
        }
        if run.stop.asked() {
            break true;
        }
        session.advance(&mut watch.log)?;
        session.notes.drain(..).for_each(|note| watch.note(&note));
        watch.show(session);
        watch.log.lap(Part::Other);
    };
    session.rest(&mut watch.log)?;
    watch.row(session)?;
    watch.finish();
    save(run, session)?;
    let outcome = Outcome {
        frames: session.counts.frames,
        agent_steps: session.counts.agent_steps,
        updates: session.learner.updates(),
        seconds: watch.seconds(),
        mean_return_100: session.window.mean_return(),
        parameters_sha256: checkpoint::sha256(session.learner.weights())?,
        run: run.dir.path(),
    };
    finish(run, &outcome, stopped)
}

/// The first multiple of `every` after `frames`.
fn due(frames: u64, every: u64) -> u64 {
    (frames / every + 1).saturating_mul(every)
}

fn save(run: &Run, session: &mut Session) -> anyhow::Result<()> {
    let dir = run.dir.checkpoints();
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    checkpoint::write(&dir, session, &run.owner, Extent::Whole)?;
    checkpoint::prune(&dir, run.train.keep_checkpoints)
}

/// Plays on seats of its own; nothing of the session changes but the record of the best. False if it was
/// stopped: a resumed run plays it again.
fn evaluate(run: &Run, session: &mut Session, watch: &mut Watch) -> anyhow::Result<bool> {
    let mode = Mode::Evaluate { epsilon: run.eval.epsilon, greedy: false };
    let learner = session.learner.as_ref();
    let games = Games { seed: run.seed, episodes: run.eval.episodes, mode, workers: run.workers };
    let Some(score) = play(&run.resolved, learner, games, &run.stop)? else {
        return Ok(false);
    };
    let (frames, games, mean, error) = (session.counts.frames, score.returns.len(), score.mean(), score.stderr());
    watch.note(&format!("evaluation at {frames} frames: mean {mean:.3} ± {error:.3} over {games} games"));
    watch.add("eval_return", mean);
    watch.add("eval_stderr", error);
    if session.counts.best.is_none_or(|best| mean > best) {
        session.counts.best = Some(mean);
        let dir = run.dir.best();
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        checkpoint::write(&dir, session, &run.owner, Extent::Weights)?;
        checkpoint::prune(&dir, 1)?;
    }
    Ok(true)
}

fn finish(run: &Run, outcome: &Outcome<'_>, stopped: bool) -> anyhow::Result<ExitCode> {
    if !run.report.quiet {
        let Outcome { frames, agent_steps, updates, seconds, .. } = outcome;
        let mean = outcome.mean_return_100.map(|m| format!(", mean return {m:.3}")).unwrap_or_default();
        output::note(format!(
            "{frames} frames, {agent_steps} agent steps, {updates} updates in {seconds:.1} s{mean}: {}",
            outcome.run.display()
        ));
        if stopped {
            output::note(format!("stopped; go on with: rl-run resume {}", outcome.run.display()));
        }
    }
    if run.report.json {
        output::line(serde_json::to_string(outcome)?);
    }
    Ok(if stopped { ExitCode::from(STOPPED) } else { ExitCode::SUCCESS })
}

/// Whose checkpoints a configuration reads and writes.
pub(crate) fn owner(resolved: &Resolved, train: &Train) -> Owner {
    Owner {
        env: resolved.env_name.clone(),
        env_version: resolved.env.version,
        agent: resolved.agent.map_or_else(String::new, |agent| agent.id.to_owned()),
        isa: run_dir::isa(train.precision),
    }
}

fn about(resolved: &Resolved, train: &Train, seed: u64, machine: &Machine) -> About {
    let owner = owner(resolved, train);
    About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: env!("RL_REVISION").to_owned(),
        features: run_dir::features(),
        isa: owner.isa,
        cpu: run_dir::cpu(),
        threads: machine.threads(),
        device: machine.device.clone(),
        env: owner.env,
        env_version: owner.env_version,
        agent: owner.agent,
        seed,
        config_sha256: resolved.sha256(),
    }
}

/// Where tensors live.
///
/// # Errors
/// If there is no such device here.
pub(crate) fn device(name: &str) -> anyhow::Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "cuda" if cfg!(feature = "cuda") => Device::new_cuda(0).context("--device cuda"),
        "cuda" => bail!(usage("--device cuda: this binary was built without the feature `cuda`")),
        _ => bail!(usage(format!("--device {name}: expected `cpu` or `cuda`"))),
    }
}
