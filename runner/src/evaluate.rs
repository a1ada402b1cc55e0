//! `rl-run eval`: full games, on seats that training never sees, by the rules of a protocol.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use candle_core::Device;
use rl_agents::{AgentEntry, Clock, Context, Learner, Mode, Plan};
use rl_core::Seating;
use rl_replays::Rollout;

use crate::checkpoint::{self, Checkpoint};
use crate::cli::Machine;
use crate::collect::{self, Seats, Workers, finished};
use crate::model::Source;
use crate::preset::{self, Ask, Resolved, Train};
use crate::run_dir::About;
use crate::score::{Report, Score};
use crate::session::WEIGHTS;
use crate::tables::Tables;
use crate::train::{device, owner};
use crate::usage::usage;
use crate::waiting::Waiting;
use crate::{needs, output, picture, run_dir};

/// First seat of evaluations; training seats are numbered from 0.
pub(crate) const SEATS: u32 = 1_000_000;
/// First seat of those while a run trains: the best weights are chosen by their games, which are no others' to be judged by.
pub(crate) const TRIALS: u32 = 2_000_000;
/// Games that are played side by side. Which games are played depends on it, so it is not a setting.
const SIDE_BY_SIDE: u32 = 16;

/// Which games are to be played, and by whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Asked {
    /// `last`, `best`, or the frames of a checkpoint
    #[arg(long, default_value = "last")]
    pub(crate) checkpoint: String,
    /// Full games to play; the protocol's by default
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) episodes: Option<u32>,
    /// Protocol of the environment; the run's by default
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Seed of the games and of the policy's draws
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Take the most probable action where the policy would sample
    #[arg(long)]
    pub(crate) greedy: bool,
}

/// Plays full games with the policy of a run and reports their returns.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run eval runs/kungfu-dqn-s1 --episodes 30 --json
          rl-run eval --model kungfu
          rl-run eval runs/frozenlake-tabular-s1 --exact --picture policy.png")]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    asked: Asked,
    /// Compute the expected return by dynamic programming instead of playing (small environments; greedy policy)
    #[arg(long, conflicts_with_all = ["episodes", "seed"])]
    exact: bool,
    /// Draw the policy and what states are worth on the map, where there is one: a PNG file (with --exact)
    #[arg(long, value_name = "FILE", requires = "exact")]
    picture: Option<PathBuf>,
    /// One JSON object on stdout and nothing else
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// Which games to play, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Games {
    /// Of the games and of the policy's draws.
    pub(crate) seed: u64,
    /// The first seat: [`SEATS`] or [`TRIALS`].
    pub(crate) first: u32,
    /// How many, in full.
    pub(crate) episodes: u32,
    /// How the policy chooses.
    pub(crate) mode: Mode,
    /// Threads that step; they decide no score.
    pub(crate) workers: Workers,
    /// Whether the policy is asked what it thinks: it changes no game.
    pub(crate) outputs: bool,
}

impl Games {
    /// How many of them are played in that seat, of those side by side.
    pub(crate) fn share(&self, seat: u32) -> u32 {
        let seats = self.episodes.min(SIDE_BY_SIDE);
        self.episodes / seats + u32::from(seat < self.episodes % seats)
    }
}

/// Engines that may be lost with no game's end between them.
pub(crate) const LOSSES: usize = 50;

/// Plays full games: each seat a fixed share of them, so that short games are not favoured.
///
/// Reads the learner and changes nothing of it.
///
/// # Errors
/// If the environment or the policy fails, or [`Stopped`](crate::waiting::Stopped).
pub(crate) fn play(
    resolved: &Resolved,
    learner: &dyn Learner,
    games: Games,
    waiting: &Waiting,
) -> anyhow::Result<Score> {
    watched(resolved, learner, games, waiting, &mut |_| Ok(()))
}

/// The same, shown to `watch` after the first reset and after every step: the second rows of the blocks are what it led to.
///
/// # Errors
/// If the environment or the policy fails, or `watch`, or [`Stopped`](crate::waiting::Stopped).
pub(crate) fn watched(
    resolved: &Resolved,
    learner: &dyn Learner,
    games: Games,
    waiting: &Waiting,
    watch: &mut dyn FnMut(&Seats) -> anyhow::Result<()>,
) -> anyhow::Result<Score> {
    let Games { seed, first, episodes, mode, workers, outputs } = games;
    let seats = episodes.min(SIDE_BY_SIDE);
    let range = first..first + seats;
    let seating = Seating { seed, seats: range.clone() };
    let envs = collect::groups(&|seating| resolved.seat_eval(seating), &seating, workers, resolved.together())?;
    let mut policy = learner.policy(range)?;
    let mut seated = Seats::new(envs, Plan { horizon: 1, ..learner.plan() }, workers)?;
    if outputs {
        seated.blocks_mut().iter_mut().for_each(Rollout::ask);
    }
    let mut clock = Clock::default();
    let mut played: Vec<Vec<f64>> = vec![Vec::new(); seats as usize];
    let (mut score, mut lost) = (Score::default(), 0);
    let bar = waiting.bar(episodes as usize, "games");
    seated.reset()?;
    watch(&seated)?;
    let share = |seat| games.share(seat);
    while (0..seats).any(|seat| played[seat as usize].len() < share(seat) as usize) {
        waiting.go_on()?;
        bar.reach(played.iter().map(Vec::len).sum());
        seated.collect(policy.as_mut(), mode, &mut clock)?;
        score.losses.extend(seated.take_losses().into_iter().map(collect::lost));
        if finished(seated.blocks()).next().is_some() {
            lost = score.losses.len();
        } else if score.losses.len() > lost + LOSSES {
            let last = score.losses.pop().unwrap_or_default();
            bail!("{last}; more than {LOSSES} engines were lost before it without a finished game in between");
        }
        watch(&seated)?;
        for episode in finished(seated.blocks()) {
            let seat = episode.seat - first;
            if played[seat as usize].len() < share(seat) as usize {
                played[seat as usize].push(episode.ret);
                score.frames += episode.frames;
            }
        }
        seated.carry();
    }
    score.returns = played.into_iter().flatten().collect();
    Ok(score)
}

/// What a run says of itself, and its settings.
///
/// # Errors
/// If `run` is not the directory of a run that this program knows.
pub(crate) fn recorded(run: &Path, tables: &Tables) -> anyhow::Result<(About, Resolved)> {
    let about = run_dir::about(run)?;
    let (file, same) = run_dir::settings(run, &about)?;
    let ask = Ask { env: &about.env, agent: Some(&about.agent), preset: Some(&file), ..Ask::default() };
    let mut resolved = preset::resolve(tables, &ask)?;
    if !same {
        resolved.told = Some(format!("{}: was changed since run.json was written", file.display()));
    }
    Ok((about, resolved))
}

/// Gives `learner` the weights of a checkpoint of its run and returns the frames after which it was made.
///
/// # Errors
/// If there is no such checkpoint, or it does not fit.
pub(crate) fn load_weights(
    run: &Path,
    checkpoint: &str,
    resolved: &Resolved,
    learner: &mut dyn Learner,
) -> anyhow::Result<u64> {
    let dir = checkpoint::find(run, checkpoint)?;
    let checkpoint = Checkpoint::open(&dir, &owner(resolved, &resolved.train()?))?;
    checkpoint.load_part(WEIGHTS, learner.weights())?;
    Ok(checkpoint.frames())
}

/// A trained agent and the games that it plays.
pub(crate) struct Trained {
    pub(crate) about: About,
    pub(crate) resolved: Resolved,
    pub(crate) learner: Box<dyn Learner>,
    /// Frames that it was trained for.
    pub(crate) frames: u64,
    /// Of its parameters.
    pub(crate) parameters_sha256: String,
}

impl Trained {
    /// Loads the checkpoint of a run that was asked for, to play as was asked for.
    ///
    /// # Errors
    /// If there is no such checkpoint, or the protocol shows something else.
    pub(crate) fn load(run: &Path, asked: &Asked, device: &Device, tables: &Tables) -> anyhow::Result<Self> {
        let Asked { checkpoint, episodes, protocol, seed, .. } = asked;
        let (about, mut resolved) = recorded(run, tables)?;
        resolved.told.iter().for_each(output::note);
        let trained = resolved.shapes()?;
        if let Some(protocol) = protocol {
            resolved.use_protocol(protocol)?;
        }
        if let Some(episodes) = episodes {
            resolved.set("eval.episodes", i64::from(*episodes))?;
        }
        resolved.eval()?;
        let spec = resolved.shapes()?;
        if spec != trained {
            let protocol = protocol.as_deref().unwrap_or("this");
            bail!(usage(format!(
                "protocol {protocol} has other observation or action shapes than this run was trained on"
            )));
        }
        let mut learner = build(&resolved, &spec, *seed, device)?;
        let frames = load_weights(run, checkpoint, &resolved, learner.as_mut())?;
        let parameters_sha256 = checkpoint::sha256(learner.weights())?;
        Ok(Self { about, resolved, learner, frames, parameters_sha256 })
    }

    /// How it chooses, in words.
    pub(crate) fn policy(&self, epsilon: f32, greedy: bool) -> String {
        describe(epsilon, greedy || !self.resolved.agent.is_some_and(|agent| agent.stochastic))
    }
}

/// Evaluates a checkpoint.
pub(crate) fn run(args: &EvalArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.json, "no score")?;
    let asked = Asked { greedy: args.asked.greedy || args.exact, ..args.asked.clone() };
    let trained = Trained::load(&args.source.path()?, &asked, &device(args.machine.device())?, tables)?;
    let Trained { resolved, learner, .. } = &trained;
    let eval = resolved.eval()?;

    args.picture.as_deref().map(picture::check).transpose()?;
    let report = if args.exact {
        let mean = exact(resolved, learner.as_ref(), eval.epsilon, args.picture.as_deref())?;
        Report::expected(&trained, &asked, mean)?
    } else {
        let mode = Mode::Evaluate { epsilon: eval.epsilon, greedy: asked.greedy };
        let workers = args.machine.workers()?;
        let games = Games { seed: asked.seed, first: SEATS, episodes: eval.episodes, mode, workers, outputs: false };
        let score = play(resolved, learner.as_ref(), games, &waiting)?;
        score.losses.iter().for_each(output::note);
        Report::of(&trained, &asked, &score)?
    };
    if args.json {
        output::line(serde_json::to_string(&report)?);
    } else {
        report.show();
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(epsilon: f32, greedy: bool) -> String {
    let choice = if greedy { "greedy" } else { "sampled" };
    if epsilon > 0.0 { format!("{choice}, ε = {epsilon}") } else { choice.to_owned() }
}

/// The agent of a resolved run, and what it is built from.
///
/// # Errors
/// If `[train]` is out of range.
pub(crate) fn context<'a>(
    resolved: &'a Resolved,
    spec: &'a rl_core::Spec,
    seed: u64,
    device: &'a Device,
) -> anyhow::Result<(&'static AgentEntry, Context<'a>)> {
    let agent = resolved.agent.expect("whoever builds a learner named its agent");
    let Train { envs: seats, precision, .. } = resolved.train()?;
    Ok((agent, Context { spec, config: resolved.table("agent"), seats, seed, device, precision }))
}

/// The learner of a run, untrained.
///
/// # Errors
/// If the pair cannot work or the agent refuses a value.
pub(crate) fn build(
    resolved: &Resolved,
    spec: &rl_core::Spec,
    seed: u64,
    device: &Device,
) -> anyhow::Result<Box<dyn Learner>> {
    let agent = resolved.agent.expect("whoever builds a learner named its agent");
    if let Some(refusal) = needs::refusal(agent, &resolved.env_name, spec) {
        return Err(refusal);
    }
    let (agent, context) = context(resolved, spec, seed, device)?;
    needs::allocation(agent, &context).with_context(|| resolved.blame("agent"))?;
    (agent.build)(&context).with_context(|| resolved.blame("agent"))
}

/// Expected return of the greedy policy with ε, from the table of the environment; draws it where asked.
///
/// # Errors
/// If the environment has no such table, or no map to draw on.
fn exact(resolved: &Resolved, learner: &dyn Learner, epsilon: f32, picture: Option<&Path>) -> anyhow::Result<f64> {
    let env = resolved.seat_eval(&Seating { seed: 0, seats: SEATS..SEATS + 1 })?;
    let Some(table) = env.tabular() else {
        bail!(usage(format!("--exact: `{}` is not tabular (no table of its transitions)", resolved.env_name)));
    };
    let states = table.states() as u32;
    let mut block = Rollout::new(env.spec(), 1, states as usize, learner.plan().extra); // a seat per state
    block.symbols.row_mut(0).copy_from_slice(table.symbols());
    block.legal.row_mut(0).copy_from_slice(table.legal());
    let mut policy = learner.policy(SEATS..SEATS + states)?;
    policy.act(std::slice::from_mut(&mut block), 0, Mode::Evaluate { epsilon: 0.0, greedy: true })?;
    let actions = block.discrete.row(0);
    let plays = table.policy(actions, f64::from(epsilon));
    if let Some(path) = picture {
        picture::policy(path, env.as_ref(), &resolved.env_name, actions, &table.expected_returns(&plays))?;
    }
    Ok(table.evaluate(&plays).mean)
}
