//! Files that are said to be ROMs: whatever they hold, they are hashed and refused by name.
#![no_main]

use ale_sys::{GAMES, Rom};
use libfuzzer_sys::fuzz_target;
use rl_fuzz::scratch;

fuzz_target!(|data: &[u8]| {
    let Some((&[number], content)) = data.split_first_chunk() else { return };
    let dir = scratch();
    let path = dir.path().join("game.bin");
    std::fs::write(&path, content).expect("it can be written");
    let error = Rom::open(GAMES[usize::from(number) % GAMES.len()], &path).expect_err("no input is a ROM");
    assert!(error.to_string().contains("game.bin"), "{error}");
});
