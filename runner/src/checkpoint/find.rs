//! Finds the checkpoint that a flag names: `last`, `best` or a number of frames.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::Checkpoint;
use crate::console::usage::usage;
use crate::console::{number, output};
use crate::run_dir;
use crate::run_dir::digests::{self, Digest};

/// A flag that names a checkpoint, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    /// What the flag takes besides a number of frames, in words.
    pub(crate) words: &'static str,
}

/// Lists the checkpoints below `dir` with their frames, oldest first; none if `dir` is missing.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn list(dir: &Path) -> anyhow::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    if dir.exists() {
        for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            found.extend(number.map(|number| (number, path)));
        }
    }
    found.sort();
    Ok(found)
}

/// Finds the checkpoint whose weights `--checkpoint` names: `last`, `best` or a number of frames.
///
/// # Errors
/// If there is none of that name; the message lists those that exist.
pub(crate) fn find(run: &Path, which: &str) -> anyhow::Result<PathBuf> {
    let best = list(&run.join("best"))?;
    match (which, best.last()) {
        ("best", Some((_, path))) => Ok(path.clone()),
        _ => among(run, which, Flag { name: "--checkpoint", words: "`last`, `best`" }, &best),
    }
}

/// Finds the checkpoint that `flag` names, `last` or a number of frames, to go on from. Refuses `best`, which holds
/// weights alone.
///
/// # Errors
/// If there is none of that name; the message lists those that exist.
pub(crate) fn whole(run: &Path, which: &str, flag: Flag) -> anyhow::Result<PathBuf> {
    if which == "best" {
        let Flag { name, words } = flag;
        let why = "the best are weights alone, which can be played, and nothing goes on from them";
        return Err(usage(format!("{name} best: expected {words} or a number of frames; {why}")));
    }
    among(run, which, flag, &[])
}

/// The error of a run whose checkpoints are gone, as where a disk is not there; `None` of one of which no checkpoint is
/// recorded.
///
/// # Errors
/// If the list of what was recorded is damaged.
pub(crate) fn gone(run: &Path) -> anyhow::Result<Option<anyhow::Error>> {
    let place = run.join("checkpoints");
    let there = !list(&place)?.is_empty();
    let last = digests::all(run)?.pop().filter(|_| !there);
    Ok(last.map(|Digest { frames, .. }| {
        let (place, frames) = (place.display(), number::count(frames));
        anyhow!("{place}: holds none any more, and the last was of {frames} frames: bring it back, or train anew in another --run")
    }))
}

/// Finds a checkpoint by name among the whole ones of `run` and the weights in `best`.
fn among(run: &Path, which: &str, flag: Flag, best: &[(u64, PathBuf)]) -> anyhow::Result<PathBuf> {
    let all = list(&run.join("checkpoints"))?;
    let known = || {
        let mut names: Vec<String> = all.iter().map(|(frames, _)| frames.to_string()).collect();
        names.extend(best.last().map(|_| "best".to_owned()));
        if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
    };
    let Flag { name, words } = flag;
    let found = match which {
        "last" => all.last(),
        "best" => None,
        number => {
            let expected = || usage(format!("{name} {which}: expected {words} or a number of frames ({})", known()));
            let frames: u64 = number.parse().map_err(|_| expected())?;
            all.iter().chain(best).find(|(known, _)| *known == frames)
        }
    };
    let why = if which == "best" { "; the best are kept where a run evaluates itself: --eval-every" } else { "" };
    if which == "last" && all.is_empty() && best.is_empty() {
        if run_dir::is_written(run) {
            let run = run.display();
            return Err(usage(format!("{run} is being trained, and has no checkpoint yet: wait for one")));
        }
        if let Some(gone) = gone(run)? {
            return Err(gone);
        }
        let (run, word) = (run.display(), output::word(run));
        return Err(usage(format!("{run} has no checkpoint yet: `rl-run resume {word}` trains on to one")));
    }
    let missing = || usage(format!("{name}: {}: no checkpoint `{which}` ({}{why})", run.display(), known()));
    found.map(|(_, path)| path.clone()).ok_or_else(missing)
}

/// Opens the checkpoint in `path` of a run with `open`. If that fails, the error also names one that can be opened, if
/// there is any the newest before it, as the flag `--checkpoint` of `command`; without a command it is weights that are
/// opened, and the best may serve. If there is none, it says so.
///
/// # Errors
/// If it cannot be opened.
pub(crate) fn open(
    run: &Path,
    path: &Path,
    command: &str,
    open: impl Fn(&Path) -> anyhow::Result<Checkpoint>,
) -> anyhow::Result<Checkpoint> {
    let error = match open(path) {
        Ok(checkpoint) => return Ok(checkpoint),
        Err(error) => error,
    };
    let all = list(&run.join("checkpoints"))?;
    let best = if command.is_empty() { list(&run.join("best"))? } else { Vec::new() };
    let (before, after): (Vec<_>, Vec<_>) = all.iter().partition(|(_, other)| other.file_name() < path.file_name());
    let intact = |(_, other): &&(u64, PathBuf)| other.as_path() != path && open(other).is_ok();
    let earlier = before.into_iter().rev().find(intact).map(|(frames, _)| ("an earlier one is", frames.to_string()));
    let another = || after.into_iter().find(intact).map(|(frames, _)| ("another one is", frames.to_string()));
    let best = || best.last().filter(intact).map(|_| ("the best are", "best".to_owned()));
    Err(match earlier.or_else(another).or_else(best) {
        Some((which, name)) => anyhow!("{error:#}; {which} intact: {command}--checkpoint {name}"),
        None if run_dir::refuse_model(run).is_err() => error, // a model cannot be trained again
        None => anyhow!("{error:#}; no other of {} can be read: a run in another --run begins anew", output::word(run)),
    })
}

/// The `error` of a checkpoint of `frames` frames that is whole and whose state is refused all the same, with the way
/// back to the one before it, as the flag `--checkpoint` of `command`.
pub(crate) fn refused(run: &Path, frames: u64, command: &str, error: anyhow::Error) -> anyhow::Error {
    let all = list(&run.join("checkpoints")).unwrap_or_default();
    match all.iter().rev().find(|(other, _)| *other < frames) {
        Some((before, _)) => anyhow!("{error:#}; there is an earlier one: {command}--checkpoint {before}"),
        None => error,
    }
}
