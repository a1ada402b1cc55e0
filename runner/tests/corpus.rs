//! Recordings of every environment, made once by `corpus/make.py`: whoever changes what one does must raise its VERSION, or
//! games that people have kept would no longer be what they were.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{json, output};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Of these some members have one.
const FAMILIES: [&str; 2] = ["atari/", "doom/"];

/// The recording of an environment.
fn of(name: &str) -> PathBuf {
    corpus().join(format!("{}.rec", name.replace('/', "-")))
}

/// Environments that have one.
fn names() -> Vec<String> {
    let envs = json(&corpus(), "list envs --json");
    let names = envs.as_array().unwrap().iter().map(|env| env["name"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.filter(|name| !FAMILIES.iter().any(|family| name.starts_with(family))).collect();
    if cfg!(feature = "atari") {
        names.extend(["kung_fu_master", "pong", "montezuma_revenge"].map(|rom| format!("atari/{rom}")));
    }
    if cfg!(feature = "doom") {
        names.extend(["basic", "defend_the_center", "health_gathering"].map(|name| format!("doom/{name}")));
    }
    names
}

#[test]
fn every_environment_plays_as_when_its_version_was_given() {
    for name in names() {
        let file = of(&name);
        assert!(file.exists(), "{name} has no recording: python3 runner/tests/corpus/make.py {name}");
        let done = output(&corpus(), &format!("verify {} --json", file.file_name().unwrap().to_str().unwrap()));
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            !said.contains("was recorded with version"),
            "the VERSION of {name} was raised: commit what `python3 runner/tests/corpus/make.py {name}` writes. {said}"
        );
        assert!(
            done.status.success(),
            "{name} no longer plays as it did: raise its VERSION, since recordings and checkpoints of before are of \
             another environment, then run runner/tests/corpus/make.py {name}. {said}"
        );
        assert!(fs::metadata(&file).unwrap().len() < 8 << 10, "{name}: a corpus is small");
    }
}

#[test]
fn every_recording_is_of_an_environment_that_is_known() {
    let known: Vec<PathBuf> = names().iter().map(|name| of(name)).collect();
    for entry in fs::read_dir(corpus()).unwrap() {
        let path = entry.unwrap().path();
        let is = |family: &str| path.file_name().unwrap().to_str().unwrap().starts_with(family);
        let without = (is("atari-") && cfg!(not(feature = "atari"))) || (is("doom-") && cfg!(not(feature = "doom")));
        let expected = path.ends_with("make.py") || known.contains(&path) || without;
        assert!(expected, "{}: of no environment", path.display());
    }
}
