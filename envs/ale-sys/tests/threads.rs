//! Consoles share nothing that they write: games side by side in threads go as they go alone. `make sanitize` runs this under
//! valgrind's helgrind too.

use ale_sys::{Ale, Rom};

/// Two of one game, so that they share what is static in it; Galaxian and Space Invaders hold lists of their own there.
const GAMES: [&str; 4] = ["qbert", "qbert", "galaxian", "space_invaders"];
const FRAMES: i32 = 60;

/// Loads, plays, saves and restores, and returns a hash of all that is seen.
fn play(game: &str, seed: u32) -> u32 {
    let mut ale = Ale::new(&Rom::find(game).unwrap(), 0.25, seed).unwrap();
    ale.reset().unwrap();
    let (mut hash, mut state) = (crc32fast::Hasher::new(), Vec::new());
    ale.save(&mut state).unwrap();
    for frame in 0..FRAMES {
        if frame == FRAMES / 2 {
            ale.load(&state).unwrap();
        }
        ale.act(frame % 18).unwrap();
        hash.update(ale.screen());
        hash.update(ale.ram());
    }
    hash.finalize()
}

#[test]
fn games_side_by_side_go_as_they_go_alone() {
    let alone = GAMES.map(|game| play(game, 1));
    let threads = GAMES.map(|game| std::thread::spawn(move || play(game, 1)));
    assert_eq!(threads.map(|thread| thread.join().unwrap()), alone);
    assert_eq!(alone[0], alone[1]);
}
