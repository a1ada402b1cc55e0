//! The pixels of a window, with fast rectangles, and pictures enlarged by whole numbers.

use std::convert::Infallible;

use embedded_graphics::Pixel;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Dimensions as _, DrawTarget, OriginDimensions, Point, RgbColor as _, Size};
use embedded_graphics::primitives::Rectangle;
use rl_core::Canvas;

/// Pixels as `0x00RRGGBB`, in rows from the top.
#[derive(Clone, Debug, Default)]
pub(super) struct Surface {
    width: usize,
    height: usize,
    pixels: Vec<u32>,
}

/// How a picture is scaled: of every `every` pixels one is drawn, as a square of `times` x `times`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    pub(super) times: usize,
    pub(super) every: usize,
}

impl Scale {
    /// The largest scale at which a picture fits into an area.
    pub(super) fn fit((width, height): (usize, usize), area: Size) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let (wide, high) = (area.width as usize, area.height as usize);
        match (wide / width).min(high / height) {
            0 => Self { times: 1, every: width.div_ceil(wide.max(1)).max(height.div_ceil(high.max(1))) },
            times => Self { times, every: 1 },
        }
    }

    /// Length of a scaled side, in pixels.
    pub(super) fn side(self, side: usize) -> usize {
        side.div_ceil(self.every) * self.times
    }
}

impl Surface {
    /// Changes the size; the contents are undefined afterwards.
    pub(super) fn resize(&mut self, (width, height): (usize, usize)) {
        (self.width, self.height) = (width, height);
        self.pixels.resize(width * height, 0);
    }

    /// Width in pixels.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// The pixels, `[height, width]`.
    pub(super) fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// Fills a rectangle.
    pub(super) fn fill(&mut self, area: Rectangle, color: Rgb888) {
        let Ok(()) = self.fill_solid(&area, color);
    }

    /// Darkens everything, so that what is drawn next stands out.
    pub(super) fn dim(&mut self) {
        self.pixels.iter_mut().for_each(|pixel| *pixel = (*pixel >> 2) & 0x003f_3f3f);
    }

    /// Draws a picture in the middle of an area, as large as fits, and returns the rectangle that it takes.
    pub(super) fn center(&mut self, canvas: &Canvas, area: Rectangle) -> Rectangle {
        let scale = Scale::fit((canvas.width(), canvas.height()), area.size);
        let size = Size::new(scale.side(canvas.width()) as u32, scale.side(canvas.height()) as u32);
        let at = area.top_left + (area.size.saturating_sub(size) / 2);
        self.put(canvas.pixels(), [canvas.height(), canvas.width(), 3], at, scale);
        Rectangle::new(at, size)
    }

    /// Draws the bytes of a picture, `[H, W, C]`, with its upper left corner at a place; gray with one channel. What
    /// lies outside is cut off.
    ///
    /// # Panics
    /// If the number of bytes is not `height * width * channels`.
    pub(super) fn put(&mut self, bytes: &[u8], [height, width, channels]: [usize; 3], at: Point, scale: Scale) {
        assert_eq!(bytes.len(), height * width * channels, "pixels of a picture");
        let (Ok(left), Ok(top)) = (usize::try_from(at.x), usize::try_from(at.y)) else { return };
        let room = self.width.saturating_sub(left).min(scale.side(width));
        if room == 0 {
            return;
        }
        let mut line = vec![0u32; scale.side(width)];
        for (row, source) in bytes.chunks_exact(width * channels).step_by(scale.every).enumerate() {
            let pixels = source.chunks_exact(channels).step_by(scale.every);
            for (square, pixel) in line.chunks_exact_mut(scale.times).zip(pixels) {
                let [red, green, blue] = if channels == 3 { [0, 1, 2] } else { [0; 3] }.map(|c| u32::from(pixel[c]));
                square.fill(red << 16 | green << 8 | blue);
            }
            for y in (top + row * scale.times..self.height).take(scale.times) {
                self.pixels[y * self.width + left..][..room].copy_from_slice(&line[..room]);
            }
        }
    }

    /// Copies the surface to a canvas, for a file.
    pub(super) fn to_canvas(&self) -> Canvas {
        let mut canvas = Canvas::new(self.width, self.height);
        for (to, pixel) in canvas.pixels_mut().as_chunks_mut::<3>().0.iter_mut().zip(&self.pixels) {
            let [_, red, green, blue] = pixel.to_be_bytes();
            *to = [red, green, blue];
        }
        canvas
    }
}

fn word(color: Rgb888) -> u32 {
    u32::from(color.r()) << 16 | u32::from(color.g()) << 8 | u32::from(color.b())
}

impl OriginDimensions for Surface {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Surface {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) else { continue };
            if x < self.width && y < self.height {
                self.pixels[y * self.width + x] = word(color);
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, color: Rgb888) -> Result<(), Infallible> {
        let area = area.intersection(&self.bounding_box());
        let (left, width) = (area.top_left.x as usize, area.size.width as usize);
        for y in area.rows() {
            self.pixels[y as usize * self.width + left..][..width].fill(word(color));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surface(width: usize, height: usize) -> Surface {
        let mut surface = Surface::default();
        surface.resize((width, height));
        surface
    }

    #[test]
    fn pictures_grow_and_shrink_by_whole_numbers() {
        let fit = |picture, width, height| Scale::fit(picture, Size::new(width, height));
        assert_eq!(fit((320, 210), 1280, 840), Scale { times: 4, every: 1 });
        assert_eq!(fit((320, 210), 1280, 839), Scale { times: 3, every: 1 });
        assert_eq!(fit((320, 210), 319, 900), Scale { times: 1, every: 2 });
        assert_eq!(Scale { times: 1, every: 2 }.side(5), 3);
        assert_eq!(fit((320, 210), 0, 0).side(320), 1);
    }

    #[test]
    fn a_picture_is_in_the_middle_and_each_pixel_a_square() {
        let mut canvas = Canvas::new(2, 1);
        canvas.pixels_mut().copy_from_slice(&[1, 2, 3, 4, 5, 6]);
        let mut surface = surface(6, 5);
        let at = surface.center(&canvas, Rectangle::new(Point::new(0, 0), Size::new(6, 5)));
        assert_eq!(at, Rectangle::new(Point::new(0, 1), Size::new(6, 3)));
        let row = [[0x0001_0203; 3], [0x0004_0506; 3]].concat();
        assert_eq!(surface.pixels(), [vec![0; 6], row.repeat(3), vec![0; 6]].concat());
        assert_eq!(surface.to_canvas().pixels()[18..24], [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut surface = surface(2, 2);
        surface.put(&[7, 8, 9, 7, 8, 9], [2, 3, 1], Point::new(1, 1), Scale { times: 1, every: 1 });
        assert_eq!(surface.pixels(), [0, 0, 0, 0x0007_0707]);
        surface.fill(Rectangle::new(Point::new(-1, -1), Size::new(2, 2)), Rgb888::new(1, 0, 0));
        assert_eq!(surface.pixels(), [0x0001_0000, 0, 0, 0x0007_0707]);
    }
}
