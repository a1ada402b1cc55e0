//! Encoders: an agent's eyes and ears.
#![forbid(unsafe_code)]
