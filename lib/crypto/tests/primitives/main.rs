//! Cryptography against the reference implementation, and what holds for every key and message.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../../../codec/tests/vectors/mod.rs"]
mod vectors;

mod boxes;
mod certificates;
mod kem;
mod keys;
mod properties;
