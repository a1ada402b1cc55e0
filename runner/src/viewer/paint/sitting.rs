//! Paints a game that a person plays: large, with a line of text below.

use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;

use super::super::layout::{GAP, WORDS};
use super::super::sitting::{Phase, Sitting};
use super::super::surface::Surface;
use super::ink::{FAINT, INK, Ink, text, text_right, width};
use super::{banner, ground, help};
use crate::console::number::hundredths;

/// Paints the whole window; `keys`, those beside the game's own, are shown over it if they are given.
pub(in super::super) fn sitting(sitting: &Sitting, keys: Option<&[(&str, &str)]>, surface: &mut Surface) {
    ground(surface);
    let room = Size::new(surface.width() as u32, surface.height() as u32);
    let inner = room.saturating_sub(Size::new(2 * GAP, 3 * GAP + WORDS));
    let game = Rectangle::new(Point::new_equal(GAP as i32), inner);
    surface.center(sitting.picture(), game);
    let mut at = Point::new(GAP as i32, (room.height.saturating_sub(WORDS + GAP / 2)) as i32);
    text_right(surface, "? keys", Point::new((room.width.saturating_sub(GAP)) as i32, at.y), Ink::Plain, FAINT);
    let (number, steps, ret) = sitting.counts();
    let lives = sitting.lives().map(f64::from);
    let all =
        [("game ", Some(number as f64)), ("step ", Some(steps as f64)), ("return ", Some(ret)), ("lives ", lives)];
    for (name, value) in all {
        let Some(value) = value.map(hundredths) else { continue };
        text(surface, name, at, Ink::Plain, FAINT);
        at.x += width(Ink::Plain, name);
        text(surface, &value, at, Ink::Strong, INK);
        at.x += width(Ink::Strong, &value) + 22;
    }
    if let Some(marked) = sitting.marked() {
        text(surface, "marked ", at, Ink::Plain, FAINT);
        at.x += width(Ink::Plain, "marked ");
        text(surface, &marked, at, Ink::Strong, INK);
    }
    match sitting.phase() {
        Phase::Ready => banner(surface, game, "press a key to begin"),
        Phase::Paused => banner(surface, game, "paused: press a key to go on"),
        Phase::Over => banner(surface, game, &format!("over: {}; enter begins another game", hundredths(ret))),
        Phase::Going => {}
    }
    if let Some(keys) = keys {
        let all = sitting.help();
        let all = all.iter().map(|(key, what)| (key.as_str(), what.as_str())).chain(keys.iter().copied());
        help("Keys", all, sitting.promise(), surface);
    }
}
