//! Draws a picture in coloured half blocks: a cell holds two pixels, one above the other, which are about square.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::widgets::Widget;
use rl_core::Canvas;

/// Colours that a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Palette {
    /// All colours of 24 bits.
    True,
    /// The 6 × 6 × 6 colours of the palette of 256.
    Cube,
}

impl Palette {
    /// Tells the palette from environment variables.
    pub(super) fn of_terminal() -> Self {
        let told = std::env::var("COLORTERM").unwrap_or_default();
        if told == "truecolor" || told == "24bit" { Self::True } else { Self::Cube }
    }

    fn color(self, [r, g, b]: [u8; 3]) -> Color {
        match self {
            Self::True => Color::Rgb(r, g, b),
            Self::Cube => {
                // Levels of the cube are 0, 95, 135, 175, 215 and 255.
                let level = |x: u8| {
                    if x < 48 {
                        0
                    } else if x < 115 {
                        1
                    } else {
                        (x - 35) / 40
                    }
                };
                Color::Indexed(16 + 36 * level(r) + 6 * level(g) + level(b))
            }
        }
    }
}

/// Draws a canvas in the middle of its area, as large as fits.
pub(super) struct Picture<'a> {
    pub(super) canvas: &'a Canvas,
    pub(super) palette: Palette,
}

impl Widget for Picture<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let (from_w, from_h) = (self.canvas.width(), self.canvas.height());
        let (wide, high) = (area.width as usize, 2 * area.height as usize);
        if from_w == 0 || from_h == 0 || wide == 0 || high == 0 {
            return;
        }
        // Pixels of the terminal: as wide as the area or as high.
        let (w, h) = if wide * from_h <= high * from_w {
            (wide, (wide * from_h / from_w).max(1))
        } else {
            ((high * from_w / from_h).max(1), high)
        };
        let pixel = |x: usize, y: usize| {
            let part =
                |at: usize, of: usize, from: usize| at * from / of..((at + 1) * from / of).max(at * from / of + 1);
            mean(self.canvas, part(x, w, from_w), part(y, h, from_h))
        };
        let (left, top) = (area.x + (wide - w) as u16 / 2, area.y + (area.height - h.div_ceil(2) as u16) / 2);
        for row in 0..h.div_ceil(2) {
            for x in 0..w {
                let Some(cell) = buffer.cell_mut((left + x as u16, top + row as u16)) else { continue };
                cell.set_char('▀').set_fg(self.palette.color(pixel(x, 2 * row)));
                if 2 * row + 1 < h {
                    cell.set_bg(self.palette.color(pixel(x, 2 * row + 1)));
                }
            }
        }
    }
}

/// Mean colour of the pixels in a rectangle.
fn mean(canvas: &Canvas, x: std::ops::Range<usize>, y: std::ops::Range<usize>) -> [u8; 3] {
    let count = (x.len() * y.len()) as u32;
    let mut sums = [0u32; 3];
    for y in y {
        let row = &canvas.pixels()[(y * canvas.width() + x.start) * 3..][..x.len() * 3];
        row.iter().enumerate().for_each(|(at, &value)| sums[at % 3] += u32::from(value));
    }
    sums.map(|sum| ((sum + count / 2) / count) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pixels_make_a_cell_and_more_their_mean() {
        let mut canvas = Canvas::new(4, 4);
        for (at, pixel) in canvas.pixels_mut().chunks_exact_mut(3).enumerate() {
            let (x, y) = (at % 4, at / 4);
            pixel.copy_from_slice(if y < 2 {
                &[200, 0, 0]
            } else if x < 2 {
                &[0, 100, 0]
            } else {
                &[0, 0, 50]
            });
        }
        let area = Rect::new(0, 0, 6, 1);
        let mut buffer = Buffer::empty(area);
        Picture { canvas: &canvas, palette: Palette::True }.render(area, &mut buffer);
        // Two pixels wide, in the middle of six.
        let cell = |x| (buffer[(x, 0)].symbol(), buffer[(x, 0)].fg, buffer[(x, 0)].bg);
        assert_eq!(cell(2), ("▀", Color::Rgb(200, 0, 0), Color::Rgb(0, 100, 0)));
        assert_eq!(cell(3), ("▀", Color::Rgb(200, 0, 0), Color::Rgb(0, 0, 50)));
        assert_eq!((buffer[(1, 0)].symbol(), buffer[(4, 0)].symbol()), (" ", " "));
        assert_eq!(Palette::Cube.color([255, 0, 95]), Color::Indexed(16 + 36 * 5 + 1));
    }

    #[test]
    fn any_size_of_any_picture_fits() {
        for (w, h) in [(0, 0), (1, 1), (160, 210), (600, 400), (3, 500)] {
            let canvas = Canvas::new(w, h);
            for (width, height) in [(0, 0), (1, 1), (80, 1), (1, 40), (80, 24)] {
                let area = Rect::new(0, 0, width, height);
                Picture { canvas: &canvas, palette: Palette::Cube }.render(area, &mut Buffer::empty(area));
            }
        }
    }
}
