//! States that somebody forged, with a checksum that matches: each was a write or a read beyond an array, an allocation of
//! gigabytes, or the end of the process.

use ale_sys::{Ale, Rom};

/// Magic and hash of the ROM, then the checksum.
const HEAD: usize = 12 + 32;
/// Length of ALE's own part, in front of it.
const LEN: usize = 8;

fn console(game: &str) -> (Ale, Vec<u8>) {
    let mut ale = Ale::new(&Rom::find(game).unwrap(), 0.25, 1).unwrap();
    ale.reset().unwrap();
    (0..40).for_each(|_| assert!(ale.act(0).is_ok()));
    let mut state = Vec::new();
    ale.save(&mut state).unwrap();
    (ale, state)
}

/// The state with four bytes at `at` of what follows the checksum replaced.
fn forged(state: &[u8], at: usize, number: i32) -> Vec<u8> {
    let mut body = state[HEAD + 4..].to_vec();
    body[at..at + 4].copy_from_slice(&number.to_le_bytes());
    let sum = crc32fast::hash(&body).to_le_bytes();
    [&state[..HEAD], &sum, &body].concat()
}

/// Where the numbers of the device called `name` begin.
fn numbers(state: &[u8], name: &str) -> usize {
    let body = &state[HEAD + 4..];
    body.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len()
}

#[test]
fn what_no_console_can_hold_is_refused_and_the_console_goes_on() {
    let (mut ale, state) = console("kung_fu_master");
    let core = u64::from_le_bytes(state[HEAD + 4..][..LEN].try_into().unwrap()) as usize;
    let tia = numbers(&state, "TIA");
    for (what, at, number, said) in [
        ("a length of two gigabytes", LEN + 6 * 4, i32::MAX, "end comes early"),
        ("a longer memory than there is", numbers(&state, "M6532"), 1000, "length of an array is 1000"),
        ("an interval beyond a number's bits", numbers(&state, "M6532") + 4 * 130, 40, "interval of the timer is 40"),
        ("a picture of a million lines", tia + 4 * 2, 228_000_000, "last clock of a picture is 228000000"),
        ("a line that is over before it ends", tia + 4 * 4, 1, "rest of a line"),
        ("a motion that is not in the table", tia + 4 * 30, -1, "motion is -1"),
        ("a player beside the screen", tia + 4 * 41, 5000, "position is 5000"),
        ("a bank that the cartridge lacks", numbers(&state, "CartridgeF8"), 7, "bank is 7"),
        ("an action that does not exist", LEN + core, 99, "out of range"),
    ] {
        let error = ale.load(&forged(&state, at, number)).expect_err(what).to_string();
        assert!(error.contains(said), "{what}: {error}");
        ale.load(&state).unwrap();
        let mut again = Vec::new();
        ale.save(&mut again).unwrap();
        assert!(again == state, "{what}: the console is what it was");
    }
}
