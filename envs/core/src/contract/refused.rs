//! What environments refuse.

use std::ops::Range;

use super::player::Player;
use super::{Coverage, Found, Subject, caught, hold};
use crate::batch::{own_bytes, with_own_bytes};
use crate::{Error, Panic, Rng, RowsBuf, Stream, VecEnv, load_seats, save_seats};

/// Checks that an unknown key in the `[env]` table is refused by name.
pub(super) fn settings(subject: &Subject<'_>) -> Found {
    const NONE: &str = "no_such_key";
    let mut wrong = subject.clone();
    wrong.table.insert(NONE.to_owned(), toml::Value::Boolean(true));
    let words = match wrong.seat(0, 0..1) {
        Ok(_) => return Err(format!("env.{NONE} is taken: its Config wants #[serde(deny_unknown_fields)]")),
        Err(error) => error.to_string(),
    };
    hold(words.contains(NONE) && !words.contains('\n'), || {
        format!("what it says of a key {NONE} is not one line with its name: {words:?}")
    })?;
    Ok(Some(Coverage::default()))
}

/// Checks that a discrete action equal to its cardinality causes an error or a panic that names the value, whichever seat
/// of a world takes it.
pub(super) fn actions(subject: &Subject<'_>) -> Found {
    let mut player = Player::new(subject, 13, 0..1, 0, 0x55)?;
    let width = player.spec.discrete.len();
    for place in 0..width * player.env.seats() {
        let none = player.spec.discrete[place % width];
        player.reset()?;
        player.actions.draw(&player.spec);
        player.actions.discrete[place] = none;
        let (env, act, rows) = (player.env.as_mut(), player.actions.act(), player.buffer.rows());
        let words = match caught(|| env.step(act, rows).map_err(|e| e.to_string())) {
            Ok(Ok(())) => return Err(format!("discrete[{place}] = {none} is taken, and the highest is {}", none - 1)),
            Ok(Err(words)) | Err(Panic { words, .. }) => words,
        };
        hold(words.contains(&none.to_string()), || {
            format!("what it says of discrete[{place}] = {none} does not name it: {words:?}")
        })?;
    }
    Ok((width > 0).then(Coverage::default))
}

/// Checks that saved states that are cut, too long, garbage or of other seats are refused, also those of the
/// environment within a [`Batch`](crate::Batch), and that a state with flipped bits is refused or can be stepped from.
pub(super) fn damage(subject: &Subject<'_>) -> Found {
    let played = |worlds: Range<u32>, steps: usize| {
        let mut player = Player::new(subject, 12, worlds, 10, 0x55)?;
        player.reset()?;
        (0..steps).try_for_each(|_| player.step())?;
        Ok::<_, String>(player)
    };
    let mut player = played(0..2, subject.steps.min(50))?;
    let mut other = subject.seat(12, 0..2).map_err(|e| e.to_string())?;
    let whole = |player: &Player<'_>| {
        let mut bytes = Vec::new();
        save_seats([&*player.env], &mut bytes).map(|()| bytes).map_err(|e| e.to_string())
    };
    for (worlds, what) in [(0..1, "fewer seats"), (0..3, "more seats"), (5..7, "other seats")] {
        let bytes = whole(&played(worlds, 1)?)?;
        refused(load_seats([&mut *other], &bytes), || format!("a state of {what}"))?;
    }
    refused(load_seats([&mut *other], &[0xFF; 64]), || "garbage".to_owned())?;
    for seat in 0..player.env.seats() {
        let state = State::of(player.env.as_ref(), seat)?;
        let (length, cuts) = (state.bytes.len(), state.bytes.len().min(20));
        for cut in (0..cuts).map(|cut| cut * length / cuts) {
            let bytes = state.with(state.bytes[..cut].to_vec())?;
            refused(other.load(seat, &bytes), || format!("a state cut after {cut} of {length} bytes"))?;
        }
        let longer = state.with([&state.bytes[..], &[0]].concat())?;
        refused(other.load(seat, &longer), || "a state with a byte too many".to_owned())?;
        if seat == 0 && length > 0 {
            flip(other.as_mut(), &mut player, &state)?;
        }
    }
    Ok(Some(player.played))
}

/// Saved state of one seat.
struct State {
    /// Bytes of the environment alone where it sits in a batch, else the whole state.
    bytes: Vec<u8>,
    /// Whole state of the seat of a batch, which contains `bytes`; `None` without a batch.
    batched: Option<Vec<u8>>,
}

impl State {
    fn of(env: &dyn VecEnv, seat: usize) -> Result<Self, String> {
        let mut saved = Vec::new();
        env.save(seat, &mut saved).map_err(|e| e.to_string())?;
        Ok(match own_bytes(&saved) {
            Some(bytes) => Self { bytes, batched: Some(saved) },
            None => Self { bytes: saved, batched: None },
        })
    }

    /// Returns the whole state of the seat with `bytes` in place of its own.
    fn with(&self, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        match &self.batched {
            Some(saved) => with_own_bytes(saved, bytes).map_err(|e| e.to_string()),
            None => Ok(bytes),
        }
    }
}

/// Loads states of the first seat with flipped bits and steps from them, which must not panic. Whether they are refused
/// does not matter: they may be valid states, and checkpoints carry a checksum.
fn flip(other: &mut dyn VecEnv, player: &mut Player<'_>, state: &State) -> Result<(), String> {
    let (mut rng, mut buffer) = (Rng::new(0, Stream::Tool(1)), RowsBuf::new(&player.spec, player.env.seats()));
    other.reset(buffer.rows()).map_err(|e| e.to_string())?;
    for number in 0..32 {
        let mut bytes = state.bytes.clone();
        // First each of what is mostly not the random stream, of which any bits will do; then some of all.
        match bytes.get_mut(number).filter(|_| number < 16) {
            Some(byte) => *byte ^= 0x40,
            None => {
                for _ in 0..=rng.below(4) {
                    let at = rng.below(bytes.len() as u32) as usize;
                    bytes[at] ^= 1 << rng.below(8);
                }
            }
        }
        let (bytes, act) = (state.with(bytes)?, player.actions.draw(&player.spec));
        let stepped = caught(|| other.load(0, &bytes).and_then(|()| other.step(act, buffer.rows())));
        let _ = stepped.map_err(|panic| format!("a state with other bits makes it panic: {panic}"))?; // refused or not
    }
    Ok(())
}

fn refused(loaded: Result<(), Error>, what: impl Fn() -> String) -> Result<(), String> {
    match loaded {
        Ok(()) => Err(format!("{} is taken", what())),
        Err(error) => {
            let words = error.to_string();
            hold(!words.contains('\n'), || format!("what it says of {} is not one line: {words:?}", what()))
        }
    }
}
