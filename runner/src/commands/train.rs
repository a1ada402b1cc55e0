//! The default command: act, step, learn, until the frames are spent.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::console::usage::{self, usage};
use crate::games::outputs;
use crate::machine::Machine;
use crate::machine::device;
use crate::preset::settings::{Multiplies, Settings};
use crate::preset::{self, Resolved};
use crate::run_dir::tape::Which;
use crate::session::demonstrations;
use crate::session::newest_only;
use crate::tables::Tables;
use crate::trained::initial::Initial;
use crate::training::fresh::fresh;
use crate::training::group;
use crate::training::order::{Order, Place};
use crate::training::seeds::Seeds;
use crate::training::verbosity::{Verbosity, finish, listen, progress};

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
    /// Directory of the run; with --seeds, the parent of one directory s<seed> per seed [default: runs/<env>-<agent>-s<seed>, or with -2, -3 … behind it where that is taken]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Replace the run that is in the directory of --run
    #[arg(long, requires = "run")]
    force: bool,
    /// Begin with the weights of another run (of its last checkpoint), of a published model or of a .safetensors file, and not with random ones
    #[arg(long, value_name = "RUN|MODEL|FILE")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    multiplies: Multiplies,
    /// Threads that act and step while the agent learns, 0 for none: only if it can learn from data of older weights (impala)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    actors: Option<u32>,
    /// Frames between evaluations, 0 for none
    #[arg(long, value_name = "FRAMES", allow_negative_numbers = true, value_parser = usage::count)]
    eval_every: Option<u64>,
    /// Games of an evaluation
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    eval_episodes: Option<u32>,
    /// Records whole episodes of the first seat in the run's directory: best | every:N | last:N, N counting episodes of that seat
    #[arg(long, value_name = "WHICH")]
    record: Option<Which>,
    /// Also keeps the agent's value, and its action probabilities or Q values, before every N-th step [default: none]
    #[arg(long, value_name = "every:N", value_parser = outputs::every, requires = "record")]
    outputs: Option<u32>,
    /// Shows a dashboard on the terminal: curves, where the time goes, the game of the first seat (? names its keys)
    #[arg(long, conflicts_with_all = ["seeds", "quiet", "json"])]
    tui: bool,
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// `rl-run --env E --agent A`.
pub(crate) fn run(args: &TrainArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let stop = listen(args.tui, args.verbosity)?;
    let env = args.env.as_deref().expect("clap requires it without a subcommand");
    let mut resolved = preset::resolve(tables, &args.settings.of(env, args.agent.as_deref()))?;
    let numbers = [
        ("--frames", "train.frames", args.frames),
        ("--eval-every", "train.eval_every", args.eval_every),
        ("--eval-episodes", "eval.episodes", args.eval_episodes.map(u64::from)),
    ];
    for (flag, key, value) in numbers {
        if let Some(value) = value {
            args.settings.alone(flag, key)?;
            resolved.set(key, i64::try_from(value).map_err(|_| usage(format!("{key}: {value} is too large")))?)?;
        }
    }
    args.multiplies.settle(&args.settings, &mut resolved)?;
    if let Some(actors) = args.actors {
        args.settings.alone("--actors", "train.actors")?;
        take_actors(&mut resolved, actors)?;
    }
    if args.record.is_some() && resolved.seats_per_world() > 1 {
        let seats = resolved.seats_per_world();
        return Err(usage(format!(
            "--record follows a world of one seat, and here {seats} share one: `rl-run record RUN` records what was trained"
        )));
    }
    demonstrations::settle(&mut resolved)?;
    let (train, eval) = (resolved.train()?, resolved.eval()?);
    let (device, workers) = (device(args.machine.device())?, args.machine.workers()?);
    let (on, threads) = (args.machine.device().to_owned(), args.machine.threads());
    let (record, outputs) = (args.record, args.outputs);
    let initial = args.weights.as_deref().map(Initial::read).transpose()?;
    let order = Order { resolved, train, eval, device, on, threads, workers, record, outputs, initial, stop };
    let place = Place { run: args.run.as_deref(), many: args.seeds.is_some(), force: args.force };
    if let Some(seeds) = &args.seeds {
        return group::run(&order, seeds, &place, args.verbosity);
    }
    place.check(&[args.seed])?; // what cannot begin is told so, and not how to mend its settings
    let progress =
        progress(&order.resolved, args.seed, (0, order.train.frames), (args.tui, args.verbosity), &order.stop)?;
    order.resolved.told.iter().for_each(|told| progress.note(told));
    let outcome = fresh(&order, args.seed, &place, progress)?;
    finish(&outcome, args.verbosity)
}

/// `--actors N`. A preset without that key is one of an agent that has none.
fn take_actors(resolved: &mut Resolved, actors: u32) -> anyhow::Result<()> {
    if resolved.table("train").contains_key("actors") {
        return resolved.set("train.actors", i64::from(actors));
    }
    if actors == 0 { Ok(()) } else { Err(newest_only(resolved, &format!("--actors {actors}"))) }
}
