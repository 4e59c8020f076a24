//! Owner and relays together: both machines, connections between them, and servers with link data, in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod meeting;
#[path = "../relay/members/memory.rs"]
#[allow(dead_code, reason = "shared with the tests of the relay")]
mod memory;
mod owners;
mod stories;
mod world;
