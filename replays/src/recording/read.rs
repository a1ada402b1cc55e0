//! Reads recordings from untrusted files, which may be cut short, damaged or malicious.

use std::io::Read;

use rl_core::End;

use super::chunk::{Chunk, Kind, MAGIC, Reader, inflate};
use super::outputs::{self, Output};
use super::pictures::{self, Told};
use super::seen::History;
use super::write::bytes_of;
use super::{MOST, Manifest, OLDEST, Outcome, OutputSampling, RecordingError, STEPS, VERSION, memory};

/// A recording in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The environment with its configuration, and who played.
    pub manifest: Manifest,
    /// Episodes in the order in which they were recorded; the last may be cut short.
    pub episodes: Vec<RecordedEpisode>,
    /// Whether the recording was closed: else it is still being written, or was cut short.
    pub whole: bool,
}

/// Whether a file begins as recordings do, be the rest readable or not.
pub fn begins(from: &mut impl Read) -> bool {
    let mut first = [0; MAGIC.len()];
    from.read_exact(&mut first).is_ok() && first == *MAGIC
}

/// A recorded episode.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEpisode {
    /// Seed of the episode.
    pub seed: u64,
    /// Seat of the world, counted from 0, that saw and earned what was recorded.
    pub seat: u32,
    /// Return, frames and end of the episode; `None` where it is cut short.
    pub outcome: Option<Outcome>,
    /// Discrete actions, `[steps, seats, discrete]`.
    discrete: Vec<u32>,
    /// Continuous actions, `[steps, seats, continuous]`.
    continuous: Vec<f32>,
    /// Numbers of discrete and of continuous actions, of all seats.
    width: (usize, usize),
    /// Number of seats of the world.
    seats: usize,
    /// Lowest four bits of the checksum of each step.
    checks: Vec<u8>,
    /// Hashes of the episode so far, each with the number of steps that it covers.
    hashes: Vec<(usize, u64)>,
    kept: Option<OutputSampling>,
    /// Stored outputs, `[rows, 1 + actions]`: the state value, then a number per action.
    outputs: Vec<f32>,
    /// Numbers per output beside the state value; 0 where no outputs are stored.
    actions: usize,
    pictures: pictures::Groups,
}

impl RecordedEpisode {
    /// Number of recorded agent steps.
    pub fn steps(&self) -> usize {
        self.checks.len()
    }

    /// Discrete and continuous actions of all seats in a step, `[seats, discrete]` and `[seats, continuous]`.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn action(&self, step: usize) -> (&[u32], &[f32]) {
        let (discrete, continuous) = self.width;
        (&self.discrete[step * discrete..][..discrete], &self.continuous[step * continuous..][..continuous])
    }

    /// Discrete and continuous actions of the episode's own seat in a step, `[discrete]` and `[continuous]`.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn own_action(&self, step: usize) -> (&[u32], &[f32]) {
        let (discrete, continuous) = self.action(step);
        let widths = (discrete.len() / self.seats, continuous.len() / self.seats);
        let seat = self.seat as usize;
        (&discrete[seat * widths.0..][..widths.0], &continuous[seat * widths.1..][..widths.1])
    }

    /// Bytes of memory of the steps, and of the data beside pictures.
    fn bytes(&self) -> usize {
        let numbers = self.discrete.len() + self.continuous.len() + self.outputs.len();
        memory(self.steps(), numbers, self.pictures.len())
    }

    /// Policy output before a step; `None` where none was stored for that step.
    pub fn output(&self, step: usize) -> Option<Output<'_>> {
        let kept = self.kept.filter(|kept| kept.due(step))?;
        let row = self.outputs.chunks_exact(1 + self.actions).nth(step / kept.every as usize)?;
        Some(Output { value: row[0], actions: &row[1..] })
    }

    /// Newest policy output stored at or before a step; `None` where there is none.
    pub fn latest_output(&self, step: usize) -> Option<Output<'_>> {
        let every = self.kept?.every as usize;
        self.output(step / every * every)
    }

    /// Reward, frames and end of a step, stored beside its picture; `None` where no pictures are stored.
    pub fn told(&self, step: usize) -> Option<Told> {
        self.pictures.told.get(step + 1).copied() // the first is of the beginning
    }

    /// Packed pictures of the episode, which a [`Projector`](super::Projector) unpacks.
    pub(super) fn pictures(&self) -> &pictures::Groups {
        &self.pictures
    }
}

/// Where a replayed episode differs from the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differs {
    /// First step, from 0, that may differ: all before it are known to be equal.
    pub from: usize,
    /// Step at which the difference was found: it differs itself, or one from `from` on does.
    pub seen: usize,
}

/// Verification of an episode that is being replayed, step by step.
#[derive(Clone, Debug)]
pub struct Replayed<'a> {
    played: &'a RecordedEpisode,
    history: History,
    steps: usize,
    /// Steps covered by the last hash that was equal.
    equal: usize,
    /// Index of the next hash.
    hash: usize,
}

impl<'a> Replayed<'a> {
    /// Begins the verification at step 0.
    pub fn begin(played: &'a RecordedEpisode) -> Self {
        Self { played, history: History::begin(played.seed), steps: 0, equal: 0, hash: 0 }
    }

    /// Steps that are known to be equal by a hash; of later ones only four bits of the checksum were compared.
    pub fn equal(&self) -> usize {
        self.equal
    }

    /// Compares the checksum of the next step, made by [`seen`](super::seen()), with the recorded one.
    ///
    /// # Errors
    /// If the checksum or the hash of the episode so far differs.
    ///
    /// # Panics
    /// If all recorded steps were compared already.
    pub fn step(&mut self, seen: u32) -> Result<(), Differs> {
        let differs = Differs { from: self.equal, seen: self.steps };
        self.history.push(seen);
        if self.played.checks[self.steps] != seen as u8 & 0xf {
            return Err(differs);
        }
        self.steps += 1;
        if let Some(&(at, hash)) = self.played.hashes.get(self.hash)
            && at == self.steps
        {
            if hash != self.history.hash() {
                return Err(differs);
            }
            (self.equal, self.hash) = (self.steps, self.hash + 1);
        }
        Ok(())
    }
}

impl Recording {
    /// Reads a recording; one that is cut short is read as far as it goes.
    ///
    /// # Errors
    /// If the file is not a recording, has an unsupported version, is damaged, needs too much memory or cannot be read.
    pub fn read(from: impl Read) -> Result<Self, RecordingError> {
        Self::within(MOST, from)
    }

    /// Reads a recording whose steps take at most `left` bytes of memory.
    fn within(mut left: usize, from: impl Read) -> Result<Self, RecordingError> {
        let mut chunks = Reader::begin(from)?;
        let Some(first) = chunks.next()? else { return Err(RecordingError::Foreign) };
        let mut recording = Self { manifest: manifest(&first)?, episodes: Vec::new(), whole: false };
        while let Some(chunk) = chunks.next()? {
            let damaged = |what| RecordingError::Damaged { at: chunk.at, what };
            let before = recording.episodes.last().map_or(0, RecordedEpisode::bytes);
            let open = recording.episodes.last_mut().filter(|last| last.outcome.is_none());
            let pictured = recording.manifest.pictures.is_some();
            match (chunk.kind, open) {
                (Kind::Begin, None) => {
                    let seats = recording.manifest.seats;
                    let (seed, seat) = beginning(&chunk.content, seats).ok_or(damaged("not a seed and seat"))?;
                    let width = (recording.manifest.discrete.len(), recording.manifest.continuous);
                    recording.episodes.push(RecordedEpisode {
                        seed,
                        seat,
                        outcome: None,
                        discrete: Vec::new(),
                        continuous: Vec::new(),
                        width,
                        seats: seats as usize,
                        checks: Vec::new(),
                        hashes: Vec::new(),
                        kept: recording.manifest.outputs,
                        outputs: Vec::new(),
                        actions: recording.manifest.outputs.map_or(0, |_| recording.manifest.actions()),
                        pictures: pictures::Groups::default(),
                    });
                }
                (Kind::Steps, Some(played)) => {
                    steps(&chunk.content, &recording.manifest, played)
                        .ok_or(damaged("not steps of this environment"))?;
                    if pictured && played.pictures.len() <= played.steps() {
                        return Err(damaged("steps before their pictures"));
                    }
                }
                (Kind::Pictures, Some(played)) if pictured => {
                    let (at, content) = (chunk.at, chunk.content);
                    let kept = played.pictures.push(content, at);
                    kept.ok_or(RecordingError::Damaged { at, what: "not pictures" })?;
                }
                (Kind::End, Some(played)) => {
                    if pictured && played.pictures.len() != played.steps() + 1 {
                        return Err(damaged("an end without a picture of every step"));
                    }
                    played.outcome = Some(outcome(&chunk.content).ok_or(damaged("not an outcome"))?);
                }
                (Kind::Close, None) => {
                    let episodes = u32::try_from(recording.episodes.len()).ok().map(u32::to_le_bytes);
                    if episodes.is_none_or(|episodes| chunk.content != episodes) {
                        return Err(damaged("it ends with another number of episodes"));
                    }
                    chunks.end()?;
                    recording.whole = true;
                    break;
                }
                _ => return Err(damaged("a chunk that cannot stand there")),
            }
            let grown = recording.episodes.last().map_or(0, RecordedEpisode::bytes).saturating_sub(before);
            left = left.checked_sub(grown).ok_or(damaged("more steps than any recording has"))?;
        }
        Ok(recording)
    }
}

fn manifest(chunk: &Chunk) -> Result<Manifest, RecordingError> {
    let damaged = |what| RecordingError::Damaged { at: chunk.at, what };
    if chunk.kind != Kind::Manifest {
        return Err(damaged("it does not begin with a manifest"));
    }
    let value: serde_json::Value = serde_json::from_slice(&chunk.content).map_err(|_| damaged("not a manifest"))?;
    match value.get("version").and_then(serde_json::Value::as_u64).map(u32::try_from) {
        Some(Ok(OLDEST..=VERSION)) => {}
        Some(Ok(version)) => return Err(RecordingError::Version(version)),
        _ => return Err(damaged("not a manifest")),
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|_| damaged("not a manifest"))?;
    match manifest.wrong() {
        Some(what) => Err(damaged(what)),
        None => Ok(manifest),
    }
}

fn number(content: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(content.try_into().ok()?))
}

/// Seed and seat of an episode in a world of `seats` seats; `None` if the content is not valid.
fn beginning(content: &[u8], seats: u32) -> Option<(u64, u32)> {
    let (seed, rest) = content.split_first_chunk()?;
    let seat = match seats {
        1 => rest.is_empty().then_some(0),
        _ => rest.try_into().ok().map(u32::from_le_bytes),
    };
    Some((u64::from_le_bytes(*seed), seat.filter(|seat| *seat < seats)?))
}

fn outcome(content: &[u8]) -> Option<Outcome> {
    let (ret, rest) = content.split_first_chunk()?;
    let (frames, rest) = rest.split_first_chunk()?;
    let &[end] = rest else { return None };
    let end = End::of_number(end.into()).filter(|end| end.over())?;
    Some(Outcome { ret: f64::from_bits(u64::from_le_bytes(*ret)), frames: u64::from_le_bytes(*frames), end })
}

/// Appends the steps of a chunk to `played`; `None` if the content is not valid.
fn steps(content: &[u8], manifest: &Manifest, played: &mut RecordedEpisode) -> Option<()> {
    let (count, deflated) = content.split_first_chunk()?;
    let count = usize::from(u16::from_le_bytes(*count));
    if count == 0 || count > STEPS {
        return None;
    }
    let row: usize = manifest.discrete.iter().map(|&cardinality| bytes_of(cardinality)).sum();
    let before = played.steps();
    let rows = played.kept.map_or(0, |kept| kept.rows(before, count));
    let said = rows * played.kept.map_or(0, |kept| kept.bytes(played.actions));
    let length = count * (row + 4 * manifest.continuous) + count.div_ceil(2) + 8 + said;
    let bytes = inflate(deflated, length).filter(|bytes| bytes.len() == length)?;
    let mut rest = &bytes[..];
    let mut next = |length| rest.split_off(..length);
    let (discrete, continuous) = played.width;
    played.discrete.resize((before + count) * discrete, 0);
    for (value, &cardinality) in manifest.discrete.iter().enumerate() {
        let width = bytes_of(cardinality);
        for (step, bytes) in next(count * width)?.chunks(width).enumerate() {
            let mut action = [0; 4];
            action[..width].copy_from_slice(bytes);
            let action = u32::from_le_bytes(action);
            if action >= cardinality {
                return None;
            }
            played.discrete[(before + step) * discrete + value] = action;
        }
    }
    played.continuous.resize((before + count) * continuous, 0.0);
    for value in 0..continuous {
        for (step, bytes) in next(4 * count)?.as_chunks::<4>().0.iter().enumerate() {
            played.continuous[(before + step) * continuous + value] = f32::from_bits(u32::from_le_bytes(*bytes));
        }
    }
    let pairs = next(count.div_ceil(2))?.iter().flat_map(|pair| [pair & 0xf, pair >> 4]);
    played.checks.extend(pairs.take(count));
    played.hashes.push((before + count, number(next(8)?)?));
    match played.kept {
        Some(_) => outputs::decode(rest, manifest, rows, &mut played.outputs),
        None => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Player, Recorder};
    use super::*;

    #[test]
    fn a_file_of_more_steps_than_any_recording_has_is_neither_read_nor_written() {
        let manifest = Manifest {
            version: VERSION,
            env: "test".to_owned(),
            env_version: 1,
            config: String::new(),
            assets: [].into(),
            seats: 1,
            discrete: vec![4],
            continuous: 2,
            player: Player::Human {},
            outputs: None,
            pictures: None,
            made_by: "a test".to_owned(),
        };
        let each = 1500 * (4 * 3 + 1);
        let write = |left: usize| {
            let mut bytes = Vec::new();
            let mut recorder = Recorder::begin(&mut bytes, &manifest)?;
            recorder.left = left;
            for seed in 0..3 {
                recorder.episode(seed, 0)?;
                (0..1500).try_for_each(|_| recorder.step(&[1], &[0.5, 0.5], 7))?;
                recorder.end(&Outcome { ret: 0.0, frames: 1500, end: End::Terminated })?;
            }
            recorder.close()?;
            Ok::<_, std::io::Error>(bytes)
        };
        let bytes = write(3 * each).unwrap();
        assert!(Recording::within(3 * each, &bytes[..]).unwrap().whole);
        let error = Recording::within(3 * each - 1, &bytes[..]).unwrap_err().to_string();
        assert!(error.ends_with("more steps than any recording has"), "{error}");
        let error = write(3 * each - 1).unwrap_err().to_string();
        assert!(error.starts_with("more steps than one recording holds"), "{error}");
    }
}
