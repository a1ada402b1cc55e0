//! Memory that this process may use: the machine's, or less where its control group has a limit (a container, a job of
//! Slurm). Source: the kernel's documentation of control groups, versions 1 and 2.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Bytes of memory that are free; `None` if the system does not say.
pub(crate) fn free() -> Option<u64> {
    meminfo("MemAvailable:").into_iter().chain(limits().iter().map(|limit| limit.free)).min()
}

/// Bytes of memory in all; `None` if the system does not say.
pub(crate) fn all() -> Option<u64> {
    meminfo("MemTotal:").into_iter().chain(limits().iter().map(|limit| limit.most)).min()
}

/// Bytes under `key` in `/proc/meminfo`; `None` if it is not there.
fn meminfo(key: &str) -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Limit of a control group, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    most: u64,
    free: u64,
}

fn limits() -> Vec<Limit> {
    limits_of(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default(), Path::new(ROOT))
}

/// Limits of the groups that `own` names, as `/proc/self/cgroup` does, and of all groups around them.
fn limits_of(own: &str, root: &Path) -> Vec<Limit> {
    let of = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (base, files) = match controllers {
            "" => (root.to_owned(), ["memory.max", "memory.current", ""]),
            _ if controllers.split(',').any(|one| one == "memory") => {
                let files = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_"];
                (root.join("memory"), files)
            }
            _ => return None,
        };
        // A group beyond the root of this namespace, `/..`, has no name here.
        let inside = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_)));
        let group = base.join(inside.collect::<PathBuf>());
        let around = group.ancestors().take_while(|group| group.starts_with(&base));
        Some(around.filter_map(|group| limit(group, files)).collect::<Vec<Limit>>())
    };
    own.lines().filter_map(of).flatten().collect()
}

/// Limit of the group in a directory; `None` if it has none.
fn limit(group: &Path, [most, used, sum]: [&str; 3]) -> Option<Limit> {
    let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    let (most, used) = (number(most)?, number(used)?);
    // What is kept of files counts as used, and is given back when it is asked for, as `MemAvailable` counts it.
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let of = |line: &str| {
        let (key, value) = line.strip_prefix(sum)?.split_once(' ')?;
        ["active_file", "inactive_file"].contains(&key).then(|| value.trim().parse::<u64>().ok())?
    };
    let files: u64 = stat.lines().filter_map(of).sum();
    Some(Limit { most, free: most.saturating_sub(used.saturating_sub(files)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(root: &Path, path: &str, files: &[(&str, &str)]) {
        fs::create_dir_all(root.join(path)).unwrap();
        files.iter().for_each(|(name, text)| fs::write(root.join(path).join(name), text).unwrap());
    }

    #[test]
    fn every_group_around_the_process_may_limit_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let stat = "anon 10\ninactive_file 200\nactive_file 100\nfile_mapped 7\n";
        group(root, "job", &[("memory.max", "1000\n"), ("memory.current", "900\n"), ("memory.stat", stat)]);
        group(root, "job/step", &[("memory.max", "max\n"), ("memory.current", "5\n")]);
        let job = || Limit { most: 1000, free: 400 };
        assert_eq!(limits_of("0::/job/step\n", root), [job()]);
        assert_eq!(limits_of("0::/../job\n", root), [job()]);
        assert_eq!(limits_of("0::/\n", root), []);
        group(root, "", &[("memory.max", "2000\n"), ("memory.current", "1500\n")]); // as a container sees its own
        assert_eq!(limits_of("0::/job\n", root), [job(), Limit { most: 2000, free: 500 }]);
    }

    #[test]
    fn groups_of_the_first_version_limit_by_their_controller_of_memory() {
        let dir = tempfile::tempdir().unwrap();
        let stat = "active_file 1\ntotal_active_file 50\ntotal_inactive_file 350\n";
        let files = [("memory.limit_in_bytes", "1000"), ("memory.usage_in_bytes", "1300"), ("memory.stat", stat)];
        group(dir.path(), "memory/slurm/job_7", &files);
        let own = "12:cpu,cpuacct:/slurm/job_7\n4:memory:/slurm/job_7\n";
        assert_eq!(limits_of(own, dir.path()), [Limit { most: 1000, free: 100 }]);
    }

    #[test]
    fn this_machine_has_no_less_than_is_free() {
        let (free, all) = (free().unwrap(), all().unwrap());
        assert!(free <= all && all > 1 << 20, "{free} of {all}");
    }
}
