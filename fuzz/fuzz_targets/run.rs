//! The directory of a run as another machine may hand it over: manifest, parts, settings, metrics, events, digests and episodes, any
//! of them replaced or edited, with a checksum that matches.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use rl_fuzz::{begun, edited, records, scratch};
use rl_runner::fuzzing::{open, seal};

/// Files of a small run by their names in its directory.
static FILES: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();

const ABOUT: &str = r#"{"version":"0.1.0","revision":"","features":[],"isa":"portable","cpu":"","threads":1,"device":"cpu","env":"frozenlake","env_version":1,"agent":"tabular","seed":1}"#;
const ROWS: &str = "{\"frames\":64,\"agent_steps\":64,\"updates\":2,\"seconds\":0.5,\"seconds_step\":0.1,\"seconds_infer\":0.1,\"seconds_sample\":0.0,\"seconds_forward\":0.0,\"seconds_backward\":0.0,\"seconds_optimiser\":0.1,\"seconds_reduce\":0.0,\"seconds_save\":0.0,\"seconds_other\":0.2,\"episodes\":2,\"return_100\":0.5,\"length_100\":20.0}\n";
const DIGESTS: &str = "{\"frames\":64,\"parts\":[[\"env\",\"00\"]]}\n";
const EPISODES: &str = "frames,seat,return,length,end\n12,0,0,12,terminated\n40,1,1,28,truncated\n";

fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let dir = scratch();
    let at = dir.path();
    begun(0).write(at).expect("it can be written");
    for (name, text) in
        [("run.json", ABOUT), ("metrics.jsonl", ROWS), ("digests.jsonl", DIGESTS), ("episodes.csv", EPISODES)]
    {
        fs::write(at.join(name), text).expect("it can be written");
    }
    fs::write(at.join("events.out.tfevents.rl-run"), []).expect("it can be written");
    open(at).expect("it is whole");
    let checkpoint =
        fs::read_dir(at.join("checkpoints")).expect("it is there").next().expect("one").expect("read").path();
    let mut paths: Vec<PathBuf> = [at, &checkpoint]
        .into_iter()
        .flat_map(|dir| fs::read_dir(dir).expect("it is there"))
        .map(|entry| entry.expect("read").path())
        .filter(|path| path.is_file() && path.file_name().is_some_and(|name| name != ".lock"))
        .collect();
    paths.sort();
    let name = |path: &PathBuf| path.strip_prefix(at).expect("below").to_owned();
    paths.iter().map(|path| (name(path), fs::read(path).expect("read"))).collect()
}

fuzz_target!(|data: &[u8]| {
    let files = FILES.get_or_init(files);
    let dir = scratch();
    let mut changed = files.clone();
    for (number, bytes) in records(data) {
        let count = changed.len();
        let (name, content) = &mut changed[usize::from(number & 0x7F) % count];
        *content = if number & 0x80 == 0 { bytes.to_vec() } else { edited(content, bytes) };
        if name.ends_with("manifest.json") {
            *content = seal(content).unwrap_or(std::mem::take(content));
        }
    }
    for (name, content) in &changed {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in a directory")).expect("it can be made");
        fs::write(path, content).expect("it can be written");
    }
    if let Err(error) = open(dir.path()) {
        assert!(!format!("{error:#}").is_empty());
    }
});
