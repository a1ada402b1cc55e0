//! A saved state is complete: for every game, with sticky actions, what follows a load equals what follows the save.
//!
//! ALE's own is not (see `src/shim.cpp`). One console goes on in place; another, fresh and in another process, has played
//! something else before it takes the state over.

#[path = "../../tests/support/lcg.rs"]
mod lcg;

use std::path::Path;
use std::process::{Command, Stdio};

use ale_sys::{Ale, GAMES, Rom};
use lcg::Lcg;

const STICKY: f32 = 0.25;
/// Frames before the save, and compared after it.
const BEFORE: usize = 700;
const AFTER: usize = 1000;
/// Tells a spawned copy of this test which state to go on from.
const CHILD: &str = "ALE_STATE_TEST_CHILD";

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

/// Checks every second game from `first` on. The copy of `test` that this spawns finds `CHILD` set, and goes on from the
/// states that this process wrote.
fn check(test: &str, first: usize) {
    let games = || GAMES.into_iter().skip(first).step_by(2);
    if let Some(dir) = std::env::var_os(CHILD) {
        for game in games() {
            let path = Path::new(&dir).join(game);
            let after = resumed(game, &std::fs::read(&path).unwrap());
            std::fs::write(path.with_extension("after"), after.to_string()).unwrap();
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for game in games() {
        let (mut ale, state, after) = reference(game);
        ale.load(&state).unwrap();
        assert_eq!(play(&mut ale, &mut Lcg(2), AFTER), after, "{game} in the same console");
        std::fs::write(dir.path().join(game), state).unwrap();
        expected.push((game, after.to_string()));
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact"])
        .env(CHILD, dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<(&str, String)> = games()
        .map(|game| (game, std::fs::read_to_string(dir.path().join(game).with_extension("after")).unwrap()))
        .collect();
    assert_eq!(found, expected);
}

// Two tests, for two cores.
#[test]
fn every_even_game_goes_on_in_a_fresh_process() {
    check("every_even_game_goes_on_in_a_fresh_process", 0);
}

#[test]
fn every_odd_game_goes_on_in_a_fresh_process() {
    check("every_odd_game_goes_on_in_a_fresh_process", 1);
}

/// Upstream reports a corrupted heap after some 2,000 restores of this game (#739).
#[test]
#[ignore = "slow"]
fn ten_thousand_restores_of_qbert_stay_exact() {
    let (mut ale, state, after) = reference("qbert");
    let mut again = Vec::new();
    for restore in 0..10_000 {
        play(&mut ale, &mut Lcg(restore), 5);
        ale.load(&state).unwrap();
        again.clear();
        ale.save(&mut again).unwrap();
        assert!(state == again, "restore {restore}");
    }
    assert_eq!(play(&mut ale, &mut Lcg(2), AFTER), after);
}

/// The score is six BCD digits. Past 999,999 the game neither begins again at 0, which would be a huge negative reward, nor
/// ends: it stops with blanks (digits of 15), which ALE reads as 1,666,665, once. What ends such an episode is the cap.
#[test]
fn a_full_score_of_kung_fu_master_stops_the_game() {
    const SCORE: std::ops::RangeInclusive<usize> = 0x18..=0x1a; // addresses 0x98 to 0x9a
    let mut ale = load("kung_fu_master", 1);
    ale.reset().unwrap();
    let mut actions = Lcg(5);
    let set = ale.minimal_actions().to_vec();
    for byte in SCORE {
        ale.set_ram(byte, 0x99);
    }
    assert_eq!(ale.act(0).unwrap(), 999_999);
    let mut rewards = Vec::new();
    for _ in 0..5_000 {
        let reward = ale.act(set[actions.below(set.len())]).unwrap();
        rewards.extend((reward != 0).then_some(reward));
    }
    assert_eq!(rewards, [666_666]);
    assert_eq!(ale.ram()[SCORE], [0xff; 3]);
    assert!(!ale.game_over());
}
