//! The manifest of fetched files and the ordinary package clients that bring them.
//!
//! Nothing here knows an address: each asset is a package of a registry, asked for through that registry's own client
//! with whatever mirror the user has configured, and pinned by its sha256. Assets rest unpacked in one cache. They are
//! made in a directory beside their place and renamed into it when complete, so that a present asset is a whole one; a
//! list of its files' hashes lies in it, so that it can be checked again.
#![forbid(unsafe_code)]

mod cache;
mod client;
mod error;
mod listing;
mod manifest;
mod unpack;
#[doc(hidden)]
pub mod fuzzing;

pub use cache::{Found, cache, check, fetch, locate, replace};
pub use error::{Error, Result};
pub use listing::hash;
pub use manifest::{ASSETS, Asset, Client, find};
pub use unpack::sha256;
