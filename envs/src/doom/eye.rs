//! From the engine's buffers to one observation: planes of bytes, shrunk and put side by side as channels.

use rl_core::{Canvas, Error, Result};
use serde::Deserialize;
use vizdoom::{Buffer, Config, Game, ScreenFormat};

use crate::area::{Area, Size};

/// A buffer of the engine that an agent may observe, as channels of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// ViZDoom's screen buffer: the view of the player, in the channels of `env.format`.
    Screen,
    /// ViZDoom's depth buffer: the distance of each pixel, one channel.
    Depth,
    /// ViZDoom's labels buffer: the object that is seen at each pixel, one channel. It is resized as a picture is: where
    /// objects meet, pixels hold means of their numbers.
    Labels,
    /// ViZDoom's automap buffer: the map from above, in the channels of `env.format`.
    Automap,
}

impl Shown {
    fn buffer(self) -> Buffer {
        match self {
            Shown::Screen => Buffer::Screen,
            Shown::Depth => Buffer::Depth,
            Shown::Labels => Buffer::Labels,
            Shown::Automap => Buffer::Automap,
        }
    }
}

/// Reads the engine's buffers and resizes them to an observation.
#[derive(Debug)]
pub(super) struct Eye {
    shown: Vec<Shown>,
    /// Format that is observed.
    format: ScreenFormat,
    /// Format that the engine draws in: `format`, or one with colours that grey is made of.
    drawn: ScreenFormat,
    source: Size,
    target: Size,
    shrinking: Shrinking,
    /// Copy of an engine's buffer other than the screen; `grey` is a buffer's brightness, `plane` one of its channels, and
    /// `small` that channel resized.
    raw: Vec<u8>,
    grey: Vec<u8>,
    plane: Vec<u8>,
    small: Vec<u8>,
    /// Copy of the screen buffer, which is also drawn for people.
    screen: Vec<u8>,
}

impl Eye {
    /// Makes an eye that observes the buffers `shown`, resized to `target`.
    ///
    /// # Errors
    /// If an observation would be larger than the screen, or its format has no channels to show.
    pub(super) fn new(config: &Config, shown: &[Shown], target: Size) -> Result<Self> {
        let refuse = |key: &str, message: String| Error::Config { key: format!("env.{key}"), message };
        let (resolution, format) = (config.screen_resolution, config.screen_format);
        let source = Size { height: resolution.height(), width: resolution.width() };
        for (key, target, source) in [("height", target.height, source.height), ("width", target.width, source.width)] {
            if !(1..=source).contains(&target) {
                return Err(refuse(key, format!("{target} is not from 1 to the {source} pixels of env.resolution")));
            }
        }
        if format.channels() == 4 || format == ScreenFormat::Doom256Colors8 {
            let message = format!("{} is for other programs; agents see GRAY8, RGB24 or CRCGCB", format.name());
            return Err(refuse("format", message));
        }
        if shown.is_empty() {
            return Err(refuse("observe", "names no buffer; \"screen\" is one".to_owned()));
        }
        let pixels = source.height * source.width;
        Ok(Self {
            shown: shown.to_vec(),
            format,
            drawn: format,
            source,
            target,
            shrinking: Shrinking::new(source, target),
            raw: Vec::new(),
            grey: Vec::new(),
            plane: vec![0; pixels],
            small: vec![0; target.height * target.width],
            screen: vec![0; pixels * format.channels()],
        })
    }

    /// Lets an engine that is started with `settings` from now on draw in colours, where grey is observed: the eye makes
    /// the same grey of them.
    pub(super) fn colour(&mut self, settings: &mut Config) {
        // Elsewhere a compiler may fuse the products and sums of the engine's grey.
        if self.format == ScreenFormat::Gray8 && cfg!(target_arch = "x86_64") {
            self.drawn = ScreenFormat::Rgb24;
            self.screen.resize(self.plane.len() * self.drawn.channels(), 0);
        }
        settings.screen_format = self.drawn;
    }

    /// Whether the grey that is observed is made of colours that are drawn.
    pub(super) fn makes_grey(&self) -> bool {
        self.drawn != self.format
    }

    /// Returns height, width and number of channels of an observation.
    pub(super) fn shape(&self) -> [usize; 3] {
        let channels = self.shown.iter().map(|&shown| self.channels(shown)).sum();
        [self.target.height, self.target.width, channels]
    }

    /// Copies the screen buffer, for [`draw`](Self::draw).
    pub(super) fn see(&mut self, game: &Game) {
        game.copy(Buffer::Screen, &mut self.screen);
    }

    /// Writes an observation, `[H, W, C]`.
    pub(super) fn look(&mut self, game: &Game, out: &mut [u8]) {
        let [.., all] = self.shape();
        self.see(game);
        let mut channel = 0;
        for n in 0..self.shown.len() {
            let shown = self.shown[n];
            if shown != Shown::Screen {
                self.raw.resize(game.buffer_len(shown.buffer()), 0);
                game.copy(shown.buffer(), &mut self.raw);
            }
            let mut raw = if shown == Shown::Screen { &self.screen } else { &self.raw };
            if self.makes_grey() && matches!(shown, Shown::Screen | Shown::Automap) {
                grey(raw, &mut self.grey);
                raw = &self.grey;
            }
            let (channels, pixels) = (self.channels(shown), self.plane.len());
            for c in 0..channels {
                let plane = if channels == 1 || self.format.is_planar() {
                    &raw[c * pixels..(c + 1) * pixels]
                } else {
                    let of_channel = raw.iter().skip(c).step_by(channels);
                    self.plane.iter_mut().zip(of_channel).for_each(|(to, &from)| *to = from);
                    &self.plane
                };
                if all == 1 {
                    return self.shrinking.shrink(plane, out);
                }
                self.shrinking.shrink(plane, &mut self.small);
                let to = out.iter_mut().skip(channel).step_by(all);
                to.zip(&self.small).for_each(|(to, &from)| *to = from);
                channel += 1;
            }
        }
    }

    /// Draws the screen of the last observation in its full size.
    pub(super) fn draw(&self, canvas: &mut Canvas) {
        canvas.resize(self.source.width, self.source.height);
        let pixels = self.source.width * self.source.height;
        let backwards = matches!(self.drawn, ScreenFormat::CbCgCr | ScreenFormat::Bgr24);
        for (n, pixel) in canvas.pixels_mut().chunks_exact_mut(3).enumerate() {
            for (c, to) in pixel.iter_mut().enumerate() {
                let c = if backwards { 2 - c } else { c };
                *to = match (self.drawn.channels(), self.drawn.is_planar()) {
                    (1, _) => self.screen[n],
                    (_, true) => self.screen[c * pixels + n],
                    (_, false) => self.screen[n * 3 + c],
                };
            }
        }
    }

    fn channels(&self, shown: Shown) -> usize {
        match shown {
            Shown::Screen | Shown::Automap => self.format.channels(),
            Shown::Depth | Shown::Labels => 1,
        }
    }
}

/// Writes the brightness of pixels of [`ScreenFormat::Rgb24`], as the engine computes [`ScreenFormat::Gray8`].
/// Source: ViZDoom, `viz_buffers.cpp`.
fn grey(rgb: &[u8], out: &mut Vec<u8>) {
    let of = |&[r, g, b]: &[u8; 3]| (0.21 * f64::from(r) + 0.72 * f64::from(g) + 0.07 * f64::from(b)) as u8;
    out.clear();
    out.extend(rgb.as_chunks().0.iter().map(of));
}

/// How a plane is resized: with the same bits as [`Area`], but in whole numbers where that is enough.
#[derive(Debug)]
enum Shrinking {
    /// Keeps the size.
    No,
    /// Halves both sides; holds the width of the source.
    Half(usize),
    /// Resizes to any size.
    Area(Area<1>, Box<[[f32; 1]; 256]>),
}

impl Shrinking {
    fn new(source: Size, target: Size) -> Self {
        let doubled = Size { height: 2 * target.height, width: 2 * target.width };
        if source == target {
            Shrinking::No
        } else if source == doubled {
            Shrinking::Half(source.width)
        } else {
            Shrinking::Area(Area::new(source, target), Box::new(std::array::from_fn(|value| [value as f32])))
        }
    }

    fn shrink(&mut self, plane: &[u8], out: &mut [u8]) {
        match self {
            Shrinking::No => out.copy_from_slice(plane),
            Shrinking::Half(width) => {
                let rows = plane.chunks_exact(2 * *width).zip(out.chunks_exact_mut(*width / 2));
                for (two, to) in rows {
                    let (above, below) = two.split_at(*width);
                    let pairs = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
                    for (to, (a, b)) in to.iter_mut().zip(pairs) {
                        let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
                        *to = ((sum + 2) / 4) as u8;
                    }
                }
            }
            Shrinking::Area(area, identity) => area.shrink(identity, plane, None, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_ways_end_in_the_bits_of_the_long_one() {
        let source = Size { height: 12, width: 16 };
        let plane: Vec<u8> = (0..12 * 16_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (height, width) in [(12, 16), (6, 8), (4, 8), (3, 4)] {
            let target = Size { height, width };
            let (mut short, mut long) = (vec![0; height * width], vec![0; height * width]);
            Shrinking::new(source, target).shrink(&plane, &mut short);
            let identity = std::array::from_fn(|value| [value as f32]);
            Area::<1>::new(source, target).shrink(&identity, &plane, None, &mut long);
            assert_eq!(short, long, "{target:?}");
        }
    }
}
