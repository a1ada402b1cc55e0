//! `--force` replaces a run, and nothing that somebody else put beside it or that nobody could make again.
#![forbid(unsafe_code)]

mod common;

use std::fs;

use common::{json, names, output, refusal};

const LINE: &str = "--env cartpole --agent ppo --frames 1000 --quiet --json --set train.envs=2 --set agent.hidden=[8]";

#[test]
fn runs_of_a_group_are_replaced_beside_what_others_put_there() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    assert!(output(at, &format!("{LINE} --seeds 1..2 --run g")).status.success());
    fs::write(at.join("g/s1/notes.txt"), "mine").unwrap();
    let longer = LINE.replace("--frames 1000", "--frames 1200");
    assert!(output(at, &format!("{longer} --seeds 1..2 --run g --force")).status.success());
    assert_eq!(fs::read_to_string(at.join("g/s1/notes.txt")).unwrap(), "mine");
    for run in ["g/s1", "g/s2"] {
        let again = json(at, &format!("resume {run} --quiet --json"));
        assert!(again["frames"].as_u64().unwrap() >= 1200, "{again}");
    }
}

#[test]
fn a_group_that_cannot_begin_replaces_nothing_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    assert!(output(at, &format!("{LINE} --seeds 1..2 --run g")).status.success());
    let read = |file: &str| fs::read(at.join(file)).unwrap();
    let files = ["g/group.json", "g/group.toml", "g/s1/run.json", "g/s2/run.json"];
    let before = files.map(read);
    for run in ["g --force", "other"] {
        let (code, said) = refusal(at, &format!("--env cartpole --agent bc --quiet --seeds 1..2 --run {run}"));
        assert!(code == 2 && said.contains("--set agent.demonstrations=FILE"), "{run}: {said}");
    }
    assert_eq!(files.map(read), before);
    assert!(!at.join("other").exists());
}

#[test]
fn a_published_model_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{LINE} --run r"));
    assert!(output(at, "publish r --out g/s1 --episodes 2 --quiet").status.success());
    let before = names(&at.join("g/s1"));
    for line in ["--run g/s1", "--run g/s1 --force", "--seeds 1..2 --run g", "--seeds 1..2 --run g --force"] {
        let (code, said) = refusal(at, &format!("{LINE} {line}"));
        assert!(code == 2 && said.ends_with("g/s1 is a published model: name another --run"), "{line}: {said}");
    }
    assert_eq!(names(&at.join("g/s1")), before);
    assert!(!at.join("g/s2").exists());
}

#[test]
fn recordings_of_others_stay_among_those_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, &format!("{LINE} --run r --record every:1"));
    assert!(names(&at.join("r/recordings")).len() > 2);
    fs::write(at.join("r/recordings/mine.rec"), "played").unwrap();
    json(at, &format!("{LINE} --run r --force"));
    assert_eq!(names(&at.join("r/recordings")), ["mine.rec"]);
    json(at, &format!("{LINE} --run other --record every:1"));
    json(at, &format!("{LINE} --run other --force"));
    assert!(!at.join("other/recordings").exists());
}

#[test]
fn what_is_left_of_a_run_that_was_killed_while_it_was_made_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("r")).unwrap();
    for name in [".lock", ".tmpAbCdEf", "run.toml"] {
        fs::write(at.join("r").join(name), "").unwrap();
    }
    let (code, said) = refusal(at, "resume r --quiet");
    assert!(code == 2 && said.contains("train it again with this --run"), "{said}");
    json(at, &format!("{LINE} --run r"));
    assert!(!at.join("r/.tmpAbCdEf").exists());
}
