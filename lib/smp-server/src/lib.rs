//! An SMP server: queues, link data, delivery and subscriptions.
//!
//! Floor 5. From the outside in:
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | the life of the server: accept within limits, serve, drain |
//! | `connection` | one connection: read, check, execute, answer, push |
//! | [`authority`] | who may give a command, pure |
//! | `verify` | commands that may be executed |
//! | [`state`] | all queues in memory, execution of commands, delivery |
//! | [`step`] | the rules of every command, pure |
//! | [`queue`] | what is known of a queue, and how that changes |
//! | [`queue_store`] | what is wanted of durable storage; [`sqlite`] is the embedded one |
//! | `recovery` | what happens when a commit fails |
//! | [`http`], [`control`] | metrics and health for machines; blocking of queues for the operator |
//!
//! The way of a message: `SEND` is checked, stored in memory and queued for the disk; once the commit is done, the
//! sender gets `OK` and the subscriber the message, encrypted for the recipient; `ACK` removes it the same way.

mod answer;
pub mod authority;
pub mod body;
pub mod config;
mod connection;
mod connections;
pub mod control;
mod events;
mod expire;
mod holdings;
pub mod http;
mod metrics;
mod outbox;
pub mod queue;
pub mod queue_store;
pub mod random;
mod recovery;
mod registry;
pub mod server;
pub mod sqlite;
pub mod state;
pub mod step;
pub mod subscription;
mod unsupported;
mod verify;
