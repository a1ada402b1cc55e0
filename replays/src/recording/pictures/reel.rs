//! Compresses the pictures of an episode while it is recorded.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rl_core::Canvas;

use super::super::RecordingError;
use super::{FULL, GROUP, Group, PIXELS, Told};

/// Largest number of unchanged pixels in a row within a run: to end the run would cost as much.
const GAP: usize = 4;

/// Pixels that are compared at once.
const BLOCK: usize = 64;

/// A colour: red, green and blue.
type Colour = [u8; 3];

/// Compresses the pictures of one episode into groups.
#[derive(Clone, Debug)]
pub struct Reel {
    /// Width, height and the data beside each picture of the group that is not full yet.
    rows: Vec<(u16, u16, Told)>,
    /// The picture before the next one.
    before: Canvas,
    /// For each picture the number of its runs, then for each run the pixels skipped before it and its length.
    runs: Vec<u8>,
    /// The pixels of all runs.
    pixels: Vec<Colour>,
    /// Number of pictures in the groups before.
    first: usize,
}

impl Default for Reel {
    fn default() -> Self {
        let (rows, runs, pixels) = Default::default();
        Self { rows, before: Canvas::new(0, 0), runs, pixels, first: 0 }
    }
}

impl Reel {
    /// Adds a picture, first the one of the episode's beginning, then one after each step; returns a full group.
    ///
    /// # Errors
    /// If the picture has more than [`PIXELS`] pixels, or a side of 65536 pixels or more.
    pub fn push(&mut self, picture: &Canvas, told: Told) -> Result<Option<Group>, RecordingError> {
        let (width, height) = (picture.width(), picture.height());
        let (Ok(wide), Ok(high)) = (u16::try_from(width), u16::try_from(height)) else {
            return Err(RecordingError::Large { width, height });
        };
        if width * height > PIXELS {
            return Err(RecordingError::Large { width, height });
        }
        if self.rows.is_empty() || (width, height) != (self.before.width(), self.before.height()) {
            self.before.resize(width, height);
        }
        self.rows.push((wide, high, told));
        let changed = runs(self.before.pixels(), picture.pixels());
        put(changed.len(), &mut self.runs);
        let (colours, mut end) = (picture.pixels().as_chunks::<3>().0, 0);
        for run in changed {
            put(run.start - end, &mut self.runs);
            put(run.len(), &mut self.runs);
            end = run.end;
            self.pixels.extend_from_slice(&colours[run]);
        }
        self.before.pixels_mut().copy_from_slice(picture.pixels());
        let full = self.rows.len() == GROUP || self.runs.len() + 3 * self.pixels.len() >= FULL;
        Ok(if full { self.cut() } else { None })
    }

    /// Makes a group of the pictures that are in none yet; `None` where there are no such pictures.
    pub fn cut(&mut self) -> Option<Group> {
        let (rows, runs, pixels) =
            (std::mem::take(&mut self.rows), std::mem::take(&mut self.runs), std::mem::take(&mut self.pixels));
        let count = u16::try_from(rows.len()).ok().filter(|count| *count > 0)?;
        let mut body = Vec::new();
        rows.iter().for_each(|(width, ..)| body.extend(width.to_le_bytes()));
        rows.iter().for_each(|(_, height, _)| body.extend(height.to_le_bytes()));
        rows.iter().for_each(|(.., told)| body.extend(told.reward.to_bits().to_le_bytes()));
        rows.iter().for_each(|(.., told)| body.extend(told.frames.to_le_bytes()));
        rows.iter().for_each(|(.., told)| body.push(told.end as u8));
        let indexed = indexed(&pixels);
        let colours = indexed.as_ref().map_or(0, |(colours, _)| colours.len() as u16);
        body.extend(colours.to_le_bytes());
        body.extend((runs.len() as u32).to_le_bytes());
        if let Some((colours, _)) = &indexed {
            body.extend(colours.as_flattened());
        }
        body.extend(runs);
        match indexed {
            Some((_, indices)) => body.extend(indices),
            None => body.extend(pixels.as_flattened()),
        }
        let mut deflated = DeflateEncoder::new(count.to_le_bytes().to_vec(), Compression::best());
        deflated.write_all(&body).expect("memory takes what is written");
        let content = deflated.finish().expect("memory takes what is written");
        let (count, first) = (rows.len(), self.first);
        self.first += count;
        Some(Group { count, first, content, at: 0 })
    }
}

/// Runs of pixels that differ between two pictures.
fn runs(before: &[u8], now: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let blocks = before.chunks(3 * BLOCK).zip(now.chunks(3 * BLOCK)).enumerate();
    for (block, (before, now)) in blocks.filter(|(_, (before, now))| before != now) {
        let pixels = before.as_chunks::<3>().0.iter().zip(now.as_chunks::<3>().0).enumerate();
        for (place, _) in pixels.filter(|(_, (before, now))| before != now) {
            let at = block * BLOCK + place;
            match runs.last_mut() {
                Some(last) if at - last.end <= GAP => last.end = at + 1,
                _ => runs.push(at..at + 1),
            }
        }
    }
    runs
}

/// Palette of the pixels in the order of first use, and the index of each pixel; `None` for more than 256 colours.
fn indexed(pixels: &[Colour]) -> Option<(Vec<Colour>, Vec<u8>)> {
    let (mut known, mut colours, mut indices) = (BTreeMap::new(), Vec::new(), Vec::with_capacity(pixels.len()));
    for alike in pixels.chunk_by(Colour::eq) {
        let index = *known.entry(alike[0]).or_insert(colours.len());
        if index == colours.len() {
            colours.push(alike[0]);
        }
        let index = u8::try_from(index).ok()?;
        indices.resize(indices.len() + alike.len(), index);
    }
    Some((colours, indices))
}

/// Appends a number, seven bits a byte, the lowest first.
fn put(mut number: usize, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
