//! The picture of a game: the dealer's cards above, the player's below, each with its total.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, Point, Size};
use embedded_graphics::primitives::{CornerRadii, Rectangle, RoundedRectangle, Triangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use rl_core::Canvas;

use super::{Drawn, State};

const FELT: Rgb888 = Rgb888::new(0x2F, 0x6B, 0x4F);
const RAIL: Rgb888 = Rgb888::new(0x24, 0x55, 0x3E);
const PAPER: Rgb888 = Rgb888::new(0xFB, 0xF8, 0xF1);
const EDGE: Rgb888 = Rgb888::new(0xC9, 0xC2, 0xB3);
const BACK: Rgb888 = Rgb888::new(0x2F, 0x4B, 0x7C);
const WEAVE: Rgb888 = Rgb888::new(0x6E, 0x8A, 0xBE);
const PIP: Rgb888 = Rgb888::new(0xD6, 0x45, 0x50);
const INK: Rgb888 = Rgb888::new(0x2B, 0x2B, 0x33);
const TEXT: Rgb888 = Rgb888::new(0xF1, 0xE9, 0xD2);

const WIDTH: i32 = 840; // drawn at twice the size and halved, but for the letters
const HEIGHT: i32 = 640;
const CARD: Size = Size::new(120, 172);
const LEFT: i32 = 60;
const ROWS: [i32; 2] = [96, 400]; // tops of the cards

pub(super) fn draw(state: &State, canvas: &mut Canvas) {
    canvas.begin(WIDTH as usize, HEIGHT as usize, FELT);
    canvas.fill(&Rectangle::new(Point::new(0, HEIGHT / 2 - 3), Size::new(WIDTH as u32, 6)), RAIL);
    let sides = [(&state.dealer, ROWS[0], !state.revealed), (&state.player, ROWS[1], false)];
    for (side, top, closed) in sides {
        for (card, x) in places(side).enumerate() {
            draw_card(canvas, Point::new(x, top), closed && card > 0);
        }
    }
    canvas.halve();
    for (side, top, closed) in sides {
        for (x, &card) in places(side).zip(side.cards()).take(if closed { 1 } else { side.cards().len() }) {
            write(canvas, Point::new(x / 2 + 8, top / 2 + 14), &name(card), INK);
        }
    }
    let dealer = if state.revealed { state.dealer.hand().total().to_string() } else { "shows a card".to_owned() };
    let player = state.player.hand();
    let ace = if player.usable_ace() { ", an ace as 11" } else { "" };
    write(canvas, Point::new(LEFT / 2, ROWS[0] / 2 - 24), &format!("Dealer {dealer}"), TEXT);
    write(canvas, Point::new(LEFT / 2, ROWS[1] / 2 - 24), &format!("Player {}{ace}", player.total()), TEXT);
}

fn name(card: u8) -> String {
    if card == 1 { "A".to_owned() } else { card.to_string() }
}

/// Lists the left edges of the cards in pixels; long hands are spread less, so that they stay on the table.
fn places(side: &Drawn) -> impl Iterator<Item = i32> {
    let cards = side.cards().len() as i32;
    let pitch = ((WIDTH - 2 * LEFT - CARD.width as i32) / (cards - 1)).min(CARD.width as i32 + 16);
    (0..cards).map(move |card| LEFT + card * pitch)
}

fn draw_card(canvas: &mut Canvas, corner: Point, closed: bool) {
    let round = |inset: i32| {
        let size = Size::new(CARD.width - 2 * inset as u32, CARD.height - 2 * inset as u32);
        RoundedRectangle::new(
            Rectangle::new(corner + Point::new(inset, inset), size),
            CornerRadii::new(Size::new(14, 14)),
        )
    };
    canvas.fill(&round(0), EDGE);
    canvas.fill(&round(3), PAPER);
    if closed {
        canvas.fill(&round(10), BACK);
    }
    let centre = corner + Point::new(CARD.width as i32 / 2, CARD.height as i32 / 2);
    let color = if closed { WEAVE } else { PIP };
    for side in [-1, 1] {
        let tip = centre + Point::new(26 * side, 0);
        canvas.fill(&Triangle::new(centre - Point::new(0, 36), centre + Point::new(0, 36), tip), color);
    }
}

fn write(canvas: &mut Canvas, at: Point, text: &str, color: Rgb888) {
    let style = TextStyleBuilder::new().alignment(Alignment::Left).baseline(Baseline::Middle).build();
    let Ok(_) = Text::with_text_style(text, at, MonoTextStyle::new(&FONT_10X20, color), style).draw(canvas);
}
