//! The chat protocol of groups with relays: bodies, messages, signatures, rosters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod envelope;
mod events;
mod forwarding;
mod properties;
mod roster;
mod support;
mod vectors;
mod verification;
