//! State that outlives the process: named parts, each of which writes itself and reads itself back.

use std::io::{Read, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Result};

/// A part of a session that decides its future.
pub trait Saved {
    /// Writes the part.
    ///
    /// # Errors
    /// If the writer fails.
    fn save(&self, out: &mut dyn Write) -> Result<()>;

    /// Replaces the part by what [`save`](Saved::save) wrote.
    ///
    /// # Errors
    /// If the reader fails, or its content is not such a part.
    fn load(&mut self, from: &mut dyn Read) -> Result<()>;
}

/// Named parts in the order in which they are saved; names are stable, unique, and fit a file name.
pub type State<'a> = Vec<(String, &'a mut dyn Saved)>;

/// Appends `value` to `out` in postcard's format: floats keep every bit.
///
/// # Errors
/// If `value` cannot be serialised.
pub fn save_postcard<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    let bytes = postcard::to_stdvec(value)
        .map_err(|e| Error::State { part: std::any::type_name::<T>().to_owned(), message: e.to_string() })?;
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Reads what [`save_postcard`] wrote; nothing may be left over.
///
/// # Errors
/// If `bytes` is not exactly one `T`; `part` names it in the message.
pub fn load_postcard<T: DeserializeOwned>(part: &str, bytes: &[u8]) -> Result<T> {
    let state = |message: String| Error::State { part: part.to_owned(), message };
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|e| state(e.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(state(format!("{} bytes too many", rest.len()))) }
}
