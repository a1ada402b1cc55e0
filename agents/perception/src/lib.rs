//! Encoders: networks that turn a batch of observations into features.
//!
//! An encoder knows no reward and no action.
#![forbid(unsafe_code)]

mod encoder;
mod impala;
mod mlp;
mod nature;
mod sense;

pub use encoder::{Encoder, EncoderConfig, ObsBatch, Trunk, encoder_for};
pub use impala::Impala;
pub use mlp::Mlp;
pub use nature::Nature;
