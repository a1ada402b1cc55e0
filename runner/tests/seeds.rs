//! `--seeds`: every run of a group is the run that its seed alone would be.
#![forbid(unsafe_code)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{json, names, output, refusal, rl_run, signal, until, until_a_checkpoint};
use serde_json::Value;

/// The objects that `--json` prints for each seed, by seed, and the last one, for all.
fn group(output: &Output) -> (Vec<Value>, Option<Value>) {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut runs, all): (Vec<Value>, Vec<Value>) = lines.partition(|line| line.get("seed").is_some());
    runs.sort_by_key(|run| run["seed"].as_u64());
    (runs, all.into_iter().next())
}

/// Rows of metrics without what a clock measured.
fn rows(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let timeless = |line: &str| {
        let mut row: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        row.retain(|key, _| !key.starts_with("seconds") && key != "frames_per_s");
        Value::Object(row)
    };
    text.lines().map(timeless).collect()
}

/// The runs of a group.
fn begun(group: &Path) -> Vec<String> {
    names(group).into_iter().filter(|name| name.starts_with('s')).collect()
}

/// Names and bytes of the files of every checkpoint.
fn checkpoints(run: &Path) -> Vec<(String, Vec<u8>)> {
    let dir = run.join("checkpoints");
    let files = |name: String| {
        let dir = dir.join(&name);
        let read = |file: &String| (format!("{name}/{file}"), std::fs::read(dir.join(file)).unwrap());
        names(&dir).iter().map(read).collect::<Vec<_>>()
    };
    names(&dir).into_iter().flat_map(files).collect()
}

#[test]
fn each_seed_ends_in_the_bits_rows_and_checkpoints_of_its_single_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let evaluated = "--eval-every 500 --eval-episodes 4";
    for (name, line) in [
        ("ppo", "--env cartpole --agent ppo --frames 3000 --set train.checkpoint_every=1000"),
        ("a2c", &format!("--env cartpole --agent a2c --frames 2000 {evaluated}")),
        ("dqn", "--env cartpole --agent dqn --frames 1500"),
        ("tabular", "--env frozenlake --agent tabular --frames 20000"),
    ] {
        let done = output(at, &format!("{line} --seeds 4,1..2 --threads 2 --run {name} --quiet --json"));
        assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
        let (runs, all) = group(&done);
        let all = all.expect("the last line is of all seeds");
        assert_eq!((runs.len(), all["seeds"].as_u64()), (3, Some(3)), "{name}");
        let score = if name == "a2c" { "eval_return" } else { "mean_return_100" };
        let mean = runs.iter().map(|run| run[score].as_f64().unwrap()).sum::<f64>() / 3.0;
        assert!(all["score"] == score && (all["mean"].as_f64().unwrap() - mean).abs() < 1e-9, "{name}: {all}");
        assert!(all["low"].as_f64() <= all["mean"].as_f64() && all["mean"].as_f64() <= all["high"].as_f64(), "{all}");
        for (run, seed) in runs.iter().zip([1, 2, 4]) {
            let single = json(at, &format!("{line} --seed {seed} --run {name}-{seed} --quiet --json"));
            for key in
                ["seed", "frames", "agent_steps", "updates", "mean_return_100", "eval_return", "parameters_sha256"]
            {
                assert_eq!(run[key], single[key], "{name}, seed {seed}: {key}");
            }
            let (ours, theirs) = (at.join(run["run"].as_str().unwrap()), at.join(format!("{name}-{seed}")));
            assert_eq!(ours, at.join(name).join(format!("s{seed}")));
            assert!(rows(&ours) == rows(&theirs), "{name}, seed {seed}: rows of metrics");
            assert!(checkpoints(&ours) == checkpoints(&theirs), "{name}, seed {seed}: checkpoints");
            let text = |run: &Path| std::fs::read_to_string(run.join("run.toml")).unwrap();
            assert_eq!(text(&ours), text(&theirs));
        }
        assert!(json(at, &format!("eval {name}/s4 --episodes 3 --json"))["mean"].is_number());
        assert_eq!(json(at, &format!("profile {name}/s4 --json"))["frames"], runs[2]["frames"]);
    }
}

#[test]
fn a_table_shows_every_seed_and_what_they_reach_together() {
    let dir = tempfile::tempdir().unwrap();
    let done = output(dir.path(), "--env cartpole --agent ppo --frames 1 --seeds 1..3");
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{text}");
    assert_eq!(text.lines().count(), 5, "{text}");
    for seed in 1..=3 {
        assert!(text.contains(&format!("runs/cartpole-ppo-s{seed}\n")), "{text}");
    }
    assert!(text.contains("mean_return_100 over 3 seeds: mean ") && text.contains("lowest and highest"), "{text}");
    assert_eq!(names(&dir.path().join("runs")), ["cartpole-ppo-s1", "cartpole-ppo-s2", "cartpole-ppo-s3"]);
}

#[test]
fn verify_of_the_directory_of_all_does_each_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let train = "--env frozenlake --agent tabular --frames 20000 --quiet --set train.checkpoint_every=5000";
    assert!(output(at, &format!("{train} --seeds 1..3 --run g")).status.success());
    let verdicts = || {
        let done = output(at, "verify g --json --quiet");
        let text = String::from_utf8(done.stdout).unwrap();
        let mut verdicts = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>();
        let all = verdicts.pop().expect("the last line is of all");
        let equal = verdicts.iter().map(|verdict| verdict["equal"] == true).collect::<Vec<_>>();
        let count = |key: &str| all[key].as_u64().unwrap();
        (equal, ["runs", "equal", "different", "failed"].map(count), done.status.code())
    };
    assert_eq!(verdicts(), (vec![true; 3], [3, 3, 0, 0], Some(0)));
    // One that is not what was recorded is named, and the others are looked at all the same.
    let digests = at.join("g/s2/digests.jsonl");
    let other = std::fs::read_to_string(&digests).unwrap().replacen("\"counts\",\"", "\"counts\",\"other", 1);
    std::fs::write(&digests, other).unwrap();
    assert_eq!(verdicts(), (vec![true, false, true], [3, 2, 1, 0], Some(1)));
    std::fs::remove_file(at.join("g/s1/digests.jsonl")).unwrap();
    assert_eq!(verdicts(), (vec![false, false, true], [3, 1, 1, 1], Some(1)));
    // So is one that no longer looks like a run, and a seed whose run is gone is counted.
    std::fs::remove_file(at.join("g/s1/run.json")).unwrap();
    let done = output(at, "verify g --quiet");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(1) && said.contains("g/s1: it has lost its run.json"), "{said}");
    let done = output(at, "eval g --episodes 1 --quiet");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(1) && said.contains("g/s1: it has lost its run.json"), "{said}");
    std::fs::remove_dir_all(at.join("g/s1")).unwrap();
    std::fs::remove_dir_all(at.join("g/s2")).unwrap();
    let done = output(at, "verify g --quiet");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && said.contains("not begun, and nothing to verify: 2 seeds"), "{said}");
}

#[test]
fn what_holds_for_every_seed_is_said_once_and_the_directory_of_all_is_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let done = output(at, "--env cartpole --agent ppo --frames 2000 --set agent.lr_steps=1000 --seeds 1..12 --run g");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(
        done.status.success() && said.matches("agent.lr_steps is 1000: the learning rate is 0").count() == 1,
        "{said}"
    );
    let alone = output(at, "--env cartpole --agent ppo --frames 1000 --set agent.lr_steps=500 --run one");
    let said = String::from_utf8(alone.stderr).unwrap();
    assert!(said.starts_with("agent.lr_steps is 500: the learning rate is 0"), "{said}");
    let (code, said) = refusal(at, "profile g");
    assert!(code == 2 && said.contains("it holds runs, g/s1 to g/s12: name one"), "{said}");
}

#[test]
fn a_stopped_group_goes_on_to_the_bits_of_one_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --frames 12000 --set train.checkpoint_every=1000 --seeds 1..9 --threads 2";
    let mut child = rl_run(at, &format!("{line} --run g --json"));
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_a_checkpoint(&mut child, &at.join("g/s1"));
    signal(&child, "INT");
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(75), "it must be long enough to be stopped before its end: {said}");
    let begun = begun(&at.join("g"));
    assert!((1..9).contains(&begun.len()), "{begun:?}");
    assert!(
        said.contains(" stopped, not begun: seeds ") && said.ends_with("; go on with: rl-run resume g\n"),
        "{said}"
    );
    let (stopped, all) = group(&ended);
    let (all, counted) = (all.unwrap(), |so| stopped.iter().filter(|run| run["stopped"] == so).count() as u64);
    let counts = ["seeds", "stopped", "failed", "not_begun"].map(|key| all[key].as_u64().unwrap());
    assert_eq!(counts, [counted(false), counted(true), 0, 9 - begun.len() as u64]);
    assert_eq!(stopped.len(), begun.len());

    let resumed = output(at, "resume g --threads 2 --quiet --json");
    assert!(resumed.status.success() && resumed.stderr.is_empty(), "{resumed:?}");
    let whole = output(at, &format!("{line} --run whole --quiet --json"));
    let ((resumed, all), (whole, _)) = (group(&resumed), group(&whole));
    assert_eq!((resumed.len(), whole.len(), all.unwrap()["seeds"].as_u64()), (9, 9, Some(9)));
    for (resumed, whole) in resumed.iter().zip(&whole) {
        for key in ["seed", "frames", "agent_steps", "updates", "mean_return_100", "parameters_sha256", "stopped"] {
            assert_eq!(resumed[key], whole[key], "{resumed}: {key}");
        }
        let at = |run: &Value| at.join(run["run"].as_str().unwrap());
        assert!(checkpoints(&at(resumed)).last() == checkpoints(&at(whole)).last(), "{resumed}");
        let last = |run: &Value| rows(&at(run)).pop().unwrap();
        assert_eq!(last(resumed)["frames"], last(whole)["frames"]);
    }
}

#[test]
fn a_group_that_goes_on_has_the_seeds_and_settings_that_it_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (line, file) = ("--env cartpole --agent ppo --quiet", at.join("g/group.json"));
    let noted = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
    let ask = |seeds: &[u64]| {
        let mut roster = noted();
        roster["seeds"] = seeds.into();
        std::fs::write(&file, roster.to_string()).unwrap();
    };
    let asked = |frames: u32, seed: u32| {
        let done = output(at, &format!("{line} --frames {frames} --seeds {seed} --run g --record best"));
        assert!(done.status.success(), "{done:?}");
        noted()["seeds"].clone()
    };
    assert_eq!(asked(1, 1), serde_json::json!([1]));
    ask(&[1, 7]); // as if it had been stopped before 7
    assert_eq!(asked(1, 2), serde_json::json!([1, 7, 2]), "the same settings: seeds come together");
    assert_eq!(asked(2, 3), serde_json::json!([1, 2, 3]), "7 was to have others");

    for (other, why) in [
        ("--env cartpole --agent dqn --seeds 3", "g holds seeds of ppo on cartpole: name another --run"),
        ("--env cartpole --agent ppo --seeds 3,4 --set agent.lr=0.125", "g holds seeds with another agent.lr ("),
    ] {
        let (code, said) = refusal(at, &format!("{other} --frames 1 --run g --force"));
        assert!(code == 2 && said.contains(why) && noted()["seeds"] == serde_json::json!([1, 2, 3]), "{said}");
    }

    ask(&[1, 2, 3, 9]);
    let done = output(at, "resume g --frames 3000 --json");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && !said.contains("bit"), "{said}");
    let (reached, _) = group(&done);
    assert!(reached.len() == 4 && reached.iter().all(|run| run["frames"].as_u64() >= Some(3000)), "{reached:?}");
    let single = json(at, &format!("{line} --frames 3000 --seed 9 --run single --json"));
    assert_eq!(reached[3]["parameters_sha256"], single["parameters_sha256"]);
    assert!(std::fs::read_to_string(at.join("g/s9/run.json")).unwrap().contains("\"record\": \"best\""));
    let settings = at.join("g/group.toml");
    let mut roster = noted();
    for seed in ["1", "2", "3", "9"] {
        assert_eq!(roster["lengthened"][seed], 3000);
        roster["lengthened"][seed] = 4000.into();
    }
    std::fs::write(&file, roster.to_string()).unwrap(); // as if `--frames 4000` had been stopped before they went on
    let done = output(at, "resume g --json");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("to 4,000 frames, as resume was last asked for: seeds 1..3,9"), "{said}");
    let (reached, _) = group(&done);
    assert!(reached.len() == 4 && reached.iter().all(|run| run["frames"].as_u64() >= Some(4000)), "{reached:?}");
    // One more seed, which is longer, makes none of the others longer.
    assert_eq!(asked(6000, 4), serde_json::json!([1, 2, 3, 9, 4]));
    let (mut after, _) = group(&output(at, "resume g --quiet --json"));
    assert!(after.remove(3)["frames"].as_u64() >= Some(6000), "{after:?}");
    assert!(after.iter().map(|run| &run["frames"]).eq(reached.iter().map(|run| &run["frames"])), "{after:?}");
    ask(&[1, 2, 3, 9]);
    std::fs::remove_dir_all(at.join("g/s4")).unwrap();
    assert!(output(at, "resume g/s2 --frames 5000 --quiet").status.success());
    let uneven = output(at, "resume g");
    let (table, said) = (String::from_utf8(uneven.stdout).unwrap(), String::from_utf8(uneven.stderr).unwrap());
    assert!(said.contains("different settings or lengths: no mean") && !table.contains("mean_return"), "{table}{said}");
    ask(&[1, 2, 3]); // as if other settings had been asked for before 9 began
    let again = output(at, "resume g --json");
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && said.contains("seed 9: this run has ended already"), "{said}");

    for (command, why) in [
        ("resume g --checkpoint 1000", "--checkpoint is of one run, and g holds a group: rl-run resume g/s1"),
        ("resume g --tui", "--tui is of one run"),
    ] {
        let (code, said) = refusal(at, command);
        assert!(code == 2 && said.contains(why), "{command}: {said}");
    }
    let about = std::fs::read(at.join("g/s2/run.json")).unwrap();
    std::fs::remove_file(at.join("g/s2/run.json")).unwrap();
    let said = String::from_utf8(output(at, "resume g --quiet").stderr).unwrap();
    assert!(said.contains("error: seed 2: g/s2: it has lost its run.json: remove it, and"), "{said}");
    std::fs::write(at.join("g/s2/run.json"), about).unwrap();
    let (code, said) = refusal(at, "resume g --frames 10 --quiet --json");
    assert!(code == 2 && said.contains("--frames 10: g/s1 has had "), "{said}");
    assert!(!std::fs::read_to_string(&settings).unwrap().contains("frames = 10\n"), "what is refused changes nothing");
    std::fs::write(&file, "{").unwrap();
    for command in ["resume g", &format!("{line} --frames 1 --seeds 12 --run g")] {
        let (code, said) = refusal(at, command);
        assert!(code == 1 && said.contains("g/group.json: damaged"), "{command}: {said}");
    }
}

#[test]
fn what_force_replaces_is_no_run_of_the_group_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --seeds 1..3 --run g --threads 1 --quiet";
    assert!(output(at, &format!("{line} --frames 1")).status.success());
    let longer = format!("{line} --frames 1000000000 --force --set train.checkpoint_every=500 --set agent.gamma=0.875");
    let mut child = rl_run(at, &longer).spawn().unwrap();
    until(&mut child, || std::fs::read_to_string(at.join("g/s1/run.toml")).is_ok_and(|text| text.contains("0.875")));
    until_a_checkpoint(&mut child, &at.join("g/s1"));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let runs = [1, 2, 3].map(|seed| at.join(format!("g/s{seed}/run.json")).exists());
    assert_eq!(runs, [true, false, false], "the old runs of 2 and 3 are gone, the new not begun");
}

#[test]
fn of_two_commands_that_name_seeds_at_once_neither_loses_those_of_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --quiet --frames 1 --run g";
    assert!(output(at, &format!("{line} --seeds 1")).status.success());
    let (file, lock) = (at.join("g/group.json"), at.join("g/.group.lock"));
    let other = std::fs::File::open(&lock).unwrap();
    other.lock().unwrap();
    let mut waiting = rl_run(at, &format!("{line} --seeds 2")).stdout(Stdio::null()).spawn().unwrap();
    let open = PathBuf::from(format!("/proc/{}/fd", waiting.id()));
    let links = || std::fs::read_dir(&open).into_iter().flatten().flatten().filter_map(|fd| fd.path().read_link().ok());
    until(&mut waiting, || links().any(|link| link == lock));
    let noted = || serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap();
    let mut roster = noted();
    roster["seeds"] = [1, 5].into();
    std::fs::write(&file, roster.to_string()).unwrap();
    drop(other);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(noted()["seeds"], serde_json::json!([1, 5, 2]));
}

#[test]
fn a_seed_that_fails_is_named_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --quiet --json";
    // Someone else writes to the run of seed 2 for as long as the group takes.
    let mut other =
        rl_run(at, &format!("{line} --frames 1000000000 --run g/s2")).stdout(Stdio::null()).spawn().unwrap();
    until(&mut other, || at.join("g/s2/metrics.jsonl").exists());
    let done = output(at, &format!("{line} --frames 1 --seeds 1..3 --run g --force"));
    let alive = other.try_wait().unwrap().is_none();
    other.kill().unwrap();
    other.wait().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!((done.status.code(), alive, said.lines().count()), (Some(1), true, 1), "{said}");
    assert!(said.starts_with("error: seed 2: g/s2: another rl-run is writing to this run"), "{said}");
    let (runs, all) = group(&done);
    assert_eq!(runs.iter().map(|run| run["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(runs[1]["error"].as_str().unwrap().starts_with("g/s2: another rl-run") && runs[1].get("frames").is_none());
    let all = all.unwrap();
    assert_eq!(["seeds", "stopped", "failed", "not_begun"].map(|key| all[key].as_u64()), [2, 0, 1, 0].map(Some));
}

#[test]
fn a_group_begins_only_where_every_run_has_room() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --frames 1 --quiet";
    assert!(output(at, &format!("{line} --seeds 3 --run g")).status.success());
    let (code, said) = refusal(at, &format!("{line} --seeds 1..4 --run g"));
    assert!(code == 2 && said.contains("g/s3 exists"), "{said}");
    let (code, said) = refusal(at, &format!("{line} --seeds 1..4 --run g/s3 --force"));
    assert!(code == 2 && said.contains("g/s3 is the directory of one run"), "{said}");
    assert_eq!(begun(&at.join("g")), ["s3"], "nothing was begun");
    assert!(output(at, &format!("{line} --seeds 1..4 --run g --force")).status.success());
    assert_eq!(begun(&at.join("g")), ["s1", "s2", "s3", "s4"]);
}

/// Stacks of 2 GiB in an address space of a given number of them stand for a machine that has no more threads to give.
fn with_room_for(threads: u64, at: &Path, line: &str) -> Output {
    let stack = 2u64 << 30;
    let limit = threads * (stack >> 10); // in KiB, and the program itself takes less than a stack
    let script = format!("ulimit -v {limit}; exec timeout 300 \"$0\" {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_rl-run")]).current_dir(at);
    command.env("RUST_MIN_STACK", stack.to_string()).output().unwrap()
}

#[test]
fn without_threads_for_a_run_none_begins_and_without_threads_for_all_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent ppo --frames 1 --seeds 1..8 --threads 8 --quiet --json";
    // One that hears signals and eight of the whole process come first, then one for each of the runs.
    let done = with_room_for(9 + 4, at, &format!("{line} --run none"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!((done.status.code(), said.lines().count(), done.stdout.len()), (Some(1), 1, 0), "{said}");
    assert!(said.starts_with("error: starting threads for 8 runs at once: "), "{said}");
    assert_eq!(names(at), [""; 0], "a run was begun");
    // Then those in which they go, and what they start themselves: however far it comes, every run that began is told.
    let done = with_room_for(9 + 8 + 4, at, &format!("{line} --run some"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("runs at once, and not 8: starting another: ") || said.contains("error: seed "), "{said}");
    let (runs, _) = group(&done);
    let begun = begun(&at.join("some"));
    assert!(!begun.is_empty(), "{said}");
    for run in &begun {
        let seed = run.strip_prefix('s').unwrap();
        let ended = runs.iter().any(|run| run["seed"].as_u64() == seed.parse().ok());
        assert!(ended || said.contains(&format!("error: seed {seed}: ")), "seed {seed}: {said}");
    }
}

#[test]
fn four_seeds_have_an_interquartile_mean_beside_their_mean() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let last = |line: &str| -> Value {
        let text = String::from_utf8(output(at, line).stdout).unwrap();
        serde_json::from_str(text.lines().last().unwrap_or_else(|| panic!("{line}: nothing was said"))).unwrap()
    };
    let trained = last("--env frozenlake --agent tabular --frames 4000 --seeds 1..4 --run g --quiet --json");
    assert!(
        trained["iqm"]["mean"].is_f64()
            && trained["iqm"]["low"].as_f64().unwrap() <= trained["iqm"]["high"].as_f64().unwrap()
    );
    let means = (1..=4).map(|seed| json(at, &format!("eval g/s{seed} --exact --json"))["mean"].as_f64().unwrap());
    let mut means: Vec<f64> = means.collect();
    means.sort_by(f64::total_cmp);
    let all = last("eval g --exact --json");
    assert!((all["iqm"]["mean"].as_f64().unwrap() - (means[1] + means[2]) / 2.0).abs() < 1e-12, "{all}");
    let said = String::from_utf8(output(at, "eval g --exact").stdout).unwrap();
    assert!(said.contains("; interquartile mean 0."), "{said}");
    let curve = &json(at, "plot g --json")[0];
    let count = |values: &Value| values.as_array().unwrap().len();
    assert!(count(&curve["x"]) > 1 && count(&curve["iqm"]["high"]) == count(&curve["x"]), "{curve}");
    for (runs, name) in [("g", "IQM"), ("g/s1", "")] {
        let done = output(at, &format!("plot {runs} --iqm --out c.svg"));
        let (said, drawn) =
            (String::from_utf8(done.stderr).unwrap(), std::fs::read_to_string(at.join("c.svg")).unwrap());
        assert_eq!(
            (drawn.contains("IQM"), said.contains("fewer than 4 runs")),
            (name == "IQM", name.is_empty()),
            "{said}"
        );
    }
    assert!(output(at, "report g --out c.html").status.success());
    assert!(std::fs::read_to_string(at.join("c.html")).unwrap().contains("<br>IQM 0."));
}
