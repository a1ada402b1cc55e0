//! Runs the built binary as a person would.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// `rl-run` with the words of `line` in the directory `at`.
pub(crate) fn rl_run(at: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rl-run"));
    command.current_dir(at).args(line.split_whitespace());
    command
}

/// Runs to the end.
pub(crate) fn output(at: &Path, line: &str) -> Output {
    rl_run(at, line).output().unwrap()
}

/// The one JSON object that a successful command prints.
pub(crate) fn json(at: &Path, line: &str) -> serde_json::Value {
    let output = output(at, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The one line that a failing command says, after its exit code.
pub(crate) fn refusal(at: &Path, line: &str) -> (i32, String) {
    let output = output(at, line);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(stderr.lines().count(), 1, "{line}: {stderr}");
    (output.status.code().unwrap(), stderr.trim_end().to_owned())
}

/// Sends a signal, such as `INT`.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits until it is `so`, or the process has ended before.
pub(crate) fn until(child: &mut Child, so: impl Fn() -> bool) {
    while !so() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the directory of a run has a whole checkpoint, or the process has ended before.
pub(crate) fn until_a_checkpoint(child: &mut Child, run: &Path) {
    let checkpoints = run.join("checkpoints");
    let whole = |name: &String| !name.starts_with('.') && name != "segments";
    until(child, || checkpoints.exists() && names(&checkpoints).iter().any(whole));
}

/// Runs `rl-run LINE` in a pseudo-terminal of 100 by 30, which `script` (util-linux) makes, presses `keys` once `ready` says so, a
/// second between one of them and the next, and returns what was written there and the exit code.
pub(crate) fn in_terminal(at: &Path, line: &str, keys: &[&[u8]], ready: impl Fn() -> bool) -> (String, i32) {
    let mut child = terminal(at, line);
    let mut stdin = child.stdin.take().unwrap();
    while !ready() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    for (number, keys) in keys.iter().enumerate() {
        std::thread::sleep(Duration::from_secs(number.min(1) as u64));
        let _ = stdin.write_all(keys); // a run that is over takes none
        let _ = stdin.flush();
    }
    let status = child.wait().unwrap();
    drop(stdin);
    let written = std::fs::read(at.join("typescript")).unwrap();
    (String::from_utf8_lossy(&written).into_owned(), status.code().unwrap())
}

/// Begins `rl-run LINE` in a pseudo-terminal of 100 by 30, which is gone when the returned `script` is killed. The
/// process writes its number to the file `pid`.
pub(crate) fn terminal(at: &Path, line: &str) -> Child {
    let program = env!("CARGO_BIN_EXE_rl-run");
    // A terminal that closes sends SIGHUP, which whoever runs the tests in the background may have switched off.
    let command = format!("stty cols 100 rows 30; echo $$ > pid; exec env --default-signal=HUP '{program}' {line}");
    Command::new("script")
        .args(["--quiet", "--return", "--flush", "--command", &command, "typescript"])
        .current_dir(at)
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script of util-linux is there")
}

/// Names in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The file `part` of the last checkpoint of a run.
pub(crate) fn part(run: &Path, part: &str) -> Vec<u8> {
    let checkpoints = run.join("checkpoints");
    let last = names(&checkpoints).into_iter().rfind(|name| name != "segments").unwrap();
    std::fs::read(checkpoints.join(last).join(part)).unwrap()
}

/// A recording with another manifest, sealed anew: its chunk is the first one, of kind, number, length, content and checksum.
pub(crate) fn with_manifest(recording: &[u8], edit: impl FnOnce(&str) -> String) -> Vec<u8> {
    let end = 17 + u32::from_le_bytes(recording[13..17].try_into().unwrap()) as usize;
    let was = std::str::from_utf8(&recording[17..end]).unwrap();
    let manifest = edit(was);
    assert_ne!(manifest, was, "nothing was edited");
    let mut chunk = [&recording[8..13], &(manifest.len() as u32).to_le_bytes(), manifest.as_bytes()].concat();
    chunk.extend(crc32fast::hash(&chunk).to_le_bytes());
    [&recording[..8], &chunk, &recording[end + 4..]].concat()
}

/// The same recording of a version of its environment that nobody has.
pub(crate) fn of_another_version(recording: &[u8]) -> Vec<u8> {
    with_manifest(recording, |text| text.replace("\"env_version\":", "\"env_version\":9"))
}
