//! A relay service, an owner and an SMP server over sockets, with everything kept in files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod flood;
mod member;
mod members;
mod operating;
mod owner;
mod running;
mod serving;
mod stranger;
