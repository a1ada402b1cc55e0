//! Runs agents on environments: the library behind rl-run.
#![forbid(unsafe_code)]
