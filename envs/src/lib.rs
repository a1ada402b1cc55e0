//! Environments: one per file, and the table that lists them.
#![forbid(unsafe_code)]
