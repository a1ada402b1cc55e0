//! candle with ordered, seeded parameters, in-place optimisers and exact losses.
//!
//! On the CPU a layer is one operation of ours with its own backward pass; on another device the same layer runs stock
//! candle operations on the same variables. Every element that a CPU layer writes is one chain of fused multiply-adds in
//! a fixed order, so that its bits depend neither on the batch around it, nor on threads, nor on the instruction set.
#![forbid(unsafe_code)]

mod adam;
mod affine;
mod init;
pub mod kernel;
mod layer;
mod loss;
mod params;
mod saved;

pub use adam::{Adam, AdamConfig};
pub use init::Init;
pub use kernel::{Isa, Window, choose_isa, isa};
pub use layer::{Activation, Conv2d, Linear};
pub use loss::huber;
pub use params::{Params, Scope};

/// Wraps a tensor's error for callers that speak of `rl_core::Error`.
#[allow(clippy::needless_pass_by_value)] // for `map_err(tensor)`
pub fn tensor(error: candle_core::Error) -> rl_core::Error {
    rl_core::Error::Tensor(error.to_string())
}
