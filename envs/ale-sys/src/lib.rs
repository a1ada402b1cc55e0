//! The Arcade Learning Environment 0.12.1 behind a small C interface.
//!
//! One [`Ale`] is one console with one game. It is bit-identical to the Python package `ale-py` 0.12.1, except that a
//! saved state is complete: ALE's own omits fields that later frames depend on (`shim.cpp` lists them).
//! ALE ends the process on a ROM that it does not know; here a ROM is identified before ALE sees it.

// ALE reads ROMs through zlib: the mention links it.
use libz_sys as _;

mod ale;
mod bindings;
mod error;
mod rom;

pub use ale::{Ale, FIRE, NOOP, Palette, RAM_LEN, SOUND_LEN};
pub use error::{Error, Result};
pub use rom::{GAMES, Rom};
