//! What the target `archive` of `fuzz/` reaches into. No part of the crate's face.

use std::path::Path;

use crate::unpack::{PADDING, SWELLS};
use crate::{ASSETS, Asset, Result, listing, unpack};

/// Bytes that an archive may unpack to, at most.
pub const MOST: u64 = 1 << 20;

fn toy() -> Asset {
    Asset { top: "toy-1", bytes: (MOST - PADDING) / SWELLS, ..ASSETS[0] }
}

/// Unpacks the archive `file` to `into`.
///
/// # Errors
/// If it holds something that it must not.
pub fn unpack(file: &Path, into: &Path) -> Result<()> {
    unpack::unpack(&toy(), file, into)
}

/// Hashes the files in the list of `dir`.
///
/// # Errors
/// If one was changed.
pub fn check(dir: &Path) -> Result<bool> {
    listing::check(&toy(), dir)
}
