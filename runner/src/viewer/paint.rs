//! Paints everything that a window shows; it reads the player and changes nothing.

mod below;
mod help;
mod ink;
mod side;
mod sitting;

use embedded_graphics::geometry::AnchorY;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;

use super::layout::Layout;
use super::player::Player;
use super::surface::Surface;
use help::help;
use ink::{AMBER, GROUND, INK, Ink, PANEL, grouped, text, width};

pub(super) use sitting::sitting;

/// A rectangle keeps its upper edge.
pub(super) const TOP: AnchorY = AnchorY::Top;

/// Paints the whole window.
pub(super) fn paint(player: &Player, surface: &mut Surface) {
    let layout = Layout::of(player, (surface.width(), surface.height()));
    ground(surface);
    surface.center(player.picture(), layout.game);
    for &(card, area) in &layout.cards {
        side::card(player, card, area, surface);
    }
    below::paint(player, &layout, surface);
    if let Some(step) = player.survey().differs() {
        let said = format!("not what was recorded, from step {} on: `rl-run verify` says more", grouped(step as f64));
        banner(surface, layout.game, &said);
    } else if let Some((message, _)) = &player.view.message {
        banner(surface, layout.game, message);
    }
    if player.view.help {
        help("Keys", super::command::help(), "The mouse drags along the timeline and chooses games.", surface);
    }
}

/// Begins a frame.
pub(super) fn ground(surface: &mut Surface) {
    let all = Rectangle::new(Point::zero(), Size::new(surface.width() as u32, surface.height() as u32));
    surface.fill(all, GROUND);
}

/// A line before the lower end of the game.
pub(super) fn banner(surface: &mut Surface, game: Rectangle, said: &str) {
    let wide = width(Ink::Strong, said) + 24;
    let at = game.top_left + Point::new((game.size.width as i32 - wide) / 2, game.size.height as i32 - 44);
    surface.fill(Rectangle::new(at, Size::new(wide as u32, 30)), PANEL);
    surface.fill(Rectangle::new(at, Size::new(3, 30)), AMBER);
    text(surface, said, at + Point::new(13, 8), Ink::Strong, INK);
}
