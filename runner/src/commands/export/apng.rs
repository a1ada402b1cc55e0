//! APNG: a PNG whose further pictures browsers show one after the other, all colours as they are.

use std::io::Write;

use anyhow::Context as _;
use png::Writer;
use rl_core::Canvas;

use super::{Film, same_size};

/// Milliseconds in which the time of a picture is counted, 65,535 at most: the first that suffice for it.
const UNITS: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];

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
        let due = self.seconds * 1000.0 - self.told; // what was rounded off before is made good
        let fits = |&unit: &f64| (due / unit).round() <= f64::from(u16::MAX);
        let unit = UNITS.into_iter().find(fits).context("a picture of an APNG stands for 18 hours at most")?;
        let delay = (due / unit).round().max(1.0);
        self.told += delay * unit;
        writer.set_frame_delay(delay as u16, (1000.0 / unit) as u16)?;
        Ok(writer.write_image_data(canvas.pixels())?)
    }

    fn finish(&mut self) -> anyhow::Result<usize> {
        self.writer.take().context("a film has a first picture")?.finish()?;
        Ok(self.pictures as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stay_for_as_long_as_they_are_to() {
        let all = [1.0 / 15.0, 1.0 / 15.0, 0.0001, 65.5, 65.6, 250.0, 6_553.6, 60_000.0];
        let mut bytes = Vec::new();
        let mut film = Apng::new(&mut bytes, all.len()).unwrap();
        all.iter().for_each(|&seconds| film.show(&Canvas::new(3, 2), seconds).unwrap());
        assert!(film.show(&Canvas::new(3, 2), 1e5).is_err());
        drop(film);
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let (mut shown, mut asked) = (0.0, 0.0);
        for seconds in all {
            reader.next_frame(&mut [0; 18]).unwrap();
            let control = reader.info().frame_control().unwrap();
            let told = f64::from(control.delay_num) / f64::from(control.delay_den);
            (shown, asked) = (shown + told, asked + seconds);
            let unit = 1.0 / f64::from(control.delay_den);
            assert!((shown - asked).abs() <= 0.5 * unit + 0.001, "{seconds}: {told}");
            assert_eq!(unit < 0.002, seconds <= 65.5, "{seconds} in units of {unit}");
        }
    }
}
