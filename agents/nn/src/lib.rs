//! Neural-network layers on candle: parameters in a fixed order from a seed, gradients in one flat vector, and fused
//! in-place optimisers.
//!
//! On the CPU a layer is one operation of ours with its own backward pass; on another device the same layer runs stock
//! candle operations on the same variables. Every sum that a CPU layer forms has a fixed order, so that its bits depend
//! neither on threads nor on the instruction set, and those of an output not on the batch around it; with
//! [`Precision::Bf16`] they do depend on the instruction set.
//!
//! A line is fitted through two points:
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use rl_core::{Rng, Stream};
//! use rl_nn::{Activation, Adam, AdamConfig, Linear, Params};
//!
//! let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
//! let layer = Linear::new(&mut params.layer("line"), 1, 1, Activation::None)?;
//! let mut adam = Adam::new(&params, AdamConfig::new(1e-8, 0.0))?;
//! let x = Tensor::new(&[[0.0f32], [1.0]], &Device::Cpu)?; // [2, 1]
//! let y = Tensor::new(&[[1.0f32], [3.0]], &Device::Cpu)?; // 2 x + 1
//! let mut grad = Vec::new(); // flat, in the order of the parameters
//! for number in 1..=2000 {
//!     let loss = (layer.forward(&x)? - &y)?.sqr()?.mean_all()?;
//!     params.backward(&loss, &mut grad)?;
//!     adam.step(&params, &grad, 0.05)?.made(number)?;
//! }
//! let y = layer.forward(&Tensor::new(&[[2.0f32]], &Device::Cpu)?)?;
//! assert!((y.flatten_all()?.to_vec1::<f32>()?[0] - 5.0).abs() < 1e-2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(unsafe_code)] // but for kernel/bf16/unit.rs, its units and kernel/prefetch.rs

mod activation;
mod adam;
mod affine;
mod attention;
mod batch_norm;
mod bundle;
mod chain;
#[cfg(test)]
mod check;
mod encoder;
mod flow;
mod gelu;
mod gru;
mod init;
pub mod kernel;
mod layer;
mod layer_norm;
mod layer_params;
mod loss;
mod lstm;
mod math;
mod moments;
mod optimiser;
mod params;
mod parts;
mod pool;
mod precision;
mod radam;
mod recurrent;
mod residual;
mod rms_prop;
mod saved;
mod sequence;
mod softmax;
mod standardise;
mod tail;
mod upsample;
mod window;

pub use activation::{Activation, relu};
pub use adam::{Adam, AdamConfig};
pub use attention::{Attention, Mask};
pub use batch_norm::{BatchNorm, Statistics};
pub use chain::{Chain, Link};
pub use encoder::{EncoderLayer, EncoderLayerConfig, FeedForwardActivation, NormPlace};
pub use flow::HostForward;
pub use gelu::gelu;
pub use gru::{Gru, GruInit};
pub use init::{Init, InitScheme};
pub use kernel::{Isa, choose_isa, isa};
pub use layer::{Conv2d, Linear};
pub use layer_norm::LayerNorm;
pub use loss::huber;
pub use lstm::{Lstm, LstmInit, LstmState};
pub use optimiser::{Optimiser, OptimiserConfig, StepOutcome, StepStats};
pub use params::{Params, Scope};
pub use pool::{avg_pool, max_pool};
pub use precision::Precision;
pub use recurrent::Recurrent;
pub use residual::Residual;
pub use rms_prop::{EpsPlace, RmsProp, RmsPropConfig};
pub use saved::{load_array, save_array};
pub use softmax::{log_softmax, softmax};
pub use standardise::Standardise;
pub use tail::Tail;
pub use upsample::{upsample_bilinear, upsample_nearest};
pub use window::Window;

/// Converts a candle error to [`rl_core::Error::Tensor`], for `.map_err(tensor)`.
#[allow(clippy::needless_pass_by_value)] // for `map_err(tensor)`
pub fn tensor(error: candle_core::Error) -> rl_core::Error {
    // What candle captures where RUST_BACKTRACE is set would stand in the message.
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => tensor(*inner),
        error => rl_core::Error::Tensor(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;

    #[test]
    fn the_error_of_candle_is_kept_without_its_backtrace() {
        let [a, b] = [(2, 3), (2, 3)].map(|shape| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap());
        let error = tensor(a.matmul(&b).unwrap_err().bt());
        let rl_core::Error::Tensor(cause) = &error else { panic!("{error}") };
        let known = cause.downcast_ref::<candle_core::Error>().unwrap();
        assert!(matches!(known, candle_core::Error::ShapeMismatchBinaryOp { .. }), "{known:?}");
        assert!(error.to_string().starts_with("tensor: ") && error.to_string().lines().count() == 1, "{error}");
    }
}
