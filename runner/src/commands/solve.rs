//! `rl-run solve`: what is best in an environment small enough to be written down as a table.

use std::path::PathBuf;
use std::process::ExitCode;

use rl_core::Seating;
use serde::Serialize;

use crate::console::number::counted;
use crate::console::output;
use crate::console::usage::usage;
use crate::file::picture;
use crate::preset::env_choice::EnvChoice;
use crate::tables::Tables;

/// Solves a small environment by value iteration, without an agent: values, the optimal policy, and its expected return
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run solve --env frozenlake --picture policy.png
          rl-run solve --env taxi --gamma 1 --json")]
pub(crate) struct SolveArgs {
    #[command(flatten)]
    env: EnvChoice,
    /// Discount per step, above 0 and at most 1
    #[arg(long, default_value_t = 0.99, allow_negative_numbers = true)]
    gamma: f64,
    /// Draw policy and values on the map, where there is one: a PNG file
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// One JSON object on stdout and nothing else
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    env: String,
    gamma: f64,
    /// Discounted value, averaged over the states that an episode starts in.
    value_at_start: f64,
    /// Undiscounted return of the printed policy within the step limit.
    expected_return: f64,
    /// Standard deviation of the return of one episode.
    std: f64,
    expected_steps: f64,
    /// Highest return that a player who counts steps can expect.
    optimum: f64,
    policy: Vec<u32>,
    values: Vec<f64>,
}

/// `rl-run solve`: solves the environment and shows the solution.
pub(crate) fn run(args: &SolveArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    if !(args.gamma > 0.0 && args.gamma <= 1.0) {
        return Err(usage(format!("--gamma {}: above 0 and at most 1", args.gamma)));
    }
    args.picture.as_deref().map(picture::check).transpose()?;
    let resolved = args.env.resolve(tables)?;
    let env = resolved.seat_eval(&Seating { seed: 0, seats: 0..1 })?;
    let Some(table) = env.tabular() else {
        return Err(usage(format!(
            "--env {}: not tabular (no table of its transitions), as frozenlake, cliffwalking, taxi and blackjack are; an agent has \
             to learn it",
            resolved.env_name
        )));
    };
    let values = table.value_iteration(args.gamma);
    let policy = table.greedy(&values, args.gamma);
    let plays = table.policy(&policy, 0.0);
    if let Some(state) = table.endless(&plays) {
        // At 1 a detour costs nothing; with much less than that, what is far ahead decides nothing.
        let other = if args.gamma == 1.0 { "smaller" } else { "larger" };
        return Err(usage(format!(
            "at γ = {} an episode that comes to state {state} never ends by the best policy: try a {other} --gamma, or a step limit",
            args.gamma
        )));
    }
    let exact = table.evaluate(&plays);
    if let Some(path) = &args.picture {
        picture::policy(path, env.as_ref(), &resolved.env_name, &policy, &values)?;
    }
    let report = Report {
        env: resolved.env_name.clone(),
        gamma: args.gamma,
        value_at_start: table.at_start(&values),
        expected_return: exact.mean,
        std: exact.std,
        expected_steps: exact.steps,
        optimum: table.optimum(),
        policy,
        values,
    };
    let far = (0.001_f64.ln() / args.gamma.ln()).ceil().max(1.0); // steps
    if report.expected_return < report.optimum - 0.1 * report.optimum.abs() {
        if args.gamma == 1.0 {
            output::note(
                "at γ = 1 a detour costs nothing, and this policy takes ones that lead nowhere: try --gamma 0.999",
            );
        } else if far < table.states() as f64 {
            output::note(format!(
                "at γ = {} a reward {} ahead counts a thousandth of one now, or less: try a larger --gamma",
                args.gamma,
                counted(far as usize, "step")
            ));
        }
    }
    if args.json {
        output::line(serde_json::to_string(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    output::line(format!("{}: {} states, {} actions, γ = {}", report.env, table.states(), table.actions(), args.gamma));
    output::line(format!("value at the start  {:.6} (discounted, by value iteration)", report.value_at_start));
    output::line(format!(
        "expected return     {:.6} ± {:.6} (standard deviation of an episode) in {:.1} steps, exact",
        report.expected_return, report.std, report.expected_steps
    ));
    output::line(format!("optimum             {:.6} (of policies that may count steps)", report.optimum));
    if let Some(path) = &args.picture {
        output::line(format!("picture             {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
