//! A saved state is complete: for every game, with sticky actions, what follows a load equals what follows the save.
//!
//! ALE's own state is not (see `src/shim.cpp`). The receiving console is a fresh one that has played something else, in
//! this process and in another.

use std::path::Path;
use std::process::{Command, Stdio};

use ale_sys::{Ale, GAMES, Rom};

const STICKY: f32 = 0.25;
/// Frames before the save, and compared after it.
const BEFORE: usize = 700;
const AFTER: usize = 1000;
/// Tells a spawned copy of this test which state to go on from.
const CHILD: &str = "ALE_STATE_TEST_CHILD";

/// The high bits of a 64-bit linear congruential generator (Knuth's MMIX constants).
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }
}

/// Plays `frames` frames, resetting after a game over, and returns a hash of all that can be seen.
fn play(ale: &mut Ale, actions: &mut Lcg, frames: usize) -> u32 {
    let set = ale.legal_actions().to_vec();
    let mut hash = crc32fast::Hasher::new();
    for _ in 0..frames {
        if ale.game_over() {
            ale.reset().unwrap();
        }
        let reward = ale.act(set[actions.below(set.len())]).unwrap();
        hash.update(ale.ram());
        hash.update(ale.screen());
        hash.update(&reward.to_le_bytes());
        hash.update(&ale.lives().to_le_bytes());
    }
    hash.finalize()
}

fn load(game: &str, seed: u32) -> Ale {
    Ale::new(&Rom::find(game).unwrap(), STICKY, seed).unwrap()
}

/// A console in the middle of a game, its state, and what follows.
fn reference(game: &str) -> (Ale, Vec<u8>, u32) {
    let mut ale = load(game, 1);
    ale.reset().unwrap();
    play(&mut ale, &mut Lcg(1), BEFORE);
    let mut state = Vec::new();
    ale.save(&mut state).unwrap();
    let after = play(&mut ale, &mut Lcg(2), AFTER);
    (ale, state, after)
}

/// What follows `state` in a fresh console that has played something else.
fn resumed(game: &str, state: &[u8]) -> u32 {
    let mut ale = load(game, 99);
    play(&mut ale, &mut Lcg(3), 123);
    ale.load(state).unwrap();
    let mut again = Vec::new();
    ale.save(&mut again).unwrap();
    let differ = state.iter().zip(&again).position(|(a, b)| a != b);
    assert!(state.len() == again.len() && differ.is_none(), "{game}: a loaded state saves differently at {differ:?}");
    play(&mut ale, &mut Lcg(2), AFTER)
}

#[test]
fn every_game_goes_on_from_its_state_in_a_fresh_console() {
    let mut wrong = Vec::new();
    for game in GAMES {
        let (mut ale, state, after) = reference(game);
        if resumed(game, &state) != after {
            wrong.push(format!("{game} in a fresh console"));
        }
        ale.load(&state).unwrap();
        if play(&mut ale, &mut Lcg(2), AFTER) != after {
            wrong.push(format!("{game} in the same console"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Spawns itself: the copy finds `CHILD` set and goes on from the states that this one wrote.
#[test]
fn every_game_goes_on_from_its_state_in_a_fresh_process() {
    if let Some(dir) = std::env::var_os(CHILD) {
        for game in GAMES {
            let state = std::fs::read(Path::new(&dir).join(game)).unwrap();
            eprintln!("{game} {}", resumed(game, &state));
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for game in GAMES {
        let (_, state, after) = reference(game);
        std::fs::write(dir.path().join(game), state).unwrap();
        expected.push(format!("{game} {after}"));
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["every_game_goes_on_from_its_state_in_a_fresh_process", "--exact", "--nocapture"])
        .env(CHILD, dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, expected);
}
