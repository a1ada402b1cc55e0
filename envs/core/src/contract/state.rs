//! States that are saved and restored.

use super::player::Player;
use super::rows::{difference, part};
use super::{Found, Subject, hold};
use crate::{RowsBuf, VecEnv, load_seats, save_seats};

/// Number of steps that are compared after a state was restored.
const AFTER: usize = 100;

/// Checks that saved states, also those of ends of episodes, continue in newly built seats and in seats that have
/// played as they do in the seats that they were saved from.
pub(super) fn goes_on(subject: &Subject<'_>) -> Found {
    let mut player = Player::new(subject, 9, 0..2, 6, 0x55)?;
    player.reset()?;
    let mut ends = 0;
    let between = (subject.steps / 10).max(1);
    for step in 0..subject.steps.div_ceil(2) {
        let over = player.row().end.iter().any(|end| end.over());
        ends += usize::from(over);
        if step.is_multiple_of(between) || (over && ends <= 3) {
            moment(subject, &mut player).map_err(|how| format!("step {}: {how}", player.played.steps))?;
        }
        player.step()?;
    }
    Ok(Some(player.played))
}

/// Saves the state of `player`, plays on, and compares with other players that load the state and take the same
/// actions.
fn moment(subject: &Subject<'_>, player: &mut Player<'_>) -> Result<(), String> {
    let saved = save([&*player.env])?;
    let seed = player.played.steps as u64;
    player.act_by(seed);
    let after = rows(player)?;
    let end = save([&*player.env])?;

    let mut other = Player::new(subject, 1000, 0..2, 0, 0xAA)?;
    for whose in ["seats that were just built", "seats that have played since"] {
        load_seats([&mut *other.env], &saved).map_err(|e| e.to_string())?;
        hold(save([&*other.env])? == saved, || format!("what {whose} restored is not what they save"))?;
        other.act_by(seed);
        for (step, (here, there)) in after.iter().zip(&rows(&mut other)?).enumerate() {
            if let Some(what) = difference(here, there) {
                return Err(format!("{} steps after it was saved: {what}, restored in {whose}", step + 1));
            }
        }
        hold(save([&*other.env])? == end, || format!("{AFTER} steps after it, {whose} save another state"))?;
    }
    // Divided otherwise: a seat does not know who sits beside it.
    let mut apart = [Player::new(subject, 1001, 0..1, 0, 0xAA)?, Player::new(subject, 1001, 1..2, 0, 0xAA)?];
    load_seats(apart.iter_mut().map(|player| &mut *player.env), &saved).map_err(|e| e.to_string())?;
    hold(save(apart.iter().map(|player| &*player.env))? == saved, || {
        "divided otherwise, seats save another state".to_owned()
    })?;
    other.act_by(seed);
    let (spec, all) = (other.spec.clone(), other.env.seats());
    for (step, row) in after.iter().enumerate().take(AFTER / 5) {
        other.actions.draw(&spec);
        for (half, player) in apart.iter_mut().enumerate() {
            let seats = half * all / 2..(half + 1) * all / 2;
            player.take(other.actions.act().seats(&spec, seats.clone()))?;
            if let Some(what) =
                difference(&part(row, seats.clone(), all), &part(&player.buffer, 0..seats.len(), seats.len()))
            {
                return Err(format!("{} steps after it was saved: {what}, divided otherwise", step + 1));
            }
        }
    }
    Ok(())
}

fn rows(player: &mut Player<'_>) -> Result<Vec<RowsBuf>, String> {
    (0..AFTER).map(|_| player.step().map(|()| player.row())).collect()
}

fn save<'a>(envs: impl IntoIterator<Item = &'a (dyn VecEnv + 'static)>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    save_seats(envs, &mut bytes).map(|()| bytes).map_err(|e| e.to_string())
}
