//! The fetched engine, and what tests have in common with the scripts that made their golden files.

pub(crate) mod engines;

use std::path::PathBuf;

use vizdoom::Button;

/// Where the package is unpacked, fetched first where it is not there.
///
/// # Panics
/// If it cannot be had.
pub(crate) fn package() -> PathBuf {
    rl_assets::fetch("vizdoom", &mut |_| ()).expect("the engine can be fetched")
}

/// The generator of `golden/parity.py` and `golden/matches.py`.
#[allow(dead_code)] // not every test draws
pub(crate) struct Draws(pub(crate) u32);

#[allow(dead_code)]
impl Draws {
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) % n
    }

    /// A value for each of `buttons`.
    pub(crate) fn action(&mut self, buttons: &[Button]) -> Vec<f64> {
        let mut value = |delta| if delta { f64::from(self.below(21)) - 10.0 } else { self.below(2).into() };
        buttons.iter().map(|button| value(button.is_delta())).collect()
    }
}

/// A float as its bits: no two languages print all of them alike.
#[allow(dead_code)]
pub(crate) fn number(x: f64) -> String {
    format!("{:016x}", x.to_bits())
}
