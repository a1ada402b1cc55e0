//! Presets as files and values as `--set` gives them, for a pair of an environment and an agent. What is taken is seated and
//! built where it is small, and reads as it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rl_fuzz::{RUNS, scratch};
use rl_runner::fuzzing::resolve;

/// Values of `--set` follow the file, a line each, behind a line of this.
const SETS: &str = "\n--set\n";

fuzz_target!(|data: &[u8]| {
    let Some((&[number], text)) = data.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (file, sets) = text.split_once(SETS).unwrap_or((text, ""));
    let sets: Vec<String> = sets.lines().map(str::to_owned).collect();
    let (env, agent, small) = RUNS[usize::from(number) % RUNS.len()];
    let dir = scratch();
    let path = dir.path().join("preset.toml");
    std::fs::write(&path, file).expect("it can be written");
    let path = (!file.is_empty()).then_some(path.as_path());
    let sets: Vec<String> = small.iter().map(|&set| set.to_owned()).chain(sets).collect();
    if let Err(error) = resolve(env, agent, path, &sets) {
        assert!(!format!("{error:#}").is_empty());
    }
});
