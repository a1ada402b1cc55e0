//! A picture that environments draw themselves on, with the primitives of `embedded-graphics`.

use std::convert::Infallible;

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Dimensions, DrawTarget, OriginDimensions, Pixel, PointsIter, RgbColor, Size};
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle, StyledDrawable};

/// RGB image in memory on which environments draw themselves, with rows from the top; a `DrawTarget` of
/// `embedded-graphics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// Makes a black canvas of `width` × `height` pixels.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![0; width * height * 3] }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns the pixels, `[height, width, 3]` in red, green and blue.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Changes the size, keeping the allocation where it suffices; the content becomes black.
    pub fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(width * height * 3, 0);
    }

    /// Starts a new picture: sets the size in pixels and fills everything with the colour `ground`.
    pub fn begin(&mut self, width: usize, height: usize, ground: Rgb888) {
        self.resize(width, height);
        for pixel in self.pixels.chunks_exact_mut(3) {
            pixel.copy_from_slice(&[ground.r(), ground.g(), ground.b()]);
        }
    }

    /// Fills a shape with a colour; parts outside of the canvas are clipped.
    pub fn fill<S>(&mut self, shape: &S, color: Rgb888)
    where
        S: StyledDrawable<PrimitiveStyle<Rgb888>, Color = Rgb888>,
    {
        let Ok(_) = shape.draw_styled(&PrimitiveStyle::with_fill(color), self);
    }

    /// Draws the outline of a shape, `width` pixels wide.
    pub fn stroke<S>(&mut self, shape: &S, color: Rgb888, width: u32)
    where
        S: StyledDrawable<PrimitiveStyle<Rgb888>, Color = Rgb888>,
    {
        let Ok(_) = shape.draw_styled(&PrimitiveStyle::with_stroke(color, width), self);
    }

    /// Halves width and height, each new pixel being the mean of 2 × 2 old ones: a picture that was drawn at twice the
    /// size gets smooth edges.
    pub fn halve(&mut self) {
        let (width, height, stride) = (self.width / 2, self.height / 2, self.width * 3);
        let mut row = Vec::with_capacity(width * 3);
        for y in 0..height {
            let (upper, lower) = self.pixels[2 * y * stride..][..2 * stride].split_at(stride);
            row.clear();
            for (upper, lower) in upper.as_chunks::<6>().0.iter().zip(lower.as_chunks::<6>().0) {
                let sum =
                    |at: usize| [upper[at], upper[at + 3], lower[at], lower[at + 3]].map(u16::from).iter().sum::<u16>();
                row.extend([0, 1, 2].map(|at| ((sum(at) + 2) / 4) as u8));
            }
            self.pixels[y * width * 3..][..width * 3].copy_from_slice(&row); // never behind what is read next
        }
        (self.width, self.height) = (width, height);
        self.pixels.truncate(width * height * 3);
    }

    /// Returns the pixels for writing, `[height, width, 3]`, for environments that render their own picture.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) else { continue };
            if x < self.width && y < self.height {
                let at = (y * self.width + x) * 3;
                self.pixels[at..at + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, color: Rgb888) -> Result<(), Infallible> {
        let area = area.intersection(&self.bounding_box());
        self.draw_iter(area.points().map(|point| Pixel(point, color)))
    }
}

#[cfg(test)]
mod tests {
    use embedded_graphics::prelude::Point;

    use super::*;

    #[test]
    fn shapes_are_clipped_to_the_canvas() {
        let mut canvas = Canvas::new(2, 2);
        canvas.fill(&Rectangle::new(Point::new(1, -5), Size::new(9, 6)), Rgb888::RED);
        assert_eq!(canvas.pixels(), [0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn halving_averages_two_by_two() {
        let mut canvas = Canvas::new(0, 0);
        canvas.begin(4, 3, Rgb888::new(100, 50, 10));
        canvas.fill(&Rectangle::new(Point::new(2, 0), Size::new(1, 2)), Rgb888::BLACK);
        canvas.halve();
        assert_eq!((canvas.width(), canvas.height()), (2, 1));
        assert_eq!(canvas.pixels(), [100, 50, 10, 50, 25, 5]);
    }
}
