//! Runs the built binary as a person would.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::{Command, Output};

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

/// Names in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
