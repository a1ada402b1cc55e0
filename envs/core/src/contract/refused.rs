//! What environments refuse.

use super::player::Player;
use super::rows::Buffer;
use super::{Found, Played, Subject, caught, hold};
use crate::{Rng, Stream, VecEnv, load_seats, save_seats};

/// A setting that no environment has is refused, and named.
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
    Ok(Some(Played::default()))
}

/// A discrete action of its cardinality is an error or a panic that names it.
pub(super) fn actions(subject: &Subject<'_>) -> Found {
    let mut player = Player::new(subject, 13, 0..1, 0, 0x55)?;
    for place in 0..player.spec.discrete.len() {
        let none = player.spec.discrete[place];
        player.reset()?;
        player.actions.draw(&player.spec);
        player.actions.discrete[place] = none;
        let (env, act, rows) = (player.env.as_mut(), player.actions.act(), player.buffer.rows());
        let words = match caught(|| env.step(act, rows).map_err(|e| e.to_string())) {
            Ok(Ok(())) => return Err(format!("discrete[{place}] = {none} is taken, and the highest is {}", none - 1)),
            Ok(Err(words)) | Err(words) => words,
        };
        hold(words.contains(&none.to_string()), || {
            format!("what it says of discrete[{place}] = {none} does not name it: {words:?}")
        })?;
    }
    Ok((!player.spec.discrete.is_empty()).then(Played::default))
}

/// States that are cut, longer, garbage or of other seats are refused; one with a few other bits is refused, or stepped from.
pub(super) fn damage(subject: &Subject<'_>) -> Found {
    let state = |env: &(dyn VecEnv + 'static)| {
        let mut bytes = Vec::new();
        save_seats([env], &mut bytes).map(|()| bytes).map_err(|e| e.to_string())
    };
    let mut player = Player::new(subject, 12, 0..2, 10, 0x55)?;
    player.reset()?;
    for _ in 0..subject.steps.min(50) {
        player.step()?;
    }
    let saved = state(&*player.env)?;
    let seats = |worlds: std::ops::Range<u32>| {
        let mut player = Player::new(subject, 12, worlds, 10, 0x55)?;
        player.reset()?;
        player.step()?;
        state(&*player.env)
    };
    let mut other = subject.seat(12, 0..2).map_err(|e| e.to_string())?;
    let mut refuse = |bytes: &[u8], what: String| match load_seats([&mut *other], bytes) {
        Ok(()) => Err(format!("{what} is taken")),
        Err(error) => {
            let words = error.to_string();
            hold(!words.contains('\n'), || format!("what it says of {what} is not one line: {words:?}"))
        }
    };
    let cuts = saved.len().min(20);
    for cut in (0..cuts).map(|cut| cut * saved.len() / cuts) {
        refuse(&saved[..cut], format!("a state cut after {cut} of {} bytes", saved.len()))?;
    }
    refuse(&[&saved[..], &[0]].concat(), "a state with a byte too many".to_owned())?;
    refuse(&[0xFF; 64], "garbage".to_owned())?;
    refuse(&seats(0..1)?, "a state of fewer seats".to_owned())?;
    refuse(&seats(0..3)?, "a state of more seats".to_owned())?;
    refuse(&seats(5..7)?, "a state of other seats".to_owned())?;

    // Such a state may be another valid one: what it is taken for is not looked at, checkpoints carry a checksum.
    let (mut rng, mut buffer) = (Rng::new(0, Stream::Tool(1)), Buffer::new(&player.spec, player.env.seats(), 0));
    for _ in 0..20 {
        let mut bytes = saved.clone();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len() as u32) as usize;
            bytes[at] ^= 1 << rng.below(8);
        }
        let stepped = caught(|| {
            load_seats([&mut *other], &bytes)
                .and_then(|()| other.step(player.actions.draw(&player.spec), buffer.rows()))
        });
        stepped.map_or_else(|words| Err(format!("a state with other bits makes it panic: {words}")), |_| Ok(()))?;
    }
    Ok(Some(player.played))
}
