//! `rl-run eval`: the same seed plays the same games, and a table needs no games.
#![forbid(unsafe_code)]

mod common;

use common::{json, names, output, refusal};
use serde_json::Value;

#[test]
fn evaluation_is_a_function_of_checkpoint_and_seed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let run =
        json(at, "--env cartpole --agent dqn --frames 2000 --run r --quiet --json --eval-every 500 --eval-episodes 5");
    let first = json(at, "eval r --episodes 7 --seed 4 --json");
    let (code, said) = refusal(at, "eval r --episodes 7 --set eval.episodes=3");
    assert!(code == 2 && said.contains("--episodes and --set eval.episodes both set eval.episodes"), "{said}");
    assert_eq!(json(at, "eval r --episodes 7 --seed 4 --json"), first);
    assert_ne!(json(at, "eval r --episodes 7 --seed 5 --json"), first);
    for key in ["env", "agent", "protocol", "episodes", "mean", "median", "stderr", "human_normalised", "frames"] {
        assert!(first.get(key).is_some(), "{key}: {first}");
    }
    assert_eq!((first["env"].as_str(), first["episodes"].as_u64()), (Some("cartpole"), Some(7)));
    assert_eq!(first["frames"].as_f64().unwrap(), first["mean"].as_f64().unwrap() * 7.0); // a point a frame
    assert_eq!(first["parameters_sha256"], run["parameters_sha256"]);
    let returns: Vec<f64> = first["returns"].as_array().unwrap().iter().map(|ret| ret.as_f64().unwrap()).collect();
    assert_eq!((returns.len(), returns.iter().sum::<f64>()), (7, first["frames"].as_f64().unwrap()));
    // The middle half of seven games is five of them.
    let mut sorted = returns.clone();
    sorted.sort_by(f64::total_cmp);
    let iqm = &first["iqm"];
    assert_eq!(iqm["mean"].as_f64().unwrap(), sorted[1..6].iter().sum::<f64>() / 5.0, "{first}");
    assert!(iqm["low"].as_f64() <= iqm["mean"].as_f64() && iqm["mean"].as_f64() <= iqm["high"].as_f64(), "{first}");
    assert!(first["revision"].as_str().is_some_and(|revision| !revision.is_empty()), "{first}");
    json(at, "eval r --checkpoint best --episodes 1 --json");
    let said = String::from_utf8(output(at, "eval r --episodes 2 --greedy").stdout).unwrap();
    assert!(said.contains("policy            greedy") && said.contains("median"), "{said}");
    let (code, line) = refusal(at, "eval r --checkpoint 3 --json");
    assert!(code == 2 && line.contains("no checkpoint `3` (it has "), "{line}");
    assert_eq!(refusal(at, "eval r --checkpoint newest").0, 2);
    assert_eq!(refusal(at, "eval r --protocol nature15").0, 2);
}

#[test]
fn actions_are_random_as_often_as_is_asked_wherever_games_are_played() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let trained = |run: &str, epsilon: &str| {
        let line = format!("--env cartpole --agent dqn --frames 3000 --seed 3 --quiet --json --run {run} {epsilon}");
        json(at, &format!("{line} --eval-every 3000 --eval-episodes 20"))
    };
    let own = trained("own", "--set eval.epsilon=0.0");
    let random = trained("random", "--set eval.epsilon=1.0");
    assert_eq!(own["parameters_sha256"], random["parameters_sha256"], "games that are watched teach nothing");
    assert_ne!(own["eval_return"], random["eval_return"], "of an evaluation while it trains");
    for command in ["eval RUN --episodes 20 --json", "record RUN --episodes 20 --out RUN.rec --json"] {
        let mean = |run, more: &str| json(at, &format!("{}{more}", command.replace("RUN", run)))["mean"].as_f64();
        let [its_own, its_random] = ["own", "random"].map(|run| mean(run, ""));
        assert_ne!(its_own, its_random, "{command}");
        if command.starts_with("eval") {
            assert_eq!(mean("own", " --set eval.epsilon=1.0"), its_random, "the same draws decide all");
        }
    }
}

#[test]
fn a_changed_environment_is_named_with_its_score_and_leaves_the_run_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    assert!(output(at, "--env cartpole --agent ppo --seeds 1..2 --frames 2000 --run g --quiet").status.success());
    let own = json(at, "eval g/s1 --episodes 5 --json");
    assert!(own.get("changed").is_none(), "{own}");
    let before = std::fs::read(at.join("g/s1/run.toml")).unwrap();
    let short = json(at, "eval g/s1 --episodes 5 --set env.max_steps=5 --set eval.epsilon=0.5 --json");
    assert_eq!(short["changed"], serde_json::json!({ "env.max_steps": 5, "eval.epsilon": 0.5 }));
    assert_eq!((short["mean"].as_f64(), &short["parameters_sha256"]), (Some(5.0), &own["parameters_sha256"]));
    for line in ["eval g/s1 --episodes 2 --set env.max_steps=5", "eval g --episodes 2 --set env.max_steps=5"] {
        let said = String::from_utf8(output(at, line).stdout).unwrap();
        assert!(said.contains("not as trained") && said.contains("env.max_steps = 5"), "{said}");
    }
    assert_eq!(
        json(at, "eval g/s1 --episodes 5 --set env.max_steps=500 --json"),
        own,
        "a value of its own is no other"
    );
    for (set, expected) in [
        ("agent.lr=1.0", "the agent plays as it was trained"),
        ("train.envs=1", "keys of [env] and [eval]"),
        ("env.max_step=9", "did you mean `env.max_steps`?"),
        ("env.observe=positions", "--set env.observe=positions: observations or actions have other shapes"),
        ("env.protocol=p", "has no protocol `p`"),
        ("env.max_steps", "expected key=value"),
    ] {
        let (code, line) = refusal(at, &format!("eval g/s1 --set {set}"));
        assert!(code == 2 && line.contains(expected), "{line}");
    }
    assert_eq!(
        (std::fs::read(at.join("g/s1/run.toml")).unwrap(), json(at, "eval g/s1 --episodes 5 --json")),
        (before, own)
    );
}

#[test]
fn seeds_that_have_come_to_nothing_yet_are_no_failures_and_the_way_on_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let train = "--env frozenlake --agent tabular --frames 500 --seeds 1..3 --run g --quiet";
    assert!(output(at, train).status.success());
    for gone in ["s1/checkpoints", "s2/checkpoints", "s3"] {
        std::fs::remove_dir_all(at.join("g").join(gone)).unwrap();
    }
    // As if it had been killed while its directory was made.
    std::fs::create_dir(at.join("g/s3")).unwrap();
    std::fs::write(at.join("g/s3/.lock"), "").unwrap();
    std::fs::copy(at.join("g/s1/run.toml"), at.join("g/s3/run.toml")).unwrap();
    let counts = |all: &Value, keys: [&str; 4]| keys.map(|key| all[key].as_u64().unwrap());
    let done = output(at, "eval g --json");
    let (said, all) = (String::from_utf8(done.stderr).unwrap(), String::from_utf8(done.stdout).unwrap());
    let all: Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    let counted = counts(&all, ["runs", "unfinished", "not_begun", "failed"]);
    assert_eq!((done.status.code(), counted), (Some(1), [0, 0, 1, 2]));
    let unknown = ["mean", "low", "high", "human_normalised"];
    assert!(unknown.iter().all(|key| all.get(key).is_some_and(Value::is_null)), "{all}");
    assert_eq!(said.matches("/checkpoints: holds none any more, and the last was of").count(), 2, "{said}");
    assert!(said.ends_with("0 runs short of 500 frames, 1 not begun; go on with: rl-run resume g\n"), "{said}");
    assert!(output(at, "eval g").stdout.is_empty(), "nothing has a score");
    let done = output(at, "verify g --quiet --json");
    let (said, all) = (String::from_utf8(done.stderr).unwrap(), String::from_utf8(done.stdout).unwrap());
    let all: Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    let counted = counts(&all, ["runs", "equal", "failed", "not_begun"]);
    assert_eq!((done.status.code(), counted), (Some(1), [2, 0, 2, 1]));
    assert_eq!(said.matches("/checkpoints: holds none any more").count(), 2, "{said}");
    let drawn = output(at, "plot g --json");
    assert!(drawn.status.success() && drawn.stderr.is_empty(), "{drawn:?}");
    let done = output(at, "resume g --quiet");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.code() == Some(1) && said.matches("/checkpoints: holds none any more").count() == 2, "{said}");
    for run in ["s1", "s2"] {
        std::fs::remove_file(at.join("g").join(run).join("digests.jsonl")).unwrap(); // as if killed before the first
    }
    assert!(output(at, "resume g --quiet").status.success());
    let text = String::from_utf8(output(at, "eval g --exact").stdout).unwrap();
    assert!(text.contains("over 3 runs: mean "), "{text}");
}

#[test]
fn a_table_gives_the_score_that_games_approach() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    // Of the last two, states that differ look alike; one shows three symbols, the other a mask.
    let preset = concat!("--preset ", env!("CARGO_MANIFEST_DIR"), "/../presets/dqn/frozenlake.toml");
    for (env, more) in [
        ("frozenlake", ""),
        ("blackjack", preset),
        ("taxi", &format!("{preset} --set env.mask=true --set env.rainy=true --set env.fickle=true")),
    ] {
        json(at, &format!("--env {env} --agent dqn --frames 5000 --run {env} --quiet --json {more}"));
        let exact = json(at, &format!("eval {env} --exact --json"))["mean"].as_f64().unwrap();
        let played = json(at, &format!("eval {env} --greedy --episodes 2000 --json"));
        let (mean, error) = (played["mean"].as_f64().unwrap(), played["stderr"].as_f64().unwrap());
        assert!((exact - mean).abs() <= 4.0 * error.max(0.001), "{env}: exact {exact}, played {mean} ± {error}");
    }
    json(at, "--env cartpole --agent dqn --frames 1 --run c --quiet --json");
    let (code, line) = refusal(at, "eval c --exact");
    assert!(code == 2 && line.contains("cartpole"), "{line}");
    let memory = "agent.memory={kind=\"gru\",units=8,steps=4}";
    json(at, &format!("--env frozenlake --agent ppo --frames 1 --run m --quiet --json --set {memory}"));
    let (code, line) = refusal(at, "eval m --exact");
    assert!(code == 2 && line.contains("--exact: this agent has a memory"), "{line}");
    // Quantiles that are drawn would make another policy of every look at a state.
    let line = "--env frozenlake --agent iqn --frames 3000 --run i --quiet --json --set agent.learning_starts=100";
    json(at, line);
    let exact = json(at, "eval i --exact --json")["mean"].as_f64().unwrap();
    let played = json(at, "eval i --greedy --episodes 2000 --json");
    let (mean, error) = (played["mean"].as_f64().unwrap(), played["stderr"].as_f64().unwrap());
    assert!((exact - mean).abs() <= 4.0 * error.max(0.001), "iqn: exact {exact}, played {mean} ± {error}");
}

#[test]
fn what_a_command_on_a_directory_leaves_out_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let train = "--env cartpole --agent ppo --quiet";
    assert!(output(at, &format!("{train} --frames 500 --seeds 1,2 --run all")).status.success());
    assert!(output(at, &format!("{train} --frames 500 --seeds 1,2 --run all/g")).status.success());
    let said = |line: &str| {
        let done = output(at, line);
        let [out, err] = [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (done.status.code().unwrap(), out, err)
    };
    for line in ["eval all --episodes 1", "verify all"] {
        let (code, _, err) = said(line);
        assert!(code == 0 && err.contains("left out: all/g holds runs of its own: name all/g too"), "{line}: {err}");
    }
    // Of a checkpoint that only one run has, the other fails.
    let last = |run: &str| names(&at.join(run).join("checkpoints")).pop().unwrap();
    assert_ne!(last("all/s1"), last("all/s2"));
    let frames = last("all/s2").trim_start_matches('0').to_owned();
    let (code, out, err) = said(&format!("eval all --episodes 1 --checkpoint {frames} --json"));
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [failed, scored, all] = &rows[..] else { panic!("{code} {out} {err}") };
    assert!(code == 1 && failed["error"].as_str().unwrap().contains("no checkpoint"), "{failed}");
    assert!(scored["mean"].is_number() && all["runs"] == 1 && all["failed"] == 1, "{scored} {all}");
    let (code, _, err) = said("eval all --checkpoint 1");
    assert!(code == 2 && err.contains("no checkpoint `1`"), "{err}");
    // One more seed, which is longer: the others have ended.
    assert!(output(at, &format!("{train} --frames 3000 --seeds 3 --run all/g")).status.success());
    let (code, _, err) = said("resume all/g");
    assert!(code == 0 && err.matches("this run has ended already").count() == 3, "{err}");
}

#[test]
fn eval_of_the_directory_of_all_gives_each_score_and_their_mean() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let train = "--env frozenlake --agent tabular --quiet";
    assert!(output(at, &format!("{train} --frames 20000 --seeds 2..4 --run g")).status.success());
    let number = |value: &Value| value.as_f64().unwrap();
    for how in ["--exact", "--episodes 5"] {
        let done = output(at, &format!("eval g {how} --json"));
        let text = String::from_utf8(done.stdout).unwrap();
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [rows @ .., all] = &rows[..] else { panic!("{text}") };
        for (row, seed) in rows.iter().zip(2..) {
            let alone = json(at, &format!("eval g/s{seed} {how} --json"));
            assert_eq!((row["training_seed"].as_u64(), &row["run"]), (Some(seed), &Value::from(format!("g/s{seed}"))));
            assert!(alone.as_object().unwrap().iter().all(|(key, value)| row[key] == *value), "{row}\n{alone}");
        }
        let mean = rows.iter().map(|row| number(&row["mean"])).sum::<f64>() / 3.0;
        assert!((number(&all["mean"]) - mean).abs() < 1e-12 && all["runs"] == 3, "{all}");
        assert!(number(&all["low"]) <= mean && mean <= number(&all["high"]), "{all}");
        assert!(all["human_normalised"].is_null(), "nobody played it");
        assert_eq!((all["unfinished"].as_u64(), all["not_begun"].as_u64(), done.stderr.len()), (Some(0), Some(0), 0));
    }
    let text = String::from_utf8(output(at, "eval g --exact").stdout).unwrap();
    assert!(text.starts_with("tabular on frozenlake, greedy\n  seed   checkpoint"), "{text}");
    assert!(text.contains("over 3 runs: mean 0.") && text.contains("lowest and highest"), "{text}");
    assert_eq!(text.lines().count(), 6, "{text}");
    // Who is not in the mean, or not with all of its training, is told.
    std::fs::rename(at.join("g/s3"), at.join("s3")).unwrap();
    let said = String::from_utf8(output(at, "eval g --exact").stderr).unwrap();
    assert!(said.contains("0 runs short of 20,000 frames, 1 not begun; go on with: rl-run resume g"), "{said}");
    std::fs::rename(at.join("s3"), at.join("g/s3")).unwrap();
    let (code, said) = refusal(at, "eval g --exact --picture p.png");
    assert!(code == 2 && said.contains("--picture is of one run, and g holds several: rl-run eval g/s2"), "{said}");
    // A run is counted once, whatever its names; a copy of it is refused.
    std::os::unix::fs::symlink("s3", at.join("g/latest")).unwrap();
    let text = String::from_utf8(output(at, "eval g --exact").stdout).unwrap();
    assert!(text.contains("over 3 runs") && !text.contains("latest"), "{text}");
    std::fs::remove_file(at.join("g/latest")).unwrap();
    assert!(output(at, &format!("{train} --frames 20000 --seed 3 --run g/twin")).status.success());
    let (code, said) = refusal(at, "eval g");
    assert!(code == 2 && said.contains("g holds runs of one seed, g/s3 and g/twin: name one"), "{said}");
    std::fs::remove_dir_all(at.join("g/twin")).unwrap();
    // One without a checkpoint yet, as of a group that is being trained, leaves the others their scores.
    std::fs::rename(at.join("g/s3/checkpoints"), at.join("kept")).unwrap();
    std::fs::rename(at.join("g/s3/digests.jsonl"), at.join("states")).unwrap();
    let done = output(at, "eval g --exact --json");
    let (said, rows) = (String::from_utf8(done.stderr).unwrap(), String::from_utf8(done.stdout).unwrap());
    assert!(
        done.status.success() && said.contains("g/s3: no checkpoint yet") && said.contains("1 not begun"),
        "{said}"
    );
    assert!(rows.lines().count() == 3 && rows.contains("\"runs\":2"), "{rows}");
    std::fs::rename(at.join("states"), at.join("g/s3/digests.jsonl")).unwrap();
    // One whose checkpoints are gone has failed.
    let done = output(at, "eval g --exact --json");
    let (said, rows) = (String::from_utf8(done.stderr).unwrap(), String::from_utf8(done.stdout).unwrap());
    assert!(done.status.code() == Some(1) && said.contains("g/s3/checkpoints: holds none any more"), "{said}");
    assert!(rows.lines().count() == 4 && rows.contains("\"failed\":1"), "{rows}");
    std::fs::rename(at.join("kept"), at.join("g/s3/checkpoints")).unwrap();
    // Settings that are damaged are those of one run, and no mistake of the command line.
    let settings = std::fs::read(at.join("g/s3/run.toml")).unwrap();
    std::fs::write(at.join("g/s3/run.toml"), "garbage [").unwrap();
    let done = output(at, "eval g --exact --json");
    let (said, rows) = (String::from_utf8(done.stderr).unwrap(), String::from_utf8(done.stdout).unwrap());
    assert!(done.status.code() == Some(1) && said.contains("g/s3/run.toml"), "{said}");
    assert_eq!(rows.lines().count(), 4, "{rows}");
    std::fs::write(at.join("g/s3/run.toml"), settings).unwrap();
    assert!(output(at, &format!("{train} --frames 10000 --seed 5 --run g/s5")).status.success());
    let (code, said) = refusal(at, "eval g");
    let why = "g holds runs that differ in train.frames (20000, 10000), g/s2 and g/s5: name one, or go on to one length: \
        rl-run resume g --frames 20000";
    assert!(code == 2 && said.contains(why), "{said}");
    // What a run keeps makes it no other experiment; a damaged one is told, and the others are evaluated.
    std::fs::remove_dir_all(at.join("g/s5")).unwrap();
    let kept = format!("{train} --frames 20000 --set train.checkpoint_every=9000 --seed 5 --run g/s5");
    assert!(output(at, &kept).status.success());
    std::fs::write(at.join("g/s4/run.json"), "").unwrap();
    let done = output(at, "eval g --exact --json");
    let rows = String::from_utf8(done.stdout).unwrap();
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!((done.status.code(), rows.len()), (Some(1), 5), "{said}");
    assert!(said.starts_with("error: g/s4/run.json: damaged") && rows[0]["run"] == "g/s4", "{said}");
    assert!((rows[4]["runs"].as_u64(), rows[4]["failed"].as_u64()) == (Some(3), Some(1)), "{:?}", rows[4]);
}
