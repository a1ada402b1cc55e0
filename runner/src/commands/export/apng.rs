//! APNG: a PNG whose further pictures browsers show one after the other, all colours as they are.

use std::io::Write;

use anyhow::Context as _;
use png::Writer;
use rl_core::Canvas;

use super::{Film, same_size};

/// A film that repeats for ever.
pub(super) struct Apng<W: Write> {
    pictures: u32,
    /// Where to write, until the size is known and there is a `writer`.
    out: Option<W>,
    writer: Option<Writer<W>>,
    size: Option<(usize, usize)>,
    /// Seconds that the pictures so far should be shown for.
    seconds: f64,
    /// Milliseconds that they were given, after rounding.
    told: f64,
}

impl<W: Write> Apng<W> {
    /// Begins a film of this number of pictures.
    pub(super) fn new(out: W, pictures: usize) -> anyhow::Result<Self> {
        let pictures = u32::try_from(pictures).context("too many pictures: raise --every")?;
        Ok(Self { pictures, out: Some(out), writer: None, size: None, seconds: 0.0, told: 0.0 })
    }
}

impl<W: Write> Film for Apng<W> {
    fn show(&mut self, canvas: &Canvas, seconds: f64) -> anyhow::Result<()> {
        same_size(&mut self.size, canvas)?;
        if let Some(out) = self.out.take() {
            let mut encoder = png::Encoder::new(out, canvas.width() as u32, canvas.height() as u32);
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_animated(self.pictures, 0)?;
            self.writer = Some(encoder.write_header()?);
        }
        let writer = self.writer.as_mut().context("a film has a first picture")?;
        self.seconds += seconds;
        let due = (self.seconds * 1000.0).round() - self.told; // what was rounded off before is made good
        let delay = due.clamp(1.0, f64::from(u16::MAX));
        self.told += delay;
        writer.set_frame_delay(delay as u16, 1000)?;
        Ok(writer.write_image_data(canvas.pixels())?)
    }

    fn finish(&mut self) -> anyhow::Result<usize> {
        self.writer.take().context("a film has a first picture")?.finish()?;
        Ok(self.pictures as usize)
    }
}
