//! Lays out a window: the game, cards at its right, the timeline below.

use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;
use rl_core::Canvas;

use super::player::Player;

/// Width of the cards, in pixels as all lengths here.
pub(super) const SIDE: u32 = 372;
/// Space around everything and between cards.
pub(super) const GAP: u32 = 12;
/// Height of the line of text above the timeline.
pub(super) const WORDS: u32 = 24;
/// Height of the curve of returns.
pub(super) const CURVE: u32 = 56;
/// Height of the timeline.
pub(super) const LINE: u32 = 18;
/// Height of a card's heading.
pub(super) const HEADING: u32 = 30;
/// Height of a line in a card.
pub(super) const ROW: u32 = 20;
/// Height of a line in a card of many lines.
pub(super) const THIN: u32 = 16;
/// Most actions whose outputs are shown.
pub(super) const THOUGHTS: usize = 18;
/// Height of the joystick or the words in the card of the action.
const ACTION: u32 = 88;
/// Largest width and height of a first window.
const ROOM: (u32, u32) = (1280, 700); // a screen of 1366 x 768 has as much beside its bars

/// A card at the right of the game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Card {
    Games,
    Action,
    Thoughts,
    Sees,
}

/// Places of the parts of a window.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) game: Rectangle,
    pub(super) cards: Vec<(Card, Rectangle)>,
    /// The line of text on game, step and return.
    pub(super) words: Rectangle,
    pub(super) curve: Option<Rectangle>,
    pub(super) line: Rectangle,
}

/// Size of a first window of `watch` for a picture, which is enlarged by `scale` if that is given.
pub(super) fn window(picture: &Canvas, scale: Option<u32>) -> (usize, usize) {
    let (side, below) = (SIDE + 3 * GAP, WORDS + CURVE + LINE + 4 * GAP);
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let fits = |side: u32, room: u32| room / side.max(1);
    let times = scale.unwrap_or_else(|| fits(width, ROOM.0 - side).min(fits(height, ROOM.1 - below)).max(1));
    // Cards need some height, and words some width.
    ((width * times + side).max(720) as usize, (height * times + below).max(620) as usize)
}

/// Size of a first window of `play` for a picture, which is enlarged by `scale` if that is given.
pub(super) fn plain(picture: &Canvas, scale: Option<u32>) -> (usize, usize) {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let below = WORDS + 3 * GAP;
    let fits = (ROOM.0 / width.max(1)).min((ROOM.1 - below) / height.max(1));
    let times = scale.unwrap_or(fits.max(1));
    ((width * times + 2 * GAP).max(480) as usize, (height * times + below).max(360) as usize)
}

impl Layout {
    /// Lays out a window of this width and height.
    pub(super) fn of(player: &Player, (width, height): (usize, usize)) -> Self {
        let (width, height) = (width as u32, height as u32);
        let view = &player.view;
        let curve = (view.ret || view.value && player.manifest().outputs.is_some()) && !view.bare && height > 300;
        let below = WORDS + LINE + if curve { CURVE + GAP / 2 } else { 0 };
        let inner = Size::new(width, height).saturating_sub(Size::new_equal(2 * GAP));
        let upper = inner.height.saturating_sub(below + GAP);
        let heights = heights(player, upper);
        let side = if heights.is_empty() || width < 2 * SIDE { 0 } else { SIDE + GAP };
        let at = |x: u32, y: u32, width: u32, height: u32| {
            Rectangle::new(Point::new(x as i32, y as i32), Size::new(width, height))
        };
        let mut top = GAP;
        let cards = heights.into_iter().filter(|_| side > 0).map(|(card, height)| {
            let rectangle = at(width - GAP - SIDE, top, SIDE, height);
            top += height + GAP;
            (card, rectangle)
        });
        let cards = cards.collect();
        let mut top = GAP + upper + GAP;
        let mut next = |height: u32| {
            let rectangle = at(GAP, top, inner.width, height);
            top += height;
            rectangle
        };
        let words = next(WORDS);
        let curve = curve.then(|| next(CURVE + GAP / 2)).map(|area| area.resized_height(CURVE, super::paint::TOP));
        let line = next(LINE);
        Self { game: at(GAP, GAP, inner.width.saturating_sub(side), upper), cards, words, curve, line }
    }

    /// Does what the mouse asks for at a place, and returns whether there is anything to do.
    ///
    /// # Errors
    /// If the environment fails.
    pub(super) fn point(&self, player: &mut Player, at: Point, clicked: bool) -> anyhow::Result<bool> {
        let timeline = self.line.contains(at) || self.curve.is_some_and(|curve| curve.contains(at));
        if timeline {
            let (from, last) = (self.line.top_left.x, self.line.size.width.saturating_sub(1).max(1));
            let part = f64::from(at.x - from) / f64::from(last);
            let step = (part * player.played().steps() as f64).round() as usize;
            if step != player.position() {
                player.seek(step)?;
            }
            return Ok(true);
        }
        let games = self.cards.iter().find(|(card, area)| *card == Card::Games && area.contains(at));
        if let Some(&(_, area)) = games.filter(|_| clicked) {
            let (rows, mut games) = rows(player, area);
            let row = usize::try_from((at.y - rows.top_left.y).div_euclid(ROW as i32)); // above is the heading
            if let Some(game) = row.ok().and_then(|row| games.nth(row)) {
                player.select(game)?;
                return Ok(true);
            }
        } else if clicked && self.game.contains(at) {
            player.pause(player.playing());
            return Ok(true);
        }
        Ok(false)
    }
}

/// Cards that fit into a height of `room`, from the top, with their heights.
fn heights(player: &Player, room: u32) -> Vec<(Card, u32)> {
    let view = &player.view;
    let mut all = Vec::new();
    if view.action {
        all.push((Card::Action, HEADING + ACTION));
    }
    let actions = player.manifest().actions();
    if view.thoughts && player.manifest().outputs.is_some() && actions > 0 {
        all.push((Card::Thoughts, HEADING + THIN * actions.min(THOUGHTS) as u32 + GAP));
    }
    let sees = sees(player);
    if view.sees && sees > 0 {
        all.push((Card::Sees, HEADING + sees + GAP));
    }
    let mut left = room;
    all.retain(|&(_, height)| {
        let fits = !view.bare && height <= left;
        left = left.saturating_sub(if fits { height + GAP } else { 0 });
        fits
    });
    let lines = left.saturating_sub(HEADING + GAP) / ROW;
    if view.games && !view.bare && lines >= 2 {
        let lines = lines.min(player.games().len() as u32);
        all.insert(0, (Card::Games, HEADING + lines * ROW + GAP));
    }
    all
}

/// Height of the picture of what the policy sees; 0 if that is not known.
fn sees(player: &Player) -> u32 {
    let Some(spec) = player.sees().map(|block| block.spec()) else { return 0 };
    let lines = (spec.vector.min(8) + spec.symbols.len().min(4)) as u32 * ROW;
    if spec.frame_len() == 0 { lines } else { tiles(spec).1 }
}

/// Columns in which the stacked frames are drawn, and their height in all.
pub(super) fn tiles(spec: &rl_core::Spec) -> (u32, u32) {
    let [height, width, _] = spec.frame.map(|side| side as u32);
    let across = ((SIDE - 2 * GAP + 4) / (width + 4)).clamp(1, spec.stack as u32);
    (across, (spec.stack as u32).div_ceil(across) * (height + 4) - 4)
}

/// Area of the lines of the list of games, and the range of games on them, which includes the present one.
pub(super) fn rows(player: &Player, card: Rectangle) -> (Rectangle, std::ops::Range<usize>) {
    let height = card.size.height.saturating_sub(HEADING + GAP);
    let area = Rectangle::new(card.top_left + Point::new(0, HEADING as i32), Size::new(card.size.width, height));
    let (fit, all) = ((height / ROW).max(1) as usize, player.games().len());
    let first = player.game().saturating_sub(fit / 2).min(all.saturating_sub(fit));
    (area, first..(first + fit).min(all))
}
