//! Hosts, servers and the network between them in one process, with a virtual clock: support for tests.
//!
//! Stands beside the floors, for tests alone; nothing that runs imports it. Nothing in it waits, and no run depends on
//! anything but its seed: choices come from [`dice`], keys from a seeded source, time from the [`agenda`].
//!
//! | module | holds |
//! |---|---|
//! | [`world`] | everything together, and the loop |
//! | [`server`] | SMP servers with the rules of `smp-server`: authorisation, quotas, links, subscriptions, crashes |
//! | [`host`] | what is durable on a host and what is not, and the points at which it may crash |
//! | [`network`] | sessions: ordered, late, cut |
//! | [`application`] | what runs above the connections of a host |
//! | [`chaos`] | what goes wrong, how often, until when |
//! | [`wiretap`] | looks for message keys that are used twice |
//! | [`runs`] | many runs, by seed, and what is printed of one that fails |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "support for tests: whatever is unexpected here is a failed test"
)]

pub mod agenda;
pub mod application;
pub mod chaos;
pub mod dice;
pub mod host;
pub mod network;
pub mod runs;
pub mod server;
pub mod trace;
pub mod wiretap;
pub mod world;

pub use application::{Application, Inbox, Turn};
pub use chaos::Chaos;
pub use dice::Dice;
pub use host::{Discipline, HostId, PersistPoint, Records};
pub use network::ServerId;
pub use server::{LinkLie, LinkWrite, Rules, Server};
pub use world::{Fate, World};
