//! `rl-run bench`: measures how fast this machine is at a part of training.

mod nn;
mod train;

use std::process::ExitCode;
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use crossbeam_channel::{Receiver, bounded};
use rl_core::{Act, Result, Rng, Seating, Stream, VecEnv};
use rl_replays::Rollout;
use serde::Serialize;

use crate::console::number::counted;
use crate::console::number::{count, fixed};
use crate::console::output;
use crate::console::usage::{self, usage};
use crate::preset::MOST_SEATS;
use crate::preset::env_choice::EnvChoice;
use crate::tables::Tables;

/// Steps from one look at the clock to the next.
const HORIZON: usize = 32;
/// Rows of random actions, drawn before the clock starts and then played over and over.
const DRAWN: usize = 4096;

/// Measures this machine.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run bench train --env kungfu --agent ppo --threads 2
          rl-run bench env --env kungfu --envs 8 --threads 2
          rl-run bench nn --model nature --batch 32 --threads 2")]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Steps of an environment with random actions: nothing but stepping, resets included
    Env(EnvArgs),
    Nn(nn::NnArgs),
    Train(train::TrainArgs),
}

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: rl-run bench env --env kungfu --envs 8 --threads 2 --seconds 10 --json")]
struct EnvArgs {
    #[command(flatten)]
    env: EnvChoice,
    /// Seats in all
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_SEATS)))]
    envs: u32,
    /// Threads that share the seats
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// How long to measure
    #[arg(long, default_value_t = 5.0, allow_negative_numbers = true, value_parser = usage::time)]
    seconds: f64,
    /// Seed of the episodes and actions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    env: String,
    envs: u32,
    threads: u32,
    env_steps_per_s: f64,
    frames_per_s: f64,
    resets: u64,
    seconds: f64,
}

/// Work that one thread did.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    steps: u64,
    frames: u64,
    resets: u64,
    elapsed: Duration,
}

/// `rl-run bench …`.
pub(crate) fn run(args: &BenchArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Env(args) => env(args, tables),
        What::Nn(args) => args.cpu.settle().and_then(|()| nn::run(args)),
        What::Train(args) => args.machine.settle().and_then(|()| train::run(args, tables)),
    }
}

fn env(args: &EnvArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let limit = Duration::from_secs_f64(args.seconds).max(Duration::from_nanos(1)); // one look at the clock at least
    let resolved = args.env.resolve(tables)?;
    let seats_per_world = resolved.seats_per_world();
    if !args.envs.is_multiple_of(seats_per_world) {
        return Err(usage(format!(
            "--envs {}: {seats_per_world} seats of {} share a world",
            args.envs, resolved.env_name
        )));
    }
    let worlds = u64::from(args.envs / seats_per_world);
    if u64::from(args.threads) > worlds {
        let shared =
            if seats_per_world == 1 { String::new() } else { format!(", of which {seats_per_world} share a world") };
        return Err(usage(format!("--threads {} is more than --envs {}{shared}", args.threads, args.envs)));
    }
    let share = |thread: u32| (worlds * u64::from(thread) / u64::from(args.threads)) as u32 * seats_per_world;
    let mut workers = Vec::new();
    for thread in 0..args.threads {
        let seating = Seating { seed: args.seed, seats: share(thread)..share(thread + 1) };
        workers.push(Worker::new(resolved.seat(&seating)?, &seating)?);
    }
    // The gate belongs to the closure: where a thread cannot be started it is dropped, and those that wait at it go
    // home.
    let (gate, start) = bounded(0);
    let done = thread::scope(move |scope| {
        let spawn = |worker: Worker| {
            let start = start.clone();
            let thread = Builder::new().name("bench".to_owned()).spawn_scoped(scope, move || worker.run(&start, limit));
            thread.map_err(|e| anyhow!("--threads {}: starting one of them: {e}", args.threads))
        };
        let threads = workers.into_iter().map(spawn).collect::<anyhow::Result<Vec<_>>>()?;
        threads.iter().for_each(|_| gate.send(()).expect("each waits for its start"));
        let done = threads.into_iter().map(|thread| thread.join().expect("a worker does not panic"));
        anyhow::Ok(done.collect::<Result<Vec<Done>>>()?)
    })?;
    let sum = |of: fn(&Done) -> u64| done.iter().map(of).sum::<u64>();
    let seconds = done.iter().map(|done| done.elapsed).max().unwrap_or_default().as_secs_f64();
    let report = Report {
        env: resolved.env_name,
        envs: args.envs,
        threads: args.threads,
        env_steps_per_s: sum(|done| done.steps) as f64 / seconds,
        frames_per_s: sum(|done| done.frames) as f64 / seconds,
        resets: sum(|done| done.resets),
        seconds,
    };
    output::line(if args.json { serde_json::to_string(&report)? } else { plain(&report) });
    Ok(ExitCode::SUCCESS)
}

fn plain(report: &Report) -> String {
    let Report { env, envs, threads, env_steps_per_s, frames_per_s, resets, seconds } = report;
    let (seats, threads) = (counted(*envs as usize, "seat"), counted(*threads as usize, "thread"));
    let [steps, frames, resets] = [fixed(*env_steps_per_s, 0), fixed(*frames_per_s, 0), count(*resets)];
    format!("{env}, {seats} in {threads}: {steps} steps/s, {frames} frames/s, {resets} resets in {seconds:.2} s")
}

/// The seats of one thread, with their block and actions.
struct Worker {
    env: Box<dyn VecEnv>,
    block: Rollout,
    discrete: Vec<u32>,
    continuous: Vec<f32>,
}

impl Worker {
    fn new(mut env: Box<dyn VecEnv>, seating: &Seating) -> Result<Self> {
        let spec = env.spec().clone();
        let mut block = Rollout::new(&spec, HORIZON, env.seats(), 0);
        env.reset(block.first())?;
        let rows = DRAWN * env.seats();
        let (mut discrete, mut continuous) =
            (vec![0; rows * spec.discrete.len()], vec![0.0; rows * spec.continuous.len()]);
        let mut rng = Rng::new(seating.seed, Stream::Act(seating.seats.start));
        spec.draw(&mut rng, &mut discrete, &mut continuous);
        Ok(Self { env, block, discrete, continuous })
    }

    /// Waits for the start, then steps until the time is over; does nothing if there is no start.
    fn run(mut self, start: &Receiver<()>, limit: Duration) -> Result<Done> {
        let (discrete, continuous) = (self.discrete.len() / DRAWN, self.continuous.len() / DRAWN);
        let (mut done, mut row) = (Done::default(), 0);
        if start.recv().is_err() {
            return Ok(done);
        }
        let begin = Instant::now();
        while done.elapsed < limit {
            for t in 0..HORIZON {
                let act = Act {
                    discrete: &self.discrete[row * discrete..(row + 1) * discrete],
                    continuous: &self.continuous[row * continuous..(row + 1) * continuous],
                };
                self.env.step(act, self.block.step(t).1)?;
                row = (row + 1) % DRAWN;
            }
            let (frames, steps) = crate::collect::count(std::slice::from_ref(&self.block));
            done.frames += frames;
            done.steps += steps;
            done.resets += (HORIZON * self.block.seats()) as u64 - steps;
            self.block.carry();
            done.elapsed = begin.elapsed();
        }
        Ok(done)
    }
}
