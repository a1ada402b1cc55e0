//! The vocabulary that every crate shares: spaces, environments, rows, random streams and saved state.
//!
//! No tensors, no threads, no input or output: a crate that depends on this one alone can define an environment.
#![forbid(unsafe_code)]

mod batch;
mod canvas;
mod caught;
mod column;
pub mod contract;
mod end;
mod entry;
mod env;
mod error;
mod game;
mod life_loss;
mod reduce;
mod rng;
mod rows;
mod rows_buf;
mod saved;
mod segmented;
mod spec;
mod tabular;
mod vec_env;
mod world;

/// Re-export of `embedded-graphics`, in the version whose `DrawTarget` [`Canvas`] implements: shapes, fonts and
/// colours.
pub use embedded_graphics;
/// Re-export of `toml`, in the version whose `Table` [`Build`] takes.
pub use toml;

pub use batch::Batch;
pub use canvas::Canvas;
pub use caught::{Panic, caught, hush_caught_panics, is_catching};
pub use column::{Column, Values};
pub use end::End;
pub use entry::{Build, EnvEntry, Seating, build_batch, read, read_table};
pub use env::{Env, Info, Step};
pub use error::{Error, Result};
pub use game::{Game, GameResult, Side};
pub use life_loss::{Future, LifeLoss};
pub use reduce::{Reduce, Solo};
pub use rng::{Rng, Stream};
pub use rows::{Act, Episode, Obs, Rows};
pub use rows_buf::RowsBuf;
pub use saved::{Postcard, Saved, State, counter, load_postcard, read_postcard, save_postcard, write_postcard};
pub use segmented::{Open, Segmented};
pub use spec::{Bound, Spec};
pub use tabular::{Exact, FiniteMdp, Transition};
pub use vec_env::{VecEnv, load_seats, save_seats};
pub use world::{World, WorldRows, WorldStep};
