//! The event file of a run, interrupted once, read back by TensorBoard itself: it holds what `metrics.jsonl` holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Step and value, by tag.
type Scalars = BTreeMap<String, Vec<(u64, f64)>>;

fn rl_run(args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_rl-run-for-tests")).args(args).output().expect("rl-run starts");
    assert!(output.status.success(), "rl-run {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn by_tensorboard(run: &Path) -> Scalars {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = tests.join("../target/venv/bin/python");
    let mend = "run `scripts/setup test` (make test does) to make target/venv with the package tensorboard";
    let output = Command::new(&python).arg(tests.join("tests/read_events.py")).arg(run).output();
    let output = output.unwrap_or_else(|e| panic!("{}: {e}; {mend}", python.display()));
    assert!(output.status.success(), "{}\n{mend}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// The same from the rows, as wide as TensorBoard keeps values.
fn by_rows(run: &Path) -> Scalars {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("the run has rows");
    let mut scalars = Scalars::new();
    for line in text.lines() {
        let row: serde_json::Map<String, Value> = serde_json::from_str(line).expect("a row is JSON");
        let frames = row["frames"].as_u64().expect("a row has frames");
        for (tag, value) in row {
            if !["frames", "agent_steps", "updates", "seconds"].contains(&tag.as_str()) {
                let value = value.as_f64().expect("a value is a number") as f32;
                scalars.entry(tag).or_default().push((frames, f64::from(value)));
            }
        }
    }
    scalars
}

#[test]
fn tensorboard_reads_what_the_rows_hold_and_a_resume_doubles_nothing() {
    let dir = tempfile::tempdir().expect("there is room");
    let run = dir.path().join("run");
    let path = run.to_str().expect("the path is UTF-8");
    rl_run(&["--env", "cartpole", "--agent", "dqn", "--frames", "3000", "--run", path, "--quiet"]);
    rl_run(&["resume", path, "--frames", "5000", "--quiet"]);

    let (theirs, ours) = (by_tensorboard(&run), by_rows(&run));
    assert_eq!(theirs.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
    for (tag, points) in &ours {
        let differs = points.iter().zip(&theirs[tag]).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None, "{tag}: (rows, TensorBoard)");
        assert_eq!(points.len(), theirs[tag].len(), "{tag}: number of points");
    }
    assert!(ours.contains_key("loss"), "a run that learns tells its loss: {:?}", ours.keys());
    for (tag, points) in &ours {
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0), "{tag} goes back: {points:?}");
    }
    let last = ours["loss"].last().expect("there is a loss").0;
    assert!(last >= 5000, "the resumed run goes on to its end, not to {last}");
}
