//! Connections in the world: random schedules, and the lines of the conformance checklist that need two sides and their
//! servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod ending;
mod handshake;
mod hostile;
mod mallory;
mod messages;
mod persist_points;
mod schedules;
mod support;
mod talker;
