//! Colours and fonts.

use embedded_graphics::Drawable as _;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::mono_font::iso_8859_1::{FONT_7X13, FONT_7X13_BOLD, FONT_9X18_BOLD, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::Point;
use embedded_graphics::text::{Baseline, Text};

/// Background of the window.
pub(super) const GROUND: Rgb888 = Rgb888::new(17, 19, 24);
/// Background of a card.
pub(super) const PANEL: Rgb888 = Rgb888::new(27, 30, 38);
/// Parts that can be filled, and lines between.
pub(super) const GROOVE: Rgb888 = Rgb888::new(46, 51, 63);
/// Text and numbers.
pub(super) const INK: Rgb888 = Rgb888::new(232, 234, 240);
/// Text that names other text.
pub(super) const FAINT: Rgb888 = Rgb888::new(142, 150, 168);
/// The present step, and what is chosen.
pub(super) const AMBER: Rgb888 = Rgb888::new(246, 173, 66);
/// The return, and what has been played.
pub(super) const BLUE: Rgb888 = Rgb888::new(92, 168, 236);
/// The area below the curve of the return, up to the present step.
pub(super) const DEEP: Rgb888 = Rgb888::new(32, 56, 82);
/// The agent's value.
pub(super) const VIOLET: Rgb888 = Rgb888::new(200, 146, 244);
/// Losses.
pub(super) const RED: Rgb888 = Rgb888::new(230, 92, 92);

/// A font, by its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Most text.
    Plain,
    /// Text that matters.
    Strong,
    /// Headings.
    Title,
    /// Text that stands alone.
    Large,
}

impl Ink {
    fn font(self) -> &'static MonoFont<'static> {
        match self {
            Ink::Plain => &FONT_7X13,
            Ink::Strong => &FONT_7X13_BOLD,
            Ink::Title => &FONT_9X18_BOLD,
            Ink::Large => &FONT_10X20,
        }
    }
}

/// Writes a line of text with its upper left corner at a place.
pub(super) fn text<D>(target: &mut D, line: &str, at: Point, ink: Ink, color: Rgb888)
where
    D: DrawTarget<Color = Rgb888>,
{
    // What does not fit on the target is cut off, and nothing else can go wrong.
    let _ = Text::with_baseline(line, at, MonoTextStyle::new(ink.font(), color), Baseline::Top).draw(target);
}

/// Writes a line of text with its upper right corner at a place.
pub(super) fn text_right<D>(target: &mut D, line: &str, at: Point, ink: Ink, color: Rgb888)
where
    D: DrawTarget<Color = Rgb888>,
{
    text(target, line, at - Point::new(width(ink, line), 0), ink, color);
}

/// Width of a line of text in pixels.
pub(super) fn width(ink: Ink, line: &str) -> i32 {
    line.chars().count() as i32 * ink.font().character_size.width as i32
}
