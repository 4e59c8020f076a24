//! What the server needs of durable storage. [`crate::sqlite`] is the embedded one; a clustered one can take its place.

use std::fmt;
use std::sync::Arc;

use smp::command::LinkData;
use store::{Commits, Error, Statistics, Ticket};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::queue::{Change, Queue};

/// Everything in the store that has to be in memory.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All queues, with the headers of their messages.
    pub queues: Vec<Queue>,
    /// Higher than any row of a queue.
    pub next_queue: i64,
    /// Higher than any row of a message.
    pub next_message: i64,
}

/// A share of the memory that writes may hold until they are on disk.
pub type Share = Option<Arc<OwnedSemaphorePermit>>;

/// Durable queues, messages and link data.
///
/// Writes take effect in the order of the calls. A write is durable when [`Commits`] says so; after a failure nothing
/// is accepted until [`recover`](QueueStore::recover).
pub trait QueueStore: fmt::Debug + Send + Sync {
    /// Reads everything, at start. Blocks.
    fn load(&self) -> Result<Loaded, Error>;

    /// Reads these queues again. Those that are not there are left out. Blocks.
    fn reload(&self, rows: &[i64]) -> Result<Vec<Queue>, Error>;

    /// Queues the creation of a queue.
    fn create(&self, queue: Queue, link_data: Option<LinkData>, share: Share) -> Ticket;

    /// Queues changes of the queue in `row`.
    fn change(&self, row: i64, changes: Vec<Change>, share: Share) -> Ticket;

    /// What has been committed and what has failed, as it changes.
    fn commits(&self) -> watch::Receiver<Commits>;

    /// Accepts writes again after a failure.
    fn recover(&self);

    /// True while writes that need more space than the store has would probably fail.
    fn is_short_of_space(&self) -> bool;

    /// The body of the message in `row`, unless it is gone. Blocks.
    fn body(&self, row: i64) -> Result<Option<Vec<u8>>, Error>;

    /// The link data of the queue in `row`, unless it is gone. Blocks.
    fn link_data(&self, row: i64) -> Result<Option<LinkData>, Error>;

    /// Counters since the start.
    fn statistics(&self) -> Statistics;
}
