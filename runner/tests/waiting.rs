//! Commands that take long: how far they are is shown on a terminal, and Ctrl-C ends them with nothing half done.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{in_terminal, json, names, output, rl_run, signal, until};

/// Waits until the process has a handler for SIGINT: a signal before would end it.
fn until_it_listens(child: &mut Child) {
    let status = format!("/proc/{}/status", child.id());
    let listens = || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
        mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask >> 1 & 1 == 1)
    };
    until(child, listens);
}

/// Begins `line`, asks it to stop, and returns what it says.
fn stopped(at: &Path, line: &str) -> String {
    let mut child = rl_run(at, line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_it_listens(&mut child);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(75), "{line}: it must be long enough to be stopped before its end: {said}");
    assert!(output.stdout.is_empty(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    said
}

#[test]
fn what_is_stopped_says_what_came_of_it_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent ppo --frames 1 --run r --quiet --json");
    json(at, "--env connectfour --agent alphazero --frames 1 --set agent.learning_starts=64 --run c --quiet --json");
    json(at, "record --env cartpole --random --episodes 30000 --out games.rec --json");
    json(at, "record --env pendulum --random --episodes 1 --out game.rec --json");
    json(at, "record --env cartpole --random --episodes 40 --frames --out seen.rec --json");
    json(at, "record --env pendulum --random --episodes 1 --set env.max_steps=2000000 --out long.rec --json");
    let before = names(at);
    for (line, said) in [
        ("eval r --episodes 100000000", "no score"),
        ("eval r --episodes 100000000 --json", "no score"),
        ("record r --episodes 100000000 --out new.rec", "nothing was recorded"),
        ("record --env cartpole --random --episodes 100000000 --out new.rec", "nothing was recorded"),
        ("publish r --episodes 100000000 --out model", "nothing was published"),
        ("verify seen.rec", "no score is certified"),
        ("export games.rec --out pictures.rec", "no file was written"),
        ("export long.rec --by-step --out steps.csv", "no file was written"),
        ("export game.rec --out film.gif --scale 8 --speed 0.1", "no file was written"),
        ("match c --games 100000", "no score"),
        ("profile --env cartpole --agent ppo --set agent.horizon=20000 --json", "nothing was measured"),
        ("plan --env cartpole --agent ppo --minutes 60 --seconds 1000 --json", "nothing was planned"),
        ("check --env cartpole --steps 100000000", "nothing is said of its promises"),
        ("match c --games 2 --against random --positions 100000", "no score"),
    ] {
        assert_eq!(stopped(at, line), format!("stopped before the end: {said}\n"), "{line}");
        assert_eq!(names(at), before, "{line}");
    }
}

#[test]
fn a_measurement_that_is_stopped_shows_what_it_has_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for line in [
        "profile --env cartpole --agent ppo --frames 1000000000",
        "bench train --env cartpole --agent ppo --seconds 1e6",
    ] {
        // Nothing is measured before the first update, which nothing tells of: as late as it takes.
        let (stdout, stderr) = (1..)
            .map(|tenths| {
                let mut child = rl_run(dir.path(), line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
                until_it_listens(&mut child);
                std::thread::sleep(Duration::from_millis(100 << tenths));
                signal(&child, "INT");
                let output = child.wait_with_output().unwrap();
                assert_eq!(output.status.code(), Some(75), "{line}");
                (output.stdout, String::from_utf8(output.stderr).unwrap())
            })
            .find(|(stdout, _)| !stdout.is_empty())
            .unwrap();
        let (shown, last) = (String::from_utf8(stdout).unwrap(), stderr.lines().last().unwrap());
        assert!(shown.starts_with("ppo on cartpole, ") && shown.contains("agent steps"), "{line}: {shown}");
        assert!(last.starts_with("stopped before the end: measured for "), "{line}: {stderr}");
    }
}

#[test]
fn a_terminal_shows_how_far_it_is_and_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "record --env cartpole --random --episodes 100000 --out games.rec";
    let (written, code) = in_terminal(at, line, &[], || true);
    assert_eq!(code, 0, "{written}");
    assert!(written.contains("/100,000 games") && written.contains(" left"), "{written}");
    // The last that is drawn is a cleared line; the result stands on it.
    let (_, last) = written.rsplit_once("\x1b[2K").expect("the bar is cleared");
    assert!(last.trim_start_matches('\r').starts_with("games.rec: 100,000 games of cartpole"), "{last}");

    for (line, result) in [
        ("verify games.rec --json", r#""equal":true"#),
        ("verify games.rec --quiet", "100,000 games of cartpole"),
        (
            "record --env cartpole --random --episodes 20000 --out more.rec --quiet",
            "more.rec: 20,000 games of cartpole",
        ),
    ] {
        let (written, code) = in_terminal(at, line, &[], || true);
        assert!(code == 0 && written.contains(result) && !written.contains(" left"), "{line}: {written}");
    }
    for command in ["eval", "record", "publish", "export", "match", "verify"] {
        let help = output(at, &format!("{command} --help")).stdout;
        assert!(String::from_utf8(help).unwrap().contains("--quiet"), "{command}");
    }
}

/// Learning takes minutes between two looks at whether someone asked to stop.
#[test]
fn a_run_answers_the_first_ctrl_c_at_once_and_ends_by_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line =
        "--env frozenlake --agent dqn --seed 9 --set agent.learning_starts=1 --set agent.updates=100000000 --run r";
    let (written, code) = in_terminal(at, line, &[b"", b"\x03", b"\x03"], || at.join("r/digests.jsonl").exists());
    assert!(code == 130 && written.contains("once more ends at once, without one"), "{code}: {written}");
}
