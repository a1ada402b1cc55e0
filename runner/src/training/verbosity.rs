//! What is printed of a run while it trains and at its end.

use std::io::{self, IsTerminal as _, stderr};
use std::process::ExitCode;

use crate::console::number::counted;
use crate::console::number::{self, fixed};
use crate::console::output;
use crate::console::stop::{STOPPED, Stop};
use crate::preset::Resolved;
use crate::training::dashboard;
use crate::training::dashboard::Board;
use crate::training::progress::Progress;
use crate::training::train_loop::Outcome;

/// What is said of a run, and how.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Verbosity {
    /// Prints errors alone, and what --json asks for
    #[arg(long)]
    pub(crate) quiet: bool,
    /// End with one JSON object on stdout; of several runs, with one each and one for all of them
    #[arg(long)]
    pub(crate) json: bool,
}

/// Message at the first Ctrl-C, since the checkpoint may be a round of updates away.
const STOPPING: &str = "stopping with a checkpoint when these updates are done; once more ends at once, without one";
/// The same on a terminal, where it overwrites the line of the bar.
const STOPPING_BAR: &str =
    "\r\x1b[Kstopping with a checkpoint when these updates are done; once more ends at once, without one";

/// Listens to signals from now on. Answers the first one at once, but on a dashboard and if `quiet`.
///
/// # Errors
/// If the system refuses a handler or a thread.
pub(crate) fn listen(tui: bool, Verbosity { quiet, json }: Verbosity) -> io::Result<Stop> {
    let bar = !json && stderr().is_terminal();
    Stop::listen((!tui && !quiet).then_some(if bar { STOPPING_BAR } else { STOPPING }), dashboard::restore)
}

/// Shows the progress of a run from frame `done` of `total`: a dashboard if `tui`, else as `Verbosity` says.
///
/// # Errors
/// If there is no terminal for a dashboard.
pub(crate) fn progress(
    resolved: &Resolved,
    seed: u64,
    (done, total): (u64, u64),
    (tui, Verbosity { quiet, json }): (bool, Verbosity),
    stop: &Stop,
) -> anyhow::Result<Progress> {
    if !tui {
        return Ok(Progress::new(done, total, quiet, json));
    }
    let agent = resolved.agent.map_or("", |agent| agent.id);
    let title = format!("{agent} on {}, seed {seed}", resolved.env_name);
    Ok(Progress::board(Board::open(&title, done, total, stop)?))
}

/// Prints how a run ended, and returns the exit code.
///
/// # Errors
/// If its outcome cannot be written as JSON.
pub(crate) fn finish(outcome: &Outcome, verbosity: Verbosity) -> anyhow::Result<ExitCode> {
    let Outcome { frames, agent_steps, updates, seconds, run, stopped, .. } = outcome;
    if !verbosity.quiet {
        let mean = outcome
            .mean_return_100
            .map(|mean| format!(", mean return of the last games {}", number::score(mean)))
            .unwrap_or_default();
        let run = run.display();
        let counts = [(*frames, "frame"), (*agent_steps, "agent step"), (*updates, "update")];
        let [frames, steps, updates] = counts.map(|(count, what)| counted(count as usize, what));
        output::note(format!("{frames}, {steps}, {updates} in {} s{mean}: {run}", fixed(*seconds, 1)));
        if *stopped {
            output::note(format!("stopped; go on with: rl-run resume {}", output::word(&outcome.run)));
        }
    }
    if verbosity.json {
        output::line(serde_json::to_string(outcome)?);
    }
    Ok(if *stopped { ExitCode::from(STOPPED) } else { ExitCode::SUCCESS })
}
