//! The dashboard in a pseudo-terminal, which `script` (util-linux) makes: what it shows, and that it gives the terminal back.
#![forbid(unsafe_code)]
#![cfg(feature = "tui")]

mod common;

use std::fs;
use std::time::Duration;

use common::{in_terminal, json, names, refusal, rl_run, terminal, until_a_checkpoint};

/// What ends the screen that was taken, and what shows the cursor.
const BACK: [&str; 2] = ["\x1b[?1049l", "\x1b[?25h"];

#[test]
fn a_run_is_shown_and_stopped_by_a_key_and_the_terminal_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let run = "--env cartpole --agent ppo --frames 40000000 --seed 3 --set train.checkpoint_every=2000 --run r";
    let checkpoint = || fs::read_dir(at.join("r/checkpoints")).is_ok_and(|mut all| all.next().is_some());
    let (written, code) = in_terminal(at, &format!("{run} --tui"), &[b"\t?q"], checkpoint);
    assert_eq!(code, 75, "{written}");
    assert!(written.contains("\x1b[?1049h"), "{written}");
    for words in ["ppo on cartpole, seed 3", "where the time goes", "last episodes"] {
        assert!(written.contains(words), "{words}: {written}");
    }
    // What is said at the end is said on the terminal as it was.
    let (_, after) = written.rsplit_once(BACK[0]).expect("the screen is given back");
    assert!(after.contains(BACK[1]) && after.contains("stopped; go on with: rl-run resume r"), "{after}");
    // Stopped between the same two blocks or not, its checkpoints are those of a run that nobody looked at.
    let plain = run.replace("--frames 40000000", "--frames 8000").replace("--run r", "--run plain --quiet");
    assert!(rl_run(at, &plain).status().unwrap().success());
    let states = |run: &str| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(at.join(run).join("digests.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (shown, plain) = (states("r"), states("plain"));
    assert!(!shown.is_empty() && shown[0] == plain[0], "{:?} {:?}", shown.first(), plain.first());
}

/// Learning takes minutes between two looks at whether someone asked to stop.
#[test]
fn a_second_ctrl_c_ends_a_run_as_without_a_dashboard_and_gives_the_terminal_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env frozenlake --agent dqn --seed 9 --set agent.learning_starts=1 --set agent.updates=100000000 --run r --tui";
    let (written, code) = in_terminal(at, line, &[b"", b"\x03", b"\x03"], || at.join("r/digests.jsonl").exists());
    let (_, after) = written.rsplit_once(BACK[0]).expect("the screen is given back");
    assert!(code == 130 && after.contains(BACK[1]), "{code}: {after}");
}

/// Thrice, as the thread that reads keys must not be in any one place then.
#[test]
fn a_terminal_that_closes_ends_a_run_with_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for number in 0..3 {
        let line = "--env cartpole --agent ppo --frames 40000000 --set train.checkpoint_every=2000 --tui";
        let mut script = terminal(at, &format!("{line} --run r{number}"));
        let run = at.join(format!("r{number}"));
        until_a_checkpoint(&mut script, &run);
        script.kill().unwrap(); // and so the terminal is gone
        script.wait().unwrap();
        let lock = fs::File::open(run.join(".lock")).unwrap();
        let free = || rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok();
        if !(0..1200).any(|_| free() || (std::thread::sleep(Duration::from_millis(100)), false).1) {
            let pid = fs::read_to_string(at.join("pid")).unwrap();
            let _ = std::process::Command::new("kill").args(["-9", pid.trim()]).status();
            panic!("r{number} runs on without its terminal");
        }
        let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let row: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        let last = format!("{:012}", row["frames"].as_u64().unwrap());
        assert!(names(&run.join("checkpoints")).contains(&last), "a checkpoint at {last} frames, the last");
    }
}

#[test]
fn an_error_gives_the_terminal_back_before_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let line = "--env cartpole --agent ppo --run r --set agent.lr=1e30 --tui";
    let (written, code) = in_terminal(dir.path(), line, &[], || false);
    let (_, after) = written.rsplit_once(BACK[0]).expect("the screen is given back");
    assert!(code == 1 && after.contains("error: ") && after.contains("update"), "{code}: {after}");
}

#[test]
fn without_a_terminal_and_beside_other_reports_it_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let run = "--env cartpole --agent ppo --run r --tui";
    let (code, said) = refusal(at, run);
    assert_eq!(
        (code, said.as_str()),
        (2, "error: --tui: this is not a terminal; without --tui, progress is printed in lines")
    );
    for other in ["--json", "--quiet", "--seeds 1,2"] {
        let (code, said) = refusal(at, &format!("{run} {other}"));
        let flag = other.split(' ').next().unwrap();
        assert!(code == 2 && said.contains(flag) && said.contains("--tui"), "{said}");
    }
    assert!(!at.join("r").exists());
    json(at, "--env cartpole --agent ppo --frames 500 --quiet --json --run done");
    assert!(refusal(at, "resume done --tui --quiet").1.contains("--tui"));
}
