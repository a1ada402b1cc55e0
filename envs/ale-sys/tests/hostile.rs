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
    sealed(state, &body)
}

/// The state with another body, and the checksum of that.
fn sealed(state: &[u8], body: &[u8]) -> Vec<u8> {
    [&state[..HEAD], &crc32fast::hash(body).to_le_bytes(), body].concat()
}

/// Where the numbers of the device called `name` begin.
fn numbers(state: &[u8], name: &str) -> usize {
    let body = &state[HEAD + 4..];
    body.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len()
}

/// Loads each forgery, `(what it is, where, number, what is said of it)`, plays on with what is left of the console, and
/// loads the true state.
fn refused(ale: &mut Ale, state: &[u8], forgeries: &[(&str, usize, i32, &str)]) {
    for &(what, at, number, said) in forgeries {
        let error = ale.load(&forged(state, at, number)).expect_err(what).to_string();
        assert!(error.contains(said), "{what}: {error}");
        (0..3).for_each(|_| assert!(ale.act(0).is_ok(), "{what}"));
        ale.load(state).unwrap();
        let mut again = Vec::new();
        ale.save(&mut again).unwrap();
        assert!(again == state, "{what}: the console is what it was");
    }
}

#[test]
fn what_no_console_can_hold_is_refused_and_the_console_goes_on() {
    let (mut ale, state) = console("kung_fu_master");
    let core = u64::from_le_bytes(state[HEAD + 4..][..LEN].try_into().unwrap()) as usize;
    let (tia, memory) = (numbers(&state, "TIA"), numbers(&state, "M6532"));
    let forgeries = [
        ("a length of two gigabytes", LEN + 6 * 4, i32::MAX, "end comes early"),
        ("a longer memory than there is", memory, 1000, "length of an array is 1000"),
        ("an interval beyond a number's bits", memory + 4 * 130, 40, "interval of the timer is 40"),
        ("a picture of a million lines", tia + 4 * 2, 228_000_000, "last clock of a picture is 228000000"),
        ("a line that is over before it ends", tia + 4 * 4, 1, "rest of a line"),
        ("a priority with bits of objects", tia + 4 * 18, 0xe6, "priority of the playfield is 230"),
        ("a motion that is not in the table", tia + 4 * 30, -1, "motion is -1"),
        ("a player beside the screen", tia + 4 * 41, 5000, "position is 5000"),
        ("a bank that the cartridge lacks", numbers(&state, "CartridgeF8"), 7, "bank is 7"),
        ("an action that does not exist", LEN + core, 99, "out of range"),
    ];
    refused(&mut ale, &state, &forgeries);
}

/// Of each of these ALE keeps a part, says nothing or a line on stderr, and plays on.
#[test]
fn what_a_console_would_take_by_halves_is_refused() {
    let (mut ale, state) = console("kung_fu_master");
    let body = &state[HEAD + 4..];
    let core = u64::from_le_bytes(body[..LEN].try_into().unwrap()) as usize;
    let (tia, memory) = (numbers(&state, "TIA"), numbers(&state, "M6532"));
    // The last of ALE's part are the text of the generator of sticky actions and two numbers.
    let text = |byte: &u8| byte.is_ascii_digit() || *byte == b' ';
    let sticky = body[..LEN + core - 8].iter().rposition(|byte| !text(byte)).unwrap() + 1;
    let (system, letters) = (numbers(&state, "System") + 8, i32::from_le_bytes(*b"xxxx"));
    let forgeries = [
        ("a flag of the processor", numbers(&state, "M6502Low") + 4 * 6, 7, "truth is 7"),
        ("whether the timer was read", memory + 4 * 133, 7, "truth is 7"),
        ("a reflection", tia + 4 * 19, 7, "truth is 7"),
        ("an enabled ball", tia + 4 * 28, 7, "truth is 7"),
        ("a delay", tia + 4 * 35, 7, "truth is 7"),
        ("blanks of HMOVE", tia + 4 * 49, 7, "truth is 7"),
        ("whether there is a generator", sticky - 8, 7, "a truth that is neither"),
        ("a memory of nine bits", memory + 4, 300, "values are not those of a console"),
        ("a generator of letters", sticky, letters, "values are not those of a console"),
        ("a console's generator of letters", system, letters, "values are not those of a console"),
    ];
    refused(&mut ale, &state, &forgeries);
}

#[test]
fn what_the_shim_adds_is_held_against_the_console() {
    let (mut ale, state) = console("kung_fu_master");
    // From the end: the data bus, six registers of sound, six masks by table and offset, the frame pointer, two frames of
    // 160 × 300 pixels, a count of frames, two truths.
    let masks = state.len() - (HEAD + 4) - 1 - 6 - 6 * 8;
    let forgeries = [
        ("a mask of a table that there is not", masks, 9, "mask outside its tables"),
        ("a mask behind its table", masks + 4, 1 << 20, "mask outside its tables"),
        ("a mask that ends behind its row", masks + 4, 319, "mask outside its tables"),
        ("a playfield between two numbers", masks + 5 * 8 + 4, 2, "mask outside its tables"),
        ("a frame pointer beside its clock", masks - 8, 1 << 20, "out of range"),
        ("whether a frame is under way", masks - 8 - 2 * 160 * 300 - 4 - 2, 7, "a truth that is neither"),
    ];
    refused(&mut ale, &state, &forgeries);
}

/// ALE's own part moves the clocks to the begin of a frame, and the state ends before what says where that is drawn.
#[test]
fn a_console_that_refused_a_state_half_way_draws_into_its_frame() {
    for game in ["pong", "breakout", "kung_fu_master"] {
        let (mut ale, state) = console(game);
        let mut body = state[HEAD + 4..].to_vec();
        let tia = numbers(&state, "TIA");
        let start = i32::from_le_bytes(body[tia + 4..][..4].try_into().unwrap());
        for (number, value) in [(2, start + 228 * 298), (3, start), (4, 228)] {
            body[tia + 4 * number..][..4].copy_from_slice(&value.to_le_bytes());
        }
        let under_way = body.len() - 1 - 6 - 6 * 8 - 8 - 2 * 160 * 300 - 4 - 2;
        body[under_way] = 1;
        body.truncate(under_way + 2 + 4 + 1000);
        let error = ale.load(&sealed(&state, &body)).unwrap_err().to_string();
        assert!(error.contains("ends early"), "{game}: {error}");
        (0..3).for_each(|_| assert!(ale.act(0).is_ok(), "{game}"));
        ale.load(&state).unwrap();
        let mut again = Vec::new();
        ale.save(&mut again).unwrap();
        assert!(again == state, "{game}");
    }
}

#[test]
fn slices_and_counters_of_other_cartridges_are_refused() {
    let (mut ale, state) = console("montezuma_revenge");
    let slices = numbers(&state, "CartridgeE0");
    let forgeries = [
        ("a fifth slice", slices, 5, "length of an array is 5"),
        ("a slice that the cartridge lacks", slices + 4, 8, "slice is 8"),
    ];
    refused(&mut ale, &state, &forgeries);

    let (mut ale, state) = console("pitfall2");
    let (chip, end) = (numbers(&state, "CartridgeDPC"), state.len() - (HEAD + 4));
    let forgeries = [
        ("a bank that the cartridge lacks", chip, 2, "bank is 2"),
        ("a ninth counter", chip + 4 * 19, 9, "length of an array is 9"),
        ("a counter beyond the graphics", chip + 4 * 20, 0x800, "counter is 2048"),
        ("a flag of nine bits", chip + 4 * 29, 256, "flag is 256"),
        ("whether there is music", chip + 4 * 38, 7, "truth is 7"),
        ("an infinity of clocks", end - 5, 0x7ff0_0000, "out of range"),
    ];
    refused(&mut ale, &state, &forgeries);
}
