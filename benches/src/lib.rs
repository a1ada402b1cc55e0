//! One bench per hop, and the same work done by other libraries.
#![forbid(unsafe_code)]
