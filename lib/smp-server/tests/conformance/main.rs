//! The conformance checklist of the protocol, line by line, against a server in this process: every test begins with
//! the number of its line. The README of this crate says where lines that are missing here are tested, or what they
//! wait for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod blocks;
mod creation;
mod delivery;
mod ending;
mod links;
mod syntax;
