//! PNG: pictures side by side in a row.

use std::io::Write;

use anyhow::Context as _;
use rl_core::Canvas;

use super::{Film, same_size};

/// Pixels between two pictures.
const GAP: usize = 4;

/// A row of pictures.
pub(super) struct Strip<W: Write> {
    out: Option<W>,
    pictures: Vec<Canvas>,
    size: Option<(usize, usize)>,
}

impl<W: Write> Strip<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out: Some(out), pictures: Vec::new(), size: None }
    }
}

impl<W: Write> Film for Strip<W> {
    fn show(&mut self, canvas: &Canvas, _seconds: f64) -> anyhow::Result<()> {
        same_size(&mut self.size, canvas)?;
        self.pictures.push(canvas.clone());
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<usize> {
        let (width, height) = self.size.context("a row has a first picture")?;
        let count = self.pictures.len();
        let mut all = Canvas::new(count * width + (count - 1) * GAP, height);
        all.pixels_mut().fill(255);
        let row = all.width() * 3;
        for (number, picture) in self.pictures.iter().enumerate() {
            let left = number * (width + GAP) * 3;
            for (line, from) in all.pixels_mut().chunks_exact_mut(row).zip(picture.pixels().chunks_exact(width * 3)) {
                line[left..][..width * 3].copy_from_slice(from);
            }
        }
        let out = self.out.take().context("a row is written once")?;
        let side = |side: usize| u32::try_from(side).context("too wide: fewer --pictures");
        let mut encoder = png::Encoder::new(out, side(all.width())?, side(all.height())?);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(all.pixels())?;
        writer.finish()?;
        Ok(count)
    }
}
