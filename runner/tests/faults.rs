//! What goes wrong outside of a run ends it with a line that says what, and costs nothing that was kept before.
#![forbid(unsafe_code)]

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::{json, names, refusal, rl_run, signal, until};

const RUN: &str =
    "--env frozenlake --agent dqn --frames 6000 --seed 9 --quiet --json --set train.checkpoint_every=1000";

/// A limit on the size of files stands for the end of a disk: the checkpoint that passes it cannot be written.
#[test]
fn a_full_disk_ends_a_run_by_name_and_leaves_the_checkpoints_before() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let whole = json(at, &format!("{RUN} --run whole"));
    let checkpoints = |run: &str| at.join(run).join("checkpoints");
    // Replays grow: the limit lies between the first checkpoint and the last.
    let size = |name: &String| std::fs::metadata(checkpoints("whole").join(name).join("learner.replay")).unwrap().len();
    let all = names(&checkpoints("whole"));
    let (least, most) = (size(&all[0]), size(all.last().unwrap()));
    assert!(most > least + 2 * 1024, "{least} {most}");
    let blocks = (least + most) / 2 / 512; // as POSIX counts them
    let line = format!("ulimit -f {blocks}; exec \"$0\" {RUN} --run r");
    let done = Command::new("sh").args(["-c", &line, env!("CARGO_BIN_EXE_rl-run")]).current_dir(at).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!((done.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(
        said.contains("error: writing checkpoint r/checkpoints/00000000") && said.contains("learner.replay"),
        "{said}"
    );
    assert!(said.contains("File too large"), "{said}");
    let kept = names(&checkpoints("r"));
    assert!(!kept.is_empty() && kept.iter().all(|name| !name.starts_with('.')), "{kept:?}");
    let resumed = json(at, "resume r --quiet --json");
    assert_eq!(resumed["parameters_sha256"], whole["parameters_sha256"]);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = refusal(dir.path(), &format!("{RUN} --run /proc/rl-run-was-here"));
    assert!(code == 1 && said.contains("/proc/rl-run-was-here"), "{said}");
}

/// Stacks of 2 GiB in an address space of twenty stand for a machine that has no more threads to give.
#[test]
fn threads_that_cannot_be_started_end_a_command_in_a_line_and_nothing_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    for (line, expected) in [
        (format!("{RUN} --run r --threads 64"), "error: --threads 64: "),
        ("bench env --env cartpole --envs 64 --threads 64".to_owned(), "error: --threads 64: starting one of them: "),
    ] {
        let script = format!("ulimit -v {}; exec timeout 60 \"$0\" {line}", 20 << 21);
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_rl-run")]).env("RUST_MIN_STACK", (2u64 << 30).to_string());
        let done = command.current_dir(dir.path()).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!((done.status.code(), said.lines().count(), done.stdout.len()), (Some(1), 1, 0), "{line}: {said}");
        assert!(said.starts_with(expected), "{line}: {said}");
    }
    assert!(names(dir.path()).is_empty());
}

/// Learning takes minutes between two looks at whether someone asked to stop.
#[test]
fn a_second_request_ends_a_run_that_does_not_heed_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = format!("{RUN} --set agent.learning_starts=1 --set agent.updates=100000000 --run r");
    let mut child = rl_run(at, &line).stdout(Stdio::null()).spawn().unwrap();
    until(&mut child, || at.join("r/digests.jsonl").exists());
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, "INT");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(child.try_wait().unwrap(), None, "the first request waits for the updates");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
