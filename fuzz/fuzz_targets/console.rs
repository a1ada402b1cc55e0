//! Saved states of the emulator, with the checksum that a forger would give them, in games of different cartridges. Needs
//! the ROMs that `rl-run fetch ale` brings; games whose ROM is missing are passed over.
#![no_main]

use std::cell::RefCell;

use ale_sys::{Ale, Rom};
use libfuzzer_sys::fuzz_target;
use rl_fuzz::edited;

/// Cartridges of 4 kB, F8, E0, FE, DPC and F8SC.
const GAMES: [&str; 10] = [
    "qbert",
    "kung_fu_master",
    "asteroids",
    "montezuma_revenge",
    "tutankham",
    "robotank",
    "pitfall2",
    "elevator_action",
    "space_invaders",
    "hangman",
];

/// Magic, MD5 and CRC-32 in front of what ALE reads.
const HEAD: usize = 12 + 32 + 4;
/// Frames that are played after a state was taken.
const FRAMES: usize = 3;

struct Console {
    ale: Ale,
    state: Vec<u8>,
}

impl Console {
    fn new(game: &str) -> Option<Self> {
        let mut ale = Ale::new(&Rom::find(game).ok()?, 0.25, 1).expect("a ROM that is known can be loaded");
        ale.reset().expect("it starts");
        let mut state = Vec::new();
        for action in 0..120 {
            ale.act(action % 18).expect("an action that there is");
        }
        ale.save(&mut state).expect("it can be saved");
        Some(Self { ale, state })
    }
}

thread_local! {
    static CONSOLES: RefCell<[Option<Console>; GAMES.len()]> = const { RefCell::new([const { None }; GAMES.len()]) };
}

fuzz_target!(|data: &[u8]| {
    let Some((&[number], edits)) = data.split_first_chunk() else { return };
    let number = usize::from(number) % GAMES.len();
    CONSOLES.with_borrow_mut(|consoles| {
        if consoles[number].is_none() {
            consoles[number] = Console::new(GAMES[number]);
        }
        let Some(Console { ale, state }) = &mut consoles[number] else { return };
        let body = edited(&state[HEAD..], edits);
        let sum = crc32fast::hash(&body).to_le_bytes();
        let forged = [&state[..HEAD - 4], &sum, &body].concat();
        let taken = ale.load(&forged).is_ok();
        for action in [0, 3, 1].into_iter().take(FRAMES) {
            let _ = ale.act(action);
        }
        if taken {
            ale.save(&mut Vec::new()).expect("what was taken can be saved");
        }
        ale.load(state).expect("a console recovers");
    });
});
