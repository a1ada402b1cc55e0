//! GIF: each picture holds only what changed since the one before, in its exact colours if 255 of them suffice.
//!
//! Times are in hundredths of a second. A picture that would be shown for less is left out, so that a film has the
//! speed that was asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context as _;
use gif::{DisposalMethod, Encoder, Frame, Repeat};
use rl_core::Canvas;

use super::{Film, same_size};

/// Most colours of a picture, besides the transparent one.
const COLOURS: usize = 255;

/// A film that repeats for ever.
pub(super) struct Gif<W: Write> {
    /// Where to write, until the size is known and there is an `encoder`.
    out: Option<W>,
    encoder: Option<Encoder<W>>,
    size: Option<(usize, usize)>,
    /// Pictures that were written.
    written: usize,
    /// Pixels on the screen after them.
    screen: Vec<u8>,
    /// The picture that was shown last, until it is known how long it stays.
    waiting: Option<Canvas>,
    /// Seconds at which the written pictures end; `until` is when the waiting one ends.
    since: f64,
    until: f64,
}

impl<W: Write> Gif<W> {
    pub(super) fn new(out: W) -> Self {
        let (since, until) = (0.0, 0.0);
        Self { out: Some(out), encoder: None, size: None, written: 0, screen: Vec::new(), waiting: None, since, until }
    }

    /// Writes the waiting picture unless its time is too short, when the next one gets that time. The `last` picture is
    /// always written.
    fn flush(&mut self, last: bool) -> anyhow::Result<()> {
        let Some(canvas) = self.waiting.take() else { return Ok(()) };
        // Rounded as times, so that hundredths that are lost here are made up for there.
        let hundredths = (self.until * 100.0).round() - (self.since * 100.0).round();
        if hundredths < 1.0 && !last {
            return Ok(());
        }
        let mut left = hundredths.max(1.0);
        while left > 0.0 {
            // It may be what is there already, if one between was left out, or if it stays for longer than the eleven
            // minutes that can be said: then nothing of it is written but its time.
            let area = changed(&self.screen, &canvas).unwrap_or([0, 0, 1, 1]);
            let before = Some(&self.screen[..]).filter(|screen| !screen.is_empty());
            let mut frame = frame(before, &canvas, area)?;
            frame.delay = left.min(f64::from(u16::MAX)) as u16;
            left -= f64::from(frame.delay);
            self.screen = canvas.pixels().to_vec();
            self.encoder.as_mut().context("a film has a first picture")?.write_frame(&frame)?;
            self.written += 1;
        }
        self.since = self.until;
        Ok(())
    }
}

impl<W: Write> Film for Gif<W> {
    fn show(&mut self, canvas: &Canvas, seconds: f64) -> anyhow::Result<()> {
        same_size(&mut self.size, canvas)?;
        let size = |side: usize| u16::try_from(side).context("a GIF has sides of 65535 pixels at most: lower --scale");
        if let Some(out) = self.out.take() {
            let mut encoder = Encoder::new(out, size(canvas.width())?, size(canvas.height())?, &[])?;
            encoder.set_repeat(Repeat::Infinite)?;
            self.encoder = Some(encoder);
        }
        if self.waiting.as_ref() != Some(canvas) {
            self.flush(false)?;
            self.waiting = Some(canvas.clone());
        }
        self.until += seconds;
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<usize> {
        self.flush(true)?;
        let out = self.encoder.take().context("a film has a first picture")?.into_inner()?;
        { out }.flush()?;
        Ok(self.written)
    }
}

/// Left, top, width and height of the area in which a picture differs from the screen, all of it at first; `None` if
/// there is no difference.
fn changed(screen: &[u8], canvas: &Canvas) -> Option<[usize; 4]> {
    let (width, height) = (canvas.width(), canvas.height());
    if screen.is_empty() {
        return Some([0, 0, width, height]);
    }
    let pixels = |bytes: &[u8]| bytes.as_chunks::<3>().0.to_vec();
    let (old, new) = (pixels(screen), pixels(canvas.pixels()));
    let differs = |x: usize, y: usize| old[y * width + x] != new[y * width + x];
    let rows: Vec<usize> = (0..height).filter(|&y| (0..width).any(|x| differs(x, y))).collect();
    let (&top, &bottom) = (rows.first()?, rows.last()?);
    let columns: Vec<usize> = (0..width).filter(|&x| rows.iter().any(|&y| differs(x, y))).collect();
    let (&left, &right) = (columns.first()?, columns.last()?);
    Some([left, top, right + 1 - left, bottom + 1 - top])
}

/// Encodes an area of a picture; pixels that are as on the screen are transparent.
fn frame(
    before: Option<&[u8]>,
    canvas: &Canvas,
    [left, top, width, height]: [usize; 4],
) -> anyhow::Result<Frame<'static>> {
    let places = (top..top + height).flat_map(|y| (left..left + width).map(move |x| (y * canvas.width() + x) * 3));
    let at = |bytes: &[u8], place: usize| [bytes[place], bytes[place + 1], bytes[place + 2]];
    let mut colours = BTreeMap::new();
    let mut indices = Vec::with_capacity(width * height);
    for place in places.clone() {
        let colour = at(canvas.pixels(), place);
        if before.is_some_and(|before| at(before, place) == colour) {
            indices.push(0);
            continue;
        }
        let next = colours.len() + 1;
        let index = *colours.entry(colour).or_insert(next);
        if index > COLOURS {
            break;
        }
        indices.push(index as u8);
    }
    let side = |side: usize| u16::try_from(side).context("a GIF has sides of 65535 pixels at most: lower --scale");
    let (width, height) = (side(width)?, side(height)?);
    let mut frame = if colours.len() <= COLOURS {
        let mut palette = vec![0; 3 * (colours.len() + 1)];
        colours.iter().for_each(|(colour, &index)| palette[3 * index..][..3].copy_from_slice(colour));
        Frame {
            width,
            height,
            buffer: Cow::Owned(indices),
            palette: Some(palette),
            transparent: Some(0),
            ..Frame::default()
        }
    } else {
        let pixels: Vec<u8> = places.flat_map(|place| at(canvas.pixels(), place)).collect();
        Frame::from_rgb_speed(width, height, &pixels, 10)
    };
    (frame.left, frame.top, frame.dispose) = (side(left)?, side(top)?, DisposalMethod::Keep);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(pixels: &[u8]) -> Canvas {
        let mut canvas = Canvas::new(3, 2);
        for (pixel, &grey) in canvas.pixels_mut().chunks_exact_mut(3).zip(pixels) {
            pixel.fill(grey);
        }
        canvas
    }

    /// Every picture of a film as it is on the screen, with its hundredths of a second.
    fn screened(bytes: &[u8]) -> Vec<(Vec<u8>, u16)> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes).unwrap();
        let (mut screen, mut shown) = (vec![0; 6], Vec::new());
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            let (left, top, width) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
            for (i, pixel) in frame.buffer.chunks_exact(4).enumerate() {
                if pixel[3] > 0 {
                    screen[(top + i / width) * 3 + left + i % width] = pixel[0];
                }
            }
            shown.push((screen.clone(), frame.delay));
        }
        shown
    }

    #[test]
    fn pictures_are_shown_as_they_are_for_as_long_as_they_stay() {
        let mut bytes = Vec::new();
        let mut film = Gif::new(&mut bytes);
        let pictures = [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 9, 6], [1, 2, 3, 4, 9, 6], [0, 2, 3, 4, 9, 0]];
        for pixels in &pictures {
            film.show(&picture(pixels), 1.0 / 15.0).unwrap();
        }
        assert_eq!(film.finish().unwrap(), 3);
        drop(film);
        let shown = screened(&bytes);
        let expected = [(&pictures[0], 7), (&pictures[1], 13), (&pictures[3], 7)];
        assert_eq!(shown, expected.map(|(pixels, delay)| (pixels.to_vec(), delay)));
    }

    #[test]
    fn pictures_that_are_too_short_are_left_out_and_the_film_is_as_long_as_was_asked() {
        let pictures: Vec<[u8; 6]> = (0..11).map(|n| [n, 2, 3, 4, 5, n]).collect();
        for (each, most) in [(1.0 / 800.0, 3), (0.02 / 16.0, 3), (0.007, 9), (0.015, 11)] {
            let mut bytes = Vec::new();
            let mut film = Gif::new(&mut bytes);
            for pixels in &pictures[..10] {
                film.show(&picture(pixels), each).unwrap();
            }
            film.show(&picture(&pictures[10]), 1.0).unwrap();
            let written = film.finish().unwrap();
            drop(film);
            let shown = screened(&bytes);
            assert_eq!(shown.len(), written, "{each}");
            let hundredths: f64 = shown.iter().map(|(_, delay)| f64::from(*delay)).sum();
            assert!((hundredths - 100.0 * (10.0 * each + 1.0)).abs() <= 0.5 + 1e-9, "{each}: {hundredths}");
            assert!(shown.len() <= most && shown.iter().all(|(_, delay)| *delay > 0), "{each}: {}", shown.len());
            assert_eq!(shown.last().unwrap().0, pictures[10], "{each}");
        }
    }

    #[test]
    fn a_picture_that_comes_back_at_once_stays() {
        let mut bytes = Vec::new();
        let mut film = Gif::new(&mut bytes);
        let (one, other) = ([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]);
        for (pixels, seconds) in [(&one, 0.1), (&other, 0.002), (&one, 0.1), (&other, 0.001)] {
            film.show(&picture(pixels), seconds).unwrap();
        }
        film.finish().unwrap();
        drop(film);
        assert_eq!(screened(&bytes), [(one.to_vec(), 10), (one.to_vec(), 10), (other.to_vec(), 1)]);
    }

    #[test]
    fn a_picture_stays_for_longer_than_a_gif_can_say() {
        let mut bytes = Vec::new();
        let mut film = Gif::new(&mut bytes);
        let (one, other) = ([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]);
        for (pixels, seconds) in [(&one, 500.0), (&one, 500.0), (&other, 0.1)] {
            film.show(&picture(pixels), seconds).unwrap();
        }
        assert_eq!(film.finish().unwrap(), 3);
        drop(film);
        assert_eq!(screened(&bytes), [(one.to_vec(), 65_535), (one.to_vec(), 34_465), (other.to_vec(), 10)]);
    }

    #[test]
    fn pictures_of_many_colours_and_of_changing_size_end_well() {
        let mut canvas = Canvas::new(64, 64);
        for (i, byte) in canvas.pixels_mut().iter_mut().enumerate() {
            *byte = (i * 7) as u8 ^ (i / 192) as u8;
        }
        let mut bytes = Vec::new();
        let mut film = Gif::new(&mut bytes);
        film.show(&canvas, 1.0).unwrap();
        assert!(film.show(&picture(&[0; 6]), 1.0).unwrap_err().to_string().contains("from 64 x 64 to 3 x 2"));
        film.finish().unwrap();
        assert!(Gif::new(Vec::new()).finish().is_err(), "no pictures, no film");
    }
}
