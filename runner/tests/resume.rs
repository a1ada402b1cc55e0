//! Interrupted, killed or extended: a run that goes on ends in the bits of one that never stopped.
#![forbid(unsafe_code)]

mod common;

#[cfg(feature = "doom")]
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{json, names, output, refusal, signal, until_a_checkpoint};

const RUN: &str = "--env frozenlake --agent dqn --frames 12000 --seed 9 --quiet --json --set train.checkpoint_every=500 --set agent.batch=32";

/// A run that has a checkpoint and goes on.
fn begun(at: &Path, run: &str) -> Child {
    started(at, &format!("{RUN} --run {run}"), run)
}

fn started(at: &Path, line: &str, run: &str) -> Child {
    // Whoever runs these tests may have had SIGHUP ignored, as nohup does.
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_rl-run")]).current_dir(at);
    command.args(line.split_whitespace());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    until_a_checkpoint(&mut child, &at.join(run));
    child
}

fn episodes(at: &Path, run: &str) -> String {
    std::fs::read_to_string(at.join(run).join("episodes.csv")).unwrap()
}

#[test]
fn stopped_and_killed_runs_end_in_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let whole = json(at, &format!("{RUN} --run whole"));
    for (run, name, code) in
        [("int", "INT", Some(75)), ("term", "TERM", Some(75)), ("hup", "HUP", Some(75)), ("kill", "KILL", None)]
    {
        let mut child = begun(at, run);
        signal(&child, name);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), code, "{name}: the run must be long enough to be stopped before its end");
        let done = json(at, &format!("resume {run} --quiet --json"));
        for key in ["frames", "agent_steps", "updates", "mean_return_100", "parameters_sha256"] {
            assert_eq!(done[key], whole[key], "{name}: {key}");
        }
        assert_eq!(episodes(at, run), episodes(at, "whole"), "{name}: an episode is lost, or there twice");
    }
}

/// Another game's data would play other games, and nothing would say so.
#[cfg(feature = "doom")]
#[test]
fn another_file_of_the_same_name_is_refused_by_what_goes_on_and_by_what_repeats() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let package = rl_assets::fetch("vizdoom", &mut |_| ()).unwrap().join("vizdoom");
    fs::copy(package.join("scenarios/basic.wad"), at.join("basic.wad")).unwrap();
    let cfg = fs::read_to_string(package.join("scenarios/basic.cfg")).unwrap();
    fs::write(at.join("mine.cfg"), format!("{cfg}\ndoom_game_path = game.wad\n")).unwrap();
    let game = fs::read(package.join("freedoom2.wad")).unwrap();
    fs::write(at.join("game.wad"), &game).unwrap();
    let mine = "--env doom/basic --set env.config=mine.cfg --quiet --json";
    let sets = "--set train.envs=1 --set agent.horizon=100 --set train.checkpoint_every=400 --set train.eval_every=0";
    json(at, &format!("{mine} --agent ppo --frames 400 --run r {sets}"));
    json(at, "record --env doom/basic --set env.config=mine.cfg --random --episodes 1 --seed 1 --out a.rec --json");
    let equal = |line: &str| json(at, line)["equal"] == true;
    assert!(equal("verify r --quiet --json") && equal("verify a.rec --json"));

    fs::write(at.join("game.wad"), [&game[..], b" "].concat()).unwrap(); // which the engine does not see
    for line in ["resume r --frames 800 --quiet", "verify r --quiet", "verify a.rec --quiet"] {
        let (code, said) = refusal(at, line);
        let named = said.contains("with doom_game_path game.wad of sha256 ") && said.contains("put that file back");
        assert!(code == 1 && named, "{line}: {code}, {said}");
    }
    fs::write(at.join("game.wad"), &game).unwrap();
    json(at, "resume r --frames 800 --quiet --json");
    assert!(equal("verify r --quiet --json"));
}

#[cfg(feature = "doom")]
#[test]
fn a_match_of_three_goes_on_from_its_midst_and_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env doom/multi_duel --agent ppo --quiet --json --set env.players=3 --set train.envs=3 --set env.max_tics=150 \
                --set agent.horizon=30 --set train.checkpoint_every=360 --set train.eval_every=0";
    let whole = json(at, &format!("{line} --frames 1080 --run whole"));
    json(at, &format!("{line} --frames 360 --run part")); // 30 steps of 38
    let resumed = json(at, "resume part --frames 1080 --quiet --json");
    for key in ["frames", "agent_steps", "updates", "mean_return_100", "parameters_sha256"] {
        assert!(!whole[key].is_null(), "{key}");
        assert_eq!(resumed[key], whole[key], "{key}");
    }
    assert_eq!(episodes(at, "part"), episodes(at, "whole"));
    assert_eq!(json(at, "verify whole --quiet --json")["equal"], true);
}

#[test]
fn whoever_had_hangups_ignored_outlives_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_rl-run")).current_dir(dir.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.args(format!("{RUN} --run r").split_whitespace()).spawn().unwrap();
    while !dir.path().join("r/run.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was a run");
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "HUP");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_run_is_not_made_shorter_than_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{RUN} --run r"));
    let settings = || ["run.toml", "run.json"].map(|file| std::fs::read_to_string(at.join("r").join(file)).unwrap());
    let before = settings();
    let (code, said) = refusal(at, "resume r --frames 4000");
    assert!(code == 2 && said.contains("--frames 4000: this run has had 12"), "{said}");
    assert_eq!(settings(), before);
    json(at, "resume r --frames 12000 --quiet --json"); // what it was to be, were it over by some frames
    assert_eq!(settings(), before);
}

#[test]
fn a_signal_that_comes_twice_in_a_moment_is_one_request() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let mut child = begun(at, "r");
    // By one shell, so that no load parts them.
    let signals = ["INT", "TERM", "INT"].map(|name| format!("kill -s {name} {}", child.id())).join("; ");
    assert!(Command::new("sh").args(["-c", &signals]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let whole = json(at, &format!("{RUN} --run whole"));
    assert_eq!(json(at, "resume r --quiet --json")["parameters_sha256"], whole["parameters_sha256"]);
}

#[test]
fn a_finished_run_can_be_extended_and_an_earlier_checkpoint_taken() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent dqn --seed 9 --quiet --json --set train.keep_checkpoints=50";
    let whole = json(at, &format!("{line} --frames 3000 --run whole"));
    let half = json(at, &format!("{line} --frames 1500 --run half"));
    assert_ne!(half["parameters_sha256"], whole["parameters_sha256"]);
    let extended = json(at, "resume half --frames 3000 --quiet --json");
    assert_eq!(extended["parameters_sha256"], whole["parameters_sha256"]);
    let again = json(at, &format!("resume half --checkpoint {} --quiet --json", half["frames"]));
    assert_eq!(again["parameters_sha256"], whole["parameters_sha256"]);
}

#[test]
fn no_instruction_set_changes_a_bit_of_a_run_and_one_that_goes_on_by_another_says_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let known = rl_nn::Isa::available();
    assert!(known.len() > 1, "this CPU has {known:?} alone, and nothing to compare it with");
    for agent in ["dqn", "ppo"] {
        let line = format!("--env cartpole --agent {agent} --seed 9 --json --set train.envs=4");
        let whole = json(at, &format!("{line} --frames 4000 --run {agent} --quiet --isa {}", known[0]));
        for isa in &known[1..] {
            let run = format!("{agent}-{isa}");
            json(at, &format!("{line} --frames 2000 --run {run} --quiet --isa {isa}"));
            let done = output(at, &format!("resume {run} --frames 4000 --json"));
            let said = String::from_utf8(done.stderr).unwrap();
            assert!(done.status.success() && !said.contains("bit-identical"), "{run}: {said}");
            let about = std::fs::read_to_string(at.join(&run).join("run.json")).unwrap();
            assert!(about.contains(&format!("\"isa\": \"{isa}\"")), "{about}");
            let done: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(done["parameters_sha256"], whole["parameters_sha256"], "{run}");
        }
    }
}

#[test]
fn a_run_that_goes_back_forgets_what_came_later_and_only_once_nothing_can_be_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let sets = "--set train.keep_checkpoints=50 --set train.checkpoint_every=2000";
    let line =
        format!("--env cartpole --agent ppo --seed 9 --quiet --json {sets} --eval-every 2000 --eval-episodes 20");
    json(at, &format!("{line} --frames 14000 --run r"));
    let number = |name: &String| name.parse::<u64>().unwrap();
    let (all, best) = (names(&at.join("r/checkpoints")), names(&at.join("r/best")));
    let (early, later) = (number(&all[0]), number(best.last().unwrap()));
    assert!(later > early + 4000, "the best comes late: {best:?} of {all:?}");
    let rows = || std::fs::read_to_string(at.join("r/metrics.jsonl")).unwrap();
    let before = rows();
    let (code, said) = refusal(at, &format!("resume r --checkpoint {early} --tui"));
    assert!(code == 2 && said.contains("--tui"), "{said}");
    assert_eq!((names(&at.join("r/checkpoints")), rows()), (all, before), "what was refused changes nothing");
    let done = json(at, &format!("resume r --checkpoint {early} --frames {} --quiet --json", early + 4000));
    let kept = names(&at.join("r/checkpoints"));
    assert!(kept.iter().all(|kept| number(kept) <= done["frames"].as_u64().unwrap()), "{kept:?} of {done}");
    let now = names(&at.join("r/best"));
    assert!(now.iter().all(|best| number(best) <= done["frames"].as_u64().unwrap()), "{now:?} of {done}");
    assert!(
        number(&best[0]) <= early && now[0] == best[0],
        "the best of those days is the best again: {best:?} {now:?}"
    );
}

#[test]
fn evaluations_that_are_closer_than_rows_have_a_row_each_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let ended = json(
        at,
        "--env cartpole --agent dqn --seed 9 --frames 20000 --eval-every 40 --eval-episodes 1 --set agent.learning_starts=19900 --run r --quiet --json",
    );
    let rows = std::fs::read_to_string(at.join("r/metrics.jsonl")).unwrap();
    let evaluated: Vec<&str> = rows.lines().filter(|row| row.contains("\"eval_return\"")).collect();
    assert!(evaluated.len() > 450, "{} of 500", evaluated.len());
    assert!(evaluated.iter().all(|row| row.matches("\"eval_return\"").count() == 1));
    assert_eq!(json(at, "resume r --quiet --json")["parameters_sha256"], ended["parameters_sha256"]);
}

#[test]
fn a_run_without_a_checkpoint_begins_again_and_a_longer_one_says_what_ends_early() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent dqn --seed 9 --frames 2000 --quiet --json";
    let whole = json(at, &format!("{line} --run r"));
    std::fs::remove_dir_all(at.join("r/checkpoints")).unwrap();
    let files = || {
        let names = names(&at.join("r"));
        names.into_iter().map(|name| (std::fs::read(at.join("r").join(&name)).ok(), name)).collect::<Vec<_>>()
    };
    let before = files();
    for line in ["resume r --quiet", "resume r --frames 3000 --quiet"] {
        let (code, said) = refusal(at, line);
        assert!(
            code == 1 && said.contains("r/checkpoints: holds none any more, and the last was of 2,002 frames"),
            "{said}"
        );
    }
    assert!(files() == before, "a disk that is not there costs nothing of the run");
    std::fs::remove_file(at.join("r/digests.jsonl")).unwrap(); // as of one that was killed before its first
    let again = output(at, "resume r --json");
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success() && said.contains("no checkpoint yet: it begins again"), "{said}");
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["parameters_sha256"], whole["parameters_sha256"]);
    let rows = std::fs::read_to_string(at.join("r/metrics.jsonl")).unwrap();
    let frames: Vec<_> =
        rows.lines().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["frames"].clone()).collect();
    let mut once = frames.clone();
    once.dedup();
    assert_eq!(frames, once);
    let said = String::from_utf8(output(at, "resume r --frames 10500").stderr).unwrap();
    assert!(
        said.contains(
            "agent.epsilon.steps stays 10000: this schedule ends there, the run only after some 10,500 agent steps"
        ),
        "{said}"
    );
}

#[test]
fn of_a_damaged_checkpoint_the_whole_one_before_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(
        at,
        "--env frozenlake --agent tabular --seed 9 --frames 6000 --set train.checkpoint_every=2000 --set train.keep_checkpoints=9 --quiet --json --run r",
    );
    let all = names(&at.join("r/checkpoints"));
    let [.., before, damaged, last] = &all[..] else { panic!("{all:?}") };
    for name in [damaged, last] {
        let path = at.join("r/checkpoints").join(name).join("env");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let (code, said) = refusal(at, "resume r");
    let number = before.trim_start_matches('0');
    let mend = format!("an earlier one is intact: rl-run resume r --checkpoint {number}");
    assert!(code == 1 && said.contains("env: damaged") && said.ends_with(&mend), "{said}");
    // Who only plays needs the weights, and neither looks at what lies beside them nor misses it.
    let damaged = damaged.trim_start_matches('0');
    assert_eq!(json(at, &format!("eval r --checkpoint {damaged} --json"))["checkpoint"].to_string(), damaged);
    std::fs::write(at.join("r/checkpoints").join(last).join("model.safetensors"), "").unwrap();
    let (code, said) = refusal(at, "eval r");
    let mend = format!("an earlier one is intact: --checkpoint {damaged}");
    assert!(code == 1 && said.contains("model.safetensors: truncated") && said.ends_with(&mend), "{said}");
    json(at, &format!("resume r --checkpoint {number} --quiet --json"));
}

#[test]
fn seconds_are_those_of_all_sittings() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent dqn --frames 8000 --run r --quiet --json");
    let rows = std::fs::read_to_string(at.join("r/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
    let first = last["seconds"].as_f64().unwrap();
    // The second sitting is a hundredth of the first: alone it could not take as long.
    let both = json(at, "resume r --frames 8080 --quiet --json")["seconds"].as_f64().unwrap();
    assert!(first > 0.0 && both > first - 1e-6, "{first} s, with the second sitting {both} s");
}

#[test]
fn a_run_that_has_ended_says_so_and_its_outcome_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env cartpole --agent dqn --frames 3000 --eval-every 2000 --eval-episodes 3 --run r --quiet --json";
    let done = json(at, line);
    assert!(done["eval_return"].is_number() && done["seconds"].as_f64() > Some(0.0), "{done}");
    assert_eq!(json(at, "resume r --quiet --json"), done);
    let said = String::from_utf8(output(at, "resume r").stderr).unwrap();
    assert!(said.starts_with("this run has ended already: --frames F goes on"), "{said}");
    // It was shorter than its schedules, and still is not longer than was asked for.
    let said = String::from_utf8(output(at, "resume r --frames 3000").stderr).unwrap();
    assert!(!said.contains("schedule"), "{said}");
    let longer = json(at, "resume r --frames 3500 --quiet --json");
    assert!(longer["eval_return"] == done["eval_return"] && longer["seconds"].as_f64() > done["seconds"].as_f64());
}

#[test]
fn a_damaged_row_is_named_by_all_who_read_it_and_nothing_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent dqn --frames 3000 --run r --quiet --json");
    let path = at.join("r/metrics.jsonl");
    let mut lines: Vec<String> = std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    let whole = lines.clone();
    lines[2].truncate(20);
    let damaged = lines.join("\n") + "\n";
    std::fs::write(&path, &damaged).unwrap();
    let files = || (names(&at.join("r/checkpoints")), std::fs::read(at.join("r/run.json")).unwrap());
    let before = files();
    for command in ["resume r --frames 4000", "plot r --json", "report r --out r.html", "profile r"] {
        let (code, said) = refusal(at, command);
        assert!(code == 1 && said.contains("metrics.jsonl, line 3: damaged: remove that line"), "{command}: {said}");
        assert!(std::fs::read_to_string(&path).unwrap() == damaged && files() == before, "{command}");
    }
    std::fs::write(&path, [&whole[..2], &whole[3..]].concat().join("\n") + "\n").unwrap();
    json(at, "resume r --frames 4000 --quiet --json");
}

#[test]
fn a_run_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    // It writes for as long as this takes.
    let line = RUN.replace("--frames 12000", "--frames 1000000000");
    let mut child = started(dir.path(), &format!("{line} --run r"), "r");
    let (code, said) = refusal(dir.path(), "resume r");
    signal(&child, "TERM");
    child.wait().unwrap();
    assert!(code == 1 && said.contains("another rl-run is writing"), "{said}");
}

#[test]
fn a_run_of_an_older_build_goes_on_without_the_keys_that_came_later() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env frozenlake --agent dqn --seed 3 --quiet --json --set agent.learning_starts=100";
    let whole = json(at, &format!("{line} --frames 1000 --run whole"));
    json(at, &format!("{line} --frames 500 --run r"));
    let path = at.join("r/run.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let later = |line: &&str| ["init = ", "loss = ", "delay = "].iter().any(|key| line.starts_with(key));
    let older: Vec<&str> = text.lines().filter(|line| !later(line)).collect();
    assert_eq!(older.len() + 3, text.lines().count());
    std::fs::write(&path, older.join("\n")).unwrap();
    let resumed = json(at, "resume r --frames 1000 --quiet --json");
    assert_eq!(resumed["parameters_sha256"], whole["parameters_sha256"]);
    assert_eq!(json(at, "verify r --quiet --json")["equal"], true);
}
