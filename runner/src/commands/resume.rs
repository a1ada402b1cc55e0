//! `rl-run resume`: trains a run, or all runs of a group, on from a checkpoint.

mod group;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::console::usage;
use crate::machine::Machine;
use crate::run_dir;
use crate::tables::Tables;
use crate::training::go_on::{Going, Shown, go_on};
use crate::training::group::Roster;
use crate::training::verbosity::{Verbosity, finish, listen};

/// Resumes a run from its last checkpoint, bit for bit as if it had not been interrupted; a run that had none yet
/// starts over. Of the directory of --seeds, all of its runs.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples: rl-run resume runs/cartpole-dqn-s1
          # longer than planned
          rl-run resume runs/cartpole-dqn-s1 --frames 200000
          # all that --seeds 1..5 --run runs/five began or was to begin
          rl-run resume runs/five")]
pub(crate) struct ResumeArgs {
    /// Directory of the run, or of a group of them
    pub(crate) run: PathBuf,
    /// `last`, or the frames of a checkpoint; later ones are removed
    #[arg(long, default_value = "last")]
    pub(crate) checkpoint: String,
    /// Train for this many frames in all, instead of the run's; schedules stay as they are
    #[arg(long, allow_negative_numbers = true, value_parser = usage::count)]
    pub(crate) frames: Option<u64>,
    /// Shows a dashboard on the terminal: curves, where the time goes, the game of the first seat (? names its keys)
    #[arg(long, conflicts_with_all = ["quiet", "json"])]
    pub(crate) tui: bool,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
    #[command(flatten)]
    pub(crate) machine: Machine,
}

/// `rl-run resume RUN`.
pub(crate) fn run(args: &ResumeArgs, tables: &Tables) -> anyhow::Result<ExitCode> {
    let ResumeArgs { run, checkpoint, frames, tui, verbosity, machine } = args;
    let stop = listen(*tui, *verbosity)?;
    run_dir::refuse_model(run)?;
    if !run_dir::is_run(run)
        && let Some(roster) = Roster::read(run)?
    {
        return group::resume(args, &roster, tables, stop);
    }
    let (frames, workers) = (*frames, machine.workers()?);
    let going = Going { checkpoint, frames, machine, workers, stop: &stop, tables };
    let outcome = go_on(&going, run, Shown::Alone { tui: *tui, verbosity: *verbosity })?;
    finish(&outcome, *verbosity)
}
