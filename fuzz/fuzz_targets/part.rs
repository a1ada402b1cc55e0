//! Every part of a checkpoint, of runs of every kind of agent. What a run takes it must be able to go on with and to save.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use rl_fuzz::{RUNS, begun, edited};
use rl_runner::fuzzing::Run;

type Parts = Vec<(String, Vec<u8>)>;

static PARTS: [OnceLock<Parts>; RUNS.len()] = [const { OnceLock::new() }; RUNS.len()];

fuzz_target!(|data: &[u8]| {
    let Some((&[number, part], edits)) = data.split_first_chunk() else { return };
    let number = usize::from(number) % RUNS.len();
    let parts = PARTS[number].get_or_init(|| begun(number).parts().expect("a run can be saved"));
    let (env, agent, sets) = RUNS[number];
    let mut run = Run::new(env, agent, sets).expect("it was begun before");
    for (name, bytes) in parts {
        run.load(name, bytes).expect("what was saved can be loaded");
    }
    let (name, bytes) = &parts[usize::from(part) % parts.len()];
    if run.load(name, &edited(bytes, edits)).is_err() {
        return;
    }
    for _ in 0..3 {
        if run.advance().is_err() {
            return; // a loss that is not finite
        }
    }
    run.parts().expect("what was taken can be saved");
});
