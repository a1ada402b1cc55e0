//! `rl-run record`: plays games and records them in a file that they can be played again from.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use rl_agents::Mode;
use rl_core::{Canvas, Rng, Seating, Stream};
use rl_replays::Rollout;
use rl_replays::recording::{Manifest, Player};
use serde::Serialize;

use crate::collect::{Workers, lost};
use crate::console::number;
use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::usage;
use crate::console::waiting::{Quiet, Waiting};
use crate::games::outputs;
use crate::games::play::{CRASHES, Games, SEATS, alone, watched};
use crate::games::score::Score;
use crate::games::takes::{self, Room, Take, Takes, manifest, pictures};
use crate::machine::Machine;
use crate::machine::device;
use crate::preset::settings;
use crate::preset::{self, Ask};
use crate::tables::Tables;
use crate::trained::model;
use crate::trained::{Asked, Trained};

/// Plays full games and records them: `rl-run verify FILE` plays them again, `rl-run export FILE` makes pictures of them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run record runs/kf --episodes 10 --out kungfu.rec
          rl-run record runs/kf --outputs every:4 --out thoughts.rec
          rl-run record --env cartpole --random --episodes 3 --out random.rec
          # to be watched where there is no emulator
          rl-run record runs/kf --frames --out seen.rec
          # as with `rl-run eval`
          rl-run record runs/kf --set env.sticky=0 --out still.rec

The games are those of `rl-run eval` with the same seed and number of episodes.")]
pub(crate) struct RecordArgs {
    /// Directory of the run whose policy plays
    #[arg(required_unless_present_any = ["random", "model"], conflicts_with_all = ["random", "env"])]
    run: Option<PathBuf>,
    /// Name of a trained model whose policy plays: `rl-run list models`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["run", "random", "env"])]
    model: Option<String>,
    /// Environment that random actions are played in: `rl-run list envs` shows all
    #[arg(long, requires = "random")]
    env: Option<String>,
    /// Uniformly random actions instead of a run's
    #[arg(long, requires = "env")]
    random: bool,
    /// Play by another value than the run's of [env] or [eval], or than that of the preset of --env
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also keeps the agent's value, and its action probabilities or Q values, before every N-th step [default: none]
    #[arg(long, value_name = "every:N", value_parser = outputs::every, conflicts_with = "random")]
    outputs: Option<u32>,
    /// Also keeps the picture after every step: the games can be watched and exported where their environment is missing
    #[arg(long)]
    frames: bool,
    #[command(flatten)]
    asked: Asked,
    /// One JSON object on stdout and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: Quiet,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(serialize_with = "crate::file::text")]
    file: PathBuf,
    env: String,
    episodes: usize,
    steps: usize,
    mean: f64,
    bytes: u64,
}

/// `rl-run record`.
pub(crate) fn run(args: &RecordArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.json || args.progress.quiet, "nothing was recorded")?;
    takes::ready(&args.out)?;
    let run = args.model.as_deref().map(model::find).transpose()?.or_else(|| args.run.clone());
    let (manifest, takes, score) = match (run, &args.env) {
        (Some(run), _) => {
            let asked = Asked { sets: args.set.clone(), ..args.asked.clone() };
            let trained = Trained::load(&run, &asked, &device(args.machine.device())?, tables)?;
            by_agent(&trained, &asked, args.outputs, args.frames, args.machine.workers()?, &waiting)?
        }
        (None, Some(env)) => by_chance(args, env, tables, &waiting)?,
        (None, None) => bail!(usage("record: name a run, or --env and --random")),
    };
    takes::write(&args.out, &manifest, &takes)?;
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
        let (games, steps) = (counted(*episodes, "game"), counted(*steps, "step"));
        output::line(format!(
            "{file}: {games} of {env}, {steps}, mean {}, {}",
            number::score(*mean),
            counted(*bytes as usize, "byte")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Plays the games that `asked` names, and returns the manifest of a recording, the games, and their score. Keeps the
/// policy's outputs before every `outputs`-th step, and with `filmed` the picture after each step.
///
/// # Errors
/// If the environment or the policy fails, the policy has no outputs to keep, or [`Stopped`](crate::console::waiting::Stopped).
pub(crate) fn by_agent(
    trained: &Trained,
    asked: &Asked,
    outputs: Option<u32>,
    filmed: bool,
    workers: Workers,
    waiting: &Waiting,
) -> anyhow::Result<(Manifest, Vec<Take>, Score)> {
    let (eval, &Asked { seed, greedy, .. }) = (trained.resolved.eval()?, asked);
    let Trained { about, resolved, learner, checkpoint, parameters_sha256, .. } = trained;
    let player = Player::Agent {
        agent: about.agent.clone(),
        frames: checkpoint.frames(),
        weights_sha256: parameters_sha256.clone(),
        policy: trained.policy(eval.epsilon, greedy),
        seed,
    };
    let mode = Mode::Evaluate { epsilon: eval.epsilon, greedy };
    let seats_per_world = resolved.seats_per_world();
    if outputs.is_some() && seats_per_world > 1 {
        let name = &resolved.env_name;
        bail!(usage(format!(
            "--outputs is for worlds of one seat, and those of {name} have {seats_per_world}: leave it out"
        )));
    }
    let mut env = resolved.seat_eval(&Seating { seed, seats: SEATS..SEATS + seats_per_world })?;
    let kept = outputs.map(|every| outputs::kept(every, learner.as_ref(), env.spec(), &about.agent)).transpose()?;
    let mut manifest = manifest(resolved, &resolved.eval_table()?, env.as_ref(), player, kept)?;
    manifest.pictures = filmed.then(|| pictures(env.as_mut()));
    drop(env); // an engine, maybe, that the games need not have beside theirs
    let games = Games { seed, first: SEATS, episodes: eval.episodes, mode, workers, outputs: kept.is_some(), filmed };
    let mut takes = Takes::new(games, seats_per_world, outputs, filmed);
    let score = watched(resolved, learner.as_ref(), games, waiting, &mut |seats| takes.watch(seats))?;
    score.crashes.iter().for_each(output::note);
    Ok((manifest, takes.into_games(), score))
}

fn by_chance(
    args: &RecordArgs,
    env: &str,
    tables: &Tables,
    waiting: &Waiting,
) -> anyhow::Result<(Manifest, Vec<Take>, Score)> {
    let Asked { ref checkpoint, ref protocol, episodes, seed, greedy, .. } = args.asked;
    if let Some(flag) = args.machine.of_an_agent() {
        bail!(usage(format!("{flag}: one game after the other, of random actions, has no use for it")));
    }
    if greedy || checkpoint != "last" {
        bail!(usage("--random: random actions have neither --greedy nor a --checkpoint"));
    }
    let ask = Ask { env, sets: &args.set, protocol: protocol.as_deref(), ..Ask::default() };
    let mut resolved = preset::resolve(tables, &ask)?;
    resolved.heeds(&args.set)?;
    if let Some(episodes) = episodes {
        settings::alone("--episodes", "eval.episodes", &args.set)?;
        resolved.set("eval.episodes", i64::from(episodes))?;
    }
    let seats = resolved.seats_per_world();
    let mut env = resolved.seat_eval(&Seating { seed, seats: SEATS..SEATS + seats })?;
    let spec = env.spec().clone();
    let (mut rng, mut takes, mut score) = (Rng::new(seed, Stream::Act(SEATS)), Vec::new(), Score::default());
    let mut canvas = Canvas::new(0, 0);
    let mut block = Rollout::new(&spec, 1, seats as usize, 0);
    let mut room = Room::new();
    let mut manifest = manifest(&resolved, &resolved.eval_table()?, env.as_ref(), Player::Random { seed }, None)?;
    manifest.pictures = args.frames.then(|| pictures(env.as_mut()));
    env.reset(block.first())?;
    alone(env.as_ref())?;
    let episodes = resolved.eval()?.episodes as usize;
    let bar = waiting.bar(episodes, "games");
    while takes.len() < episodes {
        let begin = |n| Take::of_seat(env.as_ref(), n, seats, args.frames.then_some(&mut canvas));
        let wanted = episodes - takes.len();
        let mut world = (0..wanted.min(seats as usize)).map(begin).collect::<anyhow::Result<Vec<_>>>()?;
        let mut crashes = 0;
        while !world[0].outcome.end.over() {
            waiting.go_on()?;
            bar.reach(takes.len());
            spec.draw(&mut rng, block.discrete.row_mut(0), block.continuous.row_mut(0));
            let (act, rows) = block.step(0);
            env.step(act, rows)?;
            world.iter_mut().try_for_each(|take| take.follow(env.as_ref(), &block, &mut canvas))?;
            for loss in env.take_crashes() {
                bar.note(lost(loss));
                crashes += 1;
            }
            if crashes > CRASHES {
                bail!("{crashes} engines were lost without a finished game in between");
            }
            block.carry();
        }
        for take in world {
            score.returns.push(take.outcome.ret);
            score.frames += take.outcome.frames;
            room.take(&take)?;
            takes.push(take);
        }
        let (act, rows) = block.step(0); // resets
        env.step(act, rows)?;
        block.carry();
    }
    Ok((manifest, takes, score))
}
