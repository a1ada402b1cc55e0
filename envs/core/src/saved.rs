//! State that outlives the process: named parts, each of which writes itself and reads itself back.

use std::io::{Read, Write};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, Result, Segmented};

/// A part of the state of a training run that checkpoints save, such as weights, an optimiser or a replay buffer.
pub trait Saved {
    /// Writes the whole part to `out`.
    ///
    /// # Errors
    /// If the writer fails.
    fn save(&self, out: &mut dyn Write) -> Result<()>;

    /// Replaces the part by what [`save`](Saved::save) wrote. `from` holds this part alone, and must be read to its
    /// end.
    ///
    /// # Errors
    /// If the reader fails, or its content is not a part of this kind; the part must not be used after an error.
    fn load(&mut self, from: &mut dyn Read) -> Result<()>;

    /// Returns the part as a [`Segmented`] one, of which checkpoints save only new segments; `None` where it is saved
    /// whole.
    fn segmented(&mut self) -> Option<&mut dyn Segmented> {
        None
    }
}

/// Named parts of a training run, in the order in which they are saved. Names are unique, valid as file names, and stay
/// the same between versions.
pub type State<'a> = Vec<(String, &'a mut dyn Saved)>;

/// Wrapper that makes any serde value a [`Saved`] part, in postcard's format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Postcard<T>(pub T);

impl<T: Serialize + DeserializeOwned> Saved for Postcard<T> {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        write_postcard(&self.0, out)
    }

    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        self.0 = read_postcard(std::any::type_name::<T>(), from)?;
        Ok(())
    }
}

/// Appends `value` to `out` in postcard's binary format, in which floats keep every bit.
///
/// # Errors
/// If `value` cannot be serialised.
pub fn save_postcard<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&bytes(value)?);
    Ok(())
}

/// Reads a value that [`save_postcard`] wrote from all of `bytes`.
///
/// # Errors
/// If `bytes` is not exactly one `T`; the message names `part`.
pub fn load_postcard<T: DeserializeOwned>(part: &str, bytes: &[u8]) -> Result<T> {
    let state = |message: String| Error::State { part: part.to_owned(), message };
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|e| state(e.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(state(format!("{} bytes too many", rest.len()))) }
}

/// Writes `value` to a writer in the format of [`save_postcard`], for an implementation of [`Saved::save`].
///
/// # Errors
/// If `value` cannot be serialised, or the writer fails.
pub fn write_postcard<T: Serialize>(value: &T, out: &mut dyn Write) -> Result<()> {
    Ok(out.write_all(&bytes(value)?)?)
}

/// Reads a value that [`write_postcard`] wrote, to the end of the reader, for an implementation of [`Saved::load`].
///
/// # Errors
/// If the reader fails, or holds anything but exactly one `T`; the message names `part`.
pub fn read_postcard<T: DeserializeOwned>(part: &str, from: &mut dyn Read) -> Result<T> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    load_postcard(part, &bytes)
}

fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let state =
        |e: postcard::Error| Error::State { part: std::any::type_name::<T>().to_owned(), message: e.to_string() };
    postcard::to_stdvec(value).map_err(state)
}

/// Deserialises a counter, for serde's `deserialize_with`, and refuses values in the upper half of its range: a run
/// that resumes from a file must not overflow.
///
/// # Errors
/// If the counter is not below half of its range.
pub fn counter<'de, D: Deserializer<'de>, T: Deserialize<'de> + Copy + Into<u64>>(
    from: D,
) -> std::result::Result<T, D::Error> {
    let counter = T::deserialize(from)?;
    let most = (1u64 << (8 * size_of::<T>() - 1)) - 1;
    if counter.into() <= most { Ok(counter) } else { Err(D::Error::custom("counts more than a run can")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_value_returns_with_every_bit_and_nothing_else_is_taken() {
        let kept = Postcard(vec![f64::MIN_POSITIVE / 3.0, -0.0, f64::NAN]);
        let mut bytes = Vec::new();
        kept.save(&mut bytes).unwrap();
        let mut appended = Vec::new();
        save_postcard(&kept.0, &mut appended).unwrap();
        assert_eq!(bytes, appended);
        let mut other = Postcard(vec![1.0]);
        other.load(&mut bytes.as_slice()).unwrap();
        let bits = |kept: &Postcard<Vec<f64>>| kept.0.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&kept), bits(&other));

        let mut refuse = |bytes: &[u8]| other.load(&mut &bytes[..]).unwrap_err().to_string();
        assert!(refuse(&bytes[..bytes.len() - 1]).starts_with("saved state of"));
        bytes.push(0);
        assert!(refuse(&bytes).ends_with("1 bytes too many"));
    }

    #[test]
    fn a_counter_has_room_to_count_on() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Counts {
            #[serde(deserialize_with = "counter")]
            steps: u32,
            #[serde(deserialize_with = "counter")]
            frames: u64,
        }
        for (steps, frames, fits) in [(7, 9, true), (u32::MAX / 2, 0, true), (1 << 31, 0, false), (0, u64::MAX, false)]
        {
            let (counts, mut bytes) = (Counts { steps, frames }, Vec::new());
            save_postcard(&counts, &mut bytes).unwrap();
            assert_eq!(load_postcard::<Counts>("counts", &bytes).is_ok(), fits, "{counts:?}");
        }
    }
}
