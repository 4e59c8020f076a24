//! An SMP server: queues, link data, delivery and subscriptions.

pub mod body;
pub mod queue;
pub mod queue_store;
pub mod sqlite;
pub mod step;
pub mod subscription;
