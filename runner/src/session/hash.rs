//! SHA-256 of the parts of a session, without a copy of their bytes.

use std::io::{self, Write};

use rl_core::Saved;
use sha2::{Digest as _, Sha256};

/// SHA-256 of a part in the form in which it is saved.
///
/// # Errors
/// If it cannot be saved.
pub(crate) fn sha256(part: &dyn Saved) -> rl_core::Result<String> {
    let mut hash = Hashed(Sha256::new());
    part.save(&mut hash)?;
    Ok(hex(&hash.0.finalize()))
}

/// A writer that keeps nothing but the hash of what went through it.
pub(crate) struct Hashed(pub(crate) Sha256);

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
