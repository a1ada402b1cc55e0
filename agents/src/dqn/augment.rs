//! The table `augment`: random shifts and intensities of the frames of a minibatch, for learning often from few frames.
//!
//! Bytes stay bytes: a frame is padded by its edge and cropped at a random place, then every grey level is looked up in
//! a table of 256. A frame stack is shifted as a whole; so is a sequence, within which a memory would take a jump for a
//! movement. The two observations of a transition are augmented independently.
//! Source: Yarats et al. 2021, "Image augmentation is all you need" (shifts); Schwarzer et al. 2021, "Data-efficient
//! reinforcement learning with self-predictive representations" (intensity: the gain is 1 + s · N(0, 1), cut at two
//! deviations).

use rl_core::{Result, Rng, Spec};
use rl_replays::{Sample, Sequences, Table};
use serde::{Deserialize, Serialize};

/// Augmentation of frames: in a preset a table whose key `kind` is `none` or `shift`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Augment {
    /// No augmentation.
    None {}, // a struct, since only of those are unknown keys refused
    /// Random shifts and intensities.
    Shift {
        /// Largest shift in each direction, in pixels.
        pixels: usize,
        /// Standard deviation s of the intensity factor, 0 to 0.5; 0 leaves the intensity as it is.
        intensity: f64,
    },
}

/// Augments frame stacks `[H, W, stack·C]`, all channels together; its buffers are reused.
#[derive(Clone, Debug)]
pub(crate) struct Augmenter {
    augment: Augment,
    height: usize,
    /// Bytes of a pixel of a stack.
    pixel: usize,
    /// Bytes of a line of pixels.
    line: usize,
    before: Vec<u8>,
    levels: [u8; 256],
}

/// Random shift and intensity of one frame stack or sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    /// Upper left corner of the crop in the padded frame, in lines and pixels; `pixels` in both for no shift.
    pub(crate) at: [usize; 2],
    /// Factor of all grey levels.
    pub(crate) gain: f32,
}

impl Augment {
    /// Checks the settings for the frames of `spec`.
    ///
    /// # Errors
    /// If there are no frames, a shift is as large as a frame, or the intensity is out of range.
    pub(crate) fn check(self, spec: &Spec) -> Result<()> {
        let Self::Shift { pixels, intensity } = self else { return Ok(()) };
        let bad = |key: &str, message: String| Err(crate::config::bad(&format!("augment.{key}"), message));
        let [height, width, _] = spec.frame;
        if spec.frame_len() == 0 {
            return bad("kind", "this environment shows no frames: set it to \"none\"".to_owned());
        }
        if pixels >= height.min(width) {
            return bad("pixels", format!("a move by {pixels} leaves nothing of frames of {height} × {width}"));
        }
        if !(0.0..=0.5).contains(&intensity) {
            return bad("intensity", format!("{intensity} is not between 0 and 0.5, where a gain may reach 0"));
        }
        Ok(())
    }
}

impl Augmenter {
    /// Creates an augmenter for the frames of `spec`.
    pub(crate) fn new(augment: Augment, spec: &Spec) -> Self {
        let [height, width, channels] = spec.frame;
        let pixel = channels * spec.stack;
        Self { augment, height, pixel, line: pixel * width, before: Vec::new(), levels: [0; 256] }
    }

    /// Augments the two observations of every transition, each with its own draw.
    pub(crate) fn transitions(&mut self, sample: &mut Sample, rng: &mut Rng) {
        for row in 0..sample.rows() {
            for frames in [&mut sample.obs.frames, &mut sample.next.frames] {
                if let Some(look) = self.draw(rng) {
                    self.apply(look, [row], frames);
                }
            }
        }
    }

    /// Augments every sequence, all its rows with one draw.
    pub(crate) fn sequences(&mut self, sample: &mut Sequences, rng: &mut Rng) {
        let (count, rows) = (sample.count(), sample.starts.len());
        for b in 0..count {
            if let Some(look) = self.draw(rng) {
                self.apply(look, (b..rows).step_by(count), &mut sample.obs.frames);
            }
        }
    }

    /// Draws a shift and an intensity; `None` where frames are not augmented.
    fn draw(&self, rng: &mut Rng) -> Option<Look> {
        let Augment::Shift { pixels, intensity } = self.augment else { return None };
        let places = 2 * pixels as u32 + 1;
        let at = [(); 2].map(|()| rng.below(places) as usize);
        let noise = if intensity > 0.0 { rng.normal().clamp(-2.0, 2.0) } else { 0.0 };
        Some(Look { at, gain: (1.0 + intensity * noise) as f32 })
    }

    /// Applies the shift and intensity of `look` to some rows of `frames`.
    pub(crate) fn apply(&mut self, look: Look, rows: impl IntoIterator<Item = usize>, frames: &mut Table<u8>) {
        let Augment::Shift { pixels, .. } = self.augment else { return };
        let Self { height, pixel, line, before, levels, .. } = self;
        let (pixel, line) = (*pixel, *line);
        let [top, left] = look.at;
        for (level, lit) in levels.iter_mut().enumerate() {
            *lit = (level as f32 * look.gain).round().clamp(0.0, 255.0) as u8;
        }
        // Pixels of a line that lie in the padding at its left and at its right.
        let [over_left, over_right] = [pixels.saturating_sub(left), left.saturating_sub(pixels)].map(|n| n * pixel);
        for row in rows {
            let frame = frames.row_mut(row);
            before.clear();
            before.extend_from_slice(frame);
            for (y, to) in frame.chunks_exact_mut(line).enumerate() {
                let from = (y + top).saturating_sub(pixels).min(*height - 1);
                let from = &before[from * line..][..line];
                let kept = line - over_left - over_right;
                to[over_left..][..kept].copy_from_slice(&from[over_right..][..kept]);
                to[..over_left].chunks_exact_mut(pixel).for_each(|to| to.copy_from_slice(&from[..pixel]));
                let edge = &from[line - pixel..];
                to[line - over_right..].chunks_exact_mut(pixel).for_each(|to| to.copy_from_slice(edge));
            }
            if look.gain != 1.0 {
                frame.iter_mut().for_each(|byte| *byte = levels[usize::from(*byte)]);
            }
        }
    }
}
