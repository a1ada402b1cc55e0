//! Paints all that a window of `watch` shows; reads the player and changes nothing.

mod below;
mod help;
mod ink;
mod side;
mod sitting;

use embedded_graphics::geometry::AnchorY;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;

use super::layout::Layout;
use super::player::Player;
use super::surface::Surface;
use crate::console::number::hundredths;
use crate::saliency::{CHOICE, VALUE};
use help::help;
use ink::{AMBER, FAINT, GROUND, INK, Ink, PANEL, text, text_right, width};

pub(super) use sitting::sitting;

/// Anchor with which a resized rectangle keeps its upper edge.
pub(super) const TOP: AnchorY = AnchorY::Top;

/// Paints the whole window.
pub(super) fn paint(player: &Player, surface: &mut Surface) {
    let layout = Layout::of(player, (surface.width(), surface.height()));
    ground(surface);
    game(player, &layout, surface);
    for &(card, area) in &layout.cards {
        side::card(player, card, area, surface);
    }
    below::paint(player, &layout, surface);
    if let Some(step) = player.survey().differs() {
        let said = format!(
            "differs from the recording from step {} on: `rl-run verify` says more",
            hundredths(step as f64 + 1.0)
        );
        banner(surface, layout.game, &said);
    } else if let Some((message, _)) = &player.view.message {
        banner(surface, layout.game, message);
    }
    if player.view.help {
        help("Keys", super::command::help(), "The mouse drags along the timeline and chooses games.", surface);
    }
}

/// Paints the game, and the saliency map over it.
fn game(player: &Player, layout: &Layout, surface: &mut Surface) {
    let Some((heat, about)) = player.heat() else {
        surface.center(player.picture(), layout.game);
        return;
    };
    let mut picture = player.picture().clone();
    heat.tint(&mut picture);
    let Rectangle { top_left: at, size } = surface.center(&picture, layout.game);
    let [value, choice] = heat.most();
    let mut x = at.x + 6;
    let words = [("value", value, VALUE), ("choice", choice, CHOICE)];
    let said = words.map(|(name, most, _)| format!("moves the {name}, by {most:.3} at most"));
    let wide: i32 = said.iter().map(|said| width(Ink::Plain, said) + 32).sum();
    surface.fill(Rectangle::new(at, Size::new(size.width, 20)), PANEL);
    for (said, (_, _, [red, green, blue])) in said.iter().zip(words) {
        let colour = Rgb888::new(red, green, blue);
        surface.fill(Rectangle::new(Point::new(x, at.y + 6), Size::new_equal(9)), colour);
        text(surface, said, Point::new(x + 14, at.y + 4), Ink::Plain, INK);
        x += 14 + width(Ink::Plain, said) + 18;
    }
    // Whose weights they are must be seen: where there is no room beside, at the foot.
    let mut place = at;
    if wide + width(Ink::Plain, about) + 12 > size.width as i32 {
        place.y += size.height as i32 - 20;
        surface.fill(Rectangle::new(place, Size::new(size.width, 20)), PANEL);
    }
    text_right(surface, about, place + Point::new(size.width as i32 - 6, 4), Ink::Plain, FAINT);
}

/// Fills the background of a frame.
pub(super) fn ground(surface: &mut Surface) {
    let all = Rectangle::new(Point::zero(), Size::new(surface.width() as u32, surface.height() as u32));
    surface.fill(all, GROUND);
}

/// Paints a line of text over the lower end of the game.
pub(super) fn banner(surface: &mut Surface, game: Rectangle, said: &str) {
    let wide = width(Ink::Strong, said) + 24;
    let at = game.top_left + Point::new((game.size.width as i32 - wide) / 2, game.size.height as i32 - 44);
    surface.fill(Rectangle::new(at, Size::new(wide as u32, 30)), PANEL);
    surface.fill(Rectangle::new(at, Size::new(3, 30)), AMBER);
    text(surface, said, at + Point::new(13, 8), Ink::Strong, INK);
}
