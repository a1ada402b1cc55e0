//! The picture of a world of cells: what the drawings of several worlds are made of. Lengths are fractions of a cell.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::{FONT_6X10, FONT_9X15, FONT_10X20};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, Point, Size};
use embedded_graphics::primitives::{Circle, CornerRadii, Ellipse, Line, Rectangle, RoundedRectangle, Triangle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use rl_core::Canvas;

const LETTER: Rgb888 = Rgb888::new(0x4F, 0x6B, 0x7E);
const FLAG: Rgb888 = Rgb888::new(0xD6, 0x45, 0x50);
const POST: Rgb888 = Rgb888::new(0x5A, 0x46, 0x36);
const COAT: Rgb888 = Rgb888::new(0xE0, 0x7A, 0x3F);
const FACE: Rgb888 = Rgb888::new(0xFF, 0xE3, 0xC9);
const EYE: Rgb888 = Rgb888::new(0x2B, 0x2B, 0x33);

/// Side of a cell in pixels below which it has no room for text.
const LEGIBLE: i32 = 24;

/// Picture of square cells, drawn at twice its size and halved before letters are written.
pub(super) struct Cells<'a> {
    canvas: &'a mut Canvas,
    columns: u32,
    /// Side of a cell in pixels.
    side: i32,
}

impl<'a> Cells<'a> {
    /// Begins a picture with cells of `side` pixels, which [`halve`](Self::halve) makes half as large.
    pub(super) fn begin(canvas: &'a mut Canvas, [rows, columns]: [u32; 2], side: i32, ground: Rgb888) -> Self {
        canvas.begin(columns as usize * side as usize, rows as usize * side as usize, ground);
        Self { canvas, columns, side }
    }

    /// Halves the picture, which smooths its edges; letters and numbers are written afterwards.
    pub(super) fn halve(&mut self) {
        self.canvas.halve();
        self.side /= 2;
    }

    /// Returns the upper left corner of a cell in pixels; cells are numbered row by row.
    pub(super) fn corner(&self, cell: u32) -> Point {
        Point::new((cell % self.columns) as i32 * self.side, (cell / self.columns) as i32 * self.side)
    }

    pub(super) fn part(&self, fraction: f64) -> i32 {
        (fraction * f64::from(self.side)) as i32
    }

    pub(super) fn at(&self, corner: Point, x: f64, y: f64) -> Point {
        corner + Point::new(self.part(x), self.part(y))
    }

    fn size(&self, width: f64, height: f64) -> Size {
        Size::new(self.part(width) as u32, self.part(height) as u32)
    }

    /// Fills a circle around its centre.
    pub(super) fn disc(&mut self, corner: Point, (x, y): (f64, f64), diameter: f64, color: Rgb888) {
        let disc = Circle::with_center(self.at(corner, x, y), self.part(diameter) as u32);
        self.canvas.fill(&disc, color);
    }

    /// Fills an ellipse around its centre.
    pub(super) fn oval(&mut self, corner: Point, (x, y): (f64, f64), (width, height): (f64, f64), color: Rgb888) {
        let oval = Ellipse::with_center(self.at(corner, x, y), self.size(width, height));
        self.canvas.fill(&oval, color);
    }

    /// Fills a rectangle from its upper left corner.
    pub(super) fn bar(&mut self, corner: Point, (x, y): (f64, f64), (width, height): (f64, f64), color: Rgb888) {
        let bar = Rectangle::new(self.at(corner, x, y), self.size(width, height));
        self.canvas.fill(&bar, color);
    }

    /// Fills a rectangle with round corners from its upper left corner.
    pub(super) fn slab(
        &mut self,
        corner: Point,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        radius: f64,
        color: Rgb888,
    ) {
        let slab = Rectangle::new(self.at(corner, x, y), self.size(width, height));
        let slab = RoundedRectangle::new(slab, CornerRadii::new(self.size(radius, radius)));
        self.canvas.fill(&slab, color);
    }

    pub(super) fn stroke(&mut self, corner: Point, from: (f64, f64), to: (f64, f64), width: f64, color: Rgb888) {
        let line = Line::new(self.at(corner, from.0, from.1), self.at(corner, to.0, to.1));
        self.canvas.stroke(&line, color, self.part(width).max(1) as u32);
    }

    /// Fills the ground of a cell, leaving a seam to its neighbours.
    pub(super) fn tile(&mut self, corner: Point, color: Rgb888) {
        self.slab(corner, (0.02, 0.02), (0.96, 0.96), 0.08, color);
    }

    pub(super) fn flag(&mut self, corner: Point) {
        self.bar(corner, (0.42, 0.18), (0.05, 0.64), POST);
        let (top, tip, foot) = (self.at(corner, 0.47, 0.18), self.at(corner, 0.80, 0.32), self.at(corner, 0.47, 0.46));
        self.canvas.fill(&Triangle::new(top, tip, foot), FLAG);
        self.oval(corner, (0.445, 0.83), (0.26, 0.07), POST);
    }

    /// Writes a letter into the upper left corner of a cell; called after [`halve`](Self::halve).
    pub(super) fn letter(&mut self, cell: u32, letter: &str) {
        if self.side < LEGIBLE {
            return;
        }
        let style = TextStyleBuilder::new().alignment(Alignment::Center).baseline(Baseline::Middle).build();
        let font = MonoTextStyle::new(&FONT_10X20, LETTER);
        let at = self.at(self.corner(cell), 0.15, 0.17);
        let Ok(_) = Text::with_text_style(letter, at, font, style).draw(self.canvas);
    }

    /// Writes a number at the foot of a cell; called after [`halve`](Self::halve).
    pub(super) fn number(&mut self, cell: u32, number: &str) {
        if self.side < LEGIBLE {
            return;
        }
        let style = TextStyleBuilder::new().alignment(Alignment::Center).baseline(Baseline::Middle).build();
        let font = MonoTextStyle::new(if self.side < 64 { &FONT_6X10 } else { &FONT_9X15 }, EYE);
        let at = self.at(self.corner(cell), 0.5, 0.83);
        let Ok(_) = Text::with_text_style(number, at, font, style).draw(self.canvas);
    }

    /// Draws an arrow through the middle of a cell in a direction of rows and columns.
    pub(super) fn arrow(&mut self, corner: Point, (down, right): (isize, isize)) {
        let (down, right) = (down as f64, right as f64);
        let place =
            |along: f64, across: f64| (0.5 + along * right + across * down, 0.42 + along * down - across * right);
        self.stroke(corner, place(-0.22, 0.0), place(0.10, 0.0), 0.05, EYE);
        let [tip, left, right] =
            [place(0.24, 0.0), place(0.06, 0.11), place(0.06, -0.11)].map(|(x, y)| self.at(corner, x, y));
        self.canvas.fill(&Triangle::new(tip, left, right), EYE);
    }

    /// Draws a standing figure with a shadow of the given colour.
    pub(super) fn walker(&mut self, corner: Point, shadow: Rgb888) {
        self.oval(corner, (0.5, 0.84), (0.44, 0.10), shadow);
        self.slab(corner, (0.34, 0.44), (0.32, 0.40), 0.14, COAT);
        self.head(corner, 0.36);
    }

    /// Draws the head of the figure of [`walker`](Self::walker), at the height `y` from the top of the cell.
    pub(super) fn head(&mut self, corner: Point, y: f64) {
        self.disc(corner, (0.5, y), 0.34, COAT);
        self.disc(corner, (0.5, y + 0.02), 0.26, FACE);
        self.disc(corner, (0.45, y), 0.045, EYE);
        self.disc(corner, (0.55, y), 0.045, EYE);
    }

    /// Draws an arrowhead on the side of the cell that the last action aimed at, which is not always where the agent
    /// went.
    pub(super) fn aim(&mut self, corner: Point, (down, right): (isize, isize)) {
        let (down, right) = (down as f64, right as f64);
        let at = |along: f64, across: f64| {
            self.at(corner, 0.5 + along * right + across * down, 0.5 + along * down - across * right)
        };
        let head = Triangle::new(at(0.46, 0.0), at(0.37, 0.09), at(0.37, -0.09));
        self.canvas.fill(&head, FLAG);
    }
}
