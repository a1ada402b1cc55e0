//! Paints the cards at the right: the games, the action, the agent's outputs, what the policy sees.

use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::{Circle, Line, Rectangle};
use rl_core::Canvas;
use rl_replays::Outputs;
use rl_replays::recording::Output;

use super::super::layout::{Card, GAP, HEADING, ROW, THIN, THOUGHTS, rows, tiles};
use super::super::player::Player;
use super::super::stick::Stick;
use super::super::surface::{Scale, Surface};
use super::ink::{AMBER, BLUE, FAINT, GROOVE, INK, Ink, PANEL, text, text_right, width};
use crate::console::number::hundredths;
use crate::games::playback;

/// Side of the joystick's picture, in pixels.
const STICK: usize = 76;

/// Paints a card.
pub(super) fn card(player: &Player, card: Card, area: Rectangle, surface: &mut Surface) {
    surface.fill(area, PANEL);
    let corner = area.top_left + Point::new(GAP as i32, 9);
    let right = Point::new(area.top_left.x + (area.size.width - GAP) as i32, corner.y);
    match card {
        Card::Games => {
            heading("Games", &player.manifest().env, corner, right, surface);
            games(player, area, surface);
        }
        Card::Action => {
            heading("Action", &by(player), corner, right, surface);
            action(player, area, surface);
        }
        Card::Thoughts => {
            let kind = player.manifest().outputs.map(|kept| kept.kind);
            let name = if kind == Some(Outputs::Q) { "Action values (Q)" } else { "Probabilities" };
            let value = thought(player).map(|output| output.value);
            let value = value.filter(|value| value.is_finite());
            let value = value.map(|value| format!("value {value:.3}")).unwrap_or_default();
            heading(name, &value, corner, right, surface);
            thoughts(player, area, surface);
        }
        Card::Sees => {
            let Some(spec) = player.sees().map(|block| block.spec()) else { return };
            let [height, width, _] = spec.frame;
            let what = match (spec.frame_len(), spec.stack, spec.vector) {
                (1.., 2.., _) => format!("{width} \u{d7} {height}, newest at the right"),
                (1.., ..) => format!("{width} \u{d7} {height}"),
                (0, _, 9..) => format!("8 of {} numbers", spec.vector),
                _ => String::new(),
            };
            heading("The network sees", &what, corner, right, surface);
            sees(player, area, surface);
        }
    }
}

fn heading(name: &str, more: &str, corner: Point, right: Point, surface: &mut Surface) {
    text(surface, name, corner, Ink::Strong, INK);
    let room = (right.x - corner.x - width(Ink::Strong, name) - 12) / width(Ink::Plain, "m");
    text_right(surface, &shortened(more, room), right, Ink::Plain, FAINT);
}

/// Cuts text to at most `room` characters.
fn shortened(words: &str, room: i32) -> String {
    let room = usize::try_from(room).unwrap_or(0);
    if words.chars().count() <= room {
        return words.to_owned();
    }
    let kept: String = words.chars().take(room.saturating_sub(2)).collect();
    format!("{}..", kept.trim_end())
}

/// Who played, as short as a heading needs it.
fn by(player: &Player) -> String {
    let words = playback::player(player.manifest());
    format!("by {}", words.split(" after ").next().unwrap_or(&words))
}

/// Paints a line for each game: its number, return and steps.
fn games(player: &Player, card: Rectangle, surface: &mut Surface) {
    let (area, games) = rows(player, card);
    let (left, right) = (area.top_left.x, area.top_left.x + area.size.width as i32);
    for (line, game) in games.enumerate() {
        let y = area.top_left.y + (line * ROW as usize) as i32;
        let here = game == player.game();
        if here {
            surface.fill(Rectangle::new(Point::new(left, y), Size::new(area.size.width, ROW)), GROOVE);
            surface.fill(Rectangle::new(Point::new(left, y), Size::new(3, ROW)), AMBER);
        }
        let played = &player.games()[game];
        let (ink, color) = if here { (Ink::Strong, INK) } else { (Ink::Plain, FAINT) };
        let (y, steps) = (y + 4, hundredths(played.steps() as f64));
        text_right(surface, &hundredths(game as f64 + 1.0), Point::new(left + 44, y), ink, color);
        let ret = played.outcome.map_or("unfinished".to_owned(), |outcome| hundredths(outcome.ret));
        text_right(surface, &ret, Point::new(left + 156, y), ink, if here { AMBER } else { INK });
        text_right(surface, &format!("{steps} steps"), Point::new(right - GAP as i32, y), Ink::Plain, FAINT);
    }
}

/// Paints the action: a joystick with its name, or text.
fn action(player: &Player, card: Rectangle, surface: &mut Surface) {
    let left = card.top_left + Point::new(GAP as i32, HEADING as i32);
    let step = player.position();
    if step == player.played().steps() {
        text(surface, "none: the game is over", left + Point::new(0, 6), Ink::Plain, FAINT);
        return;
    }
    let (discrete, continuous) = player.played().own_action(step);
    if let ([action], []) = (discrete, continuous) {
        let number = action.to_string();
        let name = player.names().get(*action as usize).unwrap_or(&number);
        let sticks = Stick::all(player.names());
        if let Some(stick) = sticks.as_ref().and_then(|sticks| sticks.get(*action as usize)) {
            let button = sticks.iter().flatten().any(|stick| stick.fire);
            joystick(*stick, button, left + Point::new(2, 2), surface);
        }
        let x = if sticks.is_some() { STICK as i32 + 26 } else { 0 };
        text(surface, name, left + Point::new(x, if sticks.is_some() { 22 } else { 8 }), Ink::Large, INK);
        let of = format!("action {number} of 0 to {}", player.manifest().discrete[0] - 1);
        text(surface, &of, left + Point::new(x, if sticks.is_some() { 46 } else { 34 }), Ink::Plain, FAINT);
        return;
    }
    let values =
        discrete.iter().map(|value| value.to_string()).chain(continuous.iter().map(|value| format!("{value:+.3}")));
    for (line, value) in values.take(4).enumerate() {
        text(surface, &value, left + Point::new(0, 4 + 20 * line as i32), Ink::Title, INK);
    }
}

/// The agent's last recorded outputs; behind the last step, those before it.
fn thought(player: &Player) -> Option<Output<'_>> {
    let last = player.played().steps().checked_sub(1)?;
    player.played().latest_output(player.position().min(last))
}

/// Paints a bar for each action, that of the chosen one in another colour.
fn thoughts(player: &Player, card: Rectangle, surface: &mut Surface) {
    let step = player.position();
    let Some(output) = thought(player) else { return };
    let chosen = if step < player.played().steps() { player.played().own_action(step).0 } else { &[] };
    let finite = || output.actions.iter().copied().filter(|number| number.is_finite());
    let probabilities = player.manifest().outputs.is_some_and(|kept| kept.kind == Outputs::Probabilities);
    // Probabilities are seen from 0 to 1; of what actions are worth only the difference can be seen.
    let (low, high) =
        if probabilities { (0.0, 1.0) } else { (finite().fold(f32::MAX, f32::min), finite().fold(f32::MIN, f32::max)) };
    let corner = card.top_left + Point::new(GAP as i32, HEADING as i32);
    let names = player.names();
    let longest = names.iter().map(|name| width(Ink::Plain, name)).max().unwrap_or(14);
    let (from, to) = (corner.x + longest + 10, card.top_left.x + (card.size.width - GAP) as i32 - 62);
    let counts = player.manifest().discrete.iter().enumerate();
    let all = counts.flat_map(|(value, &count)| (0..count).map(move |action| (value, action)));
    for (line, ((value, action), &number)) in all.zip(output.actions).take(THOUGHTS).enumerate() {
        let y = corner.y + (line * THIN as usize) as i32;
        let here = chosen.get(value) == Some(&action);
        let (ink, color) = if here { (Ink::Strong, INK) } else { (Ink::Plain, FAINT) };
        let digits = action.to_string();
        text(surface, names.get(action as usize).unwrap_or(&digits), Point::new(corner.x, y), ink, color);
        let room = (to - from).max(1);
        surface.fill(Rectangle::new(Point::new(from, y + 3), Size::new(room as u32, 8)), GROOVE);
        if !number.is_finite() {
            continue;
        }
        let part = if high > low { ((number - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        let bar = Size::new(((part * room as f32) as u32).max(1), 8);
        surface.fill(Rectangle::new(Point::new(from, y + 3), bar), if here { AMBER } else { BLUE });
        text_right(surface, &format!("{number:.3}"), Point::new(to + 62, y), ink, color);
    }
}

/// Paints a joystick, drawn at twice its size so that its edges are smooth.
fn joystick(stick: Stick, button: bool, at: Point, surface: &mut Surface) {
    let (mut canvas, side) = (Canvas::new(0, 0), 2 * STICK as i32);
    canvas.begin(2 * STICK, 2 * STICK, PANEL);
    let middle = Point::new(side / 2, side / 2);
    canvas.fill(&Circle::with_center(middle, side as u32), GROOVE);
    canvas.fill(&Circle::with_center(middle, side as u32 - 12), PANEL);
    let way = if stick.x != 0 && stick.y != 0 { 30 } else { 42 }; // as far on a diagonal
    let knob = middle + Point::new(stick.x * way, stick.y * way);
    canvas.stroke(&Line::new(middle, knob), FAINT, 14);
    canvas.fill(&Circle::with_center(middle, 22), FAINT);
    let moved = knob != middle;
    canvas.fill(&Circle::with_center(knob, 58), if moved { AMBER } else { FAINT });
    if button {
        let place = Point::new(side - 22, 22);
        canvas.fill(&Circle::with_center(place, 44), PANEL);
        canvas.fill(&Circle::with_center(place, 36), if stick.fire { super::ink::RED } else { GROOVE });
    }
    canvas.halve();
    surface.put(canvas.pixels(), [STICK, STICK, 3], at, Scale { times: 1, every: 1 });
}

/// Paints the stacked frames, oldest first, or the numbers that the policy sees.
fn sees(player: &Player, card: Rectangle, surface: &mut Surface) {
    let Some(block) = player.sees() else { return };
    let left = card.top_left + Point::new(GAP as i32, HEADING as i32);
    let spec = block.spec();
    if spec.frame_len() > 0 {
        let [height, width, channels] = spec.frame;
        let mut stack = vec![0; spec.frame_len() * spec.stack];
        block.stack(0, 0, &mut stack); // [H, W, stack · C]
        let (columns, _) = tiles(spec);
        for frame in 0..spec.stack {
            let pixels = stack.chunks_exact(channels).skip(frame).step_by(spec.stack).flatten().copied();
            let (row, column) = (frame as i32 / columns as i32, frame as i32 % columns as i32);
            let at = left + Point::new(column * (width as i32 + 4), row * (height as i32 + 4));
            surface.put(&pixels.collect::<Vec<u8>>(), spec.frame, at, Scale { times: 1, every: 1 });
        }
        return;
    }
    let vector = block.vector.at(0, 0).iter().take(8);
    let most = vector.clone().fold(1.0f32, |most, value| most.max(value.abs()));
    let right = card.top_left.x + (card.size.width - GAP) as i32;
    let mut y = left.y + 2;
    for value in vector {
        text_right(surface, &format!("{value:+.3}"), Point::new(left.x + 62, y), Ink::Plain, INK);
        let (from, to) = (left.x + 76, right);
        let middle = i32::midpoint(from, to);
        surface.fill(Rectangle::new(Point::new(from, y + 3), Size::new((to - from) as u32, 8)), GROOVE);
        let end = middle + (value / most * (to - middle) as f32) as i32;
        let bar = Rectangle::new(Point::new(middle.min(end), y + 3), Size::new(middle.abs_diff(end).max(1), 8));
        surface.fill(bar, BLUE);
        y += ROW as i32;
    }
    for (symbol, of) in block.symbols.at(0, 0).iter().zip(&spec.symbols).take(4) {
        text(surface, &format!("{symbol} of 0 to {}", of - 1), Point::new(left.x, y), Ink::Plain, INK);
        y += ROW as i32;
    }
}
