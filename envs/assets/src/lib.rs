//! The manifest of fetched files and the ordinary package clients that bring them.
#![forbid(unsafe_code)]
