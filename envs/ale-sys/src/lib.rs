//! The Arcade Learning Environment 0.12.1 behind a small C interface.
