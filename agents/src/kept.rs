//! Parts that are saved as one value.

use std::io::{Read, Write};

use rl_core::{Result, load_postcard, save_postcard};
use serde::{Serialize, de::DeserializeOwned};

/// Writes `value`.
pub(crate) fn write<T: Serialize>(value: &T, out: &mut dyn Write) -> Result<()> {
    let mut bytes = Vec::new();
    save_postcard(value, &mut bytes)?;
    Ok(out.write_all(&bytes)?)
}

/// Reads what [`write()`] wrote; `part` names it in errors.
pub(crate) fn read<T: DeserializeOwned>(part: &str, from: &mut dyn Read) -> Result<T> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    load_postcard(part, &bytes)
}
