//! Owner, relays and members together: their machines, connections between them, and servers with link data, in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod meeting;
#[path = "../relay/members/memory.rs"]
#[allow(dead_code, reason = "the relay's own tests look at more of it")]
mod memory;
mod orders;
mod owners;
mod stories;
mod town;
mod world;
