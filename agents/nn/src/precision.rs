//! Floating-point precision of the matrix products of layers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::kernel::bf16::Unit;

/// Type of the operands in the products of linear and convolutional layers; parameters, sums and everything else are
/// `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Operands of `f32`.
    #[default]
    F32,
    /// Operands rounded to `bf16` where the CPU has instructions for it and the layer is not too small, else `f32`; the
    /// rounding of sums depends on the CPU.
    Bf16,
}

impl Precision {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// Name of the instructions that multiply `bf16`; `None` for [`F32`](Self::F32), and where this CPU has none and
    /// multiplies `f32`.
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Unit::best().map(Unit::name),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = [Self::F32, Self::Bf16].into_iter().find(|precision| precision.name() == name);
        known.ok_or_else(|| format!("no precision {name}: expected f32 or bf16"))
    }
}
