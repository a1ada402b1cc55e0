//! `rl-run verify`: a run that is done again is the recorded one, part by part, or the first part that is not is named.
#![forbid(unsafe_code)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::{json, names, output, refusal, rl_run, signal, until};

const RUN: &str = "--env frozenlake --agent dqn --frames 3000 --seed 9 --quiet --json --set train.checkpoint_every=500 --set train.keep_checkpoints=2 --eval-every 1000 --eval-episodes 5 --set agent.batch=32";

/// Every file below `dir`, with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// Frames of the recorded states of the run `r`.
fn recorded(at: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(at.join("r/digests.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["frames"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_run_is_what_it_recorded_from_its_start_and_from_a_checkpoint_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{RUN} --run r"));
    let (before, frames) = (files(&at.join("r")), recorded(at));
    let (&[.., kept, end], states) = (&frames[..], frames.len()) else { panic!("{frames:?}") };
    assert!(states >= 6, "{frames:?}");
    let verdict = json(at, "verify r --json --quiet --threads 2 --workers 2");
    let checkpoints = names(&at.join("r/checkpoints")).iter().filter(|name| name.parse::<u64>().is_ok()).count();
    let expected = |states: usize, from: u64| serde_json::json!({"run": "r", "equal": true, "states": states, "checkpoints": checkpoints, "from": from, "until": end});
    assert!(checkpoints > 0 && verdict == expected(states, 0), "{verdict}");
    let verdict = json(at, &format!("verify r --json --quiet --from {kept}"));
    assert_eq!(verdict, expected(2, kept));
    assert_eq!(json(at, "verify r --json --quiet --from last"), verdict, "of the newest nothing is left to repeat");
    assert!(files(&at.join("r")) == before, "verifying changed the run");
    json(at, "resume r --frames 4200 --json --quiet");
    let longer = json(at, "verify r --json --quiet");
    assert!(longer["equal"] == true && longer["until"].as_u64() >= Some(4200), "{longer}");
}

#[test]
fn a_checkpoint_of_another_run_is_told_although_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{RUN} --run r"));
    json(at, &format!("{} --run other", RUN.replace("--seed 9", "--seed 77")));
    let last = |run: &str| {
        let at = at.join(run).join("checkpoints");
        at.join(names(&at).into_iter().rfind(|name| name.parse::<u64>().is_ok()).unwrap())
    };
    let place = last("r");
    std::fs::remove_dir_all(&place).unwrap();
    assert_eq!(json(at, "verify r --json --quiet")["equal"], true, "a checkpoint fewer");
    std::fs::rename(last("other"), place).unwrap();
    let (code, said) = refusal(at, "verify r --quiet");
    assert!(code == 1 && said.contains("is not what was recorded of the run at"), "{said}");
}

#[test]
fn a_run_that_was_stopped_and_went_on_is_verified_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = format!("{} --run r", RUN.replace("3000", "12000"));
    let mut child = rl_run(at, &line).stdout(Stdio::null()).spawn().unwrap();
    let states = || std::fs::read_to_string(at.join("r/digests.jsonl")).map_or(0, |text| text.lines().count());
    until(&mut child, || states() >= 2);
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(75), "the run must be long enough to be stopped before its end");
    let stopped = json(at, "verify r --json --quiet");
    json(at, "resume r --quiet --json");
    let whole = json(at, "verify r --json --quiet");
    assert!(stopped["equal"] == true && whole["equal"] == true, "{stopped} {whole}");
    assert_eq!(whole["states"].as_u64(), Some(recorded(at).len() as u64));
    assert!(whole["states"].as_u64() > stopped["states"].as_u64(), "{stopped} {whole}");
}

/// The state in which an evaluation is due is left for `resume`, which has another one for the same frames after it.
#[test]
fn a_run_that_was_stopped_in_an_evaluation_and_went_on_is_verified_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let long = RUN.replace("3000", "1600").replace("1000 --eval-episodes 5", "1500 --eval-episodes 60000");
    let line = format!("{long} --run r");
    let last = || names(&at.join("r/checkpoints")).iter().filter_map(|name| name.parse::<u64>().ok()).max();
    let stopped = (0..12).any(|attempt| {
        let _ = std::fs::remove_dir_all(at.join("r"));
        let mut child = rl_run(at, &line).stdout(Stdio::null()).spawn().unwrap();
        let states = || std::fs::read_to_string(at.join("r/digests.jsonl")).map_or(0, |text| text.lines().count());
        until(&mut child, || states() >= 2); // the last one before the evaluation
        std::thread::sleep(Duration::from_millis(1 << attempt));
        signal(&child, "INT");
        child.wait().unwrap().code() == Some(75) && !recorded(at).contains(&last().unwrap())
    });
    assert!(stopped, "it is long enough to be stopped in, and its state is not recorded before it was played");
    assert_eq!(json(at, "verify r --json --quiet")["equal"], true);
    json(at, "resume r --quiet --json");
    let (whole, mut states) = (json(at, "verify r --json --quiet"), recorded(at));
    states.dedup();
    assert_eq!((&whole["equal"], whole["states"].as_u64()), (&true.into(), Some(states.len() as u64)), "each once");
}

#[test]
fn the_first_part_that_differs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{RUN} --run r"));
    let (file, frames) = (at.join("r/digests.jsonl"), recorded(at));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let before = [
        String::new(),
        format!("; the state before, at {} frames, is equal", frames[0]),
        format!("; the 2 states before, up to {} frames, are equal", frames[1]),
    ];
    for (at_state, before) in before.iter().enumerate() {
        let mut line: serde_json::Value = serde_json::from_str(lines[at_state]).unwrap();
        let parts = line["parts"].as_array_mut().unwrap();
        let replay = parts.iter_mut().find(|part| part[0] == "learner.replay").unwrap();
        replay[1] = "0".repeat(64).into();
        let told = text.replace(lines[at_state], &line.to_string());
        std::fs::write(&file, told).unwrap();
        let done = output(at, "verify r --json --quiet");
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1));
        let (differs, until) = (frames[at_state], at_state.checked_sub(1).map_or(0, |last| frames[last]));
        let expected =
            format!("error: r: at {differs} frames `learner.replay` differs from what was recorded{before}\n");
        assert_eq!(said, expected);
        let verdict: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(verdict["first_difference"], serde_json::json!({"frames": differs, "part": "learner.replay"}));
        assert_eq!((&verdict["equal"], &verdict["until"]), (&false.into(), &until.into()));
    }
}

#[test]
fn a_damaged_state_is_neither_left_out_nor_cut() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{RUN} --run r"));
    let file = at.join("r/digests.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    let damaged = whole.replacen("{\"frames\"", "{\"frmaes\"", 2).replacen("frmaes", "frames", 1);
    std::fs::write(&file, &damaged).unwrap();
    for command in ["verify r", "resume r", "resume r --frames 100000"] {
        let (code, said) = refusal(at, command);
        assert!(code == 1 && said.contains("r/digests.jsonl, line 2: damaged: remove that line"), "{command}: {said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), damaged, "{command}");
    }
    // What a crash tore is the end of the file, and no state.
    std::fs::write(&file, format!("{whole}{{\"frames\": 9")).unwrap();
    let verdict = json(at, "verify r --quiet --json");
    assert_eq!((&verdict["equal"], verdict["states"].as_u64()), (&true.into(), Some(whole.lines().count() as u64)));
}

#[test]
fn what_cannot_be_verified_is_refused_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{RUN} --run r"));
    let (code, said) = refusal(at, "verify r --from 7");
    assert!(code == 2 && said.contains("--from: r: no checkpoint `7` (it has "), "{said}");
    for (line, expected) in [
        ("verify r --from foo", "error: --from foo: expected `start`, `last` or a number of frames (it has "),
        (
            "verify r --from best",
            "error: --from best: expected `start`, `last` or a number of frames; the best are weights",
        ),
        ("resume r --checkpoint foo", "error: --checkpoint foo: expected `last` or a number of frames (it has "),
        (
            "resume r --checkpoint best",
            "error: --checkpoint best: expected `last` or a number of frames; the best are weights",
        ),
        ("eval r --checkpoint foo", "error: --checkpoint foo: expected `last`, `best` or a number of frames (it has "),
    ] {
        let (code, said) = refusal(at, line);
        assert!(code == 2 && said.starts_with(expected), "{line}: {said}");
        assert_eq!(said.contains(", best)"), line.starts_with("eval"), "{line}: {said}");
    }
    std::fs::write(at.join("r/digests.jsonl"), "{\"frames\": 5").unwrap();
    let (code, said) = refusal(at, "verify r");
    assert!(code == 1 && said.contains("r/digests.jsonl: it holds no whole state"), "{said}");
    std::fs::remove_file(at.join("r/digests.jsonl")).unwrap();
    let (code, said) = refusal(at, "verify r");
    assert!(code == 1 && said.contains("no digests.jsonl with states to compare with"), "{said}");
    let (code, said) = refusal(at, "verify nowhere");
    assert!(code == 2 && said.contains("nowhere is not the directory of a run"), "{said}");
    let actors =
        "--env cartpole --agent impala --frames 2000 --actors 2 --quiet --json --set train.checkpoint_every=500";
    json(at, &format!("{actors} --set agent.max_lag=0 --run prompt"));
    assert_eq!(json(at, "verify prompt --quiet --json")["equal"], true);
    json(at, &format!("{actors} --run a"));
    let (code, said) = refusal(at, "verify a");
    assert!(code == 2 && said.contains("the lag of its actors is not reproducible"), "{said}");
}

#[test]
fn what_was_not_recorded_is_not_called_compared() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent ppo --frames 4000 --quiet --json --set train.checkpoint_every=1000 --run r");
    let all = std::fs::read_to_string(at.join("r/digests.jsonl")).unwrap();
    let whole = json(at, "verify r --quiet --json");
    assert!(whole["checkpoints"] == 2 && whole.get("unrecorded").is_none(), "{whole}");
    let last = names(&at.join("r/checkpoints")).pop().unwrap().parse::<u64>().unwrap();
    let less: String = all.lines().take(all.lines().count() - 1).map(|line| format!("{line}\n")).collect();
    std::fs::write(at.join("r/digests.jsonl"), less).unwrap();
    let verdict = json(at, "verify r --quiet --json");
    assert!(verdict["checkpoints"] == 1 && verdict["unrecorded"][0] == last, "{verdict}");
    let said = String::from_utf8(output(at, "verify r --quiet").stdout).unwrap();
    assert!(said.ends_with(&format!("nothing was recorded of the state of {last} to compare with\n")), "{said}");
    std::fs::write(at.join("r/digests.jsonl"), all).unwrap();
    let (code, said) = refusal(at, &format!("verify r --from {last} --quiet"));
    let kept = names(&at.join("r/checkpoints"))[0].parse::<u64>().unwrap();
    assert!(code == 2 && said.contains(&format!("compare with: try --from {kept}")), "{said}");
    std::fs::remove_dir_all(at.join("r/checkpoints").join(&names(&at.join("r/checkpoints"))[0])).unwrap();
    let (code, said) = refusal(at, "verify r --from last --quiet");
    assert!(code == 2 && said.contains("compare with: try --from start"), "{said}");
    std::fs::remove_dir_all(at.join("r/checkpoints")).unwrap();
    let (code, said) = refusal(at, "verify r --quiet");
    assert!(code == 1 && said.contains("r/checkpoints: holds none any more"), "{said}");
}

#[test]
fn a_recording_is_read_from_a_pipe_too() {
    let dir = tempfile::tempdir().unwrap();
    json(dir.path(), "record --env cartpole --random --episodes 2 --out a.rec --json");
    let script = "cat a.rec | \"$0\" verify /dev/stdin --json";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_rl-run")]).current_dir(dir.path());
    let verdict: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert!(verdict["equal"] == true && verdict["episodes"] == 2, "{verdict}");
}

#[test]
fn settings_that_were_changed_by_hand_are_told_after_a_resume_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent ppo --frames 2000 --quiet --json --set train.checkpoint_every=1000 --run r");
    let settings = std::fs::read_to_string(at.join("r/run.toml")).unwrap();
    let gamma = settings.lines().find(|line| line.starts_with("gamma = ")).unwrap();
    std::fs::write(at.join("r/run.toml"), settings.replace(gamma, "gamma = 0.5")).unwrap();
    let resumed = json(at, "resume r --frames 3000 --quiet --json");
    let differs = output(at, "verify r");
    let said = String::from_utf8(differs.stderr).unwrap();
    let told = "its run.toml was changed by hand before it went on from ";
    assert!(!differs.status.success() && said.contains(told) && said.contains("differs"), "{said} {resumed}");
    // Nothing is trained by what is changed after the end: no resume takes it over.
    let [settings, about] = ["r/run.toml", "r/run.json"].map(|file| at.join(file));
    let (whole, noted) = (std::fs::read_to_string(&settings).unwrap(), std::fs::read(&about).unwrap());
    std::fs::write(&settings, whole.replace("gamma = 0.5", "gamma = 0.75")).unwrap();
    let said = String::from_utf8(output(at, "resume r").stderr).unwrap();
    assert!(said.contains("run has ended already") && std::fs::read(&about).unwrap() == noted, "{said}");
    // One that is cut is as long as was asked, by whatever settings it has.
    let first = resumed["frames"].as_u64().unwrap();
    let kept = names(&at.join("r/checkpoints")).into_iter().filter_map(|name| name.parse().ok());
    let earlier = kept.filter(|&frames: &u64| frames < first).max().expect("several are kept");
    json(at, &format!("resume r --checkpoint {earlier} --frames {earlier} --quiet --json"));
    let said = String::from_utf8(output(at, "resume r").stderr).unwrap();
    assert!(said.contains("run has ended already"), "{said}");
}
