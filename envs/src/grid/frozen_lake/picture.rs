//! The picture of a lake: ice, holes, start, goal, and the walker with an arrow where it meant to go.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, Point, Size};
use embedded_graphics::primitives::{Circle, CornerRadii, Ellipse, Line, Rectangle, RoundedRectangle, Triangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use rl_core::Canvas;

use super::{DIRECTIONS, Lake, State, Tile};

const ICE: Rgb888 = Rgb888::new(0xDC, 0xEE, 0xF9);
const SHEEN: Rgb888 = Rgb888::new(0xF3, 0xFA, 0xFE);
const SEAM: Rgb888 = Rgb888::new(0xB4, 0xD2, 0xE8);
const RIM: Rgb888 = Rgb888::new(0x86, 0xB2, 0xD2);
const WATER: Rgb888 = Rgb888::new(0x1D, 0x4E, 0x7A);
const DEEP: Rgb888 = Rgb888::new(0x12, 0x36, 0x59);
const START: Rgb888 = Rgb888::new(0xBF, 0xE6, 0xC8);
const GOAL: Rgb888 = Rgb888::new(0xFF, 0xE9, 0xAE);
const LETTER: Rgb888 = Rgb888::new(0x4F, 0x6B, 0x7E);
const FLAG: Rgb888 = Rgb888::new(0xD6, 0x45, 0x50);
const POST: Rgb888 = Rgb888::new(0x5A, 0x46, 0x36);
const COAT: Rgb888 = Rgb888::new(0xE0, 0x7A, 0x3F);
const FACE: Rgb888 = Rgb888::new(0xFF, 0xE3, 0xC9);
const EYE: Rgb888 = Rgb888::new(0x2B, 0x2B, 0x33);

/// Draws the lake with cells of at most 96 pixels, 512 for the longer side of a larger one.
pub(super) fn draw(lake: &Lake, state: &State, canvas: &mut Canvas) {
    let cell = (1024 / lake.rows.max(lake.columns)).clamp(48, 192) as i32 & !1;
    Scene { canvas, cell }.draw(lake, state);
}

/// The picture, drawn at twice its size and halved, but for the letters; lengths are fractions of a cell.
struct Scene<'a> {
    canvas: &'a mut Canvas,
    cell: i32,
}

impl Scene<'_> {
    fn draw(mut self, lake: &Lake, state: &State) {
        let (width, height) = (lake.columns as i32 * self.cell, lake.rows as i32 * self.cell);
        self.canvas.begin(width as usize, height as usize, SEAM);
        for (cell, &tile) in lake.tiles.iter().enumerate() {
            self.tile(self.corner(lake, cell as u32), tile);
        }
        let corner = self.corner(lake, state.cell);
        self.walker(corner, lake.tile(state.cell) == Tile::Hole);
        if let Some(aim) = state.aim {
            self.aim(corner, DIRECTIONS[usize::from(aim)]);
        }
        self.canvas.halve();
        self.cell /= 2;
        for (cell, &tile) in lake.tiles.iter().enumerate() {
            match tile {
                Tile::Start => self.letter(self.corner(lake, cell as u32), "S"),
                Tile::Goal => self.letter(self.corner(lake, cell as u32), "G"),
                Tile::Frozen | Tile::Hole => {}
            }
        }
    }

    fn corner(&self, lake: &Lake, cell: u32) -> Point {
        let (row, column) = (cell as usize / lake.columns, cell as usize % lake.columns);
        Point::new(column as i32 * self.cell, row as i32 * self.cell)
    }

    fn part(&self, fraction: f64) -> i32 {
        (fraction * f64::from(self.cell)) as i32
    }

    fn at(&self, corner: Point, x: f64, y: f64) -> Point {
        corner + Point::new(self.part(x), self.part(y))
    }

    fn size(&self, width: f64, height: f64) -> Size {
        Size::new(self.part(width) as u32, self.part(height) as u32)
    }

    fn disc(&mut self, corner: Point, (x, y): (f64, f64), diameter: f64, color: Rgb888) {
        let disc = Circle::with_center(self.at(corner, x, y), self.part(diameter) as u32);
        self.canvas.fill(&disc, color);
    }

    fn oval(&mut self, corner: Point, (x, y): (f64, f64), (width, height): (f64, f64), color: Rgb888) {
        let oval = Ellipse::with_center(self.at(corner, x, y), self.size(width, height));
        self.canvas.fill(&oval, color);
    }

    fn tile(&mut self, corner: Point, tile: Tile) {
        let ground = match tile {
            Tile::Start => START,
            Tile::Goal => GOAL,
            Tile::Frozen | Tile::Hole => ICE,
        };
        let slab = Rectangle::new(self.at(corner, 0.02, 0.02), self.size(0.96, 0.96));
        let slab = RoundedRectangle::new(slab, CornerRadii::new(self.size(0.08, 0.08)));
        self.canvas.fill(&slab, ground);
        match tile {
            Tile::Frozen => self.sheen(corner),
            Tile::Hole => {
                self.oval(corner, (0.5, 0.52), (0.80, 0.72), RIM);
                self.oval(corner, (0.5, 0.54), (0.72, 0.64), WATER);
                self.oval(corner, (0.5, 0.58), (0.54, 0.44), DEEP);
            }
            Tile::Start => {}
            Tile::Goal => {
                let post = Rectangle::new(self.at(corner, 0.42, 0.18), self.size(0.05, 0.64));
                self.canvas.fill(&post, POST);
                let (top, tip, foot) =
                    (self.at(corner, 0.47, 0.18), self.at(corner, 0.80, 0.32), self.at(corner, 0.47, 0.46));
                self.canvas.fill(&Triangle::new(top, tip, foot), FLAG);
                self.oval(corner, (0.445, 0.83), (0.26, 0.07), POST);
            }
        }
    }

    fn sheen(&mut self, corner: Point) {
        let width = self.part(0.03).max(1) as u32;
        for (from, to) in [((0.16, 0.34), (0.34, 0.16)), ((0.16, 0.50), (0.50, 0.16)), ((0.72, 0.84), (0.84, 0.72))] {
            let line = Line::new(self.at(corner, from.0, from.1), self.at(corner, to.0, to.1));
            self.canvas.stroke(&line, SHEEN, width);
        }
    }

    fn letter(&mut self, corner: Point, letter: &str) {
        let style = TextStyleBuilder::new().alignment(Alignment::Center).baseline(Baseline::Middle).build();
        let font = MonoTextStyle::new(&FONT_10X20, LETTER);
        let Ok(_) = Text::with_text_style(letter, self.at(corner, 0.15, 0.17), font, style).draw(self.canvas);
    }

    /// The walker, or what is left of it above water.
    fn walker(&mut self, corner: Point, swims: bool) {
        if swims {
            self.oval(corner, (0.5, 0.66), (0.46, 0.16), RIM);
        } else {
            self.oval(corner, (0.5, 0.84), (0.44, 0.10), SEAM);
            let coat = Rectangle::new(self.at(corner, 0.34, 0.44), self.size(0.32, 0.40));
            let coat = RoundedRectangle::new(coat, CornerRadii::new(self.size(0.14, 0.14)));
            self.canvas.fill(&coat, COAT);
        }
        let y = if swims { 0.54 } else { 0.36 };
        self.disc(corner, (0.5, y), 0.34, COAT);
        self.disc(corner, (0.5, y + 0.02), 0.26, FACE);
        self.disc(corner, (0.45, y), 0.045, EYE);
        self.disc(corner, (0.55, y), 0.045, EYE);
    }

    /// An arrowhead on the side that the last action aimed at: where the walker stands and where it points may differ.
    fn aim(&mut self, corner: Point, (down, right): (isize, isize)) {
        let (down, right) = (down as f64, right as f64);
        let at = |along: f64, across: f64| {
            self.at(corner, 0.5 + along * right + across * down, 0.5 + along * down - across * right)
        };
        let head = Triangle::new(at(0.46, 0.0), at(0.37, 0.09), at(0.37, -0.09));
        self.canvas.fill(&head, FLAG);
    }
}
