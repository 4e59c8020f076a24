//! SMP on the wire against the reference implementation, and what holds for every message and for arbitrary bytes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../../../codec/tests/vectors/mod.rs"]
mod vectors;

mod arbitrary;
mod blocks;
mod client_message;
mod commands;
mod handshake;
mod ids;
mod properties;
mod proxy;
mod responses;
mod support;
mod transmissions;
