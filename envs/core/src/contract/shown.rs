//! What environments show and pay.

use super::player::Player;
use super::rows::{difference, part};
use super::{Found, Subject, hold};
use crate::{Canvas, End, RowsBuf, Spec};

/// Checks that the spec makes sense, and that observations, rewards and frames are within it.
pub(super) fn spec(subject: &Subject<'_>) -> Found {
    let mut player = Player::new(subject, 4, 0..2, 2, 0x55)?;
    player.spec.check()?;
    player.reset()?;
    for step in 0..=subject.steps {
        let row = player.row();
        for n in 0..player.env.seats() {
            within(&player.spec, &part(&row, n..n + 1, player.env.seats()))
                .map_err(|how| format!("step {step}, seat {n}: {how}"))?;
        }
        if step < subject.steps {
            player.step()?;
        }
    }
    Ok(Some(player.played))
}

/// A row of one seat is within the spec.
fn within(spec: &Spec, row: &RowsBuf) -> Result<(), String> {
    for (i, value) in row.vector.iter().enumerate() {
        hold(value.is_finite(), || format!("vector[{i}] is {value}"))?;
    }
    for (i, (symbol, n)) in row.symbols.iter().zip(&spec.symbols).enumerate() {
        hold(symbol < n, || format!("symbols[{i}] is {symbol}, and the spec has {n} of them"))?;
    }
    let mut legal = &row.legal[..];
    for (i, &values) in spec.discrete.iter().enumerate().filter(|_| spec.mask) {
        let flags;
        (flags, legal) = legal.split_at(values as usize);
        hold(flags.iter().all(|&flag| flag <= 1), || format!("legal flags of action {i} are {flags:?}"))?;
        hold(flags.contains(&1), || format!("no value of action {i} is legal"))?;
    }
    let (reward, frames, end) = (row.reward[0], row.frames[0], row.end[0]);
    hold(reward.is_finite(), || format!("its reward is {reward}"))?;
    hold((row.age[0] == 0) == (frames == 0), || format!("it took {frames} frames at age {}", row.age[0]))?;
    hold(row.age[0] > 0 || (reward == 0.0 && end == End::No), || {
        format!("a reset has the reward {reward} and the end {}", end.name())
    })
}

/// Checks that every element is written: one trajectory, written over two patterns, is the same where nothing is left
/// out.
pub(super) fn written(subject: &Subject<'_>) -> Found {
    let mut one = Player::new(subject, 3, 0..3, 1, 0x55)?;
    let mut other = Player::new(subject, 3, 0..3, 1, 0xAA)?;
    one.beside(&mut other, "over lanes that held something else before: it is not written, or by chance")?;
    Ok(Some(one.played))
}

/// Checks that the environment draws a picture, and that drawing does not change what is played.
pub(super) fn picture(subject: &Subject<'_>) -> Found {
    let mut one = Player::new(subject, 14, 0..1, 11, 0x55)?;
    let mut other = Player::new(subject, 14, 0..1, 11, 0x55)?;
    one.reset()?;
    other.reset()?;
    let mut canvas = Canvas::new(1, 1);
    for step in 0..subject.steps.min(100) {
        for seat in 0..one.env.seats() {
            canvas.resize(1, 1);
            one.env.draw(seat, &mut canvas);
            let (width, height) = (canvas.width(), canvas.height());
            hold(width * height > 1, || format!("step {step}: its picture has {width} x {height} pixels"))?;
        }
        one.step()?;
        other.step()?;
        let differs = difference(&one.buffer, &other.buffer);
        differs.map_or(Ok(()), |what| Err(format!("step {}: {what}, where nothing was drawn", step + 1)))?;
    }
    Ok(Some(one.played))
}
