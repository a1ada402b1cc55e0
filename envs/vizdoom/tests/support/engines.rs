//! Engines that a process has started and what is left of them, for tests that show that nothing is.
#![allow(dead_code)] // each test binary uses its own part

use std::fs;
use std::path::{Path, PathBuf};

/// What begins the names of an engine's queues and memory, before ten letters or more: zeros, the number of the process that
/// started it, and six that were drawn.
const SHARED: [&str; 3] = ["ViZDoomMQDoom", "ViZDoomMQCtr", "ViZDoomSM"];

/// Engines that `owner` has started, were they dead ones that it has not asked for.
pub(crate) fn of(owner: u32) -> Vec<u32> {
    let child = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let (name, _, parent) = process(id)?;
        (name == "vizdoom" && parent == owner).then_some(id)
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(child).collect()
}

/// Whether there is such a process, were it a dead one that nobody has asked for.
pub(crate) fn exists(id: u32) -> bool {
    Path::new("/proc").join(id.to_string()).exists()
}

/// Whether it runs.
pub(crate) fn lives(id: u32) -> bool {
    process(id).is_some_and(|(_, state, _)| state != "Z")
}

/// Name, state and parent of a process.
fn process(id: u32) -> Option<(String, String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    Some((name.to_owned(), words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// Names in shared memory and directories that engines of `owner` still have.
pub(crate) fn left(owner: u32) -> Vec<PathBuf> {
    let of_owner = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let directory =
            name.strip_prefix("rl-run-doom-").and_then(|rest| rest.split_once('-')).map(|(number, _)| number);
        let instance = SHARED.iter().find_map(|begin| name.strip_prefix(begin));
        let number = instance.and_then(|instance| instance.get(..instance.len().checked_sub(6)?));
        directory.or(number).is_some_and(|number| number.parse() == Ok(owner))
    };
    let places = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
    let names = places.iter().flat_map(|place| fs::read_dir(place).unwrap().flatten()).map(|entry| entry.path());
    names.filter(of_owner).collect()
}
