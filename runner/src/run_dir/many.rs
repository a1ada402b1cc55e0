//! Directories that hold several runs: the runs in them, in order, and what is said of one that a command leaves out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde::Serialize;

use crate::console::{output, usage};
use crate::run_dir::is_run;

/// The runs directly below a directory, in the order of their names, numbers in them by value.
pub(crate) fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_run(path)).collect();
    runs.sort_by_cached_key(|run| (natural(run), run.clone()));
    runs
}

/// A path as text that sorts `s2` before `s10`: numbers in it are filled up with zeros.
fn natural(path: &Path) -> String {
    let (mut text, mut digits) = (String::new(), String::new());
    for letter in path.to_string_lossy().chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        if !digits.is_empty() {
            text += &format!("{:0>20}", std::mem::take(&mut digits));
        }
        text.push(letter);
    }
    text
}

/// The runs directly below a directory that is not a run itself; each once, even if links lead to it.
pub(crate) fn several(dir: &Path) -> Vec<PathBuf> {
    let mut known = BTreeSet::new();
    let mut runs = if is_run(dir) { Vec::new() } else { below(dir) };
    runs.sort_by_key(|run| run.is_symlink()); // of two names the run's own
    runs.retain(|run| fs::canonicalize(run).is_ok_and(|place| known.insert(place)));
    runs
}

/// The directories in `dir`, no run itself, that hold runs of their own: a command on the runs in `dir` leaves them out.
pub(crate) fn groups_in(dir: &Path) -> Vec<PathBuf> {
    let entries = if is_run(dir) { None } else { fs::read_dir(dir).ok() };
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    let here = fs::canonicalize(dir).ok();
    let other = |path: &PathBuf| !is_run(path) && fs::canonicalize(path).ok() != here; // no link back
    let mut groups: Vec<PathBuf> = paths.filter(|path| other(path) && !below(path).is_empty()).collect();
    groups.sort();
    groups
}

/// The message on one of [`groups_in`].
pub(crate) fn left_out(group: &Path) -> String {
    format!("left out: {0} holds runs of its own: name {0} too", group.display())
}

/// What `--json` prints of a run among several that a command failed on, in place of its result.
#[derive(Debug, Serialize)]
struct Failure<'a> {
    #[serde(serialize_with = "crate::file::text")]
    run: &'a Path,
    error: String,
}

/// The error of a directory in a group that does not look like a run any more, or that this user may not look into.
pub(crate) fn lost(run: &Path) -> anyhow::Error {
    let place = run.display();
    match run.join("run.json").try_exists() {
        Ok(_) => {
            anyhow!("{place}: it has lost its run.json: remove it, and `rl-run resume` of the group begins it again")
        }
        Err(why) => anyhow!(why).context(place.to_string()),
    }
}

/// Says that a command failed on one run among several, and goes on with the next.
pub(crate) fn failed(run: &Path, why: &anyhow::Error, json: bool) {
    let error = usage::line(why);
    output::note(format!("error: {error}"));
    if json {
        output::line(serde_json::to_string(&Failure { run, error }).expect("plain JSON"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_sort_by_value() {
        let mut names = ["ppo/s10", "dqn-long/s1", "ppo/s2", "ppo/s2-1", "ppo/s", "ppo/s1a"].map(Path::new);
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["dqn-long/s1", "ppo/s", "ppo/s1a", "ppo/s2", "ppo/s2-1", "ppo/s10"].map(Path::new));
    }
}
