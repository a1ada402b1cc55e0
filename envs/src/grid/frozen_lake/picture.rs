//! The picture of a lake: ice, holes, start, goal, and the walker with an arrow where it meant to go.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::Point;
use rl_core::Canvas;

use super::{DIRECTIONS, Grid, Tile};
use crate::grid::cells::Cells;
use crate::grid::chart::Chart;

const ICE: Rgb888 = Rgb888::new(0xDC, 0xEE, 0xF9);
const SHEEN: Rgb888 = Rgb888::new(0xF3, 0xFA, 0xFE);
const SEAM: Rgb888 = Rgb888::new(0xB4, 0xD2, 0xE8);
const RIM: Rgb888 = Rgb888::new(0x86, 0xB2, 0xD2);
const WATER: Rgb888 = Rgb888::new(0x1D, 0x4E, 0x7A);
const DEEP: Rgb888 = Rgb888::new(0x12, 0x36, 0x59);
const START: Rgb888 = Rgb888::new(0xBF, 0xE6, 0xC8);
const GOAL: Rgb888 = Rgb888::new(0xFF, 0xE9, 0xAE);

/// Draws a policy and the values of the cells.
pub(super) fn chart(lake: &Grid, actions: &[u32], values: &[f64], canvas: &mut Canvas) {
    let mut cells = begin(lake, canvas);
    let open = |cell| matches!(lake.tile(cell), Tile::Start | Tile::Frozen);
    let other = |cells: &mut Cells<'_>, cell| {
        let corner = cells.corner(cell);
        draw_tile(cells, corner, lake.tile(cell));
    };
    Chart::new(actions, values, &DIRECTIONS, open).paint(&mut cells, other, |cells| letters(lake, cells));
}

fn begin<'a>(lake: &Grid, canvas: &'a mut Canvas) -> Cells<'a> {
    let side = (1024 / lake.rows.max(lake.columns)).clamp(2, 192) as i32 & !1;
    Cells::begin(canvas, [lake.rows as u32, lake.columns as u32], side, SEAM)
}

fn letters(lake: &Grid, cells: &mut Cells<'_>) {
    for (cell, &tile) in (0..).zip(&lake.tiles) {
        match tile {
            Tile::Start => cells.letter(cell, "S"),
            Tile::Goal => cells.letter(cell, "G"),
            Tile::Frozen | Tile::Hole => {}
        }
    }
}

/// Draws the lake with cells of at most 96 pixels, 512 for the longer side of a larger one, and a pixel at least.
pub(super) fn draw(lake: &Grid, walker: u32, aim: Option<u32>, canvas: &mut Canvas) {
    let mut cells = begin(lake, canvas);
    for (cell, &tile) in (0..).zip(&lake.tiles) {
        let corner = cells.corner(cell);
        draw_tile(&mut cells, corner, tile);
    }
    let corner = cells.corner(walker);
    match lake.tile(walker) {
        Tile::Hole => {
            cells.oval(corner, (0.5, 0.66), (0.46, 0.16), RIM);
            cells.head(corner, 0.54); // what is left of the walker above water
        }
        Tile::Start | Tile::Frozen | Tile::Goal => cells.walker(corner, SEAM),
    }
    if let Some(aim) = aim {
        cells.aim(corner, DIRECTIONS[aim as usize]);
    }
    cells.halve();
    letters(lake, &mut cells);
}

fn draw_tile(cells: &mut Cells<'_>, corner: Point, tile: Tile) {
    let ground = match tile {
        Tile::Start => START,
        Tile::Goal => GOAL,
        Tile::Frozen | Tile::Hole => ICE,
    };
    cells.tile(corner, ground);
    match tile {
        Tile::Frozen => {
            for (from, to) in [((0.16, 0.34), (0.34, 0.16)), ((0.16, 0.50), (0.50, 0.16)), ((0.72, 0.84), (0.84, 0.72))]
            {
                cells.stroke(corner, from, to, 0.03, SHEEN);
            }
        }
        Tile::Hole => {
            cells.oval(corner, (0.5, 0.52), (0.80, 0.72), RIM);
            cells.oval(corner, (0.5, 0.54), (0.72, 0.64), WATER);
            cells.oval(corner, (0.5, 0.58), (0.54, 0.44), DEEP);
        }
        Tile::Start => {}
        Tile::Goal => cells.flag(corner),
    }
}
