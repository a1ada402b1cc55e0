//! What a process leaves that is killed while an engine of its starts: until that has answered it needs names in `/dev/shm` and
//! a directory. Directories tell whose they are, so that the next process takes away what belongs to nobody.

use std::fs;
use std::path::Path;

/// Prefixes of the names of an engine's queues, to the engine and from it, and of its shared memory.
pub(crate) const NAMES: [&str; 3] = ["ViZDoomMQDoom", "ViZDoomMQCtr", "ViZDoomSM"];

/// Prefix of the name of an engine's directory, before the id of the process that made it.
const OURS: &str = "rl-run-doom-";

/// Returns the prefix of the names of engine directories that this process makes.
pub(crate) fn prefix() -> String {
    format!("{OURS}{}-", std::process::id())
}

/// Returns the instance id of the engine that works in the directory `dir`: the id of our process and the random end of
/// the directory's name, so that no id is taken twice on one machine. `None` if `dir` is not an engine's directory.
pub(crate) fn instance(dir: &Path) -> Option<String> {
    owner(dir).map(|(process, rest)| format!("{:0>10}", format!("{process}{rest}")))
}

/// Returns the id of the process that made an engine's directory, and the random end of the directory's name.
fn owner(dir: &Path) -> Option<(u32, &str)> {
    let (process, rest) = dir.file_name()?.to_str()?.strip_prefix(OURS)?.split_once('-')?;
    Some((process.parse().ok()?, rest))
}

/// Removes the directories in `temporary` and the names in `shared` that processes left which have ended. Failures to
/// remove are ignored.
pub(crate) fn sweep(temporary: &Path, shared: &Path) {
    let Ok(entries) = fs::read_dir(temporary) else { return };
    for dir in entries.flatten().map(|entry| entry.path()) {
        let Some((process, _)) = owner(&dir) else { continue };
        if Path::new("/proc").join(process.to_string()).exists() {
            continue;
        }
        // Names first: without the directory nobody would know whose they are.
        for name in instance(&dir).into_iter().flat_map(|instance| NAMES.map(|name| format!("{name}{instance}"))) {
            let _ = fs::remove_file(shared.join(name));
        }
        let _ = fs::remove_dir_all(dir);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_nobody_owns_is_taken_away_and_nothing_else() {
        let mut child = Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap(); // its number is nobody's now
        let (temporary, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = std::process::id();
        let dirs =
            [format!("{OURS}{dead}-abcdef"), format!("{OURS}{ours}-abcdef"), format!("{OURS}other"), "else".to_owned()];
        dirs.iter().for_each(|dir| fs::create_dir(temporary.path().join(dir)).unwrap());
        let [theirs, mine] = [dead, ours].map(|process| {
            let instance = format!("{:0>10}", format!("{process}abcdef"));
            NAMES.map(|name| shared.path().join(format!("{name}{instance}")))
        });
        let stranger = shared.path().join("ViZDoomMQDoom1234567890");
        let all = || theirs.iter().chain(&mine).chain([&stranger]);
        all().for_each(|path| fs::write(path, "").unwrap());
        sweep(temporary.path(), shared.path());
        let left = |path: &&std::path::PathBuf| path.exists();
        assert_eq!(all().filter(left).collect::<Vec<_>>(), mine.iter().chain([&stranger]).collect::<Vec<_>>());
        let there: Vec<bool> = dirs.iter().map(|dir| temporary.path().join(dir).exists()).collect();
        assert_eq!(there, [false, true, true, true]);
    }

    #[test]
    fn a_directory_names_its_engine() {
        let name = format!("{}x1y2z3", prefix());
        let expected = format!("{:0>10}", format!("{}x1y2z3", std::process::id()));
        assert_eq!(instance(Path::new(&name)), Some(expected));
        assert_eq!(instance(Path::new("/tmp/rl-run-doom-x1y2z3")), None);
    }
}
