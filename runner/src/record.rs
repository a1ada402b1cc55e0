//! `rl-run record`: plays games and writes what they were to a file, from which each can be made again.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use rl_agents::Mode;
use rl_core::{Rng, Seating, Stream, VecEnv};
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, Outcome, Player, Recorder, VERSION, seen};
use serde::Serialize;

use crate::cli::Machine;
use crate::collect::Seats;
use crate::evaluate::{Asked, Games, SEATS, Score, Trained, watched};
use crate::preset::{self, Ask, Resolved};
use crate::rollout::draw;
use crate::stop::{STOPPED, Stop};
use crate::tables::Tables;
use crate::train::device;
use crate::usage::usage;
use crate::{checkpoint, file, output};

/// Plays full games and records them: `rl-run verify FILE` plays them again, `rl-run export FILE` makes pictures of them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run record runs/kungfu-ppo-s1 --episodes 10 --out kungfu.rec
          rl-run record --env cartpole --random --episodes 3 --out random.rec

The games are those of `rl-run eval` with the same seed and number of episodes.")]
pub(crate) struct RecordArgs {
    /// Directory of the run whose policy plays
    #[arg(required_unless_present = "random", conflicts_with_all = ["random", "env", "set"])]
    run: Option<PathBuf>,
    /// Environment that random actions are played in: `rl-run list envs` shows all
    #[arg(long, requires = "random")]
    env: Option<String>,
    /// Uniformly random actions instead of a run's
    #[arg(long, requires = "env")]
    random: bool,
    /// Replace one value of the preset of --env
    #[arg(long, value_name = "KEY=VALUE", requires = "env")]
    set: Vec<String>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    asked: Asked,
    /// One JSON object on stdout and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    env: String,
    episodes: usize,
    steps: usize,
    mean: f64,
    bytes: u64,
}

/// A game that is being played.
#[derive(Clone, Debug)]
pub(crate) struct Take {
    seed: u64,
    discrete: Vec<u32>,
    continuous: Vec<f32>,
    seen: Vec<u32>,
    pub(crate) outcome: Outcome,
}

impl Take {
    /// Begins the game of a seed.
    pub(crate) fn begin(seed: u64) -> Self {
        let outcome = Outcome { ret: 0.0, frames: 0, end: rl_core::End::No };
        Self { seed, discrete: Vec::new(), continuous: Vec::new(), seen: Vec::new(), outcome }
    }

    /// Takes what the action of row 0 of seat `e` led to in row 1.
    pub(crate) fn push(&mut self, block: &Rollout, e: usize) {
        self.discrete.extend_from_slice(block.discrete.at(0, e));
        self.continuous.extend_from_slice(block.continuous.at(0, e));
        self.seen.push(seen(block, 1, e));
        self.outcome.ret += f64::from(block.reward[(1, e)]);
        self.outcome.frames += u64::from(block.frames[(1, e)]);
        self.outcome.end = block.end[(1, e)];
    }

    /// Steps that were taken.
    pub(crate) fn steps(&self) -> usize {
        self.seen.len()
    }
}

/// Of each seat, the games that are over, and the one that is not.
#[derive(Debug, Default)]
struct Takes {
    over: Vec<Vec<Take>>,
    running: Vec<Take>,
}

impl Takes {
    fn watch(&mut self, seats: &Seats) {
        let first = self.running.is_empty();
        let mut seat = 0;
        for (env, block) in seats.envs().zip(seats.blocks()) {
            for e in 0..block.envs() {
                if first {
                    self.running.push(Take::begin(env.episode_seed(e)));
                    self.over.push(Vec::new());
                } else if block.age[(1, e)] == 0 {
                    let over = std::mem::replace(&mut self.running[seat], Take::begin(env.episode_seed(e)));
                    self.over[seat].push(over);
                } else {
                    self.running[seat].push(block, e);
                }
                seat += 1;
            }
        }
    }

    /// The games that count, in the order of their returns in a score.
    fn of(self, games: &Games) -> impl Iterator<Item = Take> {
        let seats = self.over.into_iter().zip(self.running).enumerate();
        let all = seats.map(|(seat, (over, last))| (games.share(seat as u32) as usize, over.into_iter().chain([last])));
        all.flat_map(|(share, takes)| takes.take(share).collect::<Vec<_>>())
    }
}

/// `rl-run record`.
pub(crate) fn run(args: &RecordArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let stop = Stop::listen()?;
    let played = match (&args.run, &args.env) {
        (Some(run), _) => by_agent(args, run, tables, &stop)?,
        (None, Some(env)) => by_chance(args, env, tables, &stop)?,
        (None, None) => bail!(usage("record: name a run, or --env and --random")),
    };
    let Some((manifest, takes)) = played else {
        output::note("stopped before the last game: nothing was recorded");
        return Ok(ExitCode::from(STOPPED));
    };
    write(&args.out, &manifest, &takes)?;
    let score = Score { returns: takes.iter().map(|take| take.outcome.ret).collect(), frames: 0 };
    let report = Report {
        file: args.out.clone(),
        env: manifest.env,
        episodes: takes.len(),
        steps: takes.iter().map(|take| take.steps()).sum(),
        mean: score.mean(),
        bytes: std::fs::metadata(&args.out)?.len(),
    };
    if args.json {
        output::line(serde_json::to_string(&report)?);
    } else {
        let Report { file, env, episodes, steps, mean, bytes } = &report;
        let file = file.display();
        output::line(format!("{file}: {episodes} games of {env}, {steps} steps, mean {mean:.3}, {bytes} bytes"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a recording of these games.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(out: &Path, manifest: &Manifest, takes: &[Take]) -> anyhow::Result<()> {
    file::whole(out, |file| {
        let mut recorder = Recorder::begin(BufWriter::new(file), manifest)?;
        let (discrete, continuous) = (manifest.discrete.len(), manifest.continuous);
        for take in takes {
            recorder.episode(take.seed)?;
            for (step, &seen) in take.seen.iter().enumerate() {
                let discrete = &take.discrete[step * discrete..][..discrete];
                recorder.step(discrete, &take.continuous[step * continuous..][..continuous], seen)?;
            }
            recorder.end(&take.outcome)?;
        }
        recorder.close()?;
        Ok(())
    })
}

fn by_agent(
    args: &RecordArgs,
    run: &Path,
    tables: &Tables,
    stop: &Stop,
) -> anyhow::Result<Option<(Manifest, Vec<Take>)>> {
    let Asked { seed, greedy, .. } = args.asked;
    let mut trained = Trained::load(run, &args.asked, &device(&args.machine.device)?, tables)?;
    let eval = trained.resolved.eval()?;
    let player = Player::Agent {
        agent: trained.about.agent.clone(),
        frames: trained.frames,
        weights_sha256: checkpoint::sha256(trained.learner.weights())?,
        policy: trained.policy(eval.epsilon, greedy),
        seed,
    };
    let Trained { resolved, learner, .. } = &trained;
    let mode = Mode::Evaluate { epsilon: eval.epsilon, greedy };
    let games = Games { seed, episodes: eval.episodes, mode, workers: args.machine.workers()? };
    let mut takes = Takes::default();
    let played = watched(resolved, learner.as_ref(), games, stop, &mut |seats| takes.watch(seats))?;
    if played.is_none() {
        return Ok(None);
    }
    let env = resolved.seat_eval(&Seating { seed, seats: SEATS..SEATS + 1 })?;
    Ok(Some((manifest(resolved, env.as_ref(), player)?, takes.of(&games).collect())))
}

fn by_chance(
    args: &RecordArgs,
    env: &str,
    tables: &Tables,
    stop: &Stop,
) -> anyhow::Result<Option<(Manifest, Vec<Take>)>> {
    let Asked { ref checkpoint, ref protocol, episodes, seed, greedy } = args.asked;
    if greedy || checkpoint != "last" {
        bail!(usage("--random: random actions have neither --greedy nor a --checkpoint"));
    }
    let ask = Ask { env, sets: &args.set, protocol: protocol.as_deref(), ..Ask::default() };
    let mut resolved = preset::resolve(tables, &ask)?;
    if let Some(episodes) = episodes {
        resolved.set("eval.episodes", i64::from(episodes))?;
    }
    let mut env = resolved.seat_eval(&Seating { seed, seats: SEATS..SEATS + 1 })?;
    let spec = env.spec().clone();
    let (mut rng, mut takes) = (Rng::new(seed, Stream::Act(SEATS)), Vec::new());
    let mut block = Rollout::new(&spec, 1, 1, 0);
    env.reset(block.first())?;
    for _ in 0..resolved.eval()?.episodes {
        let mut take = Take::begin(env.episode_seed(0));
        while !take.outcome.end.over() {
            if stop.asked() {
                return Ok(None);
            }
            draw(&spec, &mut rng, block.discrete.row_mut(0), block.continuous.row_mut(0));
            let (act, rows) = block.step(0);
            env.step(act, rows)?;
            take.push(&block, 0);
            block.carry();
        }
        takes.push(take);
        let (act, rows) = block.step(0); // resets
        env.step(act, rows)?;
        block.carry();
    }
    Ok(Some((manifest(&resolved, env.as_ref(), Player::Random { seed })?, takes)))
}

/// Where episodes of `env`, which was built for an evaluation, can be played again.
///
/// # Errors
/// If `[eval]` is out of range.
pub(crate) fn manifest(resolved: &Resolved, env: &dyn VecEnv, player: Player) -> anyhow::Result<Manifest> {
    Ok(Manifest {
        version: VERSION,
        env: resolved.env_name.clone(),
        env_version: resolved.env.version,
        config: toml::to_string(&resolved.eval_table()?)?,
        assets: env.assets().into_iter().collect(),
        discrete: env.spec().discrete.to_vec(),
        continuous: env.spec().continuous.len(),
        player,
        made_by: format!("rl-run {} ({})", env!("CARGO_PKG_VERSION"), env!("RL_REVISION")),
    })
}
