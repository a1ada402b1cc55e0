//! Paints the help over everything else.

use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;

use super::super::surface::Surface;
use super::ink::{AMBER, FAINT, GROOVE, INK, Ink, PANEL, text, width};

const ROW: i32 = 22;
const MARGIN: i32 = 24;

/// Paints names of keys with what they do, and a last line.
pub(in super::super) fn help<'a>(
    title: &str,
    keys: impl Iterator<Item = (&'a str, &'a str)>,
    last: &str,
    surface: &mut Surface,
) {
    let keys: Vec<(&str, &str)> = keys.collect();
    let column = keys.iter().map(|(key, _)| width(Ink::Strong, key)).max().unwrap_or(0) + 20;
    let words = keys.iter().map(|(_, what)| column + width(Ink::Plain, what)).max().unwrap_or(0);
    let wide = words.max(width(Ink::Plain, last)) + 2 * MARGIN;
    let high = ROW * keys.len() as i32 + 2 * MARGIN + 60;
    surface.dim();
    let room = Point::new(surface.width() as i32, surface.height() as i32);
    let at = ((room - Point::new(wide, high)) / 2).component_max(Point::zero());
    let size = Size::new(wide as u32, high as u32);
    surface.fill(Rectangle::new(at - Point::new_equal(1), size + Size::new_equal(2)), GROOVE);
    surface.fill(Rectangle::new(at, size), PANEL);
    let mut line = at + Point::new_equal(MARGIN);
    text(surface, title, line, Ink::Title, INK);
    line.y += 34;
    for (key, what) in keys {
        text(surface, key, line, Ink::Strong, AMBER);
        text(surface, what, line + Point::new(column, 0), Ink::Plain, INK);
        line.y += ROW;
    }
    text(surface, last, line + Point::new(0, 10), Ink::Plain, FAINT);
}
