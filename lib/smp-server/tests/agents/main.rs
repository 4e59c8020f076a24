//! Agents of `net` with records in `store`, connected through servers in this process: everything from the application
//! to the disk, on both sides.
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

mod app;
mod crashes;
mod crowd;
mod frail;
mod keeping;
mod kill;
mod rest;
mod servers;
mod talking;
mod user;
