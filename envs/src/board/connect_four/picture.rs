//! The picture of a position: a board with a hole for every cell, the stones in them, and rings around a line of four.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::{Circle, CornerRadii, Rectangle, RoundedRectangle};
use rl_core::{Canvas, Side};

use super::position::{HEIGHT, Position, WIDTH, bit, fours};

const GROUND: Rgb888 = Rgb888::new(0xF4, 0xEF, 0xE6);
const BOARD: Rgb888 = Rgb888::new(0x2F, 0x5D, 0xA8);
const EDGE: Rgb888 = Rgb888::new(0x24, 0x48, 0x85);
const FIRST: Rgb888 = Rgb888::new(0xD6, 0x45, 0x50);
const FIRST_RIM: Rgb888 = Rgb888::new(0xB2, 0x33, 0x3E);
const SECOND: Rgb888 = Rgb888::new(0xF2, 0xC1, 0x4E);
const SECOND_RIM: Rgb888 = Rgb888::new(0xD3, 0x9E, 0x2C);
const RING: Rgb888 = Rgb888::new(0xFB, 0xF8, 0xF1);

const CELL: i32 = 112; // drawn at twice the size and halved
const FRAME: i32 = 28;
const MARGIN: i32 = 32;
const HOLE: i32 = 88;

pub(super) fn draw(position: &Position, canvas: &mut Canvas) {
    let (across, down) = (WIDTH as i32 * CELL + 2 * FRAME, HEIGHT as i32 * CELL + 2 * FRAME);
    canvas.begin((across + 2 * MARGIN) as usize, (down + 2 * MARGIN) as usize, GROUND);
    for (inset, color) in [(0, EDGE), (8, BOARD)] {
        let size = Size::new((across - 2 * inset) as u32, (down - 2 * inset) as u32);
        let corner = Point::new(MARGIN + inset, MARGIN + inset);
        let radii = CornerRadii::new(Size::new(40, 40));
        canvas.fill(&RoundedRectangle::new(Rectangle::new(corner, size), radii), color);
    }
    let line = line(position);
    for (row, column) in (0..HEIGHT).flat_map(|row| (0..WIDTH).map(move |column| (row, column))) {
        let along = |at: usize| MARGIN + FRAME + at as i32 * CELL + CELL / 2;
        let mut disc = |across: i32, color| {
            canvas.fill(&Circle::with_center(Point::new(along(column), along(row)), across as u32), color);
        };
        disc(HOLE + 8, EDGE);
        let Some(side) = position.stone(row, column) else {
            disc(HOLE, GROUND);
            continue;
        };
        let (rim, face) = if side == Side::First { (FIRST_RIM, FIRST) } else { (SECOND_RIM, SECOND) };
        disc(HOLE, if line & bit(row, column) == 0 { rim } else { RING });
        disc(HOLE - 16, rim);
        disc(HOLE - 28, face);
    }
    canvas.halve();
}

/// Returns the cells of all lines of four that the last move completed, as a bit board.
fn line(position: &Position) -> u64 {
    fours(position.theirs()).fold(0, |cells, (firsts, step)| {
        (0..4).fold(cells, |cells, n| cells | firsts << (n * step)) // a line's other cells lie up or right of its first
    })
}
