//! Paints what is below the game: a line of text, the return so far, and the timeline.

use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::{Circle, Primitive as _, PrimitiveStyle, Rectangle, Triangle};
use embedded_graphics::{Drawable as _, pixelcolor::Rgb888};
use rl_core::End;

use super::super::layout::Layout;
use super::super::player::Player;
use super::super::surface::Surface;
use super::super::survey::Tally;
use super::ink::{AMBER, BLUE, DEEP, FAINT, GROOVE, INK, Ink, PANEL, RED, VIOLET, text, text_right, width};
use crate::console::number::hundredths;

/// Paints the line of text, the curve and the timeline.
pub(super) fn paint(player: &Player, layout: &Layout, surface: &mut Surface) {
    words(player, layout.words, surface);
    if let Some(area) = layout.curve {
        curve(player, area, surface);
    }
    line(player, layout.line, surface);
}

fn words(player: &Player, area: Rectangle, surface: &mut Surface) {
    let Rectangle { top_left: at, size } = area;
    sign(player.playing(), at + Point::new(0, 3), surface);
    let mut x = at.x + 24;
    let mut say = |name: &str, value: &str, of: &str, color: Rgb888| {
        for (words, ink, color) in [(name, Ink::Plain, FAINT), (value, Ink::Strong, color), (of, Ink::Plain, FAINT)] {
            if x + width(ink, words) < at.x + size.width as i32 - 130 {
                text(surface, words, Point::new(x, at.y + 3), ink, color);
            }
            x += width(ink, words);
        }
        x += 22;
    };
    let (games, steps) = (hundredths(player.games().len() as f64), hundredths(player.played().steps() as f64));
    say("game ", &hundredths(player.game() as f64 + 1.0), &format!(" / {games}"), INK);
    let seats = player.manifest().seats;
    if seats > 1 {
        say("seat ", &player.played().seat.to_string(), &format!(" of {seats}"), INK);
    }
    say("step ", &hundredths(player.position() as f64), &format!(" / {steps}"), INK);
    // In the colours of their curves.
    let all = player.played().outcome.map(|outcome| format!(" / {}", hundredths(outcome.ret))).unwrap_or_default();
    say("return ", &hundredths(player.now().ret), &all, BLUE);
    if let Some(value) = expected(player, player.position()) {
        say("value ", &format!("{value:.2}"), "", VIOLET);
    }
    if player.now().reward != 0.0 {
        say("reward ", &hundredths(player.now().reward.into()), "", INK);
    }
    match player.now().end {
        End::Terminated => say("", "over", "", AMBER),
        End::Truncated => say("", "cut off", "", AMBER),
        End::No | End::LifeLost => {}
    }
    let right = Point::new(at.x + size.width as i32, at.y + 3);
    let help = "? keys";
    text_right(surface, help, right, Ink::Plain, FAINT);
    let speed = right - Point::new(width(Ink::Plain, help) + 20, 0);
    text_right(surface, &format!("{}\u{d7}", player.speed()), speed, Ink::Strong, AMBER);
}

/// Paints the sign of playing, a triangle, or of pausing, two bars.
fn sign(playing: bool, at: Point, surface: &mut Surface) {
    let style = PrimitiveStyle::with_fill(AMBER);
    let drawn = if playing {
        Triangle::new(at, at + Point::new(0, 12), at + Point::new(11, 6)).into_styled(style).draw(surface)
    } else {
        surface.fill(Rectangle::new(at + Point::new(6, 0), Size::new(4, 13)), AMBER);
        Rectangle::new(at, Size::new(4, 13)).into_styled(style).draw(surface)
    };
    let Ok(()) = drawn;
}

/// Horizontal position of step `step` of `steps`.
fn place(area: Rectangle, step: usize, steps: usize) -> i32 {
    let part = step as f64 / steps.max(1) as f64;
    area.top_left.x + (part * f64::from(area.size.width.saturating_sub(1))).round() as i32
}

/// Paints the return over the steps that are known, filled up to the present one, and the agent's value.
fn curve(player: &Player, area: Rectangle, surface: &mut Surface) {
    surface.fill(area, PANEL);
    let (known, steps) = (player.survey().steps(), player.played().steps());
    let here = place(area, player.position(), steps);
    if player.view.ret
        && let Some(span) = span(known)
    {
        returns(player, area, span, surface);
    }
    if player.view.value {
        values(player, area, surface);
    }
    surface.fill(Rectangle::new(Point::new(here, area.top_left.y), Size::new(1, area.size.height)), AMBER);
}

/// The agent's value that was recorded last at or before `step`; behind the last step, before that one.
fn expected(player: &Player, step: usize) -> Option<f64> {
    let (played, last) = (player.played(), player.played().steps().checked_sub(1)?);
    played.latest_output(step.min(last)).map(|output| f64::from(output.value)).filter(|value| value.is_finite())
}

/// Paints the agent's values, from the lowest to the highest of the game.
fn values(player: &Player, area: Rectangle, surface: &mut Surface) {
    let (steps, at) = (player.played().steps(), |step: usize| expected(player, step));
    let Some(first) = (0..steps).find_map(at) else { return };
    let (low, high) = (0..steps).filter_map(at).fold((first, first), |(low, high), it| (low.min(it), high.max(it)));
    let (top, room) = (f64::from(area.top_left.y + 5), f64::from(area.size.height.saturating_sub(12)));
    let mut before = None;
    for x in 0..area.size.width as usize {
        let Some(value) = at((x * steps / area.size.width.max(1) as usize).min(steps.saturating_sub(1))) else {
            continue;
        };
        let part = if high > low { (high - value) / (high - low) } else { 0.5 };
        let y = (top + part * room).round() as i32;
        let from = before.replace(y).unwrap_or(y);
        let (upper, lower) = (y.min(from), y.max(from));
        let column =
            Rectangle::new(Point::new(area.top_left.x + x as i32, upper), Size::new(1, (lower - upper + 2) as u32));
        surface.fill(column, VIOLET);
    }
}

/// Paints the area below the return.
fn returns(player: &Player, area: Rectangle, (low, high): (f64, f64), surface: &mut Surface) {
    let (known, steps) = (player.survey().steps(), player.played().steps());
    let (top, room) = (area.top_left.y + 5, f64::from(area.size.height.saturating_sub(10)));
    let bottom = area.top_left.y + area.size.height as i32;
    let y_of = |ret: f64| top + ((high - ret) / (high - low) * room).round() as i32;
    let here = place(area, player.position(), steps);
    let zero = y_of(0.0).min(bottom);
    let mut before = y_of(0.0);
    let last = (area.size.width as usize).saturating_sub(1).max(1); // the column where all steps are done
    for x in 0..area.size.width as usize {
        let step = (x * steps + last / 2) / last;
        let Some(ret) = step.checked_sub(1).map_or(Some(0.0), |before| known.get(before).map(|tally| tally.ret)) else {
            break;
        };
        let (y, x) = (y_of(ret), area.top_left.x + x as i32);
        let (line, fill) = if x <= here { (BLUE, DEEP) } else { (FAINT, GROOVE) };
        let column = |from: i32, to: i32| Rectangle::new(Point::new(x, from), Size::new(1, (to - from).max(0) as u32));
        let base = if low < 0.0 { zero } else { bottom };
        surface.fill(column(y.min(base), y.max(base)), fill);
        surface.fill(column(y.min(before), y.max(before) + 2), line);
        before = y;
    }
}

/// Lowest and highest return, 0 included; `None` if nothing is known.
fn span(known: &[Tally]) -> Option<(f64, f64)> {
    let fold =
        |of: fn(f64, f64) -> f64| known.iter().map(|tally| tally.ret).filter(|ret| ret.is_finite()).fold(0.0, of);
    let (low, high) = (fold(f64::min), fold(f64::max));
    (!known.is_empty()).then_some((low, if high > low { high } else { low + 1.0 }))
}

fn line(player: &Player, area: Rectangle, surface: &mut Surface) {
    let (known, steps) = (player.survey().steps(), player.played().steps());
    let bar = |from: i32, to: i32, color: Rgb888, surface: &mut Surface| {
        let at = Point::new(from, area.top_left.y + 7);
        surface.fill(Rectangle::new(at, Size::new((to - from).max(0) as u32, 4)), color);
    };
    let (left, here) = (area.top_left.x, place(area, player.position(), steps));
    bar(left, left + area.size.width as i32, PANEL, surface);
    bar(left, place(area, known.len(), steps) + 1, GROOVE, surface); // jumps to there are quick
    bar(left, here, AMBER, surface);
    for (step, _) in known.iter().enumerate().filter(|(_, tally)| tally.end == End::LifeLost) {
        let x = place(area, step + 1, steps);
        surface.fill(Rectangle::new(Point::new(x, area.top_left.y + 2), Size::new(2, 14)), RED);
    }
    let handle = Circle::with_center(Point::new(here, area.top_left.y + 9), 13);
    let Ok(()) = handle.into_styled(PrimitiveStyle::with_fill(INK)).draw(surface);
}
