//! The default command: act, step, learn, until the frames are spent.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use candle_core::Device;
use rl_core::Seating;
use rl_nn::Precision;

use crate::actors::Actors;
use crate::cli::Machine;
use crate::collect::{self, Seats, Workers};
use crate::dashboard::Board;
use crate::drive::{Outcome, Run, drive};
use crate::evaluate::{build, context};
use crate::keep::Archive;
use crate::manifest::Owner;
use crate::metrics::Metrics;
use crate::needs::Runs;
use crate::preset::{self, Ask, Eval, Resolved, Train};
use crate::progress::Progress;
use crate::run_dir::{self, About, RunDir};
use crate::seeds::Seeds;
use crate::session::{Acting, Counts, Session, Window};
use crate::stop::{STOPPED, Stop};
use crate::suspect::keep_batch;
use crate::tables::Tables;
use crate::tape::{Tape, Which};
use crate::usage::{self, usage};
use crate::{demonstrations, group, needs, output, record};

/// Trains an agent.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Environment: `rl-run list envs` shows all
    #[arg(long, required = true)]
    env: Option<String>, // an Option only because a subcommand takes its place
    /// Agent: `rl-run list agents` shows all
    #[arg(long, required = true)]
    agent: Option<String>,
    /// Emulator frames to train for; the run ends with the first update at or after that many, so at least one is made
    #[arg(long, allow_negative_numbers = true, value_parser = usage::count)]
    frames: Option<u64>,
    /// Seed of every random stream
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    seed: u64,
    /// Trains several seeds side by side, as many at once as there are threads: 1..64 (both included) or 1,2,5
    #[arg(long, value_name = "SEEDS", conflicts_with = "seed", allow_negative_numbers = true)]
    seeds: Option<Seeds>,
    /// Directory of the run; with --seeds, the parent of one directory s<seed> per seed [default: runs/<env>-<agent>-s<seed>]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Replace the run that is in the directory of --run
    #[arg(long, requires = "run")]
    force: bool,
    /// TOML file whose tables replace the preset's, or the name of a built-in preset of the pair (`rl-run list presets`)
    #[arg(long, value_name = "FILE|NAME")]
    preset: Option<PathBuf>,
    /// Replace one value of the preset
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Precision of the encoder's matrix products: f32 | bf16 (falls back to f32 where the CPU has no bf16 instructions)
    #[arg(long)]
    precision: Option<Precision>,
    /// Threads that act and step while the agent learns, 0 for none: only if it can learn from data of older weights (impala)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    actors: Option<u32>,
    /// Frames between evaluations, 0 for none
    #[arg(long, value_name = "FRAMES", allow_negative_numbers = true, value_parser = usage::count)]
    eval_every: Option<u64>,
    /// Games of an evaluation
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    eval_episodes: Option<u32>,
    /// Records whole episodes of the first seat in the run's directory: best | every:N | last:N
    #[arg(long, value_name = "WHICH")]
    record: Option<Which>,
    /// Also keeps the agent's value, and its action probabilities or Q values, before every N-th step [default: none]
    #[arg(long, value_name = "every:N", value_parser = record::every, requires = "record")]
    outputs: Option<u32>,
    /// Shows a dashboard on the terminal: curves, where the time goes, the game of the first seat (? names its keys)
    #[arg(long, conflicts_with_all = ["seeds", "quiet", "json"])]
    tui: bool,
    #[command(flatten)]
    report: Report,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What is said of a run, and how.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Report {
    /// Nothing on stderr but errors
    #[arg(long)]
    pub(crate) quiet: bool,
    /// End with one JSON object on stdout; with --seeds, with one per seed and one for all of them
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to train, and with what: the same for every seed.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) resolved: Resolved,
    pub(crate) train: Train,
    eval: Eval,
    pub(crate) device: Device,
    /// Name of the device.
    on: String,
    /// Threads of a run.
    pub(crate) threads: usize,
    workers: Workers,
    record: Option<Which>,
    outputs: Option<u32>,
    pub(crate) stop: Stop,
}

/// Where runs go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The directory that was asked for.
    run: Option<&'a Path>,
    /// Whether it holds one directory per seed.
    many: bool,
    /// Whether to replace a run that is there.
    force: bool,
}

impl Place<'_> {
    /// Whether every run can have its directory: none is begun where one could not.
    ///
    /// # Errors
    /// If one is there that may not be replaced.
    pub(crate) fn check(&self, seeds: &[u64]) -> anyhow::Result<()> {
        if let Some(run) = self.run
            && run_dir::about(run).is_ok()
        {
            bail!(usage(format!("{} is the directory of one run: name another --run for several", run.display())));
        }
        seeds.iter().filter_map(|&seed| self.of(seed)).try_for_each(|dir| run_dir::may_be(&dir, self.force).map(drop))
    }

    fn of(&self, seed: u64) -> Option<PathBuf> {
        self.run.map(|run| if self.many { group::below(run, seed) } else { run.to_owned() })
    }
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
    if args.record.is_some() && resolved.together() > 1 {
        return Err(usage("--record: a recording is of one seat, and seats of this run share a world".to_owned()));
    }
    demonstrations::settle(&mut resolved)?;
    let (train, eval) = (resolved.train()?, resolved.eval()?);
    let (device, workers) = (device(args.machine.device())?, args.machine.workers()?);
    let (on, threads) = (args.machine.device().to_owned(), args.machine.threads());
    let (record, outputs) = (args.record, args.outputs);
    let order = Order { resolved, train, eval, device, on, threads, workers, record, outputs, stop };
    let place = Place { run: args.run.as_deref(), many: args.seeds.is_some(), force: args.force };
    if let Some(seeds) = &args.seeds {
        return group::run(&order, seeds, &place, args.report);
    }
    let progress = progress(&order.resolved, args.seed, (0, order.train.frames), (args.tui, args.report), &order.stop)?;
    order.resolved.told.iter().for_each(|told| progress.note(told));
    let outcome = fresh(&order, args.seed, &place, progress)?;
    finish(&outcome, args.report)
}

impl Order {
    /// What a run multiplies, where that is not what was asked for.
    pub(crate) fn instead(&self) -> Option<&'static str> {
        match self.train.precision {
            Precision::Bf16 if !self.device.is_cpu() => Some("bf16 is supported on the CPU only: the GPU uses f32"),
            Precision::Bf16 if self.train.precision.unit().is_none() => {
                Some("this CPU has no bf16 instructions: using f32")
            }
            _ => None,
        }
    }

    /// A session at its very beginning, once it is known that `runs` of its kind have room here.
    fn session(&self, seed: u64, runs: Runs, place: &Place<'_>) -> anyhow::Result<Session> {
        let Self { resolved, train, device, workers, .. } = self;
        let mut session = start(resolved, train, seed, device, self.workers_of(*workers))?;
        let (agent, context) = context(resolved, session.seats.spec(), seed, device)?;
        let mut weights = Vec::new();
        session.learner.weights().save(&mut weights)?;
        let at = place.run.unwrap_or(Path::new("runs"));
        needs::check(agent, &context, train, at, weights.len() as u64, runs)?;
        Ok(session)
    }

    /// Whether a run could start: of several only the first needs to be asked.
    ///
    /// # Errors
    /// If the pair cannot work, a value is refused, or memory or disk is short.
    pub(crate) fn check(&self, seed: u64, runs: Runs, place: &Place<'_>) -> anyhow::Result<()> {
        self.session(seed, runs, place).map(drop)
    }

    /// The same for one of as many runs `at_once`.
    pub(crate) fn share(&self, at_once: usize) -> Self {
        Self { threads: (self.threads / at_once).max(1), ..self.clone() }
    }

    /// Threads that step, of the threads of a run.
    fn workers_of(&self, workers: Workers) -> Workers {
        match workers {
            Workers::UpTo(most) => Workers::UpTo(most.min(self.threads)),
            Workers::Exactly(workers) => Workers::Exactly(workers),
        }
    }
}

/// Trains `seed` from its beginning, in a directory of its own.
///
/// # Errors
/// If anything that it needs is missing, refused or fails.
pub(crate) fn fresh(order: &Order, seed: u64, place: &Place<'_>, progress: Progress) -> anyhow::Result<Outcome> {
    let mut session = order.session(seed, Runs { all: 1, at_once: 1 }, place)?;
    if let Some(instead) = order.instead().filter(|_| !place.many) {
        progress.note(instead);
    }
    let kept = record::kept_of(order.outputs, &session, &order.resolved)?;
    let Order { resolved, train, eval, workers, stop, .. } = order.clone();
    // Before there is a directory: what cannot be shown leaves none.
    let shown = demonstrations::begin(&resolved, &mut session, &train)?;
    if let Some(shown) = &shown {
        progress.note(&shown.to_string());
    }
    let about = About { demonstrations: shown, ..about(order, seed) };
    let name = format!("{}-{}-s{seed}", resolved.env_name.replace('/', "-"), about.agent);
    let dir = RunDir::create(place.of(seed).as_deref(), &name, place.force, &about, &resolved.text())?;
    if let Some(which) = order.record {
        session.tape = Some(Tape::open(which, kept, dir.path(), &resolved, seed, &mut session)?);
    }
    let (path, metrics) = (dir.path().to_owned(), Metrics::create(dir.path())?);
    let mut archive = Archive::create(dir, owner(&resolved, &train), train.keep_checkpoints)?;
    let workers = order.workers_of(workers);
    let run = Run { resolved, train, eval, seed, workers, path, stop };
    drive(&run, &mut session, Some(metrics), progress, &mut archive).map_err(|error| keep_batch(error, &run.path))
}

/// Shows a run at some frame of all: in the way that was asked for, a dashboard or not.
///
/// # Errors
/// If there is no terminal for a dashboard.
pub(crate) fn progress(
    resolved: &Resolved,
    seed: u64,
    (done, total): (u64, u64),
    (tui, Report { quiet, json }): (bool, Report),
    stop: &Stop,
) -> anyhow::Result<Progress> {
    if !tui {
        return Ok(Progress::new(done, total, quiet, json));
    }
    let agent = resolved.agent.map_or("", |agent| agent.id);
    let title = format!("{agent} on {}, seed {seed}", resolved.env_name);
    Ok(Progress::board(Board::open(&title, done, total, stop)?))
}

/// Says how a run ended.
///
/// # Errors
/// If its outcome cannot be written as JSON.
pub(crate) fn finish(outcome: &Outcome, report: Report) -> anyhow::Result<ExitCode> {
    let Outcome { frames, agent_steps, updates, seconds, run, stopped, .. } = outcome;
    if !report.quiet {
        let mean = outcome.mean_return_100.map(|m| format!(", mean return {m:.3}")).unwrap_or_default();
        let run = run.display();
        output::note(format!(
            "{frames} frames, {agent_steps} agent steps, {updates} updates in {seconds:.1} s{mean}: {run}"
        ));
        if *stopped {
            output::note(format!("stopped; go on with: rl-run resume {run}"));
        }
    }
    if report.json {
        output::line(serde_json::to_string(outcome)?);
    }
    Ok(if *stopped { ExitCode::from(STOPPED) } else { ExitCode::SUCCESS })
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
    let envs = collect::groups(&|seating| resolved.seat(seating), &seating, groups, resolved.together())?;
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
    Ok(Session { seats, learner, acting, counts, window, notes: Vec::new(), tape: None })
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
    usage(format!(
        "{asked}: agent `{agent}` can learn only from data of its newest weights (impala also learns from older ones)"
    ))
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

fn about(order: &Order, seed: u64) -> About {
    let owner = owner(&order.resolved, &order.train);
    About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: env!("RL_REVISION").to_owned(),
        features: run_dir::features(),
        isa: owner.isa,
        cpu: run_dir::cpu(),
        threads: order.threads,
        device: order.on.clone(),
        env: owner.env,
        env_version: owner.env_version,
        agent: owner.agent,
        seed,
        config_sha256: order.resolved.sha256(),
        record: order.record,
        demonstrations: None,
        record_outputs: order.outputs,
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
