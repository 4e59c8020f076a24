//! Owner and relays together: both machines, connections between them, and servers with link data, in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod stories;
mod world;
