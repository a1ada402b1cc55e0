//! `rl-run eval`: plays full games by the rules of a protocol, on seats that training never uses.

mod several;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use rl_agents::{Learner, Mode};
use rl_core::Seating;
use rl_replays::Rollout;

use crate::console::output;
use crate::console::usage::usage;
use crate::console::waiting::{Quiet, Waiting};
use crate::file::picture;
use crate::games::play::{Games, SEATS, play};
use crate::machine::Machine;
use crate::machine::device;
use crate::preset::Resolved;
use crate::run_dir::many;
use crate::tables::Tables;
use crate::trained::model::Source;
use crate::trained::report::Report;
use crate::trained::{Asked, Trained};

/// Plays full games with the policy of a run and reports their returns. Of the directory of --seeds, those of all of its
/// runs, and their mean.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run eval runs/kf --episodes 30 --json
          rl-run eval --model kungfu
          # all that --seeds 1..5 --run runs/five trained
          rl-run eval runs/five
          # in another environment than it was trained on
          rl-run eval runs/kf --set env.sticky=0
          rl-run eval runs/frozenlake-tabular-s1 --exact --picture policy.png")]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    asked: Asked,
    /// Play by another value of [env] or [eval] than the run's, such as env.sticky=0; the report names it as `changed`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Compute the expected return by dynamic programming instead of playing (small environments; greedy policy)
    #[arg(long, conflicts_with_all = ["episodes", "seed", "workers"])]
    exact: bool,
    /// Draw the policy and what states are worth on the map, where there is one: a PNG file (with --exact)
    #[arg(long, value_name = "FILE", requires = "exact")]
    picture: Option<PathBuf>,
    /// One JSON object on stdout and nothing else; of several runs a line of each, and one of all
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    progress: Quiet,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// `rl-run eval`: evaluates a checkpoint of a run, or one of every run in a directory.
pub(crate) fn run(args: &EvalArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let waiting = Waiting::listen(args.json || args.progress.quiet, "no score")?;
    // clap waives what a flag requires where another that was given excludes it.
    if args.picture.is_some() && !args.exact {
        return Err(usage("--picture: what it draws is computed by --exact, without --episodes or --seed"));
    }
    let path = args.source.path()?;
    let runs = many::several(&path);
    if !runs.is_empty() {
        return several::run(args, &path, &runs, tables, &waiting);
    }
    let report = judge(args, &path, tables, &waiting)?;
    if args.json {
        output::line(serde_json::to_string(&report)?);
    } else {
        report.show();
        if let Some(path) = &args.picture {
            output::line(format!("picture           {}", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Evaluates a checkpoint of the run in `path`.
fn judge(args: &EvalArgs, path: &Path, tables: &Tables, waiting: &Waiting) -> anyhow::Result<Report> {
    let asked = Asked { greedy: args.asked.greedy || args.exact, sets: args.set.clone(), ..args.asked.clone() };
    let trained = Trained::load(path, &asked, &device(args.machine.device())?, tables)?;
    let Trained { resolved, learner, .. } = &trained;
    let eval = resolved.eval()?;

    args.picture.as_deref().map(picture::check).transpose()?;
    if args.exact {
        let mean = exact(resolved, learner.as_ref(), eval.epsilon, args.picture.as_deref())?;
        return Report::expected(&trained, &asked, mean);
    }
    if resolved.protocol().as_deref() == Some("self-play") && !args.json && !args.progress.quiet {
        output::note(
            "both sides are this policy: its mean says nothing of its strength (another --protocol, or rl-run match)",
        );
    }
    let mode = Mode::Evaluate { epsilon: eval.epsilon, greedy: asked.greedy };
    let workers = args.machine.workers()?;
    let games =
        Games { seed: asked.seed, first: SEATS, episodes: eval.episodes, mode, workers, outputs: false, filmed: false };
    let score = play(resolved, learner.as_ref(), games, waiting)?;
    score.crashes.iter().for_each(output::note);
    Report::of(&trained, &asked, &score)
}

/// Expected return of the greedy policy with ε, from the environment's table of transitions; draws policy and values to
/// `picture`.
///
/// # Errors
/// If the environment has no such table, or no map to draw on, or the policy remembers what it saw.
fn exact(resolved: &Resolved, learner: &dyn Learner, epsilon: f32, picture: Option<&Path>) -> anyhow::Result<f64> {
    let env = resolved.seat_eval(&Seating { seed: 0, seats: SEATS..SEATS + 1 })?;
    let Some(table) = env.tabular() else {
        bail!(usage(format!(
            "--exact: `{}` is not tabular (no table of its transitions), as frozenlake, cliffwalking, taxi and blackjack are",
            resolved.env_name
        )));
    };
    let states = table.states() as u32;
    let mut block = Rollout::new(env.spec(), 1, states as usize, learner.plan().extra); // a seat per state
    block.symbols.row_mut(0).copy_from_slice(table.symbols());
    block.legal.row_mut(0).copy_from_slice(table.legal());
    let mut policy = learner.policy(SEATS..SEATS + states)?;
    if policy.is_recurrent() {
        bail!(usage(
            "--exact: this agent has a memory, and acts by more than the state: without the flag it plays games"
        ));
    }
    policy.act(std::slice::from_mut(&mut block), 0, Mode::Evaluate { epsilon: 0.0, greedy: true })?;
    let actions = block.discrete.row(0);
    let plays = table.policy(actions, f64::from(epsilon));
    if let Some(state) = table.endless(&plays) {
        bail!(
            "--exact: an episode that comes to state {state} never ends by this policy: set a step limit, such as env.max_steps"
        );
    }
    if let Some(path) = picture {
        picture::policy(path, env.as_ref(), &resolved.env_name, actions, &table.expected_returns(&plays))?;
    }
    Ok(table.evaluate(&plays).mean)
}
