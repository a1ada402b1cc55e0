//! The vocabulary that every crate shares: spaces, environments, rows, random streams and saved state.
//!
//! No tensors, no threads, no input or output: a crate that depends on this one alone can define an environment.
#![forbid(unsafe_code)]

mod end;
mod spec;
mod rows;
mod rng;
mod env;
mod entry;
mod vec_env;
mod batch;
mod saved;
mod reduce;
mod canvas;
mod error;

pub use batch::Batch;
pub use canvas::Canvas;
pub use end::End;
pub use entry::{Build, EnvEntry, Seating, build_batch};
pub use env::{Env, Step};
pub use error::{Error, Result};
pub use reduce::{Reduce, Solo};
pub use rng::{Rng, Stream};
pub use rows::{Act, Episode, Obs, Rows};
pub use saved::{Saved, State, load_postcard, save_postcard};
pub use spec::{Bound, Spec};
pub use vec_env::VecEnv;
