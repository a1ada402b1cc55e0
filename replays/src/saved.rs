//! Saving and loading of the replay as a stream.
//!
//! The stream is a header, then rows, oldest first, array after array; for a ring of sequences the recurrent states
//! with which they begin; for a prioritised ring the priorities of all transitions, and the largest ever given. The
//! rows are all that are still present, or those that are in no [segment](crate::segments) yet.
//!
//! Values pass through a small buffer, so that saving or loading a ring of gigabytes needs no second copy of it.

use std::io::{ErrorKind, Read, Write};
use std::ops::Range;

use rl_core::{End, Error, Result, Saved, Segmented};

use crate::priorities::Priorities;
use crate::sequences::Beginnings;
use crate::{Lane, Replay, Sequence};

const MAGIC: &[u8; 8] = b"rlreply2";

impl Saved for Replay {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        self.save_from(self.oldest(), out)
    }

    /// Reads into the memory that is already allocated. After an error the replay is empty.
    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        self.load_rest(from, &mut |number| Err(foreign(&format!("lacks its segment {number}"))))
    }

    fn segmented(&mut self) -> Option<&mut dyn Segmented> {
        if self.segment > 0 { Some(self) } else { None }
    }
}

impl Replay {
    /// Writes the header, the rows from `first` on, and the priorities of all rows where the ring is prioritised.
    pub(crate) fn save_from(&self, first: u64, out: &mut dyn Write) -> Result<()> {
        out.write_all(MAGIC)?;
        for number in self.shape().into_iter().chain([self.written, first]) {
            out.write_all(&number.to_le_bytes())?;
        }
        self.save_rows(first..self.written, out)?;
        let Some(priorities) = &self.priorities else { return Ok(()) };
        self.slots(self.oldest()..self.written).try_for_each(|slot| {
            let mut leaves = (0..self.seats).map(|seat| priorities.tree.weight(slot * self.seats + seat));
            leaves.try_for_each(|priority| out.write_all(&priority.to_le_bytes()))
        })?;
        Ok(out.write_all(&priorities.largest.to_le_bytes())?)
    }

    /// Writes rows array after array, then the recurrent states of the sequences that begin in them.
    pub(crate) fn save_rows(&self, rows: Range<u64>, out: &mut dyn Write) -> Result<()> {
        let slots = || self.slots(rows.clone());
        slots().try_for_each(|slot| out.write_all(self.frame.row(slot)))?;
        slots().try_for_each(|slot| out.write_all(self.legal.row(slot)))?;
        slots().try_for_each(|slot| write(out, self.vector.row(slot), |v| v.to_le_bytes()))?;
        slots().try_for_each(|slot| write(out, self.symbols.row(slot), |v| v.to_le_bytes()))?;
        slots().try_for_each(|slot| write(out, self.age.row(slot), |v| v.to_le_bytes()))?;
        slots().try_for_each(|slot| write(out, self.reward.row(slot), |v| v.to_le_bytes()))?;
        slots().try_for_each(|slot| write(out, self.discrete.row(slot), |v| v.to_le_bytes()))?;
        slots().try_for_each(|slot| write(out, self.continuous.row(slot), |v| v.to_le_bytes()))?;
        slots().try_for_each(|slot| write(out, self.end.row(slot), |v| (v as u32).to_le_bytes()))?;
        let Some(Beginnings { sequence, states }) = &self.beginnings else { return Ok(()) };
        Ok(sequence.places(slots()).try_for_each(|place| write(out, states.row(place), |v| v.to_le_bytes()))?)
    }

    /// Reads what [`save_from`](Replay::save_from) wrote; `rows_of` reads the complete segments of the rows before.
    ///
    /// # Errors
    /// If reading fails, the stream is of another ring, or what it holds is inconsistent.
    pub(crate) fn load_from(
        &mut self,
        from: &mut dyn Read,
        rows_of: &mut dyn FnMut(&mut Self, u64) -> Result<()>,
    ) -> Result<()> {
        let mut magic = [0; 8];
        from.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(foreign("is not a replay"));
        }
        for number in self.shape() {
            let found = read_u64(from)?;
            if found != number {
                return Err(foreign(&format!(
                    "was made for other shapes or another capacity ({found}, expected {number})"
                )));
            }
        }
        self.written = read_u64(from)?;
        if self.written > u64::from(u32::MAX) << 16 {
            return Err(foreign("counts more rows than a run can write"));
        }
        let first = read_u64(from)?;
        if first != self.oldest() && first != self.rest() {
            return Err(foreign("begins with a row that it cannot begin with"));
        }
        // The oldest segment may reach back behind the oldest row: what is read later stands where that would.
        for number in self.segments_until(first) {
            rows_of(self, number)?;
        }
        self.load_rows(first..self.written, from)?;
        let slots: Vec<usize> = self.slots(self.oldest()..self.written).collect();
        if let Some(priorities) = &mut self.priorities {
            *priorities = Priorities::new(priorities.tree.len());
            for &slot in &slots {
                for seat in 0..self.seats {
                    priorities.tree.set(slot * self.seats + seat, read_priority(from)?);
                }
            }
            priorities.largest = read_priority(from)?;
        }
        ends(from)?;
        self.check()
    }

    /// Reads rows that [`save_rows`](Replay::save_rows) wrote.
    pub(crate) fn load_rows(&mut self, rows: Range<u64>, from: &mut dyn Read) -> Result<()> {
        let slots: Vec<usize> = self.slots(rows).collect();
        for &slot in &slots {
            from.read_exact(self.frame.row_mut(slot))?;
        }
        for &slot in &slots {
            from.read_exact(self.legal.row_mut(slot))?;
        }
        read(from, &mut self.vector, &slots, |v| Some(f32::from_le_bytes(v)))?;
        read(from, &mut self.symbols, &slots, |v| Some(u32::from_le_bytes(v)))?;
        read(from, &mut self.age, &slots, |v| Some(u32::from_le_bytes(v)))?;
        read(from, &mut self.reward, &slots, |v| Some(f32::from_le_bytes(v)))?;
        read(from, &mut self.discrete, &slots, |v| Some(u32::from_le_bytes(v)))?;
        read(from, &mut self.continuous, &slots, |v| Some(f32::from_le_bytes(v)))?;
        read(from, &mut self.end, &slots, |v| End::of_number(u32::from_le_bytes(v)))?;
        let Some(Beginnings { sequence, states }) = &mut self.beginnings else { return Ok(()) };
        let places: Vec<usize> = sequence.places(slots.iter().copied()).collect();
        read(from, states, &places, |v| Some(f32::from_le_bytes(v)))
    }

    /// Empties the ring after loading failed with `error`, and returns the error, with an early end of the file named.
    pub(crate) fn forget(&mut self, error: Error) -> Error {
        self.written = 0;
        self.priorities = self.priorities.take().map(|priorities| Priorities::new(priorities.tree.len()));
        match error {
            Error::Io(io) if io.kind() == ErrorKind::UnexpectedEof => foreign("ends too early"),
            error => error,
        }
    }

    /// Numbers that must be equal in a saved ring and this one: capacity, seats and shapes.
    fn shape(&self) -> Vec<u64> {
        let spec = &self.spec;
        let mut shape = vec![
            self.rows as u64,
            self.seats as u64,
            spec.stack as u64,
            spec.frame_len() as u64,
            spec.vector as u64,
            spec.symbols.len() as u64,
            spec.legal_len() as u64,
            spec.discrete.len() as u64,
            self.segment as u64,
        ];
        // One number more, and not a 0, so that rings of discrete actions alone are read as they ever were.
        shape.extend(Some(spec.continuous.len() as u64).filter(|&count| count > 0));
        if let Some(Beginnings { sequence: Sequence { burn_in, steps, period, state }, .. }) = self.beginnings {
            shape.extend([burn_in, steps, period, state].map(|number| number as u64));
        }
        shape
    }

    fn slots(&self, rows: Range<u64>) -> impl Iterator<Item = usize> + use<> {
        let all = self.rows as u64;
        rows.map(move |row| (row % all) as usize)
    }

    /// Refuses loaded values that are inconsistent, so that a damaged file causes no index out of range later.
    fn check(&self) -> Result<()> {
        let fits = |values: &[u32], limits: &[u32]| {
            values.chunks(limits.len().max(1)).all(|row| row.iter().zip(limits).all(|(value, limit)| value < limit))
        };
        let mut before = None;
        for slot in self.slots(self.oldest()..self.written) {
            if !fits(self.symbols.row(slot), &self.spec.symbols) || !fits(self.discrete.row(slot), &self.spec.discrete)
            {
                return Err(foreign("holds a symbol or an action that does not exist"));
            }
            for seat in 0..self.seats {
                let Some(before) = before else { break };
                let next = if self.end[(before, seat)].over() { 0 } else { self.age[(before, seat)].wrapping_add(1) };
                if ![0, next].contains(&self.age[(slot, seat)]) {
                    return Err(foreign("has a gap in an episode"));
                }
            }
            before = Some(slot);
        }
        if self.priorities_fit() { Ok(()) } else { Err(foreign("holds a priority that is none of its transitions'")) }
    }
}

/// The error of a stream that does not fit this replay.
pub(crate) fn foreign(message: &str) -> Error {
    Error::State { part: "replay".to_owned(), message: message.to_owned() }
}

fn read_priority(from: &mut dyn Read) -> Result<f64> {
    let priority = f64::from_bits(read_u64(from)?);
    if priority >= 0.0 && priority.is_finite() {
        Ok(priority)
    } else {
        Err(foreign("holds a priority that is no number"))
    }
}

/// Reads a little-endian number.
pub(crate) fn read_u64(from: &mut dyn Read) -> Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Checks that the stream ends here.
///
/// # Errors
/// If bytes are left, or reading fails.
pub(crate) fn ends(from: &mut dyn Read) -> Result<()> {
    match from.read_exact(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(foreign("has bytes too many")),
    }
}

fn write<T: Copy>(out: &mut dyn Write, values: &[T], bytes: impl Fn(T) -> [u8; 4]) -> std::io::Result<()> {
    values.iter().try_for_each(|&value| out.write_all(&bytes(value)))
}

fn read<T: Copy + Default>(
    from: &mut dyn Read,
    lane: &mut Lane<T>,
    slots: &[usize],
    value: impl Fn([u8; 4]) -> Option<T>,
) -> Result<()> {
    let mut bytes = [0; 4];
    for &slot in slots {
        for into in lane.row_mut(slot) {
            from.read_exact(&mut bytes)?;
            *into = value(bytes).ok_or_else(|| foreign("holds a value that does not exist"))?;
        }
    }
    Ok(())
}
