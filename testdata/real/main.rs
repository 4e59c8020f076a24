//! The servers, the connection programs and those of owners as processes among processes: killed, attacked, out of disk, stopped and
//! started again.
//!
//! Every server listens on a free port of loopback and ends with the value that stands for it. Tests wait for what
//! happens, never for a time; the few time limits only keep a failure from hanging.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod client;
mod connections;
mod crash;
mod crowd;
mod full;
mod hearing;
mod hostile;
mod lifecycle;
mod members;
mod orders;
mod owners;
mod relays;
mod restoring;
mod server;
mod sharing;
mod transcript;
mod turmoil;
mod unlinkable;
