//! What the targets share. A target starts from something valid and changes it, so that a mutation reaches what lies behind
//! the first check, and a corpus is some bytes and holds nothing of anybody else's.

use std::path::Path;

use rl_runner::fuzzing::Run;

/// Environments and agents with networks and replays of a few rows, which between them save every kind of part.
pub const RUNS: [(&str, &str, &[&str]); 9] = [
    ("frozenlake", "tabular", &["agent.horizon=2", "train.envs=2"]),
    ("cartpole", "dqn", &SMALL),
    ("cartpole", "rainbow", &SMALL),
    ("frozenlake", "iqn", &SMALL),
    (
        "cartpole-positions",
        "r2d2",
        &[
            "agent.memory.units=3",
            "agent.memory.burn_in=1",
            "agent.memory.steps=2",
            "agent.memory.period=2",
            SMALL[0],
            SMALL[1],
            SMALL[2],
            SMALL[3],
            SMALL[4],
            SMALL[5],
        ],
    ),
    (
        "pendulum",
        "ppo",
        &["agent.horizon=4", "agent.hidden=[4]", "agent.minibatches=2", "agent.epochs=1", "train.envs=2"],
    ),
    (
        "cartpole-positions",
        "ppo",
        &[
            "agent.horizon=4",
            "agent.hidden=[4]",
            "agent.minibatches=2",
            "agent.epochs=1",
            "agent.memory.units=3",
            "agent.memory.steps=4",
            "train.envs=2",
        ],
    ),
    ("cartpole", "impala", &["agent.horizon=2", "agent.hidden=[4]", "train.envs=2", "train.actors=0"]),
    (
        "connectfour",
        "alphazero",
        &[
            "agent.horizon=8",
            "agent.learning_starts=16",
            "agent.replay_capacity=32",
            "agent.batch=4",
            "agent.updates=1",
            "agent.simulations=2",
            "agent.considered=2",
            "agent.channels=2",
            "agent.blocks=1",
            "agent.hidden=2",
            "train.envs=2",
            "train.precision=f32",
        ],
    ),
];

const SMALL: [&str; 6] = [
    "agent.hidden=[4]",
    "agent.batch=4",
    "agent.replay_capacity=24",
    "agent.learning_starts=8",
    "agent.target_period=8",
    "train.envs=2",
];

/// The run of that number after some rounds.
///
/// # Panics
/// If a preset has changed and no longer takes the values above.
pub fn begun(number: usize) -> Run {
    let (env, agent, sets) = RUNS[number];
    let mut run = Run::new(env, agent, sets).unwrap_or_else(|e| panic!("{agent} on {env}: {e:#}"));
    for _ in 0..24 {
        run.advance().unwrap_or_else(|e| panic!("{agent} on {env}: {e:#}"));
    }
    run
}

/// Changes `bytes` in places: each edit is an offset, how many bytes go and how many come (16, 8 and 8 bits), and what comes.
/// An offset counts from the end where its highest bit is set.
pub fn edited(bytes: &[u8], mut edits: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while let Some((&[low, high, gone, new], rest)) = edits.split_first_chunk() {
        let (new, rest) = rest.split_at(usize::from(new).min(rest.len()));
        let offset = usize::from(u16::from_le_bytes([low, high & 0x7F]));
        let at = if high & 0x80 == 0 { offset.min(bytes.len()) } else { bytes.len().saturating_sub(offset) };
        let to = (at + usize::from(gone)).min(bytes.len());
        bytes.splice(at..to, new.iter().copied());
        edits = rest;
    }
    bytes
}

/// Cuts `bytes` into records: a number, a length of 16 bits, and as many bytes as it says and there are.
pub fn records(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut records = Vec::new();
    while let Some((&[number, low, high], rest)) = bytes.split_first_chunk() {
        let (record, rest) = rest.split_at(usize::from(u16::from_le_bytes([low, high])).min(rest.len()));
        records.push((number, record));
        bytes = rest;
    }
    records
}

/// A directory in memory where there is one.
///
/// # Panics
/// If none can be made.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory can be made")
}
