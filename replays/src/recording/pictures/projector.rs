//! Decompresses the pictures of a recording from untrusted data: invalid pictures are refused when shown.

use rl_core::Canvas;

use super::super::chunk::inflate;
use super::super::{RecordedEpisode, RecordingError};
use super::{BODY, Group, Groups, ROW};

/// Decompresses the pictures of one episode, fastest in their order: going back decompresses a group again.
#[derive(Clone, Debug)]
pub struct Projector {
    group: Option<Unpacked>,
    canvas: Canvas,
}

/// A decompressed group, and how far it was shown.
#[derive(Clone, Debug)]
struct Unpacked {
    /// Index of the group.
    place: usize,
    bytes: Vec<u8>,
    /// Byte at which the palette begins, and its number of colours; 0 where pixels hold their colours themselves.
    colours: (usize, usize),
    /// Bytes at which the next run is and at which the runs end.
    runs: (usize, usize),
    /// Byte at which the next pixel is.
    pixels: usize,
    /// Number of the next picture in the episode.
    next: usize,
}

impl Default for Projector {
    fn default() -> Self {
        Self { group: None, canvas: Canvas::new(0, 0) }
    }
}

impl Projector {
    /// The picture after `steps` steps of an episode; an empty canvas where no such picture is stored.
    ///
    /// Every call must pass the same episode.
    ///
    /// # Errors
    /// If the stored data is not a valid picture.
    pub fn show(&mut self, played: &RecordedEpisode, steps: usize) -> Result<&Canvas, RecordingError> {
        let groups = played.pictures();
        let after = groups.groups.partition_point(|group| group.first <= steps);
        let Some(place) = after.checked_sub(1).filter(|_| steps < groups.len()) else {
            self.group = None;
            self.canvas.resize(0, 0);
            return Ok(&self.canvas);
        };
        let damaged = || RecordingError::Damaged { at: groups.groups[place].at, what: "not pictures" };
        // The picture that is shown already is the one before the next.
        if self.group.as_ref().is_none_or(|group| group.place != place || group.next > steps + 1) {
            self.group = None;
            self.group = Some(Unpacked::of(&groups.groups[place], place).ok_or_else(damaged)?);
        }
        let group = self.group.as_mut().expect("it was unpacked");
        while group.next <= steps {
            if group.paint(groups, &mut self.canvas).is_none() {
                self.group = None;
                return Err(damaged());
            }
        }
        Ok(&self.canvas)
    }
}

impl Unpacked {
    fn of(group: &Group, place: usize) -> Option<Self> {
        let bytes = inflate(group.content.get(2..)?, BODY)?;
        let (head, _) = bytes.get(group.count * ROW..)?.split_first_chunk::<6>()?;
        let colours = usize::from(u16::from_le_bytes([head[0], head[1]]));
        let runs = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
        let from = group.count * ROW + head.len();
        let begin = from + 3 * colours;
        let end = begin.checked_add(runs)?;
        if colours > 256 || end > bytes.len() {
            return None;
        }
        Some(Self { place, bytes, colours: (from, colours), runs: (begin, end), pixels: end, next: group.first })
    }

    /// Paints the next picture over the one before; `None` if the data is not valid.
    fn paint(&mut self, groups: &Groups, canvas: &mut Canvas) -> Option<()> {
        let group = &groups.groups[self.place];
        let (width, height) = groups.sizes[self.next];
        if self.next == group.first || (width, height) != (canvas.width(), canvas.height()) {
            canvas.resize(width, height);
        }
        let mut at = 0;
        for _ in 0..self.number()? {
            let (from, count) = (self.number()?.checked_add(at)?, self.number()?);
            at = from.checked_add(count)?;
            let pixels = canvas.pixels_mut().as_chunks_mut::<3>().0.get_mut(from..at)?;
            let (colours, known) = self.colours;
            if known == 0 {
                let end = self.pixels + 3 * count;
                pixels.copy_from_slice(self.bytes.get(self.pixels..end)?.as_chunks().0);
                self.pixels = end;
            } else {
                let colours = self.bytes[colours..].as_chunks::<3>().0.get(..known)?;
                let indices = self.bytes.get(self.pixels..self.pixels + count)?;
                for (pixel, &index) in pixels.iter_mut().zip(indices) {
                    *pixel = *colours.get(usize::from(index))?;
                }
                self.pixels += count;
            }
        }
        self.next += 1;
        let last = self.next == group.first + group.count;
        (!last || (self.runs.0, self.pixels) == (self.runs.1, self.bytes.len())).then_some(())
    }

    /// Reads the next number of the runs, which has at most four bytes.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = *self.bytes[..self.runs.1].get(self.runs.0)?;
            self.runs.0 += 1;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}
