//! Writes recordings, a thousand steps at a time.

use std::io::{Error, ErrorKind, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::chunk::{Chunks, Kind};
use super::seen::History;
use super::{Group, MOST, Manifest, OLDEST, Outcome, OutputSampling, STEPS, VERSION, memory, outputs};

/// Writes one recording, episode after episode, to `W`.
#[derive(Debug)]
pub struct Recorder<W> {
    chunks: Chunks<W>,
    seats: u32,
    discrete: Vec<u32>,
    continuous: usize,
    kept: Option<OutputSampling>,
    /// Numbers per output beside the state value.
    actions: usize,
    episodes: u32,
    /// Hash of the current episode so far; `None` between episodes.
    history: Option<History>,
    /// Steps of the current episode.
    taken: usize,
    /// Pictures of the current episode; `None` where no pictures are stored.
    pictures: Option<usize>,
    steps: Steps,
    /// Memory, in bytes, that a reader may still need.
    pub(super) left: usize,
}

/// Steps that are not written yet.
#[derive(Debug, Default)]
struct Steps {
    count: usize,
    /// Discrete actions, `[count, discrete]`.
    discrete: Vec<u32>,
    /// Continuous actions, `[count, continuous]`.
    continuous: Vec<f32>,
    /// Lowest four bits of the checksum of each step.
    checks: Vec<u8>,
    /// Outputs, `[rows, 1 + actions]`: the state value, then a number per action.
    outputs: Vec<f32>,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording by writing its manifest.
    ///
    /// # Errors
    /// If writing fails, or the manifest could not be read again: its version is unsupported, its values are invalid,
    /// or it has more than 2 MiB.
    pub fn begin(out: W, manifest: &Manifest) -> std::io::Result<Self> {
        let version = (!(OLDEST..=VERSION).contains(&manifest.version)).then_some("another version");
        if let Some(what) = version.or(manifest.wrong()) {
            return Err(Error::new(ErrorKind::InvalidInput, format!("a recording of {what}")));
        }
        let mut chunks = Chunks::begin(out)?;
        chunks.write(Kind::Manifest, &serde_json::to_vec(manifest)?)?;
        let Manifest { seats, discrete, continuous, outputs: kept, .. } = manifest.clone();
        let (actions, pictures, steps) = (manifest.actions(), manifest.pictures.as_ref().map(|_| 0), Steps::default());
        let (episodes, history, taken) = (0, None, 0);
        let left = MOST;
        Ok(Self { chunks, seats, discrete, continuous, kept, actions, episodes, history, taken, pictures, steps, left })
    }

    /// Begins an episode that was started with `seed`, as the seat `seat` of its world plays it.
    ///
    /// # Errors
    /// If writing fails.
    ///
    /// # Panics
    /// If the episode before has not ended, or the world has no such seat.
    pub fn episode(&mut self, seed: u64, seat: u32) -> std::io::Result<()> {
        assert!(seat < self.seats, "seat {seat} of {}", self.seats);
        assert!(self.history.is_none(), "episodes are recorded one after the other");
        (self.history, self.taken) = (Some(History::begin(seed)), 0);
        self.pictures = self.pictures.map(|_| 0);
        let mut content = seed.to_le_bytes().to_vec();
        content.extend(seat.to_le_bytes().iter().filter(|_| self.seats > 1));
        self.chunks.write(Kind::Begin, &content)
    }

    /// Stores the next pictures of the episode: the one of its beginning, then one after each step.
    ///
    /// The pictures of steps must be stored before the chunk of the steps themselves is written.
    ///
    /// # Errors
    /// If writing fails, or no reader would take so many.
    ///
    /// # Panics
    /// If no episode has begun, or the manifest has no `pictures`.
    pub fn pictures(&mut self, group: &Group) -> std::io::Result<()> {
        assert!(self.history.is_some(), "an episode has begun");
        *self.pictures.as_mut().expect("the manifest wants pictures") += group.count;
        self.take(memory(0, 0, group.count))?;
        self.chunks.write(Kind::Pictures, &group.content)
    }

    /// Stores the policy output before the next step, `[1 + A]`, if the manifest wants an output at that step.
    ///
    /// # Panics
    /// If the output has another length, or the output before it was followed by no step.
    pub fn output(&mut self, output: &[f32]) {
        let Some(kept) = self.kept.filter(|kept| kept.due(self.taken)) else { return };
        assert_eq!(output.len(), 1 + self.actions, "numbers of an output");
        assert_eq!(self.steps.outputs.len(), self.rows(kept) * output.len(), "one output per step");
        self.steps.outputs.extend_from_slice(output);
    }

    /// Records the actions of a step and the checksum of its result, which [`seen`](super::seen()) makes.
    ///
    /// # Errors
    /// If writing fails, or no reader would take so many steps.
    ///
    /// # Panics
    /// If no episode has begun, an action is not one of the manifest, or an output or picture is missing before it.
    pub fn step(&mut self, discrete: &[u32], continuous: &[f32], seen: u32) -> std::io::Result<()> {
        assert_eq!((discrete.len(), continuous.len()), (self.discrete.len(), self.continuous), "values of an action");
        let exists = discrete.iter().zip(&self.discrete).all(|(action, count)| action < count);
        assert!(exists, "{discrete:?} is none of {:?} actions", self.discrete);
        self.history.as_mut().expect("an episode has begun").push(seen);
        (self.steps.count, self.taken) = (self.steps.count + 1, self.taken + 1);
        if let Some(kept) = self.kept {
            assert_eq!(self.steps.outputs.len(), self.rows(kept) * (1 + self.actions), "an output before the step");
        }
        self.steps.discrete.extend_from_slice(discrete);
        self.steps.continuous.extend_from_slice(continuous);
        self.steps.checks.push(seen as u8 & 0xf);
        if self.steps.count == STEPS { self.flush() } else { Ok(()) }
    }

    /// Ends the episode.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    ///
    /// # Panics
    /// If no episode has begun, `outcome.end` does not end one, or pictures are missing where the manifest wants them.
    pub fn end(&mut self, outcome: &Outcome) -> std::io::Result<()> {
        self.flush()?;
        assert!(self.history.take().is_some(), "an episode has begun");
        assert!(outcome.end.over(), "an episode ends");
        assert!(self.pictures.is_none_or(|pictures| pictures == self.taken + 1), "a picture per step");
        self.episodes += 1;
        let mut content = outcome.ret.to_bits().to_le_bytes().to_vec();
        content.extend(outcome.frames.to_le_bytes());
        content.push(outcome.end as u8);
        self.chunks.write(Kind::End, &content)
    }

    /// Ends the recording, which marks the file as complete, and returns the flushed writer.
    ///
    /// # Errors
    /// If writing fails.
    ///
    /// # Panics
    /// If the last episode has not ended.
    pub fn close(mut self) -> std::io::Result<W> {
        assert!(self.history.is_none(), "the last episode has ended");
        self.chunks.write(Kind::Close, &self.episodes.to_le_bytes())?;
        self.chunks.into_inner()
    }

    /// Counts `bytes` of a reader's memory.
    fn take(&mut self, bytes: usize) -> std::io::Result<()> {
        let most = MOST >> 20;
        let more = || Error::new(ErrorKind::FileTooLarge, format!("more steps than one recording holds ({most} MiB)"));
        self.left = self.left.checked_sub(bytes).ok_or_else(more)?;
        Ok(())
    }

    /// Number of outputs that belong to the steps that are not written yet.
    fn rows(&self, kept: OutputSampling) -> usize {
        kept.rows(self.taken - self.steps.count, self.steps.count)
    }

    /// Writes the pending steps as a chunk: how many, then deflated the actions, action after action, the checks, the
    /// hash and the outputs.
    fn flush(&mut self) -> std::io::Result<()> {
        let Steps { count, discrete, continuous, checks, outputs: rows } = std::mem::take(&mut self.steps);
        if count == 0 {
            return Ok(());
        }
        assert!(self.pictures.is_none_or(|pictures| pictures > self.taken), "pictures before their steps");
        self.take(memory(count, discrete.len() + continuous.len() + rows.len(), 0))?;
        let mut bytes = Vec::new();
        for (value, &cardinality) in self.discrete.iter().enumerate() {
            let column = discrete.iter().skip(value).step_by(self.discrete.len());
            column.for_each(|action| bytes.extend(&action.to_le_bytes()[..bytes_of(cardinality)]));
        }
        for value in 0..self.continuous {
            let column = continuous.iter().skip(value).step_by(self.continuous);
            column.for_each(|action| bytes.extend(action.to_bits().to_le_bytes()));
        }
        let pairs = checks.chunks(2);
        bytes.extend(pairs.map(|pair| pair[0] | pair.get(1).map_or(0, |second| second << 4)));
        bytes.extend(self.history.as_ref().expect("an episode has begun").hash().to_le_bytes());
        if let Some(kept) = self.kept {
            outputs::encode(&rows, kept, self.actions, &mut bytes);
        }
        let mut content = (count as u16).to_le_bytes().to_vec();
        let mut deflated = DeflateEncoder::new(&mut content, Compression::best());
        deflated.write_all(&bytes)?;
        deflated.finish()?;
        self.chunks.write(Kind::Steps, &content)
    }
}

/// Bytes in which an action of this cardinality is stored: 1, 2 or 4.
pub(super) fn bytes_of(cardinality: u32) -> usize {
    match cardinality {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}
