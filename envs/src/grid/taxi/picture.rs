//! The picture of the town: streets, walls, stands, a flag at the destination, the passenger and the taxi.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::Point;
use rl_core::Canvas;

use super::{ABOARD, DIRECTIONS, Ride, SIDE, STANDS, WALLS};
use crate::grid::cells::Cells;

const SEAM: Rgb888 = Rgb888::new(0xD3, 0xD8, 0xDF);
const STREET: Rgb888 = Rgb888::new(0xE9, 0xEC, 0xF0);
const WALL: Rgb888 = Rgb888::new(0x5B, 0x67, 0x7A);
const BODY: Rgb888 = Rgb888::new(0xF4, 0xC4, 0x30);
const STRIPE: Rgb888 = Rgb888::new(0x2B, 0x2B, 0x33);
const GLASS: Rgb888 = Rgb888::new(0xCF, 0xE3, 0xF2);
const TYRE: Rgb888 = Rgb888::new(0x22, 0x2B, 0x3A);
const HUB: Rgb888 = Rgb888::new(0xC8, 0xD3, 0xE3);
const HEAD: Rgb888 = Rgb888::new(0xFF, 0xE3, 0xC9);
const HAIR: Rgb888 = Rgb888::new(0xE0, 0x7A, 0x3F);

/// Grounds of the stands, and their letters: red, green, yellow, blue.
const GROUNDS: [(Rgb888, &str); 4] = [
    (Rgb888::new(0xF4, 0xBF, 0xBC), "R"),
    (Rgb888::new(0xBF, 0xE6, 0xC8), "G"),
    (Rgb888::new(0xFF, 0xEC, 0xB0), "Y"),
    (Rgb888::new(0xBC, 0xD4, 0xF2), "B"),
];

fn cell((row, column): (u32, u32)) -> u32 {
    row * SIDE + column
}

/// Draws 400 × 400 pixels; an arrow shows where the last move was meant to go.
pub(super) fn draw(ride: Ride, last: Option<u32>, canvas: &mut Canvas) {
    let mut cells = Cells::begin(canvas, [SIDE, SIDE], 160, SEAM);
    for place in 0..SIDE * SIDE {
        let corner = cells.corner(place);
        let stand = STANDS.iter().position(|&stand| cell(stand) == place);
        cells.tile(corner, stand.map_or(STREET, |stand| GROUNDS[stand].0));
    }
    for wall in WALLS {
        let corner = cells.corner(cell(wall));
        cells.bar(corner, (0.95, 0.0), (0.10, 1.0), WALL);
    }
    let corner = cells.corner(cell(STANDS[ride.destination as usize]));
    cells.flag(corner);
    if ride.passenger != ABOARD {
        let corner = cells.corner(cell(STANDS[ride.passenger as usize]));
        cells.walker(corner, SEAM);
    }
    let corner = cells.corner(cell((ride.row, ride.column)));
    taxi(&mut cells, corner, ride.passenger == ABOARD);
    if let Some(&direction) = last.and_then(|action| DIRECTIONS.get(action as usize)) {
        cells.aim(corner, direction);
    }
    cells.halve();
    for (stand, (_, letter)) in STANDS.into_iter().zip(GROUNDS) {
        cells.letter(cell(stand), letter);
    }
}

fn taxi(cells: &mut Cells<'_>, corner: Point, taken: bool) {
    cells.bar(corner, (0.43, 0.36), (0.14, 0.06), STRIPE); // the sign on the roof
    cells.slab(corner, (0.26, 0.40), (0.48, 0.30), 0.10, BODY);
    cells.slab(corner, (0.31, 0.45), (0.17, 0.15), 0.04, GLASS);
    cells.slab(corner, (0.52, 0.45), (0.17, 0.15), 0.04, GLASS);
    if taken {
        cells.disc(corner, (0.395, 0.53), 0.13, HAIR);
        cells.disc(corner, (0.395, 0.55), 0.10, HEAD);
    }
    cells.slab(corner, (0.14, 0.58), (0.72, 0.20), 0.08, BODY);
    for x in 0..8 {
        cells.bar(corner, (0.18 + 0.08 * f64::from(x), 0.64 + 0.03 * f64::from(x % 2)), (0.08, 0.03), STRIPE);
    }
    for x in [0.30, 0.70] {
        cells.disc(corner, (x, 0.78), 0.18, TYRE);
        cells.disc(corner, (x, 0.78), 0.07, HUB);
    }
}
