//! Whatever happens to a file of a checkpoint: it is refused by its name, the whole one before it is named, and nothing else
//! is lost.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{json, names, refusal};

/// Every file below `dir`, whatever parts there are.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(dir) {
        let path = dir.join(name);
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// What may become of a file: a flipped bit here and there, an end that is missing or too much.
fn damages(content: &[u8]) -> Vec<(String, Vec<u8>)> {
    let len = content.len();
    let flipped = |at: usize| {
        let mut content = content.to_vec();
        content[at] ^= 1;
        (format!("byte {at} of {len} flipped"), content)
    };
    let cut = |at: usize| (format!("cut after {at} of {len}"), content[..at].to_vec());
    let mut damages = vec![("a byte too many".to_owned(), [content, b"\0"].concat())];
    if len > 0 {
        let spread = [0, len / 5, len / 2, 4 * len / 5, len - 1];
        damages.extend(spread.into_iter().map(flipped).chain([0, len / 2, len - 1].map(cut)));
    }
    damages
}

#[test]
fn every_file_of_a_checkpoint_that_is_flipped_cut_or_missing_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let line = "--env frozenlake --agent dqn --frames 2000 --seed 9 --quiet --json --set train.checkpoint_every=500 \
                --set train.keep_checkpoints=9 --set agent.learning_starts=200 --set agent.hidden=[8]";
    let whole = json(at, &format!("{line} --run r"));
    let all = names(&at.join("r/checkpoints"));
    let [.., before, last] = &all[..] else { panic!("{all:?}") };
    let mend = format!("an earlier one is intact: rl-run resume r --checkpoint {}", before.trim_start_matches('0'));
    let refused = |path: &Path, how: &str| {
        let (code, said) = refusal(at, "resume r");
        let file = path.strip_prefix(at).unwrap().to_str().unwrap();
        assert!(code == 1 && said.contains(file) && said.ends_with(&mend), "{file}, {how}: {said}");
        let (code, said) = refusal(at, "verify r");
        assert!(code == 1 && said.contains(file) && said.contains("remove it"), "{file}, {how}: {said}");
    };
    let files = files(&at.join("r/checkpoints").join(last));
    assert!(files.len() > 5, "{files:?}");
    for path in &files {
        let content = fs::read(path).unwrap();
        for (how, damaged) in damages(&content) {
            fs::write(path, damaged).unwrap();
            refused(path, &how);
        }
        fs::remove_file(path).unwrap();
        refused(path, "missing");
        fs::create_dir(path).unwrap();
        refused(path, "a directory");
        fs::remove_dir(path).unwrap();
        fs::write(path, content).unwrap();
    }
    let again = json(at, "resume r --quiet --json");
    assert_eq!(again["parameters_sha256"], whole["parameters_sha256"]);
    let number = before.trim_start_matches('0');
    let again = json(at, &format!("resume r --checkpoint {number} --quiet --json"));
    assert_eq!(again["parameters_sha256"], whole["parameters_sha256"]);
}

#[test]
fn a_damaged_description_of_a_run_is_refused_by_name_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    json(at, "--env cartpole --agent dqn --frames 1200 --seed 9 --quiet --json --run r");
    let with = |file: &str, change: &dyn Fn(&str) -> String, said: &str| {
        let path = at.join("r").join(file);
        let before = fs::read_to_string(&path).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "{file}");
        fs::write(&path, after).unwrap();
        let (code, line) = refusal(at, "resume r");
        assert!(code > 0 && line.contains(said), "{file}: {line}");
        fs::write(&path, before).unwrap();
    };
    with("run.json", &|text| text[..text.len() / 2].to_owned(), "r/run.json: damaged");
    with("run.json", &|text| text.replace("\"cartpole\"", "\"cartpole9\""), "no environment is called `cartpole9`");
    with("run.toml", &|text| text[..text.len() / 2].to_owned(), "r/run.toml");
    with("run.toml", &|text| text.replace("double = true", "double = 3"), "agent.double");
    with("run.toml", &|text| text.replace("double = true", "duoble = true"), "unknown key `agent.duoble`");
    json(at, "resume r --quiet --json");
}
