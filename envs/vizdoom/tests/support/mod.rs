//! The fetched engine.

use std::path::PathBuf;

/// Where the package is unpacked, fetched first where it is not there.
///
/// # Panics
/// If it cannot be had.
pub(crate) fn package() -> PathBuf {
    rl_assets::fetch("vizdoom", &mut |_| ()).expect("the engine can be fetched")
}
