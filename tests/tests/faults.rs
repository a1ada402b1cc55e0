//! Environments that fail or panic end a run with the seat at fault, and the run goes on from its last checkpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

const PPO: &str = "--env faulty --agent ppo --frames 4000 --seed 2 --quiet --json --set train.envs=4 \
                   --set train.checkpoint_every=500 --set agent.horizon=16";
const IMPALA: &str = "--env faulty --agent impala --frames 4000 --seed 2 --json --set train.envs=4 \
                      --set train.checkpoint_every=500";

fn rl_run(at: &Path, line: &str, fault: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rl-run-faulty"));
    command.current_dir(at).args(line.split_whitespace());
    if let Some(fault) = fault {
        command.env("RL_FAULT", fault);
    }
    command.output().expect("rl-run starts")
}

fn json(at: &Path, line: &str) -> Value {
    let output = rl_run(at, line, None);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one object")
}

/// The one line that a run ends with that fails.
fn failure(at: &Path, line: &str, fault: Option<&str>) -> String {
    let output = rl_run(at, line, fault);
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{line}, {fault:?}: {said}");
    assert!(output.stdout.is_empty());
    said.trim_end().to_owned()
}

fn checkpoints(at: &Path, run: &str) -> Vec<PathBuf> {
    let dir = at.join(run).join("checkpoints");
    let mut all: Vec<_> =
        fs::read_dir(dir).expect("it has some").map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all
}

#[test]
fn an_environment_has_the_presets_that_it_brings_along_and_no_other() {
    let dir = tempfile::tempdir().expect("there is room");
    let presets = json(dir.path(), "list presets --json");
    let of_it = presets.as_array().expect("a list").iter().filter(|preset| preset["env"] == "faulty");
    let mut agents: Vec<_> = of_it.map(|preset| preset["agent"].as_str().expect("a name")).collect();
    agents.sort_unstable();
    assert_eq!(agents, ["impala", "ppo", "twins"]);
    let refused = rl_run(dir.path(), "--env faulty --agent dqn --run r", None);
    let said = String::from_utf8(refused.stderr).expect("text");
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: agent `dqn` has no preset for `faulty`"), "{said}");
}

#[test]
fn in_the_main_thread_or_a_worker_the_seat_is_named_and_the_run_goes_on_to_the_same_bits() {
    let dir = tempfile::tempdir().expect("there is room");
    let at = dir.path();
    let whole = json(at, &format!("{PPO} --run whole"));
    let serial = "--threads 1 --workers 1";
    let workers = "--threads 4 --workers 4";
    let broke = "environment faulty: its engine broke";
    let erred = "the environment panicked: its author erred (tests/src/faulty.rs:";
    let cases = [
        (serial, "step 2 700", "error: seat 2: ", broke),
        (serial, "panic 0 700", "error: seat 0: ", erred),
        (workers, "step 3 700", "error: seat 3: ", broke),
        (workers, "panic 3 700", "error: seat 3: ", erred),
        (workers, "panic 1.. 700", "error: seat 1: ", erred), // of several the first
        (serial, "save 1 700", "error: writing checkpoint ", "environment faulty: its engine gives no state"),
    ];
    for (number, (threads, fault, begins, holds)) in cases.into_iter().enumerate() {
        let run = format!("r{number}");
        let said = failure(at, &format!("{PPO} {threads} --run {run}"), Some(fault));
        assert!(said.starts_with(begins) && said.contains(holds), "{fault}: {said}");
        let kept = checkpoints(at, &run);
        let whole_ones = kept.iter().all(|path| path.join("manifest.json").exists());
        assert!(!kept.is_empty() && whole_ones, "{fault}: {kept:?}");
        let done = json(at, &format!("resume {run} --quiet --json"));
        for key in ["frames", "agent_steps", "updates", "mean_return_100", "parameters_sha256"] {
            assert_eq!(done[key], whole[key], "{fault}: {key}");
        }
    }
}

#[test]
fn a_first_reset_that_fails_names_its_seat_and_leaves_no_run() {
    let dir = tempfile::tempdir().expect("there is room");
    let at = dir.path();
    for (fault, expected) in [
        ("reset 2 0", "error: seat 2: environment faulty: its engine broke"),
        ("reset-panic 2 0", "error: seat 2: the environment panicked: its author erred (tests/src/faulty.rs:"),
    ] {
        for threads in ["--threads 1 --workers 1", "--threads 4 --workers 4"] {
            let said = failure(at, &format!("{PPO} {threads} --run r"), Some(fault));
            assert!(said.starts_with(expected), "{fault}, {threads}: {said}");
            assert!(!at.join("r").exists(), "{fault}");
        }
    }
}

#[test]
fn parts_that_no_checkpoint_could_hold_are_refused_before_there_is_a_run() {
    let dir = tempfile::tempdir().expect("there is room");
    let at = dir.path();
    let line = "--env faulty --agent twins --quiet --json";
    for (sets, expected) in [
        ("", "two parts of this session are called `learner.twin`"),
        ("--set agent.parts=[\"a/b\"]", "a part of this session is called `learner.a/b`"),
    ] {
        let said = failure(at, &format!("{line} {sets} --run r"), None);
        assert!(said.contains(expected), "{said}");
        assert!(!at.join("r").exists(), "{sets}");
    }
    json(at, &format!("{line} --set agent.parts=[\"a\",\"b\"] --run r"));
}

#[test]
fn a_state_that_an_engine_refuses_is_named_by_its_file_and_stays() {
    let dir = tempfile::tempdir().expect("there is room");
    let at = dir.path();
    json(at, &format!("{PPO} --run r"));
    let kept = checkpoints(at, "r");
    let said = failure(at, "resume r --frames 5000 --quiet", Some("load 2 0"));
    assert!(said.contains("/env: ") && said.contains("environment faulty: its engine takes no state"), "{said}");
    assert_eq!(checkpoints(at, "r"), kept);
    json(at, "resume r --frames 5000 --quiet --json");
}

#[test]
fn an_actor_whose_environment_fails_goes_on_with_a_new_one_until_that_is_in_vain() {
    let dir = tempfile::tempdir().expect("there is room");
    let at = dir.path();
    for (number, fault) in ["step 3 300", "panic 3 300"].into_iter().enumerate() {
        let run = format!("r{number}");
        let output = rl_run(at, &format!("{IMPALA} --actors 2 --run {run}"), Some(fault));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{fault}: {said}");
        assert!(said.contains("seat 3: ") && said.contains("its actor's seats begin new episodes"), "{said}");
        let rows = fs::read_to_string(at.join(&run).join("metrics.jsonl")).expect("rows");
        let last: Value = serde_json::from_str(rows.lines().last().expect("a row")).expect("a row is JSON");
        assert_eq!(last["restarts"], 1.0, "{last}");
    }
    // Environment 3 and every one that takes its place.
    let said = failure(at, &format!("{IMPALA} --quiet --actors 2 --run r"), Some("panic 3.. 0"));
    assert!(said.starts_with("error: actor 1: after 3 restarts without a whole block: seat "), "{said}");
    assert!(said.contains("its author erred (tests/src/faulty.rs:"), "{said}");
    json(at, "resume r --quiet --json");
}

/// A whole checkpoint whose emulator state is damaged, as by a fault of the emulator itself: its sums are right.
#[cfg(feature = "atari")]
#[test]
fn an_emulator_that_refuses_its_state_ends_a_resume_by_name_and_another_checkpoint_serves() {
    let dir = tempfile::tempdir().expect("there is room");
    let at = dir.path();
    let line = "--env kungfu --agent ppo --frames 3000 --seed 2 --quiet --json --set train.envs=2 --set agent.horizon=16 \
                --set agent.trunk=small --set agent.hidden=[16] --set train.checkpoint_every=1000 --set train.keep_checkpoints=9";
    let whole = json(at, &format!("{line} --run r"));
    let all = checkpoints(at, "r");
    let [.., before, last] = &all[..] else { panic!("{all:?}") };
    let mut state = fs::read(last.join("env")).expect("its part");
    let within = state.len() * 3 / 4; // of the second seat, whose counters come first and may be anything
    state[within] ^= 0x40;
    fs::write(last.join("env"), &state).expect("room");
    seal(last, &state);
    let said = failure(at, "resume r --frames 4000 --quiet", None);
    let before = before.file_name().expect("a name").to_string_lossy().into_owned();
    let earlier = format!("resume r --checkpoint {}", before.trim_start_matches('0'));
    assert!(
        said.contains("/env: saved state of ") && said.ends_with(&format!("an earlier one: rl-run {earlier}")),
        "{said}"
    );
    let done = json(at, &format!("{earlier} --quiet --json"));
    assert_eq!(done["parameters_sha256"], whole["parameters_sha256"]);
}

/// Makes the manifest one of `state` as the part `env`: its own sum is of its compact form without that sum.
#[cfg(feature = "atari")]
fn seal(checkpoint: &Path, state: &[u8]) {
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let file = checkpoint.join("manifest.json");
    let text = fs::read_to_string(&file).expect("a manifest");
    let compact: String = text.lines().map(str::trim_start).collect::<String>().replace("\": ", "\":");
    let sum_behind = |text: &str, key: &str| {
        let from = text.find(key).expect("the key") + key.len();
        let from = from + text[from..].find("\"sha256\":\"").expect("its sum") + "\"sha256\":\"".len();
        from..from + 64
    };
    let part = sum_behind(&compact, "\"file\":\"env\"");
    let mut sealed = compact;
    sealed.replace_range(part, &hex(state));
    let own = sealed.rfind("\"sha256\":\"").expect("its own sum") + "\"sha256\":\"".len();
    sealed.replace_range(own..own + 64, "");
    let sum = hex(sealed.as_bytes());
    sealed.insert_str(own, &sum);
    fs::write(file, sealed).expect("room");
}
